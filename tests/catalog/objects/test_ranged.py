"""Ranged reading: whole and checked or not at all, resumed, mended, over a network that does what networks do."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import resource
import signal
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import forking
from tests.fault_proxy import Fault, FaultProxy
from tests.s3 import S3Server, wait_for
from voxledger.catalog import StoreError, StoreUnavailable
from voxledger.catalog.errors import DiskFull
from voxledger.catalog.home import Home
from voxledger.catalog.objects import part_file, ranged
from voxledger.catalog.objects.part_file import PartFile
from voxledger.catalog.objects.ranged import fetch_object
from voxledger.catalog.objects.store import Store
from voxledger.catalog.settings import Store as StoreSettings

KEY = "models/weights.bin"
RANGE = 64 << 10


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that little data has many ranges."""
    monkeypatch.setattr(part_file, "RANGE", RANGE)


class Remote:
    """An object in a store behind a proxy, and a folder to fetch it into."""

    def __init__(self, server: S3Server, proxy: FaultProxy, bucket: str, folder: Path, size: int) -> None:
        self.bucket = bucket
        self.proxy = proxy
        self.server = server
        self.folder = folder / "into"
        self.folder.mkdir()
        self.path = self.folder / "weights.bin"
        self.content = random.Random(size).randbytes(size)
        self.sha256 = hashlib.sha256(self.content).hexdigest()
        keys = {"access_key": server.access_key, "secret_key": server.secret_key}
        self.store = Store(Home.open(folder / "home"), StoreSettings(endpoint=proxy.url, **keys))
        self.store.put(bucket, KEY, self.content)
        proxy.seen.clear()

    def fetch(self, **options: object) -> Path:
        facts = {"bytes": len(self.content), "sha256": self.sha256, **options}
        return fetch_object(self.store, self.bucket, KEY, self.path, **facts)  # type: ignore[arg-type]

    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    @property
    def part(self) -> PartFile:
        return PartFile(self.path, size=len(self.content), sha256=self.sha256)


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(int(urlsplit(s3.url).port or 0)) as made:
        yield made


@pytest.fixture
def remote(s3: S3Server, proxy: FaultProxy, bucket: str, tmp_path: Path) -> Remote:
    return Remote(s3, proxy, bucket, tmp_path, 10 * RANGE + 1234)


@pytest.mark.every_server
def test_an_object_arrives_in_ranges_and_leaves_nothing_beside_it(remote: Remote) -> None:
    heard: list[int] = []
    assert remote.fetch(progress=heard.append) == remote.path
    assert remote.path.read_bytes() == remote.content
    assert remote.left() == ["weights.bin"]
    assert sum(heard) == len(remote.content)
    assert remote.proxy.count("GET") == 11


@pytest.mark.parametrize("size", [0, 1, RANGE])
def test_a_small_object_is_one_request(s3: S3Server, proxy: FaultProxy, bucket: str, tmp_path: Path, size: int) -> None:
    remote = Remote(s3, proxy, bucket, tmp_path, size)
    remote.fetch()
    assert remote.path.read_bytes() == remote.content
    assert remote.left() == ["weights.bin"]
    assert remote.proxy.asked("GET") == 1


def test_what_breaks_off_goes_on_within_its_range(remote: Remote) -> None:
    remote.proxy.faults += [
        Fault(method="GET", cut=40_000), Fault(method="GET", cut=0), Fault(method="GET", busy=True), Fault(method="GET", cut=900),
    ]  # fmt: skip
    heard: list[int] = []
    remote.fetch(progress=heard.append)
    assert remote.path.read_bytes() == remote.content
    assert sum(heard) == len(remote.content)


def test_a_store_that_goes_away_leaves_what_has_arrived_for_the_next_time(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranged, "ATTEMPTS", 2)
    came = 0

    def unplug(more: int) -> None:
        nonlocal came
        came += more
        if came > 5 * RANGE:
            remote.proxy.down()

    with pytest.raises(StoreUnavailable):
        remote.fetch(threads=1, progress=unplug)
    assert not remote.path.exists()
    remote.proxy.up()
    remote.proxy.seen.clear()
    heard: list[int] = []
    remote.fetch(progress=heard.append)
    assert remote.path.read_bytes() == remote.content
    assert heard[0] >= 5 * RANGE
    assert sum(heard) == len(remote.content)
    assert remote.proxy.count("GET") <= 6
    assert remote.left() == ["weights.bin"]


@pytest.mark.parametrize(("failpoint", "requests"), [("fetch.after_range:7", 4), ("fetch.before_publish", 0)])
def test_a_killed_fetch_goes_on_where_it_was(remote: Remote, tmp_path: Path, failpoint: str, requests: int) -> None:
    server = remote.server
    code = (
        f"import tests.catalog.objects.fetch_process as it; from voxledger.catalog.objects import part_file;"
        f"part_file.RANGE = {RANGE}; it.main()"
    )
    facts = (
        server.url, server.access_key, server.secret_key, tmp_path / "other", remote.bucket, KEY, remote.path,
        len(remote.content), remote.sha256,
    )  # fmt: skip
    killed = forking.run(["-c", code, *map(str, facts)], env={**os.environ, "VOXLEDGER_FAILPOINT": failpoint})
    assert killed.returncode == -9, killed.stderr
    assert not remote.path.exists()
    remote.fetch()
    assert remote.path.read_bytes() == remote.content
    assert remote.proxy.count("GET") <= requests
    assert remote.left() == ["weights.bin"]


def test_what_a_power_cut_left_behind_is_found_and_fetched_again(
    remote: Remote, caplog: pytest.LogCaptureFixture
) -> None:
    """The list says that ranges are there, which the disk never got; one line of it is torn."""
    part = remote.part
    part.open()
    for number in range(8):
        with part.writer(number) as file:
            file.write(remote.content[slice(*part.span(number))] if number != 3 else bytes(RANGE))
        part.arrived(number, zlib.crc32(remote.content[slice(*part.span(number))]))
    part.close()
    with (remote.folder / f"{part.path.name}.ranges").open("ab") as listed:
        listed.write(b"9 123")
    with caplog.at_level(logging.WARNING):
        remote.fetch()
    assert remote.path.read_bytes() == remote.content
    assert "196,608 to 262,143" in caplog.text
    assert KEY not in caplog.text
    assert remote.proxy.count("GET") == 4


def test_a_range_that_arrives_damaged_is_named_and_fetched_again(
    remote: Remote, caplog: pytest.LogCaptureFixture
) -> None:
    remote.proxy.faults.append(Fault(method="GET", flip=1000))
    with caplog.at_level(logging.WARNING):
        remote.fetch(threads=1)
    assert remote.path.read_bytes() == remote.content
    assert caplog.text.count("arrived damaged") == 1


@pytest.mark.every_server
def test_an_object_that_was_altered_in_the_store_never_appears(remote: Remote) -> None:
    remote.store.put(remote.bucket, KEY, bytes(len(remote.content)))
    with pytest.raises(StoreError, match="altered") as raised:
        remote.fetch()
    assert raised.value.code == "Damaged"
    assert remote.left() == []


@pytest.mark.every_server
def test_another_object_is_noticed_by_its_size(remote: Remote) -> None:
    remote.store.put(remote.bucket, KEY, remote.content + b"more")
    with pytest.raises(StoreError) as raised:
        remote.fetch()
    assert raised.value.code == "Changed"
    assert not remote.path.exists()


@pytest.mark.every_server
def test_what_is_not_there_is_said_at_once(remote: Remote) -> None:
    remote.store.delete(remote.bucket, KEY)
    with pytest.raises(StoreError) as raised:
        remote.fetch()
    assert raised.value.code == "NoSuchKey"
    assert not remote.path.exists()


def test_a_disk_without_room_is_said_before_the_first_byte(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranged.platform, "free_disk", lambda path: 1000)
    with pytest.raises(DiskFull, match=r"weights\.bin needs 0\.7 MB"):
        remote.fetch()
    assert remote.proxy.asked("GET") == 0


@pytest.mark.skipif(sys.platform == "win32", reason="limits of files are POSIX")
def test_a_disk_that_fills_up_keeps_what_has_arrived(remote: Remote) -> None:
    """A process may write files of 400 kB only: for it the disk is full there."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6 * RANGE, before[1]))
        with pytest.raises(OSError, match="File too large"):
            remote.fetch(threads=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, previous)
    assert not remote.path.exists()
    remote.fetch()
    assert remote.path.read_bytes() == remote.content


def test_many_who_want_the_same_at_once_fetch_it_once(remote: Remote) -> None:
    got: list[bytes] = []
    threads = [threading.Thread(target=lambda: got.append(remote.fetch().read_bytes())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [remote.content] * 6
    assert remote.proxy.count("GET") == 11
    assert remote.left() == ["weights.bin"]


def test_nobody_else_asks_before_the_first_answer_came(remote: Remote) -> None:
    first = threading.Event()
    remote.proxy.faults = [Fault(method="GET", hold=first)]
    fetching = threading.Thread(target=remote.fetch)
    fetching.start()
    wait_for(lambda: not remote.proxy.faults, "somebody asks")
    fetching.join(0.3)
    assert (remote.proxy.asked("GET"), fetching.is_alive()) == (1, True)
    first.set()
    fetching.join()
    assert remote.path.read_bytes() == remote.content


def test_an_older_file_in_its_place_is_replaced(remote: Remote) -> None:
    remote.path.write_bytes(b"older")
    remote.fetch()
    assert remote.path.read_bytes() == remote.content


def test_an_interrupt_ends_it_and_loses_nothing(remote: Remote) -> None:
    came = 0

    def interrupt(more: int) -> None:
        nonlocal came
        came += more
        if came > 4 * RANGE:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remote.fetch(threads=1, progress=interrupt)
    remote.fetch()
    assert remote.path.read_bytes() == remote.content


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_whatever_the_list_says_only_whole_ranges_are_believed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Any rubbish in the list, cut anywhere: what is taken from it is a range of this object."""
    folder = tmp_path_factory.mktemp("part")
    size = data.draw(st.integers(min_value=RANGE + 1, max_value=5 * RANGE))
    part = PartFile(folder / "x", size=size, sha256="ab" * 32)
    # Drawn before it is opened: drawing may end the example, and nobody would close it.
    noted = data.draw(st.dictionaries(st.integers(0, part.count - 1), st.integers(0, 2**32 - 1)))
    part.open()
    for number, crc in noted.items():
        part.arrived(number, crc)
    part.close()
    listed = folder / f"{part.path.name}.ranges"
    whole = listed.read_bytes()
    listed.write_bytes(whole[: data.draw(st.integers(0, len(whole)))] + data.draw(st.binary(max_size=20)))
    again = PartFile(folder / "x", size=size, sha256="ab" * 32)
    again.open()
    again.close()
    assert all(0 <= number < again.count for number in again.crcs)
    other = PartFile(folder / "x", size=size + 1, sha256="ab" * 32)
    other.open()
    other.close()
    assert other.crcs == {}
