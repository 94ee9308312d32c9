"""Purging against the embedded store: rclone's S3 server on the loopback."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from voxledger.catalog.errors import StoreUnavailable
from voxledger.catalog.objects.records import record_key
from voxledger.catalog.objects.store import Store
from voxledger.catalog.retention import Retention
from voxledger.catalog.settings import ExpireRule, Settings
from voxledger.catalog.settings import Retention as Section
from voxledger.catalog.settings import Store as StoreSettings

if TYPE_CHECKING:
    from conftest import World

DAY = timedelta(days=1)
BUCKET = "indextts-audio"
ALL = Section(rules=(ExpireRule(name="all", keep_for=5 * 86400, match="all"),), max_percent=100.0)


@pytest.fixture
def store(world: World) -> Iterator[Store]:
    made = Store(world.home, StoreSettings())
    yield made
    made.close()
    assert made.embedded is not None
    made.embedded.stop()


def retention(world: World, store: Store) -> Retention:
    return Retention(world.home, Settings(retention=ALL), world.recorder, world.keeper, lambda: store)


def test_objects_records_and_files_are_gone_and_others_stay(world: World, store: Store) -> None:
    old, young, local = world.clip(), world.clip(age=timedelta(0)), world.clip(stored=False)
    for key in world.store.names():
        store.put(BUCKET, key, b"audio")
    mine = retention(world, store)
    assert mine.apply(now=world.now).marked == 2
    done = mine.apply(now=world.now + 7 * DAY)
    assert (done.purged, done.failed) == (2, ())
    assert all(world.types(clip)[-1] == "ClipPurged" for clip in (old, local))
    left = {found.key for found in store.list(BUCKET)}
    [key] = world.cached()
    assert young in key
    assert left == {key, record_key(key)}


def test_a_bucket_that_was_never_made_holds_nothing(world: World, store: Store) -> None:
    clip = world.clip(stored=False)
    mine = retention(world, store)
    mine.apply(now=world.now)
    assert mine.apply(now=world.now + 7 * DAY).purged == 1
    assert world.types(clip) == ["ClipMarked", "PurgeStarted", "ClipPurged"]


def test_an_endpoint_where_nobody_answers_stops_the_run(world: World) -> None:
    clip = world.clip()
    away = Store(world.home, StoreSettings(endpoint="http://127.0.0.1:9", access_key="a", secret_key="b"))
    mine = retention(world, away)
    mine.apply(now=world.now)
    with pytest.raises(StoreUnavailable):
        mine.apply(now=world.now + 7 * DAY)
    assert world.types(clip) == ["ClipMarked"]
    away.close()
