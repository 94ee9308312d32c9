"""Ranged reading: a large object arrives in ranges, over several connections, and goes on where it was interrupted."""

from __future__ import annotations

import errno
import hashlib
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from voxledger.catalog import platform
from voxledger.catalog.errors import DiskFull, StoreError
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.hashing import sha256_of
from voxledger.catalog.objects import client as seam
from voxledger.catalog.objects.lines import LOOK, Lines
from voxledger.catalog.objects.part_file import PartFile
from voxledger.catalog.objects.range_reader import RangeReader, Stopped, Taken, Unranged

if TYPE_CHECKING:
    from voxledger.catalog.objects.store import Store

Arrived: TypeAlias = Callable[[int], None]
"""Hears from any thread by how many bytes there are more now; less than 0 when some must be fetched again."""
THREADS = 8
ATTEMPTS = 6
"""Requests in a row that bring nothing, until a fetch is given up; together they wait about 4 s."""
_LONGEST_PAUSE = 2.0
_FLUSHED = 16
"""Ranges that arrive before they are brought onto the disk, 128 MB."""
_FAREWELL = 5.0
"""Seconds that the end of a fetch waits for its threads; one that hangs in a dead connection ends by itself."""


def fetch_object(
    store: Store,
    bucket: str,
    key: str,
    path: Path,
    *,
    bytes: int,  # what ObjectInfo and Clip call it
    sha256: str,
    threads: int = THREADS,
    progress: Arrived | None = None,
    called: str = "",
    lines: Lines | None = None,
) -> Path:
    """Write an object into `path`, which appears whole and checked (`bytes`, `sha256` in hex) or not at all.

    `path` is replaced when it is there; its folder must be there. Objects of more than 8 MB come in ranges over as many
    as `threads` connections, with less than 1 MB of memory each. What has arrived lies in a file beside `path` and stays
    there when this ends early, by an error, Ctrl-C or SIGKILL: the next call for the same content fetches the rest only.
    A damaged range is fetched again, and named in the log. Processes and threads that want the same content in the same place wait
    for one another, and fetch it once. With `lines` it shares connections with other fetches, and raises Stopped when they end.

    Raises StoreError with the code `NoSuchKey` where nothing lies, `Changed` where another object lies, `Damaged` where the
    bytes in the store are not those of `sha256`; StoreUnavailable when the store falls silent for longer than a few
    attempts; DiskFull, also before the first byte, in which `called` stands for the file's own name; OSError when the disk
    fails.
    """
    part = PartFile(path, size=bytes, sha256=sha256)
    lines = lines or Lines(max(1, threads))
    heard = progress or _unheard
    try:
        before = _identity(path)
        with part.held():
            if lines.ended:
                raise Stopped
            if _identity(path) != before and _holds(path, bytes, sha256):  # somebody else fetched it meanwhile
                heard(bytes)
                return path
            _require_room(part)
            try:
                part.open()
                _fetch(part, RangeReader(store, bucket, key, size=bytes), threads, heard, lines)
            except StoreError as error:
                if error.code in seam.MISSING | {"Changed"}:
                    part.crcs.clear()  # nobody will ever ask for the rest
                raise
            finally:
                part.end()
    except OSError as error:
        if not platform.lacks_room(error, path.parent):
            raise
        raise _full(path, bytes, called or path.name) from error
    return path


def _fetch(part: PartFile, reader: RangeReader, threads: int, heard: Arrived, lines: Lines) -> None:
    try:
        _Fetch(part, reader, threads, heard, lines).run()
    except Unranged:
        part.in_one_piece()
        _Fetch(part, reader, 1, heard, lines).run()


class _Fetch:
    """One run over the ranges that are missing: threads fetch them, and the caller's own hashes what is there in order."""

    def __init__(self, part: PartFile, reader: RangeReader, threads: int, heard: Arrived, lines: Lines) -> None:
        self._part = part
        self._reader = reader
        self._heard = heard
        self._lines = lines
        self._changed = threading.Condition()
        self._todo = deque(number for number in range(part.count) if number not in part.crcs)
        self._error: BaseException | None = None
        self._stopped = False
        self._threads = min(threads, len(self._todo)) if part.count > 1 else 0

    def run(self) -> None:
        """Fetch, check, publish."""
        self._heard(sum(self._length(number) for number in self._part.crcs))
        steps = [self._work] * self._threads + [self._flush] * (len(self._todo) > _FLUSHED)
        crew = [
            threading.Thread(target=self._guarded, args=(step,), name=f"voxledger-fetch-{number}", daemon=True)
            for number, step in enumerate(steps)
        ]
        try:
            for thread in crew:
                thread.start()
            if self._digest() != self._part.sha256:
                self._mend()
            failpoint("fetch.before_publish")
            self._part.publish()
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
            deadline = time.monotonic() + _FAREWELL
            for thread in crew:
                if thread.ident is not None:  # an interrupt may come between making and starting them
                    thread.join(max(0.0, deadline - time.monotonic()))

    def _digest(self) -> str:
        """The SHA-256 of everything, as the disk gives it back: hashed in order, while the rest still arrives."""
        hashed = hashlib.sha256()
        for number in range(self._part.count):
            self._wait_for(number)
            for piece in self._part.read(number):
                hashed.update(piece)
        return hashed.hexdigest()

    def _mend(self) -> None:
        """What is on the disk is not what was recorded: find the ranges to blame, on the disk or on the way here."""
        worn = [number for number in range(self._part.count) if not self._part.is_intact(number)]
        for number in worn:
            self._refetch(number, "are not on the disk as they arrived")
        if worn and self._digest() == self._part.sha256:
            return
        for number in range(self._part.count):
            self._refetch(number, "arrived damaged")
        if self._digest() != self._part.sha256:
            self._part.discard()
            raise self._reader.altered(self._part.sha256)

    def _refetch(self, number: int, how: str) -> None:
        """Fetch a range again, and name it if it differs now."""
        before = self._part.checksum(number)
        self._heard(-self._length(number))
        self._fetch_range(number)
        if self._part.crcs[number] != before:
            self._reader.damaged(self._part.span(number), how)

    def _length(self, number: int) -> int:
        start, end = self._part.span(number)
        return end - start

    def _wait_for(self, number: int) -> None:
        """Until a range is there; without threads it is fetched here."""
        while number not in self._part.crcs:
            if not self._threads:
                self._fetch_range(number)
                continue
            with self._changed:
                if self._error is not None:
                    raise self._error
                if self._halted():
                    raise Stopped
                if number not in self._part.crcs:
                    self._changed.wait(LOOK)

    def _halted(self) -> bool:
        return self._stopped or self._lines.ended

    def _work(self) -> None:
        while True:
            with self._changed:
                if self._halted() or not self._todo:
                    return
                number = self._todo.popleft()
            self._fetch_range(number)
            with self._changed:
                self._changed.notify_all()

    def _flush(self) -> None:
        """Let the disk be at work while the rest still arrives."""
        flushed = len(self._part.crcs)
        while True:
            with self._changed:
                while not self._halted() and len(self._part.crcs) < flushed + _FLUSHED:
                    self._changed.wait(LOOK)
                if self._halted():
                    return
                flushed = len(self._part.crcs)
            self._part.flush()

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  # it is raised where the fetch was asked for
            with self._changed:
                self._error = self._error or error
                self._stopped = True
                self._changed.notify_all()

    def _fetch_range(self, number: int) -> None:
        """Fetch one range, however often the connection breaks, unless that happens many times in a row for nothing."""
        taken, vain = Taken(*self._part.span(number)), 0
        with self._part.writer(number) as file:
            while not taken.complete:
                had = taken.got
                try:
                    with self._reader.turn(self._halted), self._lines.one(self._halted):
                        self._reader.read(taken, file, self._heard, self._halted)
                except StoreError as error:
                    vain = 0 if taken.got > had else vain + 1
                    if not seam.is_transient(error) or vain >= ATTEMPTS:
                        raise
                    self._pause(vain)
        self._part.arrived(number, taken.crc)
        failpoint("fetch.after_range")

    def _pause(self, vain: int) -> None:
        """Longer after each attempt that brought nothing, and not as long as the other threads do."""
        seconds = min(_LONGEST_PAUSE, 0.1 * 2.0**vain) * random.uniform(0.5, 1.0)  # noqa: S311  # jitter, not a secret
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._halted() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(min(left, LOOK))
        if self._halted():
            raise Stopped


def _unheard(more: int) -> None:
    """Nobody watches."""


def _require_room(part: PartFile) -> None:
    """Before the first byte, and without touching what has arrived."""
    missing = part.size - part.on_disk()
    if missing > 0 and platform.free_disk(part.target.parent) < missing:
        raise OSError(errno.ENOSPC, "no room")


def _full(path: Path, size: int, name: str) -> DiskFull:
    free = platform.free_disk(path.parent)
    return DiskFull(
        f"{name} needs {size / 1e6:,.1f} MB and {free / 1e6:,.1f} MB are free in {path.parent}; make room and try"
        " again: what has arrived of it is kept"
    )


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _holds(path: Path, size: int, sha256: str) -> bool:
    try:
        return path.stat().st_size == size and sha256_of(path) == sha256
    except FileNotFoundError:
        return False
