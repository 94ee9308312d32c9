"""Large files: in parts, whole or not at all, at a given pace, ended at once when asked."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fault_proxy import Fault, FaultProxy
from tests.s3 import S3Server
from voxledger.catalog.errors import StoreError
from voxledger.catalog.home import Home
from voxledger.catalog.objects import Store, multipart, putting
from voxledger.catalog.objects.multipart import MOST_PARTS, PART, part_bytes
from voxledger.catalog.objects.pace import Pace
from voxledger.catalog.objects.sending import Begun, LocalFileError, Sending, Stopped

pytestmark = pytest.mark.every_server
SIZE = 11_000_000
"""Three parts of 5 MiB, the least that S3 takes."""


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(putting, "LARGE", 5 << 20)
    monkeypatch.setattr(multipart, "PART", 5 << 20)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "large.wav"
    made.write_bytes(secrets.token_bytes(SIZE))
    return made


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


@pytest.fixture
def store(home: Home, s3: S3Server) -> Store:
    return Store(home, s3.settings())


@pytest.fixture
def proxy(rclone_store: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(rclone_store.port) as made:
        yield made


class Remembered:
    """A memory that lasts as long as the test."""

    def __init__(self) -> None:
        self.begun: Begun | None = None

    def recall(self) -> Begun | None:
        return self.begun

    def remember(self, begun: Begun) -> None:
        self.begun = begun

    def forget(self) -> None:
        self.begun = None


def unfinished(store: Store, bucket: str) -> list[Any]:
    found: list[Any] = store.request("UPLOADS", lambda s3: s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []))
    return found


@given(st.integers(1, 5 * 1024**4))
def test_ten_thousand_parts_suffice_for_any_object(size: int) -> None:
    assert -(-size // part_bytes(size)) <= MOST_PARTS
    assert part_bytes(size) >= multipart.PART
    assert part_bytes(size) % (1 << 20) == 0


def test_a_part_has_eight_mebibytes_by_default() -> None:
    assert PART == 8 << 20


def test_a_large_file_arrives_whole_with_all_that_stands_beside_it(store: Store, bucket: str, file: Path) -> None:
    sent: list[int] = []
    sending = Sending(sent=sent.append, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    etag = store.put(
        bucket, "a/large.wav", file, content_type="audio/wav", metadata={"emotion": "sad"}, tags={"app": "voxledger"}, sending=sending
    )  # fmt: skip
    assert etag == sending.parts_etag
    assert etag.endswith("-3")
    found = store.head(bucket, "a/large.wav")
    assert found is not None
    assert (found.bytes, found.content_type, found.metadata) == (SIZE, "audio/wav", {"emotion": "sad"})
    assert store.get(bucket, "a/large.wav") == file.read_bytes()
    assert sum(sent) == SIZE
    assert unfinished(store, bucket) == []


def test_a_part_that_is_lost_is_sent_again_and_no_other(
    home: Home, rclone_store: S3Server, proxy: FaultProxy, bucket: str, file: Path
) -> None:
    store = Store(home, rclone_store.settings(url=proxy.url))
    proxy.faults += [
        Fault(method="PUT", path="partNumber=2", busy=True),
        Fault(method="PUT", path="partNumber=2", cut=0),
    ]
    sent: list[int] = []
    store.put(bucket, "large", file, sending=Sending(sent=sent.append))
    assert store.get(bucket, "large") == file.read_bytes()
    assert proxy.count("PUT", "partNumber=1") == proxy.count("PUT", "partNumber=3") == 1
    assert sum(sent) == SIZE, "what had to go again is not counted twice"


def test_an_upload_that_fails_for_good_leaves_nothing_in_the_store(
    home: Home, rclone_store: S3Server, proxy: FaultProxy, bucket: str, file: Path
) -> None:
    store = Store(home, rclone_store.settings(url=proxy.url))
    proxy.faults += [Fault(method="PUT", path="partNumber=2", busy=True)] * multipart.TRIES
    with pytest.raises(StoreError, match="SlowDown"):
        store.put(bucket, "large", file)
    assert unfinished(store, bucket) == []
    assert not store.exists(bucket, "large")


def test_a_file_that_is_another_one_is_not_completed(store: Store, bucket: str, file: Path) -> None:
    with pytest.raises(LocalFileError) as raised:
        store.put(bucket, "large", file, sending=Sending(sha256="0" * 64))
    assert raised.value.code == "LocalFileChanged"
    assert not store.exists(bucket, "large")
    assert unfinished(store, bucket) == []


def test_with_a_memory_it_goes_on_where_it_stopped(store: Store, bucket: str, file: Path) -> None:
    memory, sent = Remembered(), list[int]()
    closing = threading.Event()

    def count(more: int) -> None:
        sent.append(more)
        if sum(sent) >= 5 << 20:
            closing.set()

    first = Sending(sent=count, closing=closing.is_set, memory=memory, slots=threading.Semaphore(1))
    with pytest.raises(Stopped):
        store.put(bucket, "large", file, sending=first)
    assert memory.begun is not None, "it stays for the next attempt"
    arrived = sum(sent)
    assert 5 << 20 <= arrived < SIZE, "a part that was under way came to its end, and no other began"
    again: list[int] = []
    store.put(bucket, "large", file, sending=Sending(sent=again.append, memory=memory))
    assert sum(again) == SIZE - arrived
    assert store.get(bucket, "large") == file.read_bytes()
    assert memory.begun is None


def test_what_cannot_be_remembered_is_given_up(store: Store, bucket: str, file: Path) -> None:
    class Full(Remembered):
        def remember(self, begun: Begun) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left"):
        store.put(bucket, "large", file, sending=Sending(memory=Full()))
    assert unfinished(store, bucket) == [], "nobody would ever finish it"


def test_an_upload_that_the_store_has_forgotten_begins_anew(store: Store, bucket: str, file: Path) -> None:
    memory = Remembered()
    memory.begun = Begun("nobody-knows-it", 5 << 20)
    store.put(bucket, "large", file, sending=Sending(memory=memory))
    assert store.get(bucket, "large") == file.read_bytes()


def test_what_is_stopped_ends_in_the_middle_of_a_part(home: Home, s3: S3Server, bucket: str, file: Path) -> None:
    store = Store(home, s3.settings(upload_limit=200_000))
    store.ensure_bucket(bucket)
    stopped = threading.Event()
    ended = threading.Event()

    def put() -> None:
        with pytest.raises(Stopped):
            store.put(bucket, "large", file, sending=Sending(sent=lambda _: stopped.set(), stopped=stopped.is_set))
        ended.set()

    threading.Thread(target=put).start()
    assert ended.wait(15), "at this pace a part takes half a minute"
    assert not store.exists(bucket, "large")


def test_the_pace_holds_for_all_threads_together(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    lock = threading.Lock()

    def sleep(seconds: float) -> None:
        with lock:
            clock[0] += seconds

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", sleep)
    pace = Pace(100_000)
    for _ in range(200):
        pace.take(pace.piece, lambda: False)
    assert clock[0] == pytest.approx(199 * pace.piece / 100_000, abs=0.2)
    before = clock[0]
    pace.take(10_000_000, lambda: False)
    pace.take(1, lambda: True)
    assert clock[0] - before < 1, "whoever was stopped does not wait"


def test_content_in_memory_keeps_the_pace_and_can_be_stopped(home: Home, s3: S3Server, bucket: str) -> None:
    store, content, sent = Store(home, s3.settings(upload_limit=500_001)), secrets.token_bytes(200_000), list[int]()
    store.ensure_bucket(bucket)
    assert store.pace is not None
    store.put(bucket, "small", content, sending=Sending(sent=sent.append))
    assert sum(sent) == len(content)
    assert max(sent) <= store.pace.piece, "no burst of all of it"
    assert store.get(bucket, "small") == content
    stopped = threading.Event()
    with pytest.raises(Stopped):
        store.put(bucket, "other", content, sending=Sending(sent=lambda _: stopped.set(), stopped=stopped.is_set))
    assert not store.exists(bucket, "other")


def test_a_limited_store_sends_no_faster(home: Home, rclone_store: S3Server, bucket: str, file: Path) -> None:
    store = Store(home, rclone_store.settings(upload_limit=20_000_000))
    assert store.pace is Store(home, rclone_store.settings(upload_limit=20_000_000)).pace, "one for the process"
    store.put(bucket, "warm", b"")
    begun = time.monotonic()
    store.put(bucket, "large", file)
    assert time.monotonic() - begun > 0.8 * SIZE / 20_000_000  # at least so long, however fast the machine
    assert store.get(bucket, "large") == file.read_bytes()
