"""Audio that lies in a bucket already becomes clips where it lies."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.catalog.reconcile.worlds import World, sound
from voxledger.catalog.catalog import Catalog
from voxledger.catalog.errors import StoreError, VoxledgerError
from voxledger.catalog.reconcile import adopt


@pytest.fixture
def old(bucket: str) -> str:
    """A bucket that was there before."""
    return f"{bucket}-old"


def fill(world: World, old: str, count: int = 3) -> None:
    for number in range(count):
        world.store.put(old, f"2025/speaker ä/tide {number}.wav", sound(200 + number))
    world.store.put(old, "2025/readme.txt", b"no sound")
    world.store.put(old, "2024/other.wav", sound(300))


@pytest.mark.every_server
def test_objects_become_clips_where_they_lie(world: World, old: str) -> None:
    fill(world, old)
    before = [(found.key, found.etag, found.modified) for found in world.store.list(old)]
    found = adopt(world.around, f"s3://{old}/2025/", tags=["old"])
    assert (found.found, found.taken, found.refused, found.known) == (4, 3, 1, 0)
    assert [(found.key, found.etag, found.modified) for found in world.store.list(old)] == before
    row = world.parts.rows("FROM clips ORDER BY name")[0]
    assert (row["bucket"], row["key"], row["state"], row["cached"]) == (
        old,
        "2025/speaker ä/tide 0.wav",
        "stored",
        False,
    )
    assert (row["session"], row["name"], row["actor"], row["tags"]) == ("speaker ä", "tide 0", "ann", ["old"])
    assert abs((row["created"] - datetime.now(UTC)).total_seconds()) < 600
    (event, *_) = world.events("AudioAdopted")
    assert "tide" not in bytes(event.data).decode()
    assert json.loads(bytes(event.data))["etag"] in {etag for _, etag, _ in before}
    # They are looked after from now on, and what else lies in that bucket is nobody's business.
    report = world.reconcile()
    assert (report.there, report.missing, report.orphans) == (3, 0, 0)
    world.store.delete(old, "2025/speaker ä/tide 0.wav")
    assert world.reconcile().missing == 1
    assert report.buckets == (world.bucket, old)


def test_an_adopted_clip_is_fetched_like_any_other(world: World, old: str) -> None:
    fill(world, old, 1)
    adopt(world.around, f"s3://{old}/2025/")
    catalog = Catalog(
        world.parts.home, world.parts.recorder, world.parts.keeper, lambda: world.store, actor="ann", channel="python"
    )
    clip = catalog.clips()[0]
    assert catalog.fetch(clip).read_bytes() == sound(200)
    assert (clip.emotion, clip.engine, clip.content_type) == ("unknown", "unknown", "audio/wav")


def test_adopting_again_finds_everything_known(world: World, old: str) -> None:
    fill(world, old)
    adopt(world.around, f"s3://{old}")
    head = world.parts.journal.head()
    found = adopt(world.around, f"s3://{old}/")
    assert (found.found, found.taken, found.known, found.refused) == (5, 0, 4, 1)
    assert world.parts.journal.head() == head


def test_clips_of_our_own_are_left_to_reconcile(world: World, tmp_path: Path) -> None:
    world.stored(2)
    other = World(tmp_path / "other", world.server, world.bucket)
    found = adopt(other.around, f"s3://{world.bucket}")
    assert (found.taken, found.refused) == (0, 2)
    assert all("Voxledger's own" in note.why for note in found.notes)
    other.close()


def test_audio_that_was_purged_is_not_adopted(plain: World, old: str) -> None:
    gone = plain.stored()[0]
    plain.purge([gone])
    plain.store.put(old, "copy.wav", sound())
    found = adopt(plain.around, f"s3://{old}")
    assert (found.taken, found.gone) == (0, 1)


def test_what_is_no_audio_is_told(plain: World, old: str) -> None:
    plain.store.put(old, "a.wav", b"this is no sound at all")
    plain.store.put(old, "b.mp3", b"")
    found = adopt(plain.around, f"s3://{old}")
    assert (found.taken, found.refused) == (0, 2)
    assert plain.events("AudioAdopted") == []


@pytest.mark.parametrize("place", ["", "indextts-audio", "s3://", "s3:///x", "http://x/y", "s3://UPPER/x", "s3://a"])
def test_a_place_that_is_none_is_refused(plain: World, place: str) -> None:
    with pytest.raises(VoxledgerError, match=r"write s3://BUCKET/PREFIX"):
        adopt(plain.around, place)


def test_a_prefix_with_nothing_below_is_refused(plain: World, old: str) -> None:
    with pytest.raises(StoreError, match="nothing lies under"):
        adopt(plain.around, f"s3://{old}/nothing")
