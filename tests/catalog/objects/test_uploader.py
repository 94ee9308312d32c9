"""The uploader: every clip is stored once, whatever happens on the way."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests import forking
from tests.building import Parts
from tests.catalog.objects.uploading import add_clip, events, stored
from tests.fault_proxy import Fault, FaultProxy
from tests.s3 import S3Server, wait_for
from voxledger.catalog.events import AudioUploadFailed
from voxledger.catalog.journal import UPLOAD, Task
from voxledger.catalog.objects import Store, Uploader, client, record_key
from voxledger.catalog.objects.features import keep_features
from voxledger.catalog.objects.probing import probe
from voxledger.catalog.objects.uploads import uploader
from voxledger.catalog.objects.uploads.outcomes import Outcomes
from voxledger.catalog.objects.uploads.transfer import Sent
from voxledger.catalog.objects.uploads.upload import read_upload
from voxledger.catalog.settings import Store as StoreSettings

_PROCESS = Path(__file__).parent / "upload_process.py"


@pytest.fixture
def proxy(rclone_store: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(rclone_store.port) as made:
        yield made


@pytest.fixture
def through(rclone_store: S3Server, proxy: FaultProxy) -> StoreSettings:
    """Settings that lead through the proxy."""
    return rclone_store.settings(url=proxy.url)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backoff without the waiting."""
    monkeypatch.setattr("voxledger.catalog.objects.uploads.uploader.backoff", lambda attempt: 0.01)
    monkeypatch.setattr("voxledger.catalog.objects.uploads.circuit.backoff", lambda attempt: 0.05)


class Uploading:
    """An uploader in a `with` block."""

    def __init__(self, parts: Parts, settings: StoreSettings, **options: Any) -> None:
        self.store = Store(parts.home, settings)
        self.uploader = Uploader(parts.recorder, self.store, settings, **options)

    def __enter__(self) -> Uploader:
        return self.uploader

    def __exit__(self, *_: object) -> None:
        self.uploader.close(timeout=5)
        self.store.close()
        if self.store.embedded is not None:
            self.store.embedded.stop()


def start_process(parts: Parts, settings: StoreSettings) -> forking.Process:
    environ = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "VOXLEDGER_STORE_ENDPOINT": settings.endpoint,
        "VOXLEDGER_STORE_ACCESS_KEY": settings.access_key,
        "VOXLEDGER_STORE_SECRET_KEY": settings.secret_key,
    }
    return forking.spawn([_PROCESS, parts.home.path], env=environ, stdout=subprocess.PIPE)


@pytest.mark.every_server
def test_clip_arrives_once_with_metadata_and_tags(parts: Parts, s3: S3Server, bucket: str) -> None:
    added = add_clip(parts, bucket, actor="王小明", name="會議")
    with Uploading(parts, s3.settings()) as uploads:
        assert uploads.flush([added.clip], timeout=20) == 0
        wait_for(lambda: uploads.progress.done == 1, "it is counted")
        assert uploads.progress.bytes == len(added.content)
        store = Store(parts.home, s3.settings())
        found = store.head(bucket, added.key)
        assert found is not None
        assert store.get(bucket, added.key) == added.content
        assert found.content_type == "audio/wav"
        assert found.metadata == {
            "clip": added.clip, "emotion": "happy", "name": "%E6%9C%83%E8%AD%B0", "sha256": hashlib.sha256(added.content).hexdigest(),
        }  # fmt: skip
        assert not store.exists(bucket, record_key(added.key))
    if s3.keeps_metadata:
        answer = client.make_client(s3.settings(), None, connections=1).get_object_tagging(Bucket=bucket, Key=added.key)
        assert {tag["Key"]: tag["Value"] for tag in answer["TagSet"]} == {"app": "voxledger", "emotion": "happy _ calm"}
    event = events(parts)[0]
    facts = msgspec.json.decode(event.data)
    assert (event.subject, facts["bytes"], facts["attempts"], facts["etag"]) == (added.clip, 2000, 1, found.md5)
    assert facts["transfer_us"] > 0
    assert parts.recorder.unsealed(event) == {"key": added.key}
    assert parts.journal.counts() == []


def test_embedded_store_gets_a_sealed_record_beside_the_clip(parts: Parts) -> None:
    added = add_clip(parts, "indextts-audio", actor="zephyrine")
    with Uploading(parts, StoreSettings()) as uploads:
        assert uploads.flush(timeout=20) == 0
    folder = parts.home.store / "indextts-audio"
    assert (folder / added.key).read_bytes() == added.content
    assert (folder / record_key(added.key)).read_text() == added.record
    assert "zephyrine" not in added.record


def test_many_clips_are_stored_once_each(parts: Parts, s3: S3Server, bucket: str) -> None:
    added = [add_clip(parts, bucket) for _ in range(60)]
    with Uploading(parts, s3.settings(), threads=8) as uploads:
        assert uploads.flush(timeout=30) == 0
    assert stored(parts) == sorted(each.clip for each in added)
    assert {found.key for found in Store(parts.home, s3.settings()).list(bucket)} == {each.key for each in added}


def test_notify_wakes_it_at_once(parts: Parts, rclone_store: S3Server, bucket: str) -> None:
    with Uploading(parts, rclone_store.settings()) as uploads:
        assert uploads.flush(timeout=5) == 0
        for _ in range(3):
            add_clip(parts, bucket)
            before = time.monotonic()
            uploads.notify()
            wait_for(lambda: not parts.journal.counts(), "the clip is stored")
            assert time.monotonic() - before < 1.0


def test_tasks_of_other_processes_are_found_without_a_call(parts: Parts, rclone_store: S3Server, bucket: str) -> None:
    with Uploading(parts, rclone_store.settings()) as uploads:
        uploads.start()
        add_clip(parts, bucket)
        wait_for(lambda: not parts.journal.counts(), "the clip is stored", seconds=5)


def test_file_that_is_no_clip_leaves_no_event(parts: Parts, rclone_store: S3Server, bucket: str) -> None:
    add_clip(parts, bucket, event=False)
    with Uploading(parts, rclone_store.settings()) as uploads:
        assert uploads.flush(timeout=10) == 0
    assert stored(parts) == []


def test_kill_in_mid_upload_loses_and_doubles_nothing(
    parts: Parts, proxy: FaultProxy, through: StoreSettings, bucket: str
) -> None:
    added = [add_clip(parts, bucket) for _ in range(30)]
    # Three are in the store, but the question whether they are never gets an answer.
    proxy.faults += [Fault(method="HEAD", path=".wav", hold=threading.Event()) for _ in range(3)]
    first = start_process(parts, through)
    wait_for(lambda: not proxy.faults and len(stored(parts)) >= 5, "it is in the middle of it")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert len(stored(parts)) <= 27
    with Uploading(parts, through) as uploads:
        assert uploads.flush(timeout=30) == 0
    assert stored(parts) == sorted(each.clip for each in added)
    listed = list(Store(parts.home, through).list(bucket))
    assert {found.key for found in listed} == {each.key for each in added}
    # What had arrived was seen, and not sent again; only what was under way in the moment of death may have been.
    assert sum(proxy.count("PUT", each.clip) for each in added) <= 31


def test_two_processes_never_do_one_task_twice(
    parts: Parts, proxy: FaultProxy, through: StoreSettings, bucket: str
) -> None:
    added = [add_clip(parts, bucket) for _ in range(60)]
    both = [start_process(parts, through) for _ in range(2)]
    done = [int(process.communicate(timeout=40)[0]) for process in both]
    assert sum(done) == 60
    assert stored(parts) == sorted(each.clip for each in added)
    assert all(proxy.count("PUT", each.clip) == 1 for each in added)


def test_lost_answer_gives_one_object_and_one_event(
    parts: Parts, proxy: FaultProxy, through: StoreSettings, bucket: str, monkeypatch: pytest.MonkeyPatch, hasty: None
) -> None:
    monkeypatch.setattr(client, "READ_TIMEOUT", 0.5)
    Store(parts.home, through).ensure_bucket(bucket)
    added = add_clip(parts, bucket)
    proxy.faults.append(Fault(method="PUT", swallow=True))
    with Uploading(parts, through) as uploads:
        uploads.start()
        wait_for(lambda: not parts.journal.counts(), "the clip is stored")
    assert stored(parts) == [added.clip]
    assert proxy.count("PUT", added.clip) == 1
    assert msgspec.json.decode(events(parts)[0].data)["attempts"] == 2


@pytest.mark.parametrize(
    "fault", [Fault(method="PUT", busy=True), Fault(method="PUT", cut=0), Fault(method="HEAD", path=".wav", cut=5)]
)
def test_passing_faults_pass(
    parts: Parts, proxy: FaultProxy, through: StoreSettings, bucket: str, hasty: None, fault: Fault
) -> None:
    Store(parts.home, through).ensure_bucket(bucket)
    added = [add_clip(parts, bucket) for _ in range(5)]
    proxy.faults += [fault] * 3
    with Uploading(parts, through, threads=1) as uploads:
        uploads.start()
        wait_for(lambda: not parts.journal.counts(), "all are stored")
        assert uploads.progress.retried == 3
        assert uploads.progress.trouble is None
    assert stored(parts) == sorted(each.clip for each in added)


def test_store_that_was_away_gets_everything_when_it_is_back(
    parts: Parts, proxy: FaultProxy, through: StoreSettings, bucket: str
) -> None:
    proxy.down()
    added = [add_clip(parts, bucket) for _ in range(20)]
    with Uploading(parts, through) as uploads:
        before = time.monotonic()
        assert uploads.flush(timeout=30) == 20
        assert time.monotonic() - before < 5, "waiting is of no use while nobody answers"
        wait_for(lambda: uploads.progress.running == 0, "nothing is being tried")
        assert "nobody answers" in str(uploads.progress.trouble)
        shown = [task for task in parts.journal.tasks("upload") if task.error]
        assert shown
        assert all("nobody answers" in str(task.error) and "ann" not in str(task.error) for task in shown)
        # Only probes are counted as attempts; the others were never tried.
        assert sum(task.attempts > 0 for task in parts.journal.tasks("upload")) <= 6
        proxy.up()
        assert uploads.flush(timeout=30) == 0
        assert uploads.progress.trouble is None
    assert stored(parts) == sorted(each.clip for each in added)


def test_refusal_is_tried_eight_times_and_parked(parts: Parts, s3: S3Server, hasty: None) -> None:
    added = add_clip(parts, "No Bucket At All")
    with Uploading(parts, s3.settings()) as uploads:
        assert uploads.flush(timeout=20) == 1
        wait_for(lambda: uploads.progress.parked == 1, "it is counted")
    [event] = events(parts, AudioUploadFailed)
    facts = msgspec.json.decode(event.data)
    assert (event.subject, facts["failure"], facts["attempts"]) == (added.clip, "ParamValidationError", 8)
    [task] = parts.journal.tasks("upload")
    assert task.state == "parked"
    assert added.key not in str(task.error)


def test_outages_do_not_count_as_refusals(parts: Parts, rclone_store: S3Server, hasty: None) -> None:
    add_clip(parts, "No Bucket At All")
    for _ in range(uploader.MOST_REFUSALS):
        [task] = parts.journal.lease("upload", limit=1, seconds=10)
        with parts.journal.transaction() as write:
            assert write.retry_task(task, due=time.time(), error="nobody answers")
    with Uploading(parts, rclone_store.settings()) as uploads:
        assert uploads.flush(timeout=20) == 1
        wait_for(lambda: uploads.progress.parked == 1, "it is counted")
    [event] = events(parts, AudioUploadFailed)
    assert msgspec.json.decode(event.data)["attempts"] == 2 * uploader.MOST_REFUSALS


def test_refusals_are_counted_across_processes(
    parts: Parts, rclone_store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader, "backoff", lambda attempt: 1000.0)
    add_clip(parts, "No Bucket At All")
    for number in range(1, uploader.MOST_REFUSALS + 1):
        with Uploading(parts, rclone_store.settings()) as uploads:
            assert uploads.flush(timeout=20) == 1
        [task] = parts.journal.tasks("upload")
        assert (task.attempts, task.state) == (number, "parked" if number == uploader.MOST_REFUSALS else "waiting")
        if task.state == "waiting":
            assert len(list(parts.home.uploads.glob("*.refused"))) == 1
            parts.journal.hurry("upload")
    assert list(parts.home.uploads.glob("*.refused")) == [], "a person begins anew"


def test_refusals_of_a_task_that_was_taken_back_are_forgotten(
    parts: Parts, rclone_store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader, "backoff", lambda attempt: 1000.0)
    added = add_clip(parts, "No Bucket At All")
    with Uploading(parts, rclone_store.settings()) as uploads:
        assert uploads.flush(timeout=20) == 1
    with parts.journal.transaction() as write:
        assert write.cancel_tasks(added.clip) == 0
    with Uploading(parts, rclone_store.settings()) as uploads:
        uploads.start()
        wait_for(lambda: not list(parts.home.uploads.glob("*.refused")), "nobody remembers them")


@pytest.mark.parametrize("secret", ["wrong" * 8, ""])
@pytest.mark.every_server
def test_wrong_keys_park_nothing_and_are_said_once(
    parts: Parts, s3: S3Server, bucket: str, hasty: None, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    wrong = StoreSettings(endpoint=s3.url, access_key=s3.access_key if secret else "", secret_key=secret)
    added = [add_clip(parts, bucket) for _ in range(5)]
    with Uploading(parts, wrong) as uploads:
        assert uploads.flush(timeout=20) == 5
        wait_for(lambda: uploads.progress.trouble is not None, "the reason is known")
        assert "store.secret_key" in str(uploads.progress.trouble)
        assert uploads.progress.parked == 0
    assert events(parts, AudioUploadFailed) == []
    for task in parts.journal.tasks("upload"):
        assert task.state != "parked"
        assert "wrong" not in str(task.error)
    with Uploading(parts, s3.settings()) as uploads:
        assert uploads.flush(timeout=20) == 0
    assert stored(parts) == sorted(each.clip for each in added)


@pytest.mark.parametrize(("damage", "failure"), [("unlink", "LocalFileMissing"), ("write", "LocalFileChanged")])
def test_local_file_that_is_gone_or_altered_parks_at_once(
    parts: Parts, rclone_store: S3Server, bucket: str, damage: str, failure: str
) -> None:
    added = add_clip(parts, bucket)
    if damage == "unlink":
        added.path.unlink()
    else:
        added.path.write_bytes(bytes(len(added.content)))
    with Uploading(parts, rclone_store.settings()) as uploads:
        assert uploads.flush([added.clip], timeout=10) == 1
    [event] = events(parts, AudioUploadFailed)
    assert msgspec.json.decode(event.data)["failure"] == failure
    assert added.key not in str(parts.journal.tasks("upload")[0].error)
    assert not Store(parts.home, rclone_store.settings()).exists(bucket, added.key)


def test_task_that_cannot_be_read_is_parked_without_an_event(parts: Parts, rclone_store: S3Server, bucket: str) -> None:
    with parts.journal.transaction() as write:
        write.add_task("upload", subject="clip", actor=parts.vault.actor("ann").id, payload=bytes(100))
    with Uploading(parts, rclone_store.settings()) as uploads:
        assert uploads.flush(timeout=10) == 1
    assert "cannot be read" in str(parts.journal.tasks("upload")[0].error)
    assert parts.journal.head() == 0


def test_what_nobody_foresaw_is_logged_by_its_kind_alone(
    parts: Parts, rclone_store: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("what somebody said")

    monkeypatch.setattr(uploader, "attempt", fail)
    clip = add_clip(parts, bucket)
    with Uploading(parts, rclone_store.settings()) as uploads:
        uploads.notify()
        wait_for(lambda: "was left as it is (ValueError)" in caplog.text, "the failure is logged")
    assert "somebody said" not in caplog.text
    assert clip.key not in caplog.text


def test_task_taken_back_in_mid_upload_leaves_no_event(
    parts: Parts, proxy: FaultProxy, through: StoreSettings, bucket: str
) -> None:
    Store(parts.home, through).ensure_bucket(bucket)
    add_clip(parts, bucket)
    release = threading.Event()
    proxy.faults.append(Fault(method="PUT", hold=release))
    with Uploading(parts, through) as uploads:
        uploads.notify()
        wait_for(lambda: proxy.asked("PUT") > 1, "the upload is on its way")
        with parts.journal.transaction() as write:
            write.connection.execute("DELETE FROM tasks")
        release.set()
        wait_for(lambda: proxy.count("HEAD") > 1 and not uploads.progress.running, "the upload is through")
        assert uploads.progress.done == 0
    assert stored(parts) == []


def test_leases_are_renewed_while_a_transfer_takes_long(
    parts: Parts, proxy: FaultProxy, through: StoreSettings, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader, "LEASE", 0.5)
    monkeypatch.setattr(uploader, "_RENEW", 0.1)
    monkeypatch.setattr(uploader, "_POLL", 0.1)
    Store(parts.home, through).ensure_bucket(bucket)
    added = add_clip(parts, bucket)
    release = threading.Event()
    proxy.faults.append(Fault(method="PUT", hold=release))
    with Uploading(parts, through) as first:
        first.notify()
        wait_for(lambda: proxy.asked("PUT") > 1, "the upload is on its way")
        [until] = parts.journal._connection.execute("SELECT lease_until FROM tasks").fetchone()
        wait_for(lambda: time.time() > until + 0.3, "the lease would have run out")
        assert parts.journal.lease("upload", limit=1, seconds=10) == []
        release.set()
        assert first.flush(timeout=10) == 0
    assert stored(parts) == [added.clip]


def test_closing_lets_running_uploads_finish_and_hands_the_rest_back(
    parts: Parts, proxy: FaultProxy, through: StoreSettings, bucket: str
) -> None:
    Store(parts.home, through).ensure_bucket(bucket)
    for _ in range(10):
        add_clip(parts, bucket)
    release = threading.Event()
    proxy.faults.append(Fault(method="PUT", hold=release))
    with Uploading(parts, through, threads=1) as uploads:
        uploads.notify()
        wait_for(lambda: proxy.asked("PUT") > 1, "the upload is on its way")
        closing = threading.Thread(target=uploads.close, kwargs={"timeout": 10})
        closing.start()
        wait_for(
            lambda: all(not task.attempts for task in parts.journal.tasks("upload")[1:]), "the rest is handed back"
        )
        release.set()
        closing.join()
        assert uploads.progress.done == 1
        uploads.notify()
    assert len(stored(parts)) == 1
    assert [(found.state, found.count) for found in parts.journal.counts()] == [("waiting", 9)]


def test_flush_without_time_only_counts(parts: Parts, through: StoreSettings, proxy: FaultProxy, bucket: str) -> None:
    proxy.down()
    first, second = add_clip(parts, bucket), add_clip(parts, bucket)
    with Uploading(parts, through) as uploads:
        assert uploads.flush(timeout=0) == 2
        assert uploads.flush([first.clip], timeout=0) == 1
        assert uploads.flush([second.clip, "nobody"], timeout=0) == 1


def test_a_refusal_that_cannot_be_counted_waits_longer_each_time_and_is_never_left_leased(
    parts: Parts, rclone_store: S3Server, monkeypatch: pytest.MonkeyPatch, hasty: None
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    waited: list[int] = []
    monkeypatch.setattr("voxledger.catalog.objects.uploads.refusals.Refusals.count", full)
    monkeypatch.setattr(uploader, "backoff", lambda attempts: waited.append(attempts) or 0.0)
    add_clip(parts, "NO BUCKET")
    with Uploading(parts, rclone_store.settings()) as uploads:
        uploads.notify()
        wait_for(lambda: len(waited) > 3, "it was tried a few times")
    assert waited[:3] == [1, 2, 3]
    assert {task.state for task in parts.journal.tasks(UPLOAD)} == {"waiting"}


@pytest.mark.parametrize(("confirm", "looks"), [("head", 6), ("answer", 0)])
def test_the_answer_to_a_put_is_enough_where_that_is_wanted(
    parts: Parts, proxy: FaultProxy, through: StoreSettings, bucket: str, confirm: str, looks: int
) -> None:
    clips = [add_clip(parts, bucket) for _ in range(6)]
    settings = msgspec.structs.replace(through, confirm=confirm)
    Store(parts.home, settings).ensure_bucket(bucket)
    before = proxy.count("HEAD", f"/{bucket}/")
    with Uploading(parts, settings) as uploads:
        assert uploads.flush() == 0
    assert proxy.count("HEAD", f"/{bucket}/") - before == looks
    assert stored(parts) == sorted(clip.clip for clip in clips)
    store = Store(parts.home, settings)
    assert [store.get(bucket, clip.key) for clip in clips] == [clip.content for clip in clips]


@pytest.mark.every_server
def test_nobody_looks_after_uploads_where_the_store_was_seen_to_refuse_damage(
    parts: Parts, s3: S3Server, bucket: str
) -> None:
    with FaultProxy(s3.port) as proxy:
        settings = msgspec.structs.replace(s3.settings(url=proxy.url), confirm="auto", audio=bucket)
        store = Store(parts.home, settings)
        store.ensure_bucket(bucket)

        def looks() -> int:
            before = proxy.count("HEAD", f"/{bucket}/")
            clip = add_clip(parts, bucket)
            with Uploading(parts, settings) as uploads:
                assert uploads.flush() == 0
            assert store.get(bucket, clip.key) == clip.content
            return proxy.count("HEAD", f"/{bucket}/") - before

        assert looks() == 1  # nobody has tried what the store does with damage
        found = keep_features(parts.home, probe(store))
        assert looks() == 0
        keep_features(parts.home, msgspec.structs.replace(found, md5_refused=False))
        assert looks() == 1


def test_what_arrives_together_is_recorded_together_and_each_for_itself(parts: Parts, bucket: str) -> None:
    clips = [add_clip(parts, bucket) for _ in range(8)]
    first, lost, deaf, *rest = parts.journal.lease(UPLOAD, limit=8, seconds=60)
    outcomes, heard, go_on, leads = Outcomes(parts.recorder), [], threading.Event(), threading.Event()

    def arrive(task: Task) -> None:
        upload = read_upload(parts.recorder.unseal(task.payload, actor=task.actor, about=task.subject))
        sent = Sent(etag="e", bytes=upload.bytes, transfer_us=1)

        def recorded() -> None:
            if task is first:
                leads.set()
                assert go_on.wait(20)
            if task is deaf:
                raise ValueError("no")
            heard.append(task.subject)

        outcomes.stored(task, upload, sent, started=time.time(), recorded=recorded)

    leader = threading.Thread(target=arrive, args=(first,))
    leader.start()
    assert leads.wait(20)
    for task in (lost, deaf, *rest):
        arrive(task)  # nobody waits for the leader
    with parts.journal.transaction() as write:
        write.connection.execute("DELETE FROM tasks WHERE id = ?", (lost.id,))
    assert stored(parts) == [first.subject]
    go_on.set()
    leader.join(20)
    assert stored(parts) == sorted(clip.clip for clip in clips if clip.clip != lost.subject)
    assert sorted(heard) == sorted([first.subject, *(task.subject for task in rest)])
    assert parts.journal.counts() == []
