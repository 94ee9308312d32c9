"""Models between a folder, real stores and machines."""

from __future__ import annotations

import hashlib
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.models.conftest import MakeMachine
from tests.catalog.models.machines import Machine, contents, flip, made_folder
from tests.fault_proxy import Fault, FaultProxy
from tests.s3 import S3Server
from voxledger.catalog.errors import DiskFull, ModelError, ModelNotFound, StoreError
from voxledger.catalog.models import Models


def keys(machine: Machine, prefix: str = "") -> list[str]:
    return [found.key for found in machine.store.list(machine.bucket_name, prefix)]


def versions(models: Models) -> dict[str, tuple[str, str, bool]]:
    return {str(each.reference): (each.in_store, each.here, each.is_current) for each in models.list()}


# Pushing and pulling


@pytest.mark.every_server
def test_a_model_comes_back_as_it_was_pushed(machine: Machine, other: Machine, folder: Path) -> None:
    (folder / "empty.txt").touch()
    pushed = machine.models.push(folder, "indextts@2.5")
    pulled = other.models.pull("indextts@2.5")
    assert contents(pulled.path) == contents(folder)
    assert pulled.path == other.folder / "indextts" / "2.5"
    assert (pushed.sent_files, pushed.sent_bytes, pulled.fetched_files, pulled.fetched_bytes) == (4, 50_013, 4, 50_013)
    [(kind, data)] = machine.events()
    assert (kind, data["model"], data["model_version"], data["files"], data["bytes"]) == (
        "ModelPushed", "indextts", "2.5", 4, 50_013,
    )  # fmt: skip
    [(kind, again)] = other.events()
    assert (kind, again["manifest"], again["fetched_bytes"]) == ("ModelPulled", data["manifest"], 50_013)


@pytest.mark.every_server
def test_contents_lie_under_their_hash_with_it_as_metadata(machine: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@2.5")
    sha256 = hashlib.sha256(b"g" * 30_000).hexdigest()
    found = machine.store.head(machine.bucket_name, f"blobs/sha256/{sha256[:2]}/{sha256}")
    assert found is not None
    assert (found.bytes, found.metadata["sha256"]) == (30_000, sha256)


def test_versions_share_unchanged_files(machine: Machine, folder: Path, tmp_path: Path) -> None:
    machine.models.push(folder, "indextts@2.5")
    machine.models.pull("indextts@2.5")
    tuned = made_folder(tmp_path / "tuned", gpt__pth=b"t" * 100, **{"config.yaml": b"version: 2.6\n"})
    assert machine.models.push(tuned, "indextts@2.6").sent_bytes == 113
    pulled = machine.models.pull("indextts@2.6")
    assert pulled.fetched_bytes == 113
    before = machine.models.path("indextts@2.5")
    assert before is not None
    assert (before / "gpt.pth").samefile(pulled.path / "gpt.pth")
    assert not (before / "config.yaml").samefile(pulled.path / "config.yaml")
    found = {str(each.reference): each.own_bytes for each in machine.models.list()}
    assert found == {"indextts@2.5": 13, "indextts@2.6": 113}


def test_pushing_again_sends_nothing_and_says_nothing(machine: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@2.5")
    again = machine.models.push(folder, "indextts@2.5")
    assert (again.sent_files, again.is_new) == (0, False)
    assert len(machine.events()) == 1


def test_a_push_outlasts_a_busy_store(rclone_store: S3Server, machine_on: MakeMachine, folder: Path) -> None:
    with FaultProxy(rclone_store.port) as proxy:
        machine = machine_on(rclone_store, url=proxy.url)
        machine.store.ensure_bucket(machine.bucket_name)
        proxy.faults = [Fault(method="PUT", path="/blobs/", busy=True)] * 3
        assert machine.models.push(folder, "indextts@2.5").sent_files == 3
    assert proxy.count("PUT", "/blobs/") == 3


@pytest.mark.every_server
def test_a_version_never_changes(machine: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@2.5")
    (folder / "config.yaml").write_text("other")
    before = keys(machine, "manifests/") + keys(machine, "current/")
    with pytest.raises(ModelError, match=r"indextts@2\.5 has other files .* Choose another version"):
        machine.models.push(folder, "indextts@2.5")
    assert keys(machine, "manifests/") + keys(machine, "current/") == before
    assert machine.models.pull("indextts@2.5").manifest.files[0].bytes == 13


def test_pulling_again_contacts_nobody_for_files(machine: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@2.5")
    machine.models.pull("indextts")
    again = machine.models.pull("indextts")
    assert again.was_here
    assert [kind for kind, _ in machine.events()] == ["ModelPushed", "ModelPulled"]


def test_a_model_that_is_here_needs_no_store(rclone_store: S3Server, machine_on: MakeMachine, folder: Path) -> None:
    with FaultProxy(rclone_store.port) as proxy:
        machine = machine_on(rclone_store, url=proxy.url)
        machine.models.push(folder, "indextts@2.5")
        place = machine.models.ensure("indextts")
        proxy.down()
        assert machine.models.ensure("indextts@2.5") == place
        assert machine.models.ensure("indextts") == place
        assert machine.models.path("indextts") == place
        for reference in ("indextts@2.5", "indextts"):
            pulled = machine.models.pull(reference)
            assert (pulled.path, pulled.was_here, pulled.fetched_bytes) == (place, True, 0)
        with pytest.raises(StoreError):
            machine.models.ensure("indextts@2.6")
        (place / "gpt.pth").unlink()
        with pytest.raises(StoreError):
            machine.models.pull("indextts@2.5")


def test_what_is_not_there_is_named_with_what_is(machine: Machine, folder: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"no version of indextts"):
        machine.models.pull("indextts@2.5")
    with pytest.raises(ModelNotFound, match="no current version of indextts"):
        machine.models.pull("indextts")
    machine.models.push(folder, "indextts@2.5", current=False)
    with pytest.raises(ModelNotFound, match=r"it has 2\.5"):
        machine.models.pull("indextts@2.6")
    with pytest.raises(ModelNotFound, match=r"name one of 2\.5"):
        machine.models.pull("indextts")


def test_many_pull_at_once_and_each_file_comes_once(
    rclone_store: S3Server, machine_on: MakeMachine, folder: Path
) -> None:
    machine = machine_on(rclone_store)
    machine.models.push(folder, "indextts@2.5")
    with FaultProxy(rclone_store.port) as proxy:
        puller = machine_on(rclone_store, "other", url=proxy.url)
        found: list[Any] = []
        crew = [threading.Thread(target=lambda: found.append(puller.models.pull("indextts@2.5"))) for _ in range(4)]
        for thread in crew:
            thread.start()
        for thread in crew:
            thread.join()
        assert sorted(each.was_here for each in found) == [False, True, True, True]
        assert proxy.count("GET", "/blobs/") == 3


def test_manifests_here_are_read_a_few_times_however_many_files_come(
    rclone_store: S3Server, machine_on: MakeMachine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = machine_on(rclone_store)
    machine.models.push(folder, "indextts@1")
    machine.models.pull("indextts@1")
    machine.models.push(
        made_folder(folder, **{f"many__{number}": b"%d" % number for number in range(30)}), "indextts@2"
    )
    reads: list[Path] = []
    read_bytes = Path.read_bytes

    def counted(path: Path) -> bytes:
        if path.parts[-3] == ".manifests":
            reads.append(path)
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", counted)
    assert machine.models.pull("indextts@2").fetched_files == 30
    assert 0 < len(reads) < 10


def test_a_version_that_was_altered_in_the_store_is_refused(machine: Machine, other: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@2.5")
    other.models.pull("indextts@2.5")
    other.models.remove("indextts@2.5")
    bucket, key = machine.bucket_name, "manifests/indextts/2.5.json"
    machine.store.put(bucket, key, machine.store.get(bucket, key).replace(b"gpt.pth", b"gpx.pth"))
    with pytest.raises(ModelError, match=r"altered in the store: the log has its manifest as"):
        other.models.pull("indextts@2.5")
    restored = other.models.restore("indextts@2.5")
    assert restored.store.source == "objects"
    other.models.pull("indextts@2.5")


@pytest.mark.parametrize("path", ["../../../escape", "/tmp/escape"])
def test_a_manifest_that_leads_out_of_its_folder_is_refused(machine: Machine, folder: Path, path: str) -> None:
    machine.models.push(folder, "indextts@2.5")
    bucket, key = machine.bucket_name, "manifests/evil/1.json"
    content = machine.store.get(bucket, "manifests/indextts/2.5.json")
    evil = content.replace(b"gpt.pth", path.encode()).replace(b'"indextts"', b'"evil"').replace(b'"2.5"', b'"1"')
    machine.store.put(bucket, key, evil)
    with pytest.raises(ModelError, match="is not taken"):
        machine.models.pull("evil@1")
    assert not (machine.folder / "evil").exists()


def test_what_others_put_where_a_version_belongs_is_left_alone(machine: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@2.5")
    theirs = made_folder(machine.folder / "indextts" / "2.5", notes=b"mine")
    with pytest.raises(ModelError, match="not put there by Voxledger; move it away"):
        machine.models.pull("indextts@2.5")
    assert (theirs / "notes").read_bytes() == b"mine"


def test_nothing_is_pulled_that_leaves_too_little_room(s3: S3Server, machine_on: MakeMachine, folder: Path) -> None:
    machine = machine_on(s3, **{"general.min_free_disk": 2**62})
    machine.models.push(folder, "indextts@2.5")
    with pytest.raises(DiskFull, match=r"needs 0\.00 GB more, .* Nothing was pulled"):
        machine.models.pull("indextts@2.5")
    assert machine.models.path("indextts@2.5") is None


# Which version is current


def test_rolling_back_leads_to_the_version_before(machine: Machine, folder: Path) -> None:
    for version in ("1", "2", "3"):
        (folder / "config.yaml").write_text(version)
        machine.models.push(folder, f"indextts@{version}")
    moved = machine.models.rollback("indextts")
    assert (str(moved.was), str(moved.now)) == ("indextts@3", "indextts@2")
    assert str(machine.models.pull("indextts").manifest.reference) == "indextts@2"
    machine.models.rollback("indextts")
    with pytest.raises(ModelNotFound, match="was current before 1"):
        machine.models.rollback("indextts")
    assert str(machine.models.rollback("indextts", to="3").now) == "indextts@3"
    with pytest.raises(ModelNotFound):
        machine.models.rollback("indextts", to="4")
    assert versions(machine.models)["indextts@3"] == ("yes", "no", True)
    told = [data for kind, data in machine.events() if kind == "ModelRolledBack"]
    assert [(data["former_version"], data["model_version"]) for data in told] == [("3", "2"), ("2", "1"), ("1", "3")]


def test_rolling_back_passes_over_versions_that_are_gone(machine: Machine, folder: Path) -> None:
    for version in ("1", "2", "3"):
        (folder / "config.yaml").write_text(version)
        machine.models.push(folder, f"indextts@{version}")
    machine.store.delete(machine.bucket_name, "manifests/indextts/2.json")
    assert str(machine.models.rollback("indextts").now) == "indextts@1"


def test_two_that_point_at_once_are_told_apart(ceph_store: S3Server, machine_on: MakeMachine, folder: Path) -> None:
    machine = machine_on(ceph_store)
    machine.models.push(folder, "indextts@1")
    bucket = machine.models.bucket
    before = bucket.pointer("indextts")
    assert before is not None
    machine.models.push(folder, "indextts@2")
    assert not bucket.point("indextts", before.pointer.history, before=before)
    assert str(machine.models.pull("indextts").manifest.reference) == "indextts@2"


def test_a_new_version_beside_the_current_one(machine: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@1")
    machine.models.push(folder, "indextts@2-rc1", current=False)
    assert str(machine.models.pull("indextts").manifest.reference) == "indextts@1"


# Looking, and clearing up


def test_verifying_reads_every_byte_when_asked(machine: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@2.5")
    place = machine.models.pull("indextts@2.5").path
    flip(place / "gpt.pth")
    assert all(each.is_whole for each in machine.models.verify())
    here, store = machine.models.verify("indextts@2.5", deep=True)
    assert store.is_whole
    assert [damage.path for damage in here.damages] == ["gpt.pth"]
    (place / "config.yaml").unlink()
    [here] = machine.models.verify(here_only=True)
    assert [damage.path for damage in here.damages] == ["config.yaml"]


def test_a_store_that_falters_is_not_taken_for_a_damaged_one(
    rclone_store: S3Server, machine_on: MakeMachine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_on(rclone_store).models.push(made_folder(folder, a=b"large" * 800_000), "indextts@2.5")
    monkeypatch.setattr("voxledger.catalog.objects.patience._FIRST", 0.01)
    heard: list[int] = []
    with FaultProxy(rclone_store.port) as proxy:
        machine = machine_on(rclone_store, "other", url=proxy.url)
        proxy.faults = [
            Fault(method="GET", path="prefix=manifests", cut=100), Fault(method="GET", path="/manifests/", busy=True),
            *[Fault(method="HEAD", path="/blobs/", busy=True)] * 4, Fault(method="GET", path="/blobs/", flip=7),
            # More often than the patience lasts, but each time a mebibyte comes.
            *[Fault(method="GET", path="/blobs/", cut=1_100_000)] * 2, *[Fault(method="GET", path="/blobs/", busy=True)] * 4,
        ]  # fmt: skip
        [store] = machine.models.verify(deep=True, progress=lambda _, done, __: heard.append(done))
        assert store.is_whole
        # Only what had come damaged was read again.
        assert (heard[-1], sum(later < done for done, later in pairwise(heard))) == (store.bytes, 1)
        assert proxy.faults == []
        proxy.faults = [Fault(method="GET", path="/blobs/", busy=True)] * 5
        with pytest.raises(StoreError, match="SlowDown"):
            machine.models.verify(deep=True)


def test_verifying_names_what_the_store_lacks(machine: Machine, folder: Path) -> None:
    pushed = machine.models.push(folder, "indextts@2.5")
    machine.models.push(folder, "indextts@2.6")
    sha256 = {file.path: file.sha256 for file in pushed.manifest.files}["gpt.pth"]
    machine.store.delete(machine.bucket_name, f"blobs/sha256/{sha256[:2]}/{sha256}")
    machine.store.delete(machine.bucket_name, "manifests/indextts/2.6.json")
    first, second = machine.models.verify()
    assert [damage.path for damage in first.damages] == ["gpt.pth"]
    assert second.trouble == "its manifest is gone"
    with pytest.raises(ModelError, match=r"lacks gpt\.pth of indextts@2\.5.*models restore") as caught:
        machine.models.pull("indextts@2.5")
    assert caught.value.files == ("gpt.pth",)


def test_only_what_no_version_names_is_collected(s3: S3Server, machine_on: MakeMachine, folder: Path) -> None:
    machine = machine_on(s3, **{"models.grace": 0.0})
    machine.models.push(folder, "indextts@1")
    (folder / "config.yaml").write_text("other")
    machine.models.push(folder, "indextts@2")
    machine.models.pull("indextts@1")
    blob = (
        "blobs/sha256/" + hashlib.sha256(b"left over").hexdigest()[:2] + "/" + hashlib.sha256(b"left over").hexdigest()
    )
    machine.store.put(machine.bucket_name, blob, b"left over")
    machine.store.put(machine.bucket_name, "blobs/README", b"somebody's")
    before = keys(machine)
    waste = machine.models.waste()
    assert ([content.key for content in waste.contents], waste.named) == ([blob], 4)
    assert keys(machine) == before
    machine.models.gc()
    assert keys(machine) == [key for key in before if key != blob]
    assert all(each.is_whole for each in machine.models.verify(deep=True))


def test_what_is_young_is_not_collected(machine: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@1")
    machine.models.push(folder, "indextts@2")
    machine.models.remove("indextts@1", store=True)
    machine.store.put(machine.bucket_name, "blobs/sha256/ab/" + "ab" * 32, b"x")
    waste = machine.models.gc()
    assert (waste.contents, waste.young) == ((), 1)
    assert machine.models.restore("indextts@1").store.source == "objects"


def test_a_version_deleted_by_hand_keeps_its_files(s3: S3Server, machine_on: MakeMachine, folder: Path) -> None:
    machine = machine_on(s3, **{"models.grace": 0.0})
    machine.models.push(folder, "indextts@1")
    machine.store.delete(machine.bucket_name, "manifests/indextts/1.json")
    assert machine.models.gc().contents == ()
    machine.models.restore("indextts@1")
    assert all(each.is_whole for each in machine.models.verify(deep=True))


def test_a_removed_version_is_collected_after_the_grace(s3: S3Server, machine_on: MakeMachine, folder: Path) -> None:
    machine = machine_on(s3, **{"models.grace": 0.0})
    machine.models.push(folder, "indextts@1")
    (folder / "config.yaml").write_text("other")
    machine.models.push(folder, "indextts@2")
    with pytest.raises(ModelError, match="is the current version"):
        machine.models.remove("indextts@2", store=True)
    machine.models.remove("indextts@1", store=True)
    assert len(machine.models.gc().contents) == 1
    with pytest.raises(ModelNotFound, match="nothing is left of indextts@1"):
        machine.models.restore("indextts@1")
    assert list(versions(machine.models)) == ["indextts@2"]
    (folder / "config.yaml").write_text("a third one")
    with pytest.raises(ModelError, match="had once other files"):
        machine.models.push(folder, "indextts@1")


def test_a_bucket_without_any_manifest_is_not_collected(s3: S3Server, machine_on: MakeMachine, folder: Path) -> None:
    machine = machine_on(s3, **{"models.grace": 0.0})
    machine.models.push(folder, "indextts@1")
    for key in keys(machine, "manifests/") + keys(machine, "copies/"):
        machine.store.delete(machine.bucket_name, key)
    with pytest.raises(ModelError, match="not one manifest"):
        machine.models.gc()
    assert len(keys(machine, "blobs/")) == 3


def test_removing_here_frees_what_no_other_version_has(machine: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@1")
    (folder / "config.yaml").write_text("another one")
    machine.models.push(folder, "indextts@2")
    machine.models.pull("indextts@1")
    place = machine.models.pull("indextts@2").path
    assert machine.models.remove("indextts@1") == 13
    assert contents(place) == contents(folder)
    assert not (machine.folder / "indextts" / "1").exists()
    machine.store.delete(machine.bucket_name, "manifests/indextts/2.json")
    with pytest.raises(ModelError, match="may have the only copy"):
        machine.models.remove("indextts@2")
    assert machine.models.remove("indextts@2", force=True) == 50_011
    assert [path for path in machine.folder.rglob("*") if path.is_file() and path.name != ".lock"] == []
    told = [data for kind, data in machine.events() if kind == "ModelRemoved"]
    assert [(data["model_version"], data["place"], data["forced"], data["freed_bytes"]) for data in told] == [
        ("1", "local", False, 13), ("2", "local", True, 50_011),
    ]  # fmt: skip
