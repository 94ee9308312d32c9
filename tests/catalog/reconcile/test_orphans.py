"""Objects that no clip accounts for: recorded once, adopted where they say which clip of this node they are."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tests.catalog.reconcile.worlds import World, sound
from tests.s3 import S3Server
from voxledger.catalog.events import SubjectErased
from voxledger.catalog.reconcile import orphans
from voxledger.catalog.vault import Vault


def forget(world: World, path: Path, *, vault: bool = True, node: bool = True) -> World:
    """Another HOME at the same bucket, of the same node, whose log has never heard of the clips."""
    world.parts.close()
    home = world.parts.home.path
    path.mkdir()
    if vault:
        (path / "vault.sqlite").write_bytes((home / "vault.sqlite").read_bytes())
    other = World(path, world.server, world.bucket)
    if node:
        other.parts.journal.node = world.parts.journal.node
    return other


@pytest.mark.every_server
def test_an_unknown_object_is_recorded_once_without_naming_it_in_the_open(world: World) -> None:
    world.stored()
    world.store.put(world.bucket, "Änne's/private/tide.wav", sound(9))
    first, second = world.reconcile(repair=True), world.reconcile(repair=True)
    assert (first.orphans, first.recorded, first.open) == (1, 1, 1)
    assert (second.orphans, second.recorded, second.open) == (1, 0, 1)
    (event,) = world.events("ObjectOrphaned")
    assert "Änne" not in bytes(event.data).decode() + event.subject
    assert world.personal(event) == {"key": "Änne's/private/tide.wav"}
    # Other bytes under the same key are another orphan.
    world.store.put(world.bucket, "Änne's/private/tide.wav", sound(10))
    assert world.reconcile().recorded == 1


@pytest.mark.every_server
def test_an_object_that_says_what_it_is_becomes_its_clip_again(world: World, tmp_path: Path) -> None:
    clips = world.stored(3)
    keys = {clip: world.key(clip) for clip in clips}
    other = forget(world, tmp_path / "other")
    other.store.put(other.bucket, "somebody/elses.wav", sound(9))
    found = other.reconcile(repair=True)
    assert (found.adopted, found.orphans, found.open) == (3, 4, 1)
    assert {clip: other.key(clip) for clip in clips} == keys
    assert {other.clip(clip)["state"] for clip in clips} == {"stored"}
    again = other.reconcile(repair=True)
    assert (again.there, again.adopted, again.recorded) == (3, 0, 0)
    # With a record they are what they were; with metadata alone, what can be known.
    adopted = {other.clip(clip)["adopted"] for clip in clips}
    assert adopted == ({"store"} if other.server.keeps_metadata else {None})
    assert {other.clip(clip)["actor"] for clip in clips} == {"ann"}
    other.close()


def test_objects_of_another_node_are_left_to_it(world: World, tmp_path: Path) -> None:
    world.stored(2)
    other = forget(world, tmp_path / "other", node=False)
    found = other.reconcile(repair=True)
    assert (found.adopted, found.elsewhere, found.open) == (0, 2, 0)
    other.close()


def test_an_object_of_an_erased_person_is_never_adopted(world: World, tmp_path: Path) -> None:
    clip = world.stored()[0]
    actor = world.parts.vault.actor("ann").id
    other = forget(world, tmp_path / "other")
    other.parts.vault._connection.execute("UPDATE actors SET key = NULL, label = NULL WHERE id = ?", (actor,))
    found = other.reconcile(repair=True)
    assert (found.adopted, found.orphans, found.open) == (0, 1, 1)
    assert other.parts.rows("FROM clips") == []
    assert clip in found.findings[0].key
    other.close()


@pytest.mark.parametrize("step", ["detach", "destroy"])
def test_whoever_is_erased_while_an_object_is_looked_at_is_not_adopted(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    world.stored()
    actor = world.parts.vault.actor("ann").id
    other = forget(world, tmp_path / "other")

    def meanwhile(place: str) -> None:
        if place == "reconcile.before_adopting":
            vault = Vault(other.parts.home.vault)
            getattr(vault, step)(actor)
            vault.close()

    monkeypatch.setattr(orphans, "failpoint", meanwhile)
    found = other.reconcile(repair=True)
    assert (found.adopted, found.unsure) == (0, 1)
    assert other.parts.rows("FROM clips") == []
    again = other.reconcile(repair=True)
    assert (again.adopted, again.unsure) == (0, 0)
    other.close()


def test_what_is_left_of_an_erased_person_is_told_without_their_name(world: World) -> None:
    clip = world.stored()[0]
    key = world.key(clip)
    actor = world.parts.vault.actor("ann").id
    world.parts.record(
        SubjectErased(
            request="e1", scope="actor", target=actor, clips=1, voices=0, objects=1, bytes=1, reports=0, key_destroyed=True, outcomes={}
        ), "e1", actor="voxledger",
    )  # fmt: skip
    world.parts.vault._connection.execute("UPDATE actors SET key = NULL, label = NULL WHERE id = ?", (actor,))
    world.parts.vault._by_id.clear()
    world.parts.vault._by_label.clear()
    assert world.parts.rows("SELECT key FROM clips") == [{"key": None}]
    found = world.reconcile(repair=True)
    assert (found.nameless, found.purged, found.adopted) == (1, 1, 0)
    (event,) = world.events("ObjectOrphaned")
    fact = json.loads(bytes(event.data))
    assert (fact["reason"], fact["clip"]) == ("erased", clip)
    assert world.personal(event) == {"key": ""}
    assert key in world.listed()


def test_a_copy_of_a_clip_is_not_adopted_as_another(world: World) -> None:
    clip = world.stored()[0]
    key, copy = world.key(clip), f"copies/{clip}.wav"
    head = world.store.head(world.bucket, key)
    assert head is not None
    world.store.put(world.bucket, copy, world.path(clip).read_bytes(), metadata=head.metadata)
    if not world.server.keeps_metadata:
        world.store.put(world.bucket, copy + ".vox.json", world.store.get(world.bucket, key + ".vox.json"))
    found = world.reconcile(repair=True)
    assert (found.adopted, found.orphans, found.there) == (0, 1, 1)


@pytest.mark.parametrize(
    "record",
    [b"", b"{}", b"not json", b"\xff" * 10, b'{"id":"x","type":"GenerationCompleted"}', b"[" * 2000],
    ids=["empty", "object", "text", "bytes", "half", "deep"],
)
def test_a_record_that_cannot_be_believed_makes_no_clip(plain: World, record: bytes) -> None:
    plain.store.put(plain.bucket, "a/b.wav", sound(9))
    plain.store.put(plain.bucket, "a/b.wav.vox.json", record)
    found = plain.reconcile(repair=True)
    assert (found.objects, found.orphans, found.adopted) == (1, 1, 0)
    assert plain.parts.rows("FROM clips") == []


def test_a_record_of_another_object_makes_no_clip(tmp_path: Path, rclone_store: S3Server, bucket: str) -> None:
    world = World(tmp_path / "home", rclone_store, bucket)
    clip = world.stored()[0]
    record = world.store.get(bucket, world.key(clip) + ".vox.json")
    other = forget(world, tmp_path / "other")
    other.store.put(bucket, f"x/{clip}.wav", b"RIFF and so on")
    other.store.put(bucket, f"x/{clip}.wav.vox.json", record)
    other.store.delete_many(bucket, [key for key in other.listed() if not key.startswith("x/")])
    found = other.reconcile(repair=True)
    assert (found.orphans, found.adopted) == (1, 0)
    other.close()


def test_orphans_of_the_probe_are_none(plain: World) -> None:
    plain.store.put(plain.bucket, "voxledger-probe/1/a", b"x")
    assert plain.reconcile().objects == 0
    assert msgspec.to_builtins(plain.reconcile())["findings"] == []
