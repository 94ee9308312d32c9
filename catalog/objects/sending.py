"""Sending: what a file goes through on its way into the store; what hears of it, ends it and remembers it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Protocol

from voxledger.catalog.errors import StoreError
from voxledger.catalog.objects.pace import Pace


class LocalFileError(StoreError):
    """The local file is gone, or is not what was recorded: no store can help."""


class Stopped(Exception):
    """The sending was given up because it was asked to end."""


class Begun(NamedTuple):
    """A multipart upload that was begun: its id in the store, and the bytes of each part but the last."""

    upload: str
    part_bytes: int


class Memory(Protocol):
    """Remembers a multipart upload, so that another process can go on with it. It belongs to one content and one key."""

    def recall(self) -> Begun | None:
        """What was begun and not finished, by whomever."""

    def remember(self, begun: Begun) -> None:
        """It is begun. On disk when this returns."""

    def forget(self) -> None:
        """It is finished or given up. Idempotent."""


def _unheard(more: int) -> None:
    """Nobody watches."""


class Sending:
    """How one file is sent. Without arguments: unheard, to the end, and begun anew each time.

    `sent` hears from any thread how many bytes more have gone out, less than 0 when some must go again. Once `closing`,
    no further part begins; once `stopped`, what is going out ends at once; either raises Stopped. `slots` bound the
    parts that are under way together with others. `sha256` (hex) is what the file must be.
    """

    def __init__(
        self,
        *,
        sent: Callable[[int], None] = _unheard,
        closing: Callable[[], bool] = lambda: False,
        stopped: Callable[[], bool] = lambda: False,
        slots: threading.Semaphore | None = None,
        memory: Memory | None = None,
        sha256: str | None = None,
    ) -> None:
        self.sent = sent
        self.closing = closing
        self._asked_to_stop = stopped
        self._broken_off = False
        self.slots = slots
        self.memory = memory
        self.sha256 = sha256
        self.parts_etag: str | None = None
        """After a multipart upload: the ETag that its parts make, where the store computes ETags as S3 documents it."""

    def stopped(self) -> bool:
        """Whether what is going out is to end at once."""
        return self._broken_off or self._asked_to_stop()

    def break_off(self) -> None:
        """Whoever waited for it was interrupted."""
        self._broken_off = True


class Body:
    """A stretch of a file, as boto3 reads it: first to sign it, then to send it, which is what counts and takes time.

    Use it in a `with` block, which takes back what was counted if it ends by an error. Raises Stopped out of `read`,
    LocalFileError when the file has become too short; boto3 wraps both, and `sent_by` unwraps them.
    """

    def __init__(self, path: Path, start: int, length: int, *, pace: Pace | None, sending: Sending) -> None:
        self._file = path.open("rb")
        self._start = start
        self._length = length
        self._pace = pace
        self._sending = sending
        self._place = 0
        self._counted: int | None = None
        self.trouble: Exception | None = None
        self._file.seek(start)

    def __enter__(self) -> Body:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if error is not None and self._counted:
            self._sending.sent(-self._counted)

    def __len__(self) -> int:
        return self._length

    def sent_by(self, send: Callable[[], str]) -> str:
        """The ETag that `send` gives, bare; raises what went wrong while it read, rather than what boto3 makes of it."""
        try:
            return send().strip('"')
        except Exception:
            if self.trouble is not None:
                raise self.trouble from None
            raise

    def begin(self) -> None:
        """From now on, what is read is sent."""
        self._counted = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes, at most `size` of them."""
        left = self._length - self._place
        wanted = left if size is None or size < 0 else min(size, left)
        if self._counted is not None and self._pace is not None:
            wanted = min(wanted, self._pace.piece)
            if not self._sending.stopped():
                self._pace.take(wanted, self._sending.stopped)
        if self._sending.stopped():
            self.trouble = Stopped()
            raise self.trouble
        found = self._file.read(wanted)
        if len(found) < wanted:
            self.trouble = LocalFileError("the file became shorter while it was sent", code="LocalFileChanged")
            raise self.trouble
        self._place += len(found)
        if self._counted is not None:
            self._counted += len(found)
            self._sending.sent(len(found))
        return found

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of a file."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._length}[whence]
        self._place = max(0, min(self._length, base + offset))
        self._file.seek(self._start + self._place)
        return self._place

    def tell(self) -> int:
        """As of a file."""
        return self._place
