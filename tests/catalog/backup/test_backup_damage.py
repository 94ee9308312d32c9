"""What is not as it was put away is named, and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalog.backup.nodes import KEY, Node
from tests.fault_proxy import Fault, FaultProxy
from voxledger.catalog.backup import Bucket
from voxledger.catalog.backup.contents import FORMAT, Manifest, Piece, SavedFile
from voxledger.catalog.errors import BackupDamaged, BackupError, BackupNotFound, DiskFull, StoreError
from voxledger.catalog.events import new_id, now

KINDS = {True: ("data/", "backups/"), False: ("data/", "backups/", "audio/")}


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("key", [KEY, ""], ids=["encrypted", "plain"])
def test_a_bit_that_flipped_is_named_wherever_it_is(rclone_node: Node, tmp_path: Path, key: str) -> None:
    rclone_node.use_key(key)
    rclone_node.speak(12)
    rclone_node.store_audio(2)
    with rclone_node.open() as vox:
        done = vox.backups.create(with_audio=True)
    everything = rclone_node.objects()
    # One of each kind; what stands under keys/ stands in every manifest too.
    for name in [next(name for name in everything if name.startswith(kind)) for kind in KINDS[bool(key)]]:
        content = everything[name]
        for damage in (_flipped(content), None):
            rclone_node.change(name, damage)
            with rclone_node.backups() as backups:
                if name.startswith("backups/") and damage is None:
                    assert backups.list() == ()
                    continue
                (checked,) = backups.verify()
                assert not checked.intact, name
                assert name in " ".join(checked.problems)
                if damage is None:
                    assert not backups.verify(quick=True)[0].intact
            rclone_node.change(name, content)
        rclone_node.change(name, content)
    with rclone_node.backups() as backups:
        assert [checked.intact for checked in backups.verify()] == [True]
        assert backups.verify()[0].objects >= len(done.manifest.files) + 2


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "altered"])
def test_what_did_not_arrive_as_it_was_sent_is_no_backup(rclone_node: Node, gone: bool) -> None:
    rclone_node.use_key()
    rclone_node.speak(12)
    wrong: list[str] = []

    def progress(what: str, done: int, total: int | None) -> None:
        if what == "confirming":
            name = next(name for name in rclone_node.objects() if name.startswith("data/"))
            rclone_node.change(name, None if gone else _flipped(rclone_node.objects()[name]))
            wrong.append(name)

    with rclone_node.open() as vox:
        with pytest.raises(BackupDamaged, match="1 of its pieces do not lie in") as caught:
            vox.backups.create(progress=progress)
        assert caught.value.objects == tuple(wrong)
        assert vox.backups.list() == ()


def test_a_damaged_backup_is_not_restored(rclone_node: Node, tmp_path: Path) -> None:
    rclone_node.use_key()
    rclone_node.speak(25)
    with rclone_node.open() as vox:
        done = vox.backups.create()
    piece = done.manifest.files[1].pieces[0].name
    key = f"data/{piece[:2]}/{piece}"
    content = rclone_node.objects()[key]
    rclone_node.change(key, _flipped(content))
    with rclone_node.backups() as backups:
        with pytest.raises(BackupDamaged, match=key) as caught:
            backups.restore("latest", tmp_path / "new")
        assert caught.value.objects == (key,)
        assert [path.name for path in (tmp_path / "new").iterdir()] == [".restoring"]
        # Put right, it goes on.
        rclone_node.change(key, content)
        assert backups.restore("latest", tmp_path / "new").manifest == done.manifest


def test_a_damaged_backup_stands_in_the_way_of_pruning_until_it_is_given_up(rclone_node: Node) -> None:
    rclone_node.speak(12)
    with rclone_node.open() as vox:
        vox.backups.create()
        vox.backups.create()
    first = min(name for name in rclone_node.objects() if name.startswith("backups/"))
    rclone_node.change(first, _flipped(rclone_node.objects()[first]))
    identity = first.removeprefix("backups/").partition(".")[0]
    with rclone_node.backups() as backups:
        with pytest.raises(BackupError, match=f"--drop {identity[-8:]}"):
            backups.prune(apply=True)
        assert len(backups.list()) == 2
        dropped = backups.prune(drop=[identity[-8:]], apply=True)
        assert [listed.id for listed in dropped.dropped] == [identity]
        assert [checked.intact for checked in backups.verify()] == [True]


def test_another_key_opens_nothing_and_says_so(rclone_node: Node, tmp_path: Path) -> None:
    rclone_node.use_key()
    rclone_node.speak(3)
    with rclone_node.open() as vox:
        vox.backups.create()
    rclone_node.use_key("another")
    with rclone_node.backups() as backups:
        assert [(entry.manifest, entry.encrypted) for entry in backups.list()] == [(None, True)]
        for step in (
            lambda: backups.verify(),
            lambda: backups.restore("latest", tmp_path / "new"),
            lambda: backups.prune(apply=True),
        ):
            with pytest.raises(BackupError, match=r"backup\.key does not open"):
                step()
    with rclone_node.open() as vox, pytest.raises(BackupError, match=r"backup\.key does not open"):
        vox.backups.create()
    rclone_node.use_key("")
    with rclone_node.open() as vox, pytest.raises(BackupError, match=r"backup\.key is empty"):
        vox.backups.create()
    assert not (tmp_path / "new").exists()


def test_a_vault_of_another_node_or_passphrase_is_refused(
    rclone_node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rclone_node.speak(3)
    vault = tmp_path / "saved.vault"
    with rclone_node.open() as vox:
        vox.backups.create(vault=vault)
        with pytest.raises(BackupError, match="lies in HOME"):
            vox.backups.create(vault=vox.home.path / "v")
        (tmp_path / "mine").write_text("mine")
        with pytest.raises(BackupError, match="is no vault"):
            vox.backups.create(vault=tmp_path / "mine")
        assert (tmp_path / "mine").read_text() == "mine"
    with rclone_node.open(tmp_path / "other") as vox:
        vox.backups.create(vault=tmp_path / "other.vault")
    with rclone_node.backups() as backups:
        first = backups.list()[0].listed.id
        with pytest.raises(BackupError, match="is the vault of node"):
            backups.restore(first, tmp_path / "new", vault=tmp_path / "other.vault")
        with pytest.raises(BackupError, match="passphrase does not open"):
            backups.restore(first, tmp_path / "new", vault=vault, vault_key="wrong")
        vault.write_bytes(_flipped(vault.read_bytes()))
        with pytest.raises(BackupError):
            backups.restore(first, tmp_path / "new", vault=vault)
    monkeypatch.setenv("VOXLEDGER_BACKUP_VAULT_KEY", "")
    with rclone_node.open() as vox, pytest.raises(BackupError, match="needs a passphrase"):
        vox.backups.create(vault=vault)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("path", ["../../evil", "/etc/evil", "segments/../../x", "vault.sqlite"])
def test_a_manifest_writes_nowhere_else(rclone_node: Node, tmp_path: Path, path: str) -> None:
    with rclone_node.backups() as backups:
        bucket = backups.bucket
        seal = bucket.seal()
        piece, _ = bucket.put_piece(b"x", seal, name=seal.name(b"x"))
        files = tuple(
            SavedFile(path=name, bytes=1, sha256=seal.name(b"x"), pieces=(piece,)) for name in ("journal.sqlite", path)
        )
        bucket.put_manifest(_manifest(files), seal)
        with pytest.raises(BackupDamaged, match="belongs to no HOME"):
            backups.restore("latest", tmp_path / "new")


def test_a_name_finds_one_backup_or_says_why_not(rclone_node: Node) -> None:
    with rclone_node.backups() as backups:
        with pytest.raises(BackupNotFound, match="backup create"):
            backups.bucket.find("latest")
        seal = backups.bucket.seal()
        identity = new_id()
        for last in ("aaaa1111", "bbbb1111"):
            backups.bucket.put_manifest(_manifest((), identity[:-8] + last), seal)
        assert backups.bucket.find("aaaa1111").id == identity[:-8] + "aaaa1111"
        with pytest.raises(BackupNotFound, match="any of 2"):
            backups.bucket.find("1111")
        with pytest.raises(BackupNotFound, match="no backup"):
            backups.bucket.find("cccc1111")


def test_an_answer_that_is_cut_is_asked_for_again(rclone_node: Node, tmp_path: Path) -> None:
    rclone_node.speak(25)
    with FaultProxy(rclone_node.server.port) as proxy, pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOXLEDGER_STORE_ENDPOINT", proxy.url)
        proxy.faults += [Fault(method="PUT", path="/data/", busy=True), Fault(method="PUT", path="/data/", busy=True)]
        with rclone_node.open() as vox:
            vox.backups.create()
        proxy.faults += [Fault(method="GET", path="/data/", cut=400), Fault(method="GET", path="/data/", busy=True)]
        with rclone_node.backups() as backups:
            backups.restore("latest", tmp_path / "new", catch_up=False)
        assert not proxy.faults
    assert rclone_node.verified(tmp_path / "new").intact


def test_without_a_store_nothing_is_half_done(rclone_node: Node, tmp_path: Path) -> None:
    rclone_node.speak(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOXLEDGER_STORE_ENDPOINT", "http://127.0.0.1:9")
        with rclone_node.open() as vox:
            with pytest.raises(StoreError):
                vox.backups.create(vault=tmp_path / "v")
            assert not (vox.home.path / "backup.tmp").exists()
    assert not (tmp_path / "v").exists()
    with rclone_node.open() as vox:
        assert vox.backups.create().manifest.through == 3


def test_a_full_disk_is_said_before_the_first_byte(
    rclone_node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from voxledger.catalog import platform

    rclone_node.speak(3)
    with rclone_node.open() as vox:
        vox.backups.create()
        with monkeypatch.context() as patch:
            patch.setattr(platform, "free_disk", lambda _: 1000)
            with pytest.raises(DiskFull, match="Nothing was backed up"):
                vox.backups.create()
    with rclone_node.backups() as backups:
        with monkeypatch.context() as patch:
            patch.setattr(platform, "free_disk", lambda _: 1000)
            with pytest.raises(DiskFull, match="make room"):
                backups.restore("latest", tmp_path / "new")
        backups.restore("latest", tmp_path / "new")
    assert rclone_node.verified(tmp_path / "new").intact


def test_pieces_do_not_stand_in_for_each_other(rclone_node: Node) -> None:
    rclone_node.use_key()
    with rclone_node.backups() as backups:
        bucket: Bucket = backups.bucket
        seal = bucket.seal()
        first, _ = bucket.put_piece(b"one", seal, name=seal.name(b"one"))
        second, _ = bucket.put_piece(b"two", seal, name=seal.name(b"two"))
        store, name = bucket.store, bucket.name
        store.put(name, bucket.piece_key(first.name), store.get(name, bucket.piece_key(second.name)))
        with pytest.raises(BackupDamaged, match="altered"):
            bucket.get_piece(first, seal)
        assert bucket.get_piece(Piece(second.name, second.stored), seal) == b"two"


def _manifest(files: tuple[SavedFile, ...], identity: str = "") -> Manifest:
    return Manifest(
        format=FORMAT, id=identity or new_id(), node=new_id(), created=now(), version="1", through=0, head=None, files=files,
        audio=None, with_vault=False,
    )  # fmt: skip
