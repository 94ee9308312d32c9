"""Purging against the embedded store: rclone's S3 server on the loopback."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from tests.fault_proxy import Fault, FaultProxy
from tests.s3 import S3Server
from voxledger.catalog.errors import StoreUnavailable
from voxledger.catalog.journal import UPLOAD
from voxledger.catalog.objects.records import record_key
from voxledger.catalog.objects.sending import Begun
from voxledger.catalog.objects.store import Store
from voxledger.catalog.objects.uploads.unfinished import Unfinished
from voxledger.catalog.objects.uploads.upload import Upload
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


def test_in_a_bucket_with_versions_all_of_them_go_and_the_log_names_them(
    world: World, ceph_store: S3Server, bucket: str
) -> None:
    store = Store(world.home, ceph_store.settings(audio=bucket))
    store.ensure_bucket(bucket)
    store.request(
        "V", lambda s3: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    )
    key = "ann/default/one.wav"
    clip = world.clip(stored=False, bucket=bucket, key=key)
    for name in (key, key, record_key(key), f"{key}.others"):
        store.put(bucket, name, b"audio")
    mine = retention(world, store)
    mine.apply(now=world.now)
    done = mine.apply(now=world.now + 7 * DAY)
    assert (done.purged, done.freed_bytes, done.failed, done.kept) == (1, 5, (), ())
    page = store.request("VERSIONS", lambda s3: s3.list_object_versions(Bucket=bucket))
    assert [found["Key"] for found in page["Versions"]] == [f"{key}.others"]
    assert "DeleteMarkers" not in page
    with world.keeper.reading() as reading:
        [(purged, answer, versions, kept)] = reading.tuples(
            "SELECT clip::VARCHAR, answer, versions, kept_bytes FROM purges"
        )
    assert (purged, answer, len(versions), kept) == (clip, "Deleted", 3, 0)
    store.close()


def test_parts_of_an_upload_that_was_never_finished_go_with_the_clip(
    world: World, ceph_store: S3Server, bucket: str
) -> None:
    store = Store(world.home, ceph_store.settings(audio=bucket))
    store.ensure_bucket(bucket)
    key = "ann/default/one.wav"
    clip = world.clip(stored=False, task=True, bucket=bucket, key=key)
    begun = store.request("BEGIN", lambda s3: s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"])
    store.request("PART", lambda s3: s3.upload_part(Bucket=bucket, Key=key, UploadId=begun, PartNumber=1, Body=b"a"))
    [task] = world.recorder.journal.lease(UPLOAD, limit=1, seconds=60)
    upload = Upload(bucket=bucket, key=key, path="", content_type="audio/wav", sha256="ab", bytes=1)
    Unfinished(world.home.uploads, world.recorder).of(task, upload).remember(Begun(begun, 1))
    with world.recorder.journal.transaction() as write:
        write.release_task(task)
    mine = retention(world, store)
    mine.apply(now=world.now)
    assert mine.apply(now=world.now + 7 * DAY).purged == 1
    assert "Uploads" not in store.request("UPLOADS", lambda s3: s3.list_multipart_uploads(Bucket=bucket))
    assert world.types(clip)[-1] == "ClipPurged"
    assert list(world.home.uploads.glob("*.begun")) == []
    store.close()


def test_what_the_store_refuses_of_a_batch_is_named_and_tried_again_by_the_next_run(
    world: World, rclone_store: S3Server, bucket: str
) -> None:
    with FaultProxy(rclone_store.port) as proxy:
        store = Store(world.home, rclone_store.settings(url=proxy.url, audio=bucket))
        clips = [world.clip(stored=False, bucket=bucket, key=f"ann/default/{name}.wav") for name in "abc"]
        for name in "abc":
            store.put(bucket, f"ann/default/{name}.wav", b"audio")
        mine = retention(world, store)
        mine.apply(now=world.now)
        line = re.compile(rb"<Deleted>\s*<Key>ann/default/b.wav</Key>.*?</Deleted>", re.DOTALL)
        refusal = b"<Error><Key>ann/default/b.wav</Key><Code>AccessDenied</Code></Error>"
        proxy.faults = [Fault(method="POST", path="delete", rewrite=lambda body: line.sub(refusal, body))]
        done = mine.apply(now=world.now + 7 * DAY)
        assert (done.purged, [note.clip for note in done.failed]) == (2, [clips[1]])
        assert world.events(clips[1])[-1][1]["failure"] == "AccessDenied"
        assert mine.apply(now=world.now + 7 * DAY).purged == 1
        assert [world.types(clip)[-1] for clip in clips] == ["ClipPurged"] * 3
        store.close()


def test_a_bucket_that_is_not_there_holds_nothing_of_what_was_never_stored(world: World, store: Store) -> None:
    never, once = world.clip(stored=False), world.clip()  # stored, but in another store than this one
    mine = retention(world, store)
    mine.apply(now=world.now)
    done = mine.apply(now=world.now + 7 * DAY)
    assert (done.purged, [note.clip for note in done.failed]) == (1, [once])
    assert f"bucket {BUCKET} is not in the embedded store; did the endpoint" in done.failed[0].reason
    assert world.types(never) == ["ClipMarked", "PurgeStarted", "ClipPurged"]
    assert world.types(once) == ["ClipMarked", "PurgeStarted", "PurgeFailed"]
    assert len(world.cached()) == 1
    [key] = world.cached()
    store.put(BUCKET, key, b"audio")
    assert mine.apply(now=world.now + 8 * DAY).purged == 1
    assert list(store.list(BUCKET)) == []


def test_an_endpoint_where_nobody_answers_stops_the_run(world: World) -> None:
    clip = world.clip()
    away = Store(world.home, StoreSettings(endpoint="http://127.0.0.1:9", access_key="a", secret_key="b"))
    mine = retention(world, away)
    mine.apply(now=world.now)
    with pytest.raises(StoreUnavailable):
        mine.apply(now=world.now + 7 * DAY)
    assert world.types(clip) == ["ClipMarked"]
    away.close()
