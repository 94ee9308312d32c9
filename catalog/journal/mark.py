"""The mark: a tiny file beside the journal that remembers how far the journal had come.

It is written after each commit and not forced to the disk, so it survives any end of the process, and after a power cut
it may lag but never leads: a lower bound that a torn or replaced journal can be held against. The layout is fixed:
magic, node, epoch, the epoch's first position, the newest acknowledged position and its time, what the log has taken
over and the digest there, CRC-32.
"""

from __future__ import annotations

import logging
import os
import struct
import sys
import zlib
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from voxledger.catalog.errors import JournalError

_MAGIC = b"VOXMARK1"
_LAYOUT = struct.Struct("<8s40s16sQQQQ32s")
_CHECK = struct.Struct("<I")
_SIZE = _LAYOUT.size + _CHECK.size

_log = logging.getLogger(__name__)


class _Fields(NamedTuple):
    """The file as it is unpacked; names are padded with NUL."""

    magic: bytes
    node: bytes
    epoch: bytes
    first: int
    position: int
    recorded: int
    drained: int
    digest: bytes


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """How far a journal had come at least: `position` was acknowledged, recorded at `recorded` (µs since 1970), in an
    epoch that began at `first`; the log held everything up to `drained`, whose event has that `digest`.
    """

    node: str
    epoch: str
    first: int
    position: int
    recorded: int
    drained: int = 0
    digest: bytes = bytes(32)


class MarkFile:
    """`journal.mark`. It only ever goes forwards, and trouble with it never disturbs what the journal does.

    Whoever writes holds the turn (see `turn`), so that no process puts an older mark over a newer one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        except OSError as error:
            raise JournalError(
                f"{path} cannot be used: {error.strerror}; make it a file that this user may write, or delete it"
            ) from error
        self._complained = False
        self._last: tuple[bytes, _Fields | None] = (b"", None)

    def close(self) -> None:
        """Let the file go. Idempotent."""
        if self._handle >= 0:
            os.close(self._handle)
        self._handle = -1

    def read(self) -> Mark | None:
        """What the mark says; None when there is none that can be read."""
        if self._handle < 0:
            raise JournalError("this ledger is closed; open it again with voxledger.open()")
        found = self._fields()
        if found is None:
            return None
        return Mark(
            node=found.node.rstrip(b"\0").decode(),
            epoch=found.epoch.rstrip(b"\0").decode(),
            first=found.first,
            position=found.position,
            recorded=found.recorded,
            drained=found.drained,
            digest=found.digest,
        )

    def advance(self, *, node: str, epoch: str, first: int, position: int, recorded: int) -> None:
        """Everything up to a position is acknowledged, or an epoch has begun after it."""
        held = self._fields()
        drained, digest = 0, bytes(32)
        names = _padded(node, epoch)
        if held is not None:
            # A journal that finds another node's mark refuses to open: that finding must stay.
            newer = position > held.position
            begins = position == held.position and first > position and names[1] != held.epoch
            if held.node != names[0] or not (newer or begins):
                return
            drained, digest = held.drained, held.digest
        self._put(_Fields(_MAGIC, *names, first, position, recorded, drained, digest))

    def drained(self, position: int, digest: bytes) -> None:
        """The log holds everything up to a position, and its event there has this digest."""

        held = self._fields()
        if held is not None and position > held.drained:
            self._put(held._replace(drained=position, digest=digest))

    def _put(self, fields: _Fields) -> None:
        body = _LAYOUT.pack(*fields)
        content = body + _CHECK.pack(zlib.crc32(body))
        try:
            _write(self._handle, content)
        except OSError as error:
            if not self._complained:
                _log.warning("%s cannot be written (%s); events are recorded all the same", self.path, error)
            self._complained = True
        else:
            self._last = content, fields

    def _fields(self) -> _Fields | None:
        if self._handle < 0:
            return None
        try:
            content = _read(self._handle)
        except OSError:
            return None
        if content == self._last[0]:
            return self._last[1]
        if len(content) != _SIZE or not content.startswith(_MAGIC):
            return None
        body = content[: _LAYOUT.size]
        if _CHECK.pack(zlib.crc32(body)) != content[_LAYOUT.size :]:
            return None
        return _Fields._make(_LAYOUT.unpack(body))


@lru_cache(maxsize=16)
def _padded(node: str, epoch: str) -> tuple[bytes, bytes]:
    return node.encode().ljust(40, b"\0"), epoch.encode().ljust(16, b"\0")


if sys.platform == "win32":

    def _read(handle: int) -> bytes:
        os.lseek(handle, 0, os.SEEK_SET)
        return os.read(handle, _SIZE + 1)

    def _write(handle: int, content: bytes) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, content)
else:

    def _read(handle: int) -> bytes:
        return os.pread(handle, _SIZE + 1, 0)

    def _write(handle: int, content: bytes) -> None:
        os.pwrite(handle, content, 0)
