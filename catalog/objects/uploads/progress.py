"""Progress: what an uploader has done and is doing, counted here, and told to other processes by a file in HOME/uploads."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from pathlib import Path

import msgspec

from voxledger.catalog.journal.owners import owner_gone

_WINDOW = 5.0
"""Seconds over which the rate is taken."""
_SUFFIX = ".sending"
_EVERY = 1.0
"""Seconds between two notes for others."""
_STALE = 60.0
"""A note that is older is not believed, even when its process runs."""
_log = logging.getLogger(__name__)


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What an uploader has done since it was made; `trouble` says why it waits for the endpoint, if it does.

    `bytes` are those of finished uploads; `sent` have gone out, those of unfinished ones too, and `rate` of them a second
    just now, of `limit` that this process may send; 0 = without a limit.
    """

    done: int = 0
    bytes: int = 0
    retried: int = 0
    parked: int = 0
    running: int = 0
    sent: int = 0
    rate: float = 0.0
    limit: int = 0
    trouble: str | None = None


class Working(msgspec.Struct, frozen=True, kw_only=True):
    """An uploader of some process, as it told a moment ago: at `time`, in s since the epoch."""

    pid: int
    time: float
    progress: Progress


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a file."""

    owner: str
    working: Working


class Meter:
    """Counts. Safe from many threads."""

    def __init__(self, *, limit: int = 0) -> None:
        self._lock = threading.Lock()
        self._progress = Progress(limit=limit)
        self._sent = 0
        self._lately: deque[tuple[float, int]] = deque()
        self._began = 0.0
        """When the first bytes went out after a window in which none did."""

    def sent(self, more: int) -> None:
        """So many bytes more have gone out; less than 0 when some must go again."""
        present = time.monotonic()
        with self._lock:
            self._sent += more
            self._forget(present)
            if not self._lately:
                self._began = present
            if self._lately and present - self._lately[-1][0] < _WINDOW / 20:
                before, amount = self._lately.pop()
                self._lately.append((before, amount + more))
            else:
                self._lately.append((present, more))

    def count(self, **more: int) -> None:
        """Add to the counters of these names."""
        with self._lock:
            counted = {name: getattr(self._progress, name) + amount for name, amount in more.items()}
            self._progress = msgspec.structs.replace(self._progress, **counted)

    def read(self, *, running: int, trouble: str | None) -> Progress:
        """The counters at this moment."""
        with self._lock:
            present = time.monotonic()
            self._forget(present)
            span = min(_WINDOW, max(_EVERY, present - self._began))
            rate = max(0, sum(amount for _, amount in self._lately)) / span
            return msgspec.structs.replace(self._progress, running=running, trouble=trouble, sent=self._sent, rate=rate)

    def _forget(self, present: float) -> None:
        while self._lately and present - self._lately[0][0] > _WINDOW:
            self._lately.popleft()


class Notice:
    """The note by which other processes learn what an uploader does. It costs a small file a second, and no fsync."""

    def __init__(self, folder: Path, owner: str) -> None:
        self._path = folder / f"{os.getpid()}-{owner.split(':')[2]}{_SUFFIX}"
        self._owner = owner
        self._told: Progress | None = None
        self._tell_at = 0.0

    def is_due(self, *, busy: bool) -> bool:
        """Whether others should be told: something goes on and the last note is a second old, or it has just ended."""
        return time.monotonic() >= self._tell_at if busy else self._told is not None

    def tell(self, progress: Progress) -> None:
        """Tell others what is going on, if anything is."""
        if not progress.running and progress.trouble is None:
            self.end()
            return
        self._tell_at = time.monotonic() + _EVERY
        self._told = progress
        note = _Note(owner=self._owner, working=Working(pid=os.getpid(), time=time.time(), progress=progress))
        part = self._path.with_suffix(".part")
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            part.write_bytes(msgspec.json.encode(note))
            part.replace(self._path)
        except OSError as error:
            _log.debug("what is being uploaded is not told to others: %s", error)

    def end(self) -> None:
        """There is nothing to tell any more. Idempotent."""
        if self._told is not None:
            self._told = None
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)


def working(folder: Path) -> list[Working]:
    """The uploaders that are at work in any process of this HOME, or in trouble. Removes what dead ones left."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for path in sorted(folder.iterdir()):
            if path.suffix != _SUFFIX:
                continue
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                note = msgspec.json.decode(path.read_bytes(), type=_Note)
                if owner_gone(note.owner):
                    path.unlink(missing_ok=True)
                elif time.time() - note.working.time < _STALE:
                    found.append(note.working)
    return found
