"""A backup is made, proved, and becomes the same HOME on another machine."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from tests.building import completed
from tests.catalog.backup.nodes import KEY, Node, recorded, rows
from voxledger.catalog.access import Gate
from voxledger.catalog.errors import BackupError, HomeError, LogCorrupt
from voxledger.catalog.events import PurgeStarted, TokenRevoked, new_id
from voxledger.catalog.home import Home
from voxledger.catalog.log.verify import verify
from voxledger.catalog.objects.elsewhere import elsewhere
from voxledger.catalog.objects.shipping import published
from voxledger.cli import main


@pytest.mark.parametrize("key", [KEY, ""], ids=["encrypted", "plain"])
def test_a_restored_home_is_the_same_home(node: Node, tmp_path: Path, key: str) -> None:
    node.use_key(key)
    node.speak(34)
    vault = tmp_path / "saved.vault"
    with node.open() as vox:
        head = vox.keeper.head()
        done = vox.backups.create(vault=vault)
        before = rows(vox)
    assert (done.manifest.through, done.manifest.head) == (34, head.digest)
    assert len(done.manifest.files) == 1 + 3 + 1  # the journal, three segments, the heads
    assert done.encrypted == bool(key)
    with node.backups() as backups:
        assert [checked.intact for checked in backups.verify()] == [True]
        restored = backups.restore("latest", tmp_path / "new", vault=vault)
    assert (restored.manifest.head, restored.lost) == (head.digest, (0, 0))
    assert (restored.actors, restored.keys) == (1, 1)
    with node.open(tmp_path / "new") as vox:
        assert rows(vox) == before
        assert verify(vox.keeper, [head]).intact
        epochs = vox.journal.epochs()
        assert (epochs[-1].reason, epochs[-1].first) == ("restored", 35)
        assert [row["position"] for row in recorded(vox, "RestoreCompleted")] == [35]
        # Life goes on there, and backups too.
        assert vox.backups.create().manifest.through == 35
    assert node.verified().intact
    assert sorted(path.name for path in (tmp_path / "new").iterdir() if path.name.startswith(".")) == []


def test_a_restored_home_knows_its_tokens_and_which_were_revoked_since(node: Node, tmp_path: Path) -> None:
    node.use_key("")
    vault = tmp_path / "saved.vault"
    with node.open() as vox:
        made, lost = vox.tokens.create("creator", name="ann"), vox.tokens.create("viewer")
        vox.backups.create(vault=vault)
    for content in node.objects().values():
        assert made.written.split("_", 2)[2].encode() not in content
    with node.backups() as backups:
        backups.restore("latest", tmp_path / "new", vault=vault)
    with node.open(tmp_path / "new") as vox:
        gate = Gate(vox.recorder, zone="UTC")
        assert gate.principal(made.written).name == "ann"
        assert gate.principal(lost.written).role == "viewer"
        gate.close()
        # Where the log knows of an end that the restored journal does not, the end counts.
        fact = TokenRevoked(token=lost.token.id, role="viewer", name=None, reason=None)
        vox.recorder.emit(fact, subject=lost.token.id, actor=vox.vault.actor("ann"))
        assert vox.tokens.settle(vox.keeper) == 1
        assert [token.id for token in vox.tokens.list()] == [made.token.id]


def test_the_second_backup_sends_only_what_is_new(node: Node) -> None:
    node.use_key()
    node.speak(60)
    with node.open() as vox:
        first = vox.backups.create()
        second = vox.backups.create()
        assert [row["data"] for row in recorded(vox, "BackupCompleted")]
    assert first.objects >= 8
    # A piece of the journal, which has one event more.
    assert second.objects == 1
    assert second.manifest.through == 61
    with node.backups() as backups:
        assert [checked.intact for checked in backups.verify()] == [True, True]


def test_nothing_in_the_bucket_tells_anything(rclone_node: Node, tmp_path: Path) -> None:
    rclone_node.use_key()
    rclone_node.store_audio(3)
    with rclone_node.open() as vox:
        vox.backups.create(with_audio=True, vault=tmp_path / "v")
        secrets = [vox.journal.node, vox.vault.actor("ann").id, "GenerationCompleted", "espeak"]
        key = vox.vault.actor("ann").key
    everything = rclone_node.objects()
    assert len(everything) > 4
    for name, content in everything.items():
        for secret in (*(each.encode() for each in secrets), key):
            assert secret not in content, name
            assert secret not in name.encode()


def test_the_keys_of_the_vault_are_in_no_backup(rclone_node: Node, tmp_path: Path) -> None:
    """Not even in one that is not encrypted."""
    import zstandard

    rclone_node.use_key("")
    rclone_node.speak(12)
    with rclone_node.open() as vox:
        vox.backups.create(vault=tmp_path / "v")
        secrets = [vox.vault.actor("ann").key, vox.vault.secret("hash"), b"The tide is turning"]
    assert (tmp_path / "v").stat().st_mode & 0o777 == 0o600
    found = [*rclone_node.objects().values(), (tmp_path / "v").read_bytes()]
    for content in found:
        unpacked = zstandard.ZstdDecompressor().decompress(content[6:]) if content[5:6] == b"\1" else content
        for secret in secrets:
            assert secret not in content
            assert secret not in unpacked


def test_what_was_sealed_after_the_backup_comes_back_from_the_store(node: Node, tmp_path: Path) -> None:
    node.use_key()
    node.speak(25)
    with node.open() as vox:
        vox.backups.create()
    node.speak(30)  # positions 27 to 56, of which 50 are sealed
    with node.open() as vox:
        vox.keeper.drain()
        assert vox.uploader.flush(timeout=60) == 0
        heads = published(vox.store, vox.settings.store.events, vox.journal.node)
        given = max(head.position for head in heads)
    with node.backups() as backups:
        restored = backups.restore("latest", tmp_path / "new")
        alone = backups.restore("latest", tmp_path / "alone", catch_up=False)
    assert restored.lost == (26, given)
    assert restored.back == 50 - 25
    assert (alone.lost, alone.back) == ((0, 0), 0)
    with node.open(tmp_path / "new") as vox:
        verdict = verify(vox.keeper, heads)
        assert verdict.intact
        # What was lost for good has nothing left to be compared with.
        assert (verdict.heads, verdict.void) == (len(heads) - 1, 1)
        assert [(first, last) for first, last, _ in verdict.told] == [(51, given)]
        assert vox.journal.head() == given + 1


def test_segments_say_too_which_positions_were_given(rclone_node: Node, tmp_path: Path) -> None:
    """Their heads may be on their way still when the machine is lost."""
    rclone_node.speak(15)
    with rclone_node.open() as vox:
        vox.backups.create()
    rclone_node.speak(14)  # positions 17 to 30
    with rclone_node.open() as vox:
        vox.keeper.drain()
        assert vox.uploader.flush(timeout=60) == 0
        events = vox.settings.store.events
        for info in list(vox.store.list(events, f"{vox.journal.node}/heads/")):
            vox.store.delete(events, info.key)
    with rclone_node.backups() as backups:
        restored = backups.restore("latest", tmp_path / "new")
    assert (restored.lost, restored.back) == ((16, 30), 15)
    assert rclone_node.verified(tmp_path / "new").intact


def test_a_backup_is_one_moment_while_others_write(node: Node, tmp_path: Path) -> None:
    node.speak(15)
    ending = threading.Event()

    def write() -> None:
        while not ending.is_set():
            node.speak(3)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(2):
            with node.open() as vox:
                vox.backups.create()
    finally:
        ending.set()
        writer.join()
    with node.backups() as backups:
        for number, entry in enumerate(backups.list()):
            backups.restore(entry.listed.id, tmp_path / f"new-{number}", catch_up=False)
            verdict = node.verified(tmp_path / f"new-{number}")
            assert verdict.intact
            assert entry.manifest is not None
            assert verdict.position == entry.manifest.through + 1


def test_what_segments_lack_comes_from_the_log(rclone_node: Node, tmp_path: Path) -> None:
    rclone_node.speak(45)
    with rclone_node.open() as vox:
        head = vox.keeper.head()
        segments = [segment.path for segment in vox.keeper.segments.all()]
        segments[1].unlink()
        segments[2].write_bytes(b"\0" * 100)
        done = vox.backups.create()
    assert done.manifest.head == head.digest
    with rclone_node.backups() as backups:
        backups.restore("latest", tmp_path / "new", catch_up=False)
    with rclone_node.open(tmp_path / "new") as vox:
        assert verify(vox.keeper, [head]).intact


def test_events_that_nobody_has_are_no_backup(rclone_node: Node) -> None:
    rclone_node.speak(45)
    with rclone_node.open() as vox:
        vox.keeper.drain()
        vox.keeper.segments.all()[1].path.unlink()
        vox.home.log.unlink()
        vox.home.catalog.unlink()
        with pytest.raises(LogCorrupt, match="position 11"):
            vox.backups.create()
        assert rclone_node.objects() == {}


def test_segments_of_another_log_are_found(rclone_node: Node, tmp_path: Path) -> None:
    """Whole files, but not the events that the log holds."""
    from voxledger.catalog.log.segments import Segments

    rclone_node.speak(25)
    with rclone_node.open() as vox:
        vox.keeper.drain()
        segment = vox.keeper.segments.all()[0]
        altered = [(position, body.replace(b'"espeak"', b'"espaek"')) for position, body in segment.read()]
        Segments(segment.path.parent).seal(altered)
        with pytest.raises(LogCorrupt, match="position 1 "):
            vox.backups.create()


def test_a_home_with_something_in_it_is_left_alone(rclone_node: Node, tmp_path: Path) -> None:
    rclone_node.speak(3)
    with rclone_node.open() as vox:
        vox.backups.create()
    with rclone_node.backups() as backups:
        with pytest.raises(BackupError, match="not empty"):
            backups.restore("latest", rclone_node.path)
        (tmp_path / "file").write_text("x")
        with pytest.raises(BackupError, match="is a file"):
            backups.restore("latest", tmp_path / "file")
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "voxledger.toml").write_text("[general]\nactor = 'bea'\n")
        restored = backups.restore("latest", tmp_path / "new")
    assert not restored.settings_beside
    assert "bea" in (tmp_path / "new" / "voxledger.toml").read_text()
    assert rclone_node.verified().intact


def test_nobody_opens_a_home_that_is_being_restored(tmp_path: Path) -> None:
    (tmp_path / ".restoring").mkdir()
    with pytest.raises(HomeError, match="backup restore"):
        Home.open(tmp_path)


def test_settings_go_along_without_their_secrets(rclone_node: Node, tmp_path: Path) -> None:
    text = """# mine
[retention]
grace = "3d"
[[retention.rules]]
name = "old"
keep_for = "30d"
[mixpanel]
token = "hunter2"  # do not tell
region = "eu"
"""
    rclone_node.path.mkdir(mode=0o700)
    (rclone_node.path / "voxledger.toml").write_text(text)
    rclone_node.speak(2)
    with rclone_node.open() as vox:
        assert vox.backups.create().manifest.without == ("mixpanel.token",)
    with rclone_node.backups() as backups:
        backups.restore("latest", tmp_path / "plain")
    restored = (tmp_path / "plain" / "voxledger.toml").read_text()
    assert "hunter2" not in restored
    assert "# mine" in restored
    with rclone_node.open(tmp_path / "plain") as vox:
        assert vox.settings.retention.rules[0].name == "old"
        assert vox.settings.mixpanel.region == "eu"


@pytest.mark.parametrize("key", [KEY, ""], ids=["encrypted", "plain"])
@pytest.mark.every_server
def test_audio_comes_back_where_the_store_lost_it(node: Node, tmp_path: Path, key: str) -> None:
    node.use_key(key)
    clips = node.store_audio(5)
    vault = tmp_path / "saved.vault"
    with node.open() as vox:
        first = vox.backups.create(with_audio=True, vault=vault)
        second = vox.backups.create(with_audio=True)
        assert first.manifest.audio is not None
        assert (first.manifest.audio.objects, first.lacking, second.lacking) == (5, 0, 0)
        assert second.objects <= 3  # nothing of the audio
        audio = vox.settings.store.audio
        purged, kept, *lost = clips
        fact = PurgeStarted(plan="p", rule="r", bucket=audio)
        vox.recorder.emit(fact, subject=purged, actor=vox.vault.actor("ann"))
        for clip in (purged, *lost):
            vox.store.delete(audio, clips[clip][0])
        # What is saved stays saved, whatever the store lost since; what is on its way out does not.
        third = vox.backups.create(with_audio=True)
        assert (third.lacking, third.manifest.audio and third.manifest.audio.objects) == (0, 4)
    with node.backups() as backups:
        assert all(checked.intact for checked in backups.verify())
        with pytest.raises(BackupError, match="needs the vault"):
            backups.restore(second.manifest.id, tmp_path / "new", with_audio=True)
        done = backups.restore(second.manifest.id, tmp_path / "new", vault=vault, with_audio=True)
    assert done.audio is not None
    # The purge came after the backup and was never sealed into the store, so this HOME does not know of it.
    assert (done.audio.back, done.audio.there) == (4, 1)
    with node.open(tmp_path / "new") as vox:
        for name, content in clips.values():
            assert vox.store.get(audio, name) == content
        if node.server.keeps_metadata:
            info = vox.store.head(audio, clips[lost[0]][0])
            assert info is not None
            assert (info.metadata["clip"], info.content_type) == (lost[0], "audio/wav")
    assert kept in clips


def test_audio_that_the_store_has_not_as_it_was_is_counted(rclone_node: Node, caplog: pytest.LogCaptureFixture) -> None:
    rclone_node.use_key()
    gone, altered = rclone_node.store_audio(2).values()
    rclone_node.store_audio(1)
    with rclone_node.open() as vox:
        vox.store.delete(vox.settings.store.audio, gone[0])
        vox.store.put(vox.settings.store.audio, altered[0], b"x" * len(altered[1]))
        done = vox.backups.create(with_audio=True)
        assert (done.lacking, done.waiting) == (2, 0)
    assert "tide" not in caplog.text  # keys hold names
    rclone_node.speak(1)
    with rclone_node.open() as vox:
        assert vox.backups.create(with_audio=True).waiting == 1


def test_what_was_purged_stays_purged(rclone_node: Node, tmp_path: Path) -> None:
    clips = rclone_node.store_audio(2)
    purged = next(iter(clips))
    vault = tmp_path / "saved.vault"
    with rclone_node.open() as vox:
        audio = vox.settings.store.audio
        vox.backups.create(with_audio=True)
        vox.recorder.emit(PurgeStarted(plan="p", rule="r", bucket=audio), subject=purged, actor=vox.vault.actor("ann"))
        for name, _ in clips.values():
            vox.store.delete(audio, name)
    rclone_node.speak(20)  # so that the purge is sealed into the store
    with rclone_node.open() as vox:
        vox.keeper.drain()
        assert vox.uploader.flush(timeout=60) == 0
        vox.backups.create(vault=vault)
    with rclone_node.backups() as backups:
        first = backups.list()[0].listed.id
        done = backups.restore(first, tmp_path / "new", vault=vault, with_audio=True)
    assert done.audio is not None
    assert (done.audio.back, done.audio.left) == (1, 1)
    with rclone_node.open(tmp_path / "new") as vox:
        assert not vox.store.exists(audio, clips[purged][0])


def test_two_homes_that_go_on_as_one_node_are_noticed(
    rclone_node: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")

    def others(path: Path | None = None) -> int:
        """How far another HOME is known to have come; 0 where there is none."""
        with rclone_node.open(path) as vox:
            found = elsewhere(vox.store, vox.settings.store.events, vox.journal, vox.home.segments)
        return found.position if found else 0

    def grow(path: Path | None, count: int) -> None:
        with rclone_node.open(path) as vox:
            actor = vox.vault.actor("ann")
            vox.journal.emit(*(vox.recorder.draft(completed(), subject=new_id(), actor=actor) for _ in range(count)))
            vox.keeper.drain()
            assert vox.uploader.flush(timeout=30) == 0

    def restored(name: str) -> Path:
        with rclone_node.backups() as backups:
            return backups.restore("latest", tmp_path / name).home

    grow(None, 12)
    with rclone_node.open() as vox:
        vox.backups.create()
    new = restored("new")
    assert (others(), others(new)) == (0, 0)
    grow(None, 12)
    assert others(new) == 25, "the one that was restored sees the old one go on"
    grow(new, 21)
    assert others() == 34, "and the old one sees it"
    grow(new, 1)
    with rclone_node.open(new) as vox:
        assert vox.archive.publish(vox.keeper.head())
        assert vox.uploader.flush(timeout=30) == 0
        head = vox.keeper.head().position
    assert others() == head, "a head tells it too"
    assert others(restored("third")) == 0, "what was given before is history"

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(rclone_node.path), *arguments])
        return int(ended.value.code or 0), " ".join(capsys.readouterr().out.split())

    assert "another HOME" not in run("status")[1]
    code, said = run("doctor", "--json")
    (node,) = [each for each in json.loads(said)["findings"] if (each["area"], each["name"]) == ("home", "node")]
    assert (code, node["state"]) == (1, "bad")
    assert node["found"].startswith("another HOME goes on as this node: it has given position")
    assert node["follows"].startswith("Let only one of the two go on")
    assert "another HOME goes on as this node" in run("status")[1]
    assert json.loads(run("status", "--json")[1])["elsewhere"]["position"] == head
