"""The cache: local copies of clips in HOME/cache, kept within `cache.max_bytes`, and whole."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.cache_files import survey
from voxledger.catalog.cache_verifying import Differing, Verified, Verifier
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.eviction import Evictor, Trimmed
from voxledger.catalog.home import Home
from voxledger.catalog.progress import Counting, Heard, unheard
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import Cache as CacheSettings

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.objects import Store

__all__ = ["Cache", "Differing", "Size", "Trimmed", "Verified", "size_on_record"]

FILE_NAME = "cache.json"
LOW = 0.9
"""A run by itself makes room down to this share of the limit, so that the next one is not due at once."""
_PERSISTENCE = 50
"""Walking through the cache takes at most one in so many seconds."""
_RECOUNT = 3600.0
"""Seconds after which the size is counted again: others may have put files there, or taken some away."""
_LEAST = 1.0
_log = logging.getLogger(__name__)


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How large the cache is: counted at `counted` (s since the epoch), in `took` seconds, and added to since.

    The last run left `short` bytes more than it should: `kept` are copies that could not go, by reason, `trouble` is why
    it ended early.
    """

    bytes: int
    files: int
    counted: float
    took: float
    short: int = 0
    kept: dict[str, int] = {}
    trouble: str | None = None


class Cache:
    """Counts, trims and verifies. Safe from many threads and processes: one of them trims at a time."""

    def __init__(self, home: Home, settings: CacheSettings, recorder: Recorder, keeper: Keeper, store: Store) -> None:
        self._home = home
        self._settings = settings
        self._recorder = recorder
        self._keeper = keeper
        self._store = store
        self._changed = threading.Lock()
        self._grown = 0
        self._touched = False
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._stopped = threading.Event()

    def count(self) -> Size:
        """Count what is there now, looking at every file."""
        started = time.monotonic()
        found = survey(self._home.cache, time.time(), window=1)
        size = Size(bytes=found.bytes, files=found.files, counted=time.time(), took=time.monotonic() - started)
        with self._locked():
            before = size_on_record(self._home)
            if before is not None:
                size = msgspec.structs.replace(size, short=before.short, kept=before.kept, trouble=before.trouble)
            self._write(size)
        return size

    def trim(
        self,
        *,
        to: int | None = None,
        dry: bool = False,
        wait: bool = True,
        progress: Counting = lambda freed, total: None,  # noqa: ARG005
    ) -> Trimmed | None:
        """Make room down to `to` bytes, by default the limit; None when another process does it and `wait` is off.

        Copies go in the order of their last use. One stays when its clip is not known to be stored, when the store does not
        confirm this moment that it has the same bytes, when its upload is open, when it was used within `cache.keep`, and while any
        process has it open. `dry` only counts. `progress` hears the bytes of each copy that went, and of all so far.

        Raises CatalogBusy when another process keeps the log, JournalError, OSError.
        """
        target = self._settings.max_bytes if to is None else to
        with platform.locked(self._home.path / ".cache.trim.lock", blocking=wait) as held:
            if not held:
                return None
            started = time.monotonic()
            done = Evictor(
                self._home, self._recorder, self._keeper, self._store, keep=self._settings.keep, now=time.time(),
                stopped=self._stopped.is_set, progress=progress, dry=dry,
            ).run(target)  # fmt: skip
            if not dry:
                took = time.monotonic() - started
                with self._locked():
                    self._write(
                        Size(
                            bytes=done.left, files=done.files, counted=time.time(), took=took, kept=done.kept,
                            trouble=done.trouble, short=max(0, done.left - target),
                        )
                    )  # fmt: skip
            return done

    def verify(
        self,
        *,
        heard: Heard = unheard,
        told: Callable[[Differing], None] = lambda found: None,  # noqa: ARG005
    ) -> Verified:
        """Hold every copy against the SHA-256 on record; the files are read whole, which nobody does who only uses them.

        A copy that differs is moved into a folder `cache.damaged-TIME` of HOME when the store, read whole too, has the right bytes: then
        the next use fetches it again. Else it stays where it is. `heard` hears, from any thread, of bytes read, `told` at once
        of each copy that differs.

        Raises CatalogBusy when another process keeps the log, JournalError, OSError.
        """
        return Verifier(self._home, self._recorder, self._keeper, self._store, heard=heard, told=told).run()

    def check(self, *, force: bool = False) -> Trimmed | None:
        """Trim if the cache is over its limit, as far as is known; count first where that is long ago. For whoever serves.

        A cache that could not be made small enough a moment ago is left alone for a while, unless `force`.
        """
        limit = self._settings.max_bytes
        if not limit:
            return None
        size = self._sized()
        if size.bytes <= limit or (self._is_early(size) and not force):
            return None
        done = self.trim(to=int(limit * LOW), wait=False)
        if done is not None and done.clips:
            _log.info("%d local copies made room, %d bytes", done.clips, done.bytes)
        return done

    def grown(self, size: int) -> None:
        """So many bytes came into the cache, or are stored now: look soon, in the background. Takes microseconds."""
        if not self._settings.max_bytes or self._stopped.is_set():
            return
        with self._changed:
            self._grown += size
            self._touched = True
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._look, name="voxledger-cache", daemon=True)
                self._thread.start()

    def close(self, *, wait: float) -> None:
        """Look a last time at what came in, and end; a run that goes on is broken off after `wait` seconds. Idempotent."""
        if not self._touched:
            return
        deadline = time.monotonic() + wait
        self._closing.set()
        with self._changed:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._look, name="voxledger-cache", daemon=True)
                self._thread.start()
            thread = self._thread
        thread.join(max(0.0, deadline - time.monotonic()))
        self._stopped.set()
        thread.join(_LEAST)
        self._touched = False

    def _look(self) -> None:
        try:
            while True:
                last = self._closing.is_set()
                self.check(force=last)
                if last:
                    return
                self._closing.wait(_LEAST)
                with self._changed:
                    if not self._grown and not self._closing.is_set():
                        self._thread = None
                        return
        except (VoxledgerError, OSError) as error:
            # What is broken off at the end goes on with the next process.
            level = logging.DEBUG if self._stopped.is_set() else logging.WARNING
            _log.log(level, "the local cache could not be trimmed: %s", error)

    def _sized(self) -> Size:
        """The size on record with what this process has added, or counted anew."""
        with self._changed:
            more, self._grown = self._grown, 0
        with self._locked():
            size = size_on_record(self._home)
            if size is not None:
                size = msgspec.structs.replace(size, bytes=size.bytes + more)
                self._write(size)
        age = float("inf") if size is None else time.time() - size.counted
        return self.count() if size is None or age > _RECOUNT or age < -_RECOUNT else size

    def _is_early(self, size: Size) -> bool:
        """A cache that cannot be trimmed, because nothing is stored, is not walked through all the time."""
        return size.short > 0 and time.time() - size.counted < max(30.0, size.took * _PERSISTENCE)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with platform.locked(self._home.path / ".cache.lock"):
            yield

    def _write(self, size: Size) -> None:
        part = self._home.path / f".{FILE_NAME}.part"
        part.write_bytes(msgspec.json.encode(size))
        part.replace(_path(self._home))


def size_on_record(home: Home) -> Size | None:
    """How large the cache was when it was last looked at, with what came in since; None when nobody has looked yet."""
    try:
        return msgspec.json.decode(_path(home).read_bytes(), type=Size)
    except (OSError, msgspec.MsgspecError):
        return None


def _path(home: Home) -> Path:
    return home.path / FILE_NAME
