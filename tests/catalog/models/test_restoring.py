"""Restoring: what was deleted or damaged, in the store or here, is put back from whoever still has it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.catalog.models.conftest import MakeMachine
from tests.catalog.models.machines import Machine, contents, flip
from tests.s3 import S3Server
from voxledger.catalog.errors import ModelError, ModelNotFound
from voxledger.catalog.models import Reference
from voxledger.catalog.models.bucket import blob_key
from voxledger.catalog.platform import locked

MANIFEST = "manifests/indextts/2.5.json"


def pushed_keys(machine: Machine, folder: Path) -> dict[str, str]:
    """Push the folder; gives the keys of its contents by path."""
    pushed = machine.models.push(folder, "indextts@2.5")
    return {file.path: blob_key(file.sha256) for file in pushed.manifest.files}


def versioned(machine: Machine) -> None:
    machine.store.ensure_bucket(machine.bucket_name)
    machine.store.request(
        "versioning",
        lambda s3: s3.put_bucket_versioning(Bucket=machine.bucket_name, VersioningConfiguration={"Status": "Enabled"}),
    )


def check_whole(machine: Machine, folder: Path) -> None:
    assert all(each.is_whole for each in machine.models.verify(deep=True))
    place = machine.models.path("indextts@2.5")
    assert place is not None
    assert contents(place) == contents(folder)


# Here


def test_a_flipped_bit_is_named_and_only_that_file_fetched_again(machine: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@2.5")
    place = machine.models.pull("indextts@2.5").path
    flip(place / "gpt.pth")
    restored = machine.models.restore("indextts@2.5")
    assert restored.here is not None
    assert [damage.path for damage in restored.here.damaged] == ["gpt.pth"]
    assert (restored.here.fetched_files, restored.here.fetched_bytes) == (1, 30_000)
    check_whole(machine, folder)
    kind, data = machine.events()[-1]
    assert (kind, data["place"], data["source"], data["files"]) == ("ModelRestored", "local", "store", 3)


def test_what_versions_share_is_mended_in_all_of_them(machine: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@2.5")
    machine.models.push(folder, "twin@1")
    place, twin = (machine.models.pull(name).path for name in ("indextts@2.5", "twin@1"))
    flip(place / "gpt.pth")
    assert contents(twin) != contents(folder)
    machine.models.restore("indextts@2.5")
    assert contents(twin) == contents(folder)


def test_a_deleted_folder_is_put_back_without_the_network(machine: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@2.5")
    shutil.rmtree(machine.models.pull("indextts@2.5").path)
    assert machine.models.path("indextts@2.5") is None
    restored = machine.models.restore("indextts@2.5")
    assert restored.here is not None
    assert restored.here.fetched_files == 0
    check_whole(machine, folder)


def test_everything_deleted_here_is_put_back(machine: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@2.5")
    machine.models.pull("indextts@2.5")
    shutil.rmtree(machine.folder)
    assert machine.models.restore("indextts@2.5").here is not None
    check_whole(machine, folder)


def test_a_whole_version_is_left_alone(machine: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@2.5")
    machine.models.pull("indextts@2.5")
    restored = machine.models.restore("indextts@2.5", deep=True)
    assert restored.store.source is None
    assert restored.here is not None
    assert restored.here.was_here
    assert [kind for kind, _ in machine.events()] == ["ModelPushed", "ModelPulled"]


# In the store


def test_a_deleted_manifest_comes_back_from_its_copy(machine: Machine, other: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@2.5")
    before = machine.store.get(machine.bucket_name, MANIFEST)
    machine.store.delete(machine.bucket_name, MANIFEST)
    restored = other.models.restore("indextts@2.5")
    assert (restored.store.source, restored.here) == ("objects", None)
    assert machine.store.get(machine.bucket_name, MANIFEST) == before
    kind, data = other.events()[-1]
    assert (kind, data["place"], data["source"]) == ("ModelRestored", "store", "objects")


def test_a_manifest_that_cannot_be_read_is_replaced(machine: Machine, folder: Path) -> None:
    machine.models.push(folder, "indextts@2.5")
    machine.store.put(machine.bucket_name, MANIFEST, b"{ broken")
    with pytest.raises(ModelError, match="models restore"):
        machine.models.pull("indextts@2.5")
    machine.models.restore("indextts@2.5")
    machine.models.pull("indextts@2.5")
    check_whole(machine, folder)


def test_everything_deleted_in_the_store_comes_back_from_a_machine_that_has_it(
    machine: Machine, other: Machine, folder: Path
) -> None:
    machine.models.push(folder, "indextts@2.5")
    other.models.pull("indextts@2.5")
    for found in list(machine.store.list(machine.bucket_name)):
        machine.store.delete(machine.bucket_name, found.key)
    with pytest.raises(ModelNotFound, match="Run this on a machine that has it"):
        machine.models.restore("indextts@2.5")
    restored = other.models.restore("indextts@2.5")
    assert (restored.store.source, restored.store.files, restored.store.made_current) == ("node", 4, True)
    assert str(machine.models.pull("indextts").manifest.reference) == "indextts@2.5"
    check_whole(machine, folder)


def test_a_deleted_content_comes_back_from_a_machine_that_has_it(
    machine: Machine, other: Machine, folder: Path
) -> None:
    key = pushed_keys(machine, folder)["gpt.pth"]
    other.models.pull("indextts@2.5")
    machine.store.delete(machine.bucket_name, key)
    with pytest.raises(ModelError, match=r"lacks gpt\.pth") as caught:
        machine.models.restore("indextts@2.5")
    assert caught.value.files == ("gpt.pth",)
    mended = other.models.restore("indextts@2.5").store
    assert (mended.files, mended.bytes, mended.source) == (1, 30_000, "node")
    check_whole(other, folder)


def test_nobody_removes_here_what_is_on_its_way_into_the_store(machine: Machine, folder: Path) -> None:
    keys = pushed_keys(machine, folder)
    machine.models.pull("indextts@2.5")
    for key in keys.values():
        machine.store.delete(machine.bucket_name, key)
    removed = []

    def remove(what: str, *_: int) -> None:
        if what == "pushing":
            with locked(machine.folder / ".lock", blocking=False) as free:
                if free:
                    removed.append(machine.models.local.remove(Reference("indextts", "2.5")))

    assert machine.models.restore("indextts@2.5", progress=remove).store.source == "node"
    assert removed == []
    check_whole(machine, folder)


def test_a_flipped_bit_in_the_store_is_mended_when_every_byte_is_read(machine: Machine, folder: Path) -> None:
    key = pushed_keys(machine, folder)["gpt.pth"]
    machine.models.pull("indextts@2.5")
    machine.store.put(machine.bucket_name, key, b"g" * 29_999 + b"h")
    assert machine.models.restore("indextts@2.5").store.source is None
    restored = machine.models.restore("indextts@2.5", deep=True)
    assert (restored.store.source, restored.store.files) == ("node", 1)
    check_whole(machine, folder)


def test_a_damaged_content_is_named_by_its_path(machine: Machine, folder: Path) -> None:
    key = pushed_keys(machine, folder)["gpt.pth"]
    machine.store.put(machine.bucket_name, key, b"g" * 29_999 + b"h")
    with pytest.raises(ModelError, match=r"gpt\.pth of indextts@2\.5 is damaged in the store") as caught:
        machine.models.pull("indextts@2.5")
    assert caught.value.files == ("gpt.pth",)
    assert machine.models.path("indextts@2.5") is None
    assert not (machine.folder / "indextts").exists()


def test_versions_follow_each_other_where_the_bucket_keeps_versions(
    ceph_store: S3Server, machine_on: MakeMachine, folder: Path
) -> None:
    machine = machine_on(ceph_store)
    versioned(machine)
    machine.models.push(folder, "indextts@1")
    machine.models.push(folder, "indextts@2")
    assert str(machine.models.pull("indextts").manifest.reference) == "indextts@2"
    machine.models.rollback("indextts")
    assert str(machine.models.pull("indextts").manifest.reference) == "indextts@1"


def test_deletions_are_undone_where_the_bucket_keeps_versions(
    ceph_store: S3Server, machine_on: MakeMachine, folder: Path
) -> None:
    machine, other = machine_on(ceph_store), machine_on(ceph_store, "other")
    versioned(machine)
    machine.models.push(folder, "indextts@2.5")
    for found in list(machine.store.list(machine.bucket_name)):
        machine.store.delete(machine.bucket_name, found.key)
    restored = other.models.restore("indextts@2.5")
    assert (restored.store.source, restored.store.files, restored.store.bytes) == ("versioning", 4, 50_013)
    assert [data["source"] for _, data in other.events()] == ["versioning"]
    other.models.pull("indextts@2.5")
    check_whole(other, folder)


def test_what_was_written_over_comes_back_where_the_bucket_keeps_versions(
    ceph_store: S3Server, machine_on: MakeMachine, folder: Path
) -> None:
    machine = machine_on(ceph_store)
    versioned(machine)
    key = pushed_keys(machine, folder)["gpt.pth"]
    machine.store.put(machine.bucket_name, key, b"h" * 30_000)
    assert machine.models.restore("indextts@2.5", deep=True).store.source == "versioning"
    machine.store.put(machine.bucket_name, key, b"short")
    assert machine.models.restore("indextts@2.5").store.source == "versioning"
    machine.models.pull("indextts@2.5")
    check_whole(machine, folder)
