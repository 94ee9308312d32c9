"""Uploads that take long, meet others, or are broken off: nothing twice, nothing lost, nothing overwritten."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import forking, soak
from tests.building import Parts
from tests.catalog.objects.uploading import add_clip, events, stored
from tests.fault_proxy import Fault, FaultProxy
from tests.s3 import S3Server, wait_for
from voxledger.catalog.errors import StoreError
from voxledger.catalog.events import AudioUploadFailed
from voxledger.catalog.objects import Store, Uploader, client
from voxledger.catalog.objects.features import Features, keep_features
from voxledger.catalog.objects.uploads import circuit, uploader, working
from voxledger.catalog.objects.uploads.progress import Meter
from voxledger.catalog.settings import Store as StoreSettings

LARGE = 20_000_000
"""Three parts of 8 MiB."""
_PROCESS = Path(__file__).parent / "upload_process.py"


@pytest.fixture
def proxy(rclone_store: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(rclone_store.port) as made:
        yield made


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoff without the waiting."""
    monkeypatch.setattr(uploader, "backoff", lambda attempt: 0.01)
    monkeypatch.setattr(circuit, "backoff", lambda attempt: 0.05)


def upload_all(parts: Parts, settings: StoreSettings, **options: Any) -> Uploader:
    """Everything that waits."""
    made = Uploader(parts.recorder, Store(parts.home, settings), settings, **options)
    assert made.flush(timeout=30) == 0
    made.close()
    return made


def killed_at(parts: Parts, settings: StoreSettings, place: str) -> None:
    """A process that uploads, until it dies at a failpoint."""
    process = start_process(parts, settings, VOXLEDGER_FAILPOINT=place)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL


def start_process(parts: Parts, settings: StoreSettings, **more: str) -> forking.Process:
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "VOXLEDGER_STORE_ENDPOINT": settings.endpoint,
        "VOXLEDGER_STORE_ACCESS_KEY": settings.access_key,
        "VOXLEDGER_STORE_SECRET_KEY": settings.secret_key,
        "VOXLEDGER_STORE_UPLOAD_LIMIT": str(settings.upload_limit),
        **more,
    }
    return forking.spawn([_PROCESS, parts.home.path], env=environ, stdout=subprocess.PIPE)


def unfinished(store: Store, bucket: str) -> list[Any]:
    found: list[Any] = store.request("UPLOADS", lambda s3: s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []))
    return found


def begun(parts: Parts) -> list[Path]:
    return list(parts.home.uploads.glob("*.begun"))


@pytest.mark.parametrize("place", ["upload.after_create", "upload.after_part:2", "upload.before_complete"])
def test_a_kill_in_the_parts_costs_no_part_that_had_arrived(
    parts: Parts, rclone_store: S3Server, proxy: FaultProxy, bucket: str, place: str
) -> None:
    added = add_clip(parts, bucket, size=LARGE)
    through = rclone_store.settings(url=proxy.url, upload_threads=1)
    killed_at(parts, through, place)
    arrived = proxy.count("PUT", "partNumber")
    assert stored(parts) == []
    # What was created when it died before it could be remembered is left to the store's own rule.
    assert len(begun(parts)) == (place != "upload.after_create")
    upload_all(parts, through)
    assert stored(parts) == [added.clip]
    assert proxy.count("PUT", "partNumber") == 3
    assert arrived in (0, 2, 3)
    assert Store(parts.home, through).get(bucket, added.key) == added.content
    assert begun(parts) == []


@pytest.mark.every_server
def test_a_kill_in_the_parts_resumes_on_any_store(parts: Parts, s3: S3Server, bucket: str) -> None:
    added = add_clip(parts, bucket, size=LARGE, actor="zephyrine")
    killed_at(parts, s3.settings(upload_threads=1), "upload.after_part")
    [file] = begun(parts)
    assert b"zephyrine" not in file.read_bytes(), "keys hold names"
    store = Store(parts.home, s3.settings())
    [left] = unfinished(store, bucket)
    sent = upload_all(parts, s3.settings()).progress.sent
    assert sent <= LARGE - (8 << 20)
    assert store.get(bucket, added.key) == added.content
    assert unfinished(store, bucket) == []
    found = store.head(bucket, added.key)
    assert found is not None
    [event] = events(parts)
    facts = msgspec.json.decode(event.data)
    assert (facts["etag"], facts["bytes"], facts["attempts"]) == (found.etag, LARGE, 2)
    assert left["Key"] == added.key


def test_a_kill_between_store_and_journal_sends_nothing_again(
    parts: Parts, rclone_store: S3Server, proxy: FaultProxy, bucket: str
) -> None:
    clips = [add_clip(parts, bucket, size=size) for size in (2000, LARGE)]
    through = rclone_store.settings(url=proxy.url, upload_threads=1)
    killed_at(parts, through, "upload.after_send:2")
    sent = proxy.count("PUT", ".wav")
    upload_all(parts, through)
    assert proxy.count("PUT", ".wav") == sent
    assert stored(parts) == sorted(each.clip for each in clips)


def test_a_lost_answer_to_the_completion_gives_one_object_and_one_event(
    parts: Parts, rclone_store: S3Server, proxy: FaultProxy, bucket: str, monkeypatch: pytest.MonkeyPatch, hasty: None
) -> None:
    monkeypatch.setattr(client, "READ_TIMEOUT", 1.0)
    through = rclone_store.settings(url=proxy.url)
    added = add_clip(parts, bucket, size=LARGE)
    proxy.faults.append(Fault(method="POST", path="uploadId", swallow=True))
    made = Uploader(parts.recorder, Store(parts.home, through), through)
    made.start()
    wait_for(lambda: not parts.journal.counts(), "the clip is stored", seconds=30)
    made.close()
    assert stored(parts) == [added.clip]
    assert (proxy.count("PUT", "partNumber"), proxy.count("POST", "uploadId")) == (3, 1)
    assert begun(parts) == []


@pytest.mark.every_server
def test_closing_at_once_gives_a_part_up_and_the_next_process_goes_on(parts: Parts, s3: S3Server, bucket: str) -> None:
    added = add_clip(parts, bucket, size=LARGE)
    slow = s3.settings(upload_limit=400_000)
    made = Uploader(parts.recorder, Store(parts.home, slow), slow)
    made.notify()
    wait_for(lambda: made.progress.sent > 0, "bytes are going out")
    before = time.monotonic()
    made.close(timeout=0)
    assert time.monotonic() - before < 5, "a part takes 20 s at this pace"
    [task] = parts.journal.tasks("upload")
    assert (task.state, task.attempts) == ("waiting", 0)
    assert len(begun(parts)) == 1
    upload_all(parts, s3.settings())
    assert Store(parts.home, s3.settings()).get(bucket, added.key) == added.content


@pytest.mark.every_server
def test_an_upload_that_nobody_wants_any_more_is_given_up(parts: Parts, s3: S3Server, bucket: str) -> None:
    added = add_clip(parts, bucket, size=LARGE)
    killed_at(parts, s3.settings(upload_threads=1), "upload.after_part")
    store = Store(parts.home, s3.settings())
    assert len(unfinished(store, bucket)) == 1
    parts.journal.take_back()
    with parts.journal.transaction() as write:
        assert write.cancel_tasks(added.clip) == 0
    made = Uploader(parts.recorder, store, s3.settings())
    made.start()
    wait_for(lambda: not unfinished(store, bucket), "the store has thrown the parts away")
    wait_for(lambda: not begun(parts), "and nobody remembers it")
    made.close()
    assert not store.exists(bucket, added.key)


@pytest.mark.every_server
def test_a_file_that_changes_while_it_goes_out_is_parked_and_its_parts_are_thrown_away(
    parts: Parts, s3: S3Server, bucket: str
) -> None:
    added = add_clip(parts, bucket, size=LARGE)
    added.path.write_bytes(b"x" + added.content[1:])
    store = Store(parts.home, s3.settings())
    made = Uploader(parts.recorder, store, s3.settings())
    assert made.flush(timeout=30) == 1
    wait_for(lambda: made.progress.parked == 1 and not begun(parts), "it is given up")
    made.close()
    [event] = events(parts, AudioUploadFailed)
    assert msgspec.json.decode(event.data)["failure"] == "LocalFileChanged"
    assert unfinished(store, bucket) == []
    assert not store.exists(bucket, added.key)


@pytest.mark.parametrize("size", [2000, LARGE])
def test_other_bytes_under_the_key_are_never_overwritten(
    parts: Parts, ceph_store: S3Server, bucket: str, size: int
) -> None:
    settings = ceph_store.settings()
    keep_features(parts.home, Features(endpoint=settings.endpoint, conditional_put=True, conditional_race=True))
    store = Store(parts.home, settings)
    added = add_clip(parts, bucket, size=size)
    store.put(bucket, added.key, b"somebody was here")
    made = Uploader(parts.recorder, store, settings)
    assert made.flush(timeout=30) == 1
    wait_for(lambda: made.progress.parked == 1, "it is parked")
    made.close()
    assert store.get(bucket, added.key) == b"somebody was here"
    [task] = parts.journal.tasks("upload")
    assert (task.state, task.attempts) == ("parked", 1)
    assert "another object lies at" in str(task.error)
    assert added.key not in str(task.error)
    [event] = events(parts, AudioUploadFailed)
    assert msgspec.json.decode(event.data)["failure"] == "AnotherObject"
    assert unfinished(store, bucket) == []
    store.delete(bucket, added.key)
    parts.journal.hurry("upload")
    upload_all(parts, settings)
    assert store.get(bucket, added.key) == added.content


def test_a_repair_replaces_what_lies_there(parts: Parts, ceph_store: S3Server, bucket: str) -> None:
    settings = ceph_store.settings()
    keep_features(parts.home, Features(endpoint=settings.endpoint, conditional_put=True, conditional_race=True))
    store = Store(parts.home, settings)
    added = add_clip(parts, bucket, replace=True)
    store.put(bucket, added.key, b"damaged")
    upload_all(parts, settings)
    assert store.get(bucket, added.key) == added.content


@pytest.mark.parametrize("size", [2000, LARGE])
def test_our_own_bytes_under_the_key_are_done(parts: Parts, ceph_store: S3Server, bucket: str, size: int) -> None:
    """As after an answer that was lost, in a process that is not there any more."""
    settings = ceph_store.settings()
    keep_features(parts.home, Features(endpoint=settings.endpoint, conditional_put=True, conditional_race=True))
    store = Store(parts.home, settings)
    added = add_clip(parts, bucket, size=size)
    digest = hashlib.sha256(added.content).hexdigest()
    before = store.put(bucket, added.key, added.path, metadata={"sha256": digest})
    upload_all(parts, settings)
    [event] = events(parts)
    assert msgspec.json.decode(event.data)["etag"] == before


def test_a_key_that_may_only_write_finds_its_own_object_after_a_lost_answer(
    parts: Parts, ceph_store: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, hasty: None
) -> None:
    Store(parts.home, ceph_store.settings()).ensure_bucket(bucket)
    actions = ["s3:PutObject", "s3:PutObjectTagging", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
    writer = ceph_store.user(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": actions, "Resource": [f"arn:aws:s3:::{bucket}/*"]}],
        }
    )
    monkeypatch.setattr(client, "READ_TIMEOUT", 2.0)
    added = add_clip(parts, bucket)
    with FaultProxy(ceph_store.port) as proxy:
        settings = writer.settings(url=proxy.url)
        keep_features(parts.home, Features(endpoint=settings.endpoint, conditional_put=True, conditional_race=True))
        proxy.faults.append(Fault(method="PUT", path=".wav", swallow=True))
        made = Uploader(parts.recorder, Store(parts.home, settings), settings)
        made.start()
        wait_for(lambda: not parts.journal.counts(), "the clip is stored", seconds=30)
        made.close()
        assert proxy.count("PUT", added.clip) == 1
    assert stored(parts) == [added.clip]


def test_a_file_that_is_gone_but_had_arrived_is_stored(parts: Parts, rclone_store: S3Server, bucket: str) -> None:
    added = add_clip(parts, bucket)
    killed_at(parts, rclone_store.settings(), "upload.after_send")
    added.path.unlink()
    upload_all(parts, rclone_store.settings())
    assert stored(parts) == [added.clip]
    assert events(parts, AudioUploadFailed) == []


def test_ten_minutes_without_a_store_lose_and_double_nothing(
    parts: Parts, rclone_store: S3Server, proxy: FaultProxy, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Time runs two hundred times as fast: clips are made for three seconds, one after another, while nobody answers."""
    pauses: list[float] = []

    def shorter(attempt: int) -> float:
        pauses.append(circuit_backoff(attempt))
        return pauses[-1] / 200

    circuit_backoff = circuit.backoff
    monkeypatch.setattr(circuit, "backoff", shorter)
    monkeypatch.setattr(uploader, "backoff", lambda attempt: circuit_backoff(attempt) / 200)
    through = rclone_store.settings(url=proxy.url)
    made = Uploader(parts.recorder, Store(parts.home, through), through)
    added = [add_clip(parts, bucket)]
    made.notify()
    wait_for(lambda: len(stored(parts)) == 1, "the store works")
    proxy.down()
    count, until = soak.count(2000), time.monotonic() + 3
    while len(added) < count or time.monotonic() < until:
        if len(added) < count:
            added.append(add_clip(parts, bucket, size=500))
            made.notify()
        time.sleep(0.01)
    told = [each.progress for each in working(parts.home.uploads)]
    assert "nobody answers" in str(told[0].trouble)
    assert len(pauses) < 100, "probes become rare"
    proxy.up()
    wait_for(lambda: not parts.journal.counts(), "all have arrived", seconds=120)
    assert stored(parts) == sorted(each.clip for each in added)
    assert events(parts, AudioUploadFailed) == []
    assert all(proxy.count("PUT", each.clip) == 1 for each in added)
    store = Store(parts.home, through)
    for each in added:
        assert store.get(bucket, each.key) == each.content
    made.close()
    soak.told_of_soak("ten minutes without a store", clips=len(added), probes=len(pauses))


def test_other_processes_see_what_is_going_on(parts: Parts, rclone_store: S3Server, bucket: str) -> None:
    add_clip(parts, bucket, size=LARGE)
    process = start_process(parts, rclone_store.settings(upload_limit=2_000_000))
    wait_for(lambda: any(each.progress.rate for each in working(parts.home.uploads)), "it tells its rate")
    [seen] = working(parts.home.uploads)
    assert (seen.pid, seen.progress.running) == (process.pid, 1)
    assert 0 < seen.progress.sent < LARGE
    assert seen.progress.rate < 4_000_000
    assert seen.progress.limit == 2_000_000
    process.kill()
    process.communicate()
    assert working(parts.home.uploads) == [], "who died is not at work"
    assert list(parts.home.uploads.glob("*.sending")) == []


def test_the_rate_is_that_of_the_last_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    meter = Meter()
    for count in range(100):
        meter.sent(1000)
        clock[0] += 0.1
        if count == 19:
            assert meter.read(running=1, trouble=None).rate == pytest.approx(10_000, rel=0.1), "soon, too"
    seen = meter.read(running=1, trouble=None)
    assert seen.sent == 100_000
    assert seen.rate == pytest.approx(10_000, rel=0.1)
    meter.sent(-1000)
    clock[0] += 10
    seen = meter.read(running=0, trouble=None)
    assert (seen.sent, seen.rate) == (99_000, 0)


def test_a_store_that_knows_no_parts_gets_large_files_in_one_piece(
    parts: Parts, rclone_store: S3Server, proxy: FaultProxy, bucket: str, hasty: None
) -> None:
    through = rclone_store.settings(url=proxy.url)
    keep_features(parts.home, Features(endpoint=through.endpoint, multipart=False))
    added = add_clip(parts, bucket, size=LARGE)
    upload_all(parts, through)
    assert (proxy.count("PUT", added.clip), proxy.count("POST", added.clip)) == (1, 0)
    changed = add_clip(parts, bucket, size=LARGE)
    changed.path.write_bytes(bytes(LARGE))
    made = Uploader(parts.recorder, Store(parts.home, through), through)
    assert made.flush(timeout=30) == 1
    made.close()
    with pytest.raises(StoreError, match="NoSuchKey"):
        Store(parts.home, through).get(bucket, changed.key)
