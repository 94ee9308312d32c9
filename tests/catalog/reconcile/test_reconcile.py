"""The store compared with the catalog: what differs is recorded once, told, and mended where that is safe."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tests.catalog.reconcile.worlds import World, sound
from tests.fault_proxy import Fault, FaultProxy
from tests.s3 import S3Server
from voxledger.catalog.errors import CatalogBusy, StoreError, StoreUnavailable
from voxledger.catalog.events import AudioStored, ClipPinned
from voxledger.catalog.reconcile import reconcile, reconciler, scratch
from voxledger.catalog.reconcile.around import workplace

ABOUT = ("ObjectMissing", "ObjectVerified", "ObjectOrphaned")


def test_a_store_that_is_as_it_should_be_is_in_order_and_nothing_is_recorded(world: World) -> None:
    world.stored(4)
    found = world.reconcile()
    assert (found.objects, found.there, found.open, found.recorded, found.findings) == (4, 4, 0, 0, [])
    assert found.bytes == 4 * len(sound())
    assert world.events(*ABOUT) == []


def test_a_lost_object_is_recorded_once_and_a_later_run_says_it_again(world: World) -> None:
    lost = world.stored(4)[1]
    world.lose(lost)
    first, second = world.reconcile(), world.reconcile()
    assert (first.missing, first.there, first.recorded, first.open) == (1, 3, 1, 1)
    assert (second.missing, second.recorded, second.open) == (1, 0, 1)
    assert [(finding.kind, finding.clip, finding.mended) for finding in second.findings] == [("missing", lost, False)]
    (event,) = world.events(*ABOUT)
    assert json.loads(bytes(event.data)) == {
        "bucket": world.bucket, "state": "absent", "bytes": len(sound()), "found_bytes": None, "found_etag": None,
    }  # fmt: skip
    assert world.personal(event) == {"key": world.key(lost)}
    assert world.clip(lost)["state"] == "missing"


def test_a_lost_object_is_uploaded_again_from_the_cache(world: World) -> None:
    lost, hopeless = world.stored(3)[:2]
    world.lose(lost)
    world.lose(hopeless, cached=False)
    found = world.reconcile(repair=True)
    assert (found.missing, found.queued, found.open) == (2, 1, 1)
    world.upload()
    assert world.clip(lost)["state"] == "stored"
    assert world.store.get(world.bucket, world.key(lost)) == world.path(lost).read_bytes()
    again = world.reconcile(repair=True)
    assert (again.missing, again.queued, again.there, again.recorded) == (1, 0, 2, 0)


@pytest.mark.every_server
def test_what_is_uploaded_again_carries_what_it_carried_before(world: World) -> None:
    lost = world.stored()[0]
    key = world.key(lost)
    before = world.store.head(world.bucket, key)
    record = None if world.server.keeps_metadata else world.store.get(world.bucket, key + ".vox.json")
    world.store.delete_many(world.bucket, world.listed())
    assert world.reconcile(repair=True, accept_loss=True).queued == 1
    world.upload()
    after = world.store.head(world.bucket, key)
    assert before is not None
    assert after is not None
    assert (after.bytes, after.md5, after.metadata) == (before.bytes, before.md5, before.metadata)
    assert record is None or world.store.get(world.bucket, key + ".vox.json") == record


def test_a_cached_file_that_is_not_what_was_recorded_is_not_uploaded(plain: World) -> None:
    lost = plain.stored(2)[0]
    plain.lose(lost)
    path = plain.path(lost)
    path.write_bytes(bytes(path.stat().st_size))
    found = plain.reconcile(repair=True)
    assert (found.missing, found.queued) == (1, 0)


@pytest.mark.every_server
def test_other_bytes_in_its_place_are_recorded_and_never_overwritten(world: World) -> None:
    longer, flipped = world.stored(3)[:2]
    content = bytearray(sound())
    content[500] ^= 1
    world.store.put(world.bucket, world.key(longer), b"somebody else's")
    world.store.put(world.bucket, world.key(flipped), bytes(content))
    found = world.reconcile(repair=True)
    assert (found.changed, found.missing, found.queued, found.open) == (2, 0, 0, 2)
    world.upload()
    assert world.store.get(world.bucket, world.key(longer)) == b"somebody else's"
    told = [json.loads(bytes(event.data)) for event in world.events("ObjectMissing")]
    assert [fact["state"] for fact in told] == ["changed", "changed"]
    assert sorted(fact["found_bytes"] for fact in told) == [15, len(content)]
    assert world.reconcile().recorded == 0


def test_another_etag_over_the_same_bytes_is_no_change(plain: World) -> None:
    clip = plain.stored()[0]
    place = {"bucket": plain.bucket, "bytes": len(sound()), "key": plain.key(clip)}
    plain.parts.record(AudioStored(**place, etag="0123-7", attempts=1, transfer_us=1, waited_us=1), clip)
    found = plain.reconcile()
    assert (found.changed, found.missing, found.there, found.recorded) == (0, 0, 1, 1)
    (event,) = plain.events("ObjectVerified")
    assert json.loads(bytes(event.data))["method"] == "content"
    # The new ETag is known now: nothing is read again.
    assert plain.reconcile().recorded == 0


def test_what_comes_back_is_recorded_as_found(world: World) -> None:
    lost = world.stored(2)[0]
    content = world.path(lost).read_bytes()
    world.lose(lost)
    world.reconcile()
    world.store.put(world.bucket, world.key(lost), content)
    found = world.reconcile()
    assert (found.back, found.there, found.open, found.recorded) == (1, 2, 0, 1)
    assert world.clip(lost)["state"] == "stored"
    assert world.reconcile().recorded == 0


def test_a_clip_whose_upload_was_forgotten_is_confirmed_or_sent(world: World) -> None:
    there, absent, waiting = world.make(3)
    world.store.put(world.bucket, world.key(there), world.path(there).read_bytes())
    with world.parts.journal.transaction() as write:
        for clip in (there, absent):
            write.cancel_tasks(clip)
    plain = world.reconcile()
    assert (plain.confirmed, plain.unsent, plain.open) == (1, 1, 1)
    assert world.clip(there)["state"] == "stored"
    assert world.reconcile(repair=True).queued == 1
    world.upload()
    assert {world.clip(clip)["state"] for clip in (there, absent, waiting)} == {"stored"}


def test_what_is_young_is_left_alone(world: World) -> None:
    lost = world.stored(2)[0]
    world.lose(lost)
    world.store.put(world.bucket, "somebody/put/this.wav", sound(9))
    found = world.reconcile(grace=3600.0)
    assert (found.recent, found.missing, found.orphans, found.recorded) == (2, 0, 0, 0)


@pytest.mark.parametrize("to", ["PurgeStarted", "ClipPurged"])
def test_what_was_purged_never_comes_back(world: World, to: str) -> None:
    gone = world.stored(3)[0]
    world.purge([gone], to=to)
    world.lose(gone)
    found = world.reconcile(repair=True)
    assert (found.missing, found.queued, found.adopted, found.open) == (0, 0, 0, 0)
    # Somebody puts the object back.
    world.store.put(world.bucket, world.key(gone), sound())
    again = world.reconcile(repair=True)
    assert (again.adopted, again.there) == (0, 2)
    assert (again.purged, again.purging) == ((1, 0) if to == "ClipPurged" else (0, 1))
    assert world.key(gone) in world.listed()
    reasons = [json.loads(bytes(event.data))["reason"] for event in world.events("ObjectOrphaned")]
    assert reasons == (["purged"] if to == "ClipPurged" else [])


def test_an_empty_bucket_stops_it_before_anything_is_recorded(world: World) -> None:
    world.stored(2)
    world.store.delete_many(world.bucket, world.listed())
    with pytest.raises(StoreError, match=r"lists nothing, though 2 clips should be in it.*--accept-loss"):
        world.reconcile(repair=True)
    assert world.events(*ABOUT) == []
    assert world.reconcile(accept_loss=True).missing == 2


def test_a_bucket_that_is_not_there_stops_it(plain: World) -> None:
    plain.stored()
    other = msgspec.structs.replace(plain.settings.store, audio=f"{plain.bucket}-other")
    plain.settings = msgspec.structs.replace(plain.settings, store=other)
    plain.store.delete_many(plain.bucket, plain.listed())
    with pytest.raises(StoreError, match="lists nothing"):
        plain.reconcile()


def test_a_listing_that_lacks_most_clips_stops_it(plain: World) -> None:
    clips = plain.stored(16)
    for clip in clips[:11]:
        plain.lose(clip)
    with pytest.raises(StoreError, match="lacks 11 of the 16"):
        plain.reconcile()
    assert plain.events(*ABOUT) == []
    assert plain.reconcile(accept_loss=True).missing == 11
    # What is known to be lost makes nobody suspicious any more.
    assert plain.reconcile().missing == 11


def test_a_listing_that_fails_half_way_records_nothing(tmp_path: Path, rclone_store: S3Server, bucket: str) -> None:
    with FaultProxy(rclone_store.port) as proxy:
        world = World(tmp_path / "home", rclone_store, bucket, url=proxy.url)
        world.lose(world.stored(2)[0])
        proxy.faults.append(Fault(method="GET", path="list-type=2", cut=120))
        with pytest.raises(StoreUnavailable):
            world.reconcile(repair=True)
        assert world.events(*ABOUT) == []
        assert world.reconcile().missing == 1
        world.close()


def test_only_one_at_a_time(plain: World) -> None:
    with workplace(plain.parts.home), pytest.raises(CatalogBusy, match="another process is reconciling"):
        plain.reconcile()
    assert plain.reconcile().objects == 0
    assert not (plain.parts.home.path / "reconcile").exists()


def test_a_store_that_nobody_answers_for_records_nothing(tmp_path: Path, plain: World) -> None:
    from dataclasses import replace

    from tests.building import NOBODY
    from voxledger.catalog.objects import Store

    plain.stored()
    settings = msgspec.structs.replace(plain.settings.store, endpoint=NOBODY)
    silent = replace(plain.around, store=Store(plain.parts.home, settings))
    with pytest.raises(StoreUnavailable):
        reconcile(silent, grace=0)
    assert plain.events(*ABOUT) == []


def test_what_happens_to_a_clip_meanwhile_is_left_to_the_next_run(
    plain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, pinned = plain.stored(3)[:2]
    plain.lose(lost)
    plain.lose(pinned)
    look = reconciler.look

    def meanwhile(store: object, row: dict[str, str]) -> object:
        seen = look(store, row)  # type: ignore[arg-type]
        if row["clip"] == lost:
            plain.purge([lost], to="PurgeStarted")
        else:
            plain.parts.record(ClipPinned(reason="kept"), pinned)
        return seen

    monkeypatch.setattr(reconciler, "look", meanwhile)
    found = plain.reconcile(repair=True)
    # A pin says nothing about where the audio is; a purge that began does.
    assert (found.unsure, found.missing, found.queued) == (1, 1, 1)
    assert plain.parts.journal.open_tasks("upload", [lost]) == 0


def test_a_listing_in_any_order_and_in_many_parts_is_compared_alike(
    plain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "_PART", 2)
    monkeypatch.setattr(scratch, "_PAGE", 2)
    monkeypatch.setattr(scratch, "_STRETCH", 3)
    plain.lose(plain.stored(5)[2])
    ordered = list(plain.store.list(plain.bucket))
    monkeypatch.setattr(plain.store, "list", lambda bucket, prefix="": iter(ordered[::-1]))
    found = plain.reconcile()
    assert (found.there, found.missing, found.orphans) == (4, 1, 0)


def test_a_clip_that_is_lost_for_good_answers_nobody_any_more(plain: World) -> None:
    clips = plain.stored(3)
    for clip in clips:
        with plain.parts.journal.transaction() as write:
            write.claim(f"asked {clip}", clip=clip, actor="a")
            write.answer(f"asked {clip}", b"sealed")
    plain.lose(clips[0])
    plain.lose(clips[1], cached=False)
    plain.reconcile()
    answers = [plain.parts.journal.fingerprint(f"asked {clip}") for clip in clips]
    assert [answer is not None for answer in answers] == [True, False, True]
