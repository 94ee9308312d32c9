"""A spool: bytes on their way from the thread that makes them to a client that may be slow, or gone.

Whoever writes never waits. What the client has not taken lies in memory, then in a file without a name; beyond that the client
is cut off, for there is room for others, too.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from voxledger.dashboards.faults import Refused

IN_MEMORY = 1 << 18
"""Bytes of one spool that are held in memory."""
MOST = 256 << 20
"""Bytes of one spool that may lie ahead of its client."""
MOST_IN_ALL = 2 << 30
"""The same of all spools together."""
_BLOCK = 1 << 16


class Room:
    """What all spools of a node may hold on the disk together."""

    def __init__(self, folder: Path, *, most: int = MOST_IN_ALL, has_room: Callable[[], bool] = lambda: True) -> None:
        """`folder`: where files are; `has_room` says whether its disk can take more."""
        self.folder = folder
        self._most = most
        self._has_room = has_room
        self._held = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Whether so many bytes more may be written."""
        with self._lock:
            if self._held + size > self._most or not self._has_room():
                return False
            self._held += size
            return True

    def give(self, size: int) -> None:
        """So many bytes are gone again."""
        with self._lock:
            self._held -= size


class Spool:
    """Written by one thread, read by the event loop. Close it when either has gone away for good."""

    def __init__(self, room: Room, loop: asyncio.AbstractEventLoop, *, most: int = MOST) -> None:
        self._room = room
        self._loop = loop
        self._most = most
        self._lock = threading.Lock()
        self._ahead: deque[bytes] = deque()
        self._ahead_bytes = 0
        self._file: BinaryIO | None = None
        self._written = self._read = 0
        """Places in the file."""
        self._taken = 0
        """Bytes of the common room."""
        self._ended = False
        self._reader: asyncio.Future[None] | None = None
        self.cut = False
        """Whether the client was too far behind, so that the rest is lost."""

    def write(self, data: bytes) -> None:
        """Add what comes next. Never waits, never raises."""
        with self._lock:
            if self._ended or not data:
                return
            if self._written == self._read and self._ahead_bytes + len(data) <= IN_MEMORY:
                self._ahead.append(data)
                self._ahead_bytes += len(data)
            elif not self._put_away(data):
                self.cut = self._ended = True
            self._wake()

    def end(self) -> None:
        """Nothing comes any more."""
        with self._lock:
            self._ended = True
            self._wake()

    async def read(self) -> bytes:
        """What comes next; b"" at the end."""
        while True:
            with self._lock:
                data = self._next()
                if data or self._ended:
                    return data
                waiting = self._reader = self._loop.create_future()
            await waiting  # its own name: whoever writes may take the other away at once

    def close(self) -> None:
        """Forget what is in it. Idempotent."""
        with self._lock:
            self._ended = True
            self._ahead.clear()
            self._drop()
            self._wake()

    def _next(self) -> bytes:
        if self._ahead:
            data = b"".join(self._ahead)
            self._ahead.clear()
            self._ahead_bytes = 0
            return data
        if self._file is None or self._read == self._written:
            return b""
        data = os.pread(self._file.fileno(), min(_BLOCK, self._written - self._read), self._read)
        self._read += len(data)
        if self._read == self._written:
            self._drop()
        return data

    def _put_away(self, data: bytes) -> bool:
        if self._written - self._read + len(data) > self._most or not self._room.take(len(data)):
            return False
        self._taken += len(data)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._room.folder, prefix=".spool-")  # noqa: SIM115  # closed by `_drop`
            rest = memoryview(data)
            while rest:
                count = os.pwrite(self._file.fileno(), rest, self._written)
                rest, self._written = rest[count:], self._written + count
        except OSError:
            return False
        return True

    def _drop(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        self._written = self._read = 0
        self._room.give(self._taken)
        self._taken = 0

    def _wake(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            with suppress(RuntimeError):  # the loop is closed: the node has ended, and nobody reads any more
                self._loop.call_soon_threadsafe(_done, reader)


def too_far_behind() -> Refused:
    """Why the answer of a spool that was cut does not end as it should."""
    return Refused(
        "the client was so far behind that the rest could not be kept for it",
        status=503,
        code="too_slow",
        remedy="Fetch the clip from the catalog: it is made all the same.",
    )


def _done(reader: asyncio.Future[None]) -> None:
    if not reader.done():
        reader.set_result(None)
