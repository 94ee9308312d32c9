"""Accesses: who used which clip, gathered in memory and recorded together, so that playing a clip costs nothing."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence

from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.events import Draft
from voxledger.catalog.journal import Journal

LONGEST = 1.0
"""Seconds that an access waits to be recorded, so many may be lost when the process is killed."""
MOST = 1000
"""Accesses that are recorded together; more than these do not wait."""
_KEPT = 100_000
"""Accesses that are kept while the journal takes none (a full disk); of more than these the oldest are lost."""
_IDLE = 10.0
_log = logging.getLogger(__name__)


class Accesses:
    """Events that may wait a moment. A thread records them, which ends when there is nothing to do; so does `flush`.

    Whoever drains or decides flushes first, so within a process nobody ever misses one. Safe from many threads.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._waiting: list[Draft] = []
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._closed = False
        self._failing = False

    def note(self, *drafts: Draft) -> None:
        """Record them soon. Takes microseconds."""
        with self._changed:
            self._waiting += drafts
            if self._closed or self._pid != os.getpid():
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="voxledger-accesses", daemon=True)
                self._thread.start()
                self._changed.notify_all()
            elif len(self._waiting) == len(drafts) or len(self._waiting) >= MOST:
                self._changed.notify_all()

    def flush(self) -> None:
        """Record what waits; on disk when this returns. Raises JournalError or DiskFull, and then everything still waits."""
        if not self._waiting:
            return
        with self._writing:  # whoever comes second must find the events of the first one on the disk
            while drafts := self._take():
                try:
                    self._journal.emit(*drafts)
                except VoxledgerError:
                    self._put_back(drafts)
                    raise

    def try_flush(self) -> None:
        """`flush`, for whoever has something better to do than to fail: what cannot be recorded now waits."""
        try:
            self.flush()
        except VoxledgerError as error:
            if not self._failing:
                _log.warning("uses of clips are not recorded yet: %s", error)
            self._failing = True
        else:
            self._failing = False

    def close(self) -> None:
        """Record what waits, and take no more. Idempotent."""
        self.try_flush()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self) -> Sequence[Draft]:
        with self._changed:
            taken, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            return taken

    def _put_back(self, drafts: Sequence[Draft]) -> None:
        with self._changed:
            self._waiting = [*drafts, *self._waiting]
            lost = len(self._waiting) - _KEPT
            if lost > 0:
                del self._waiting[:lost]
                _log.warning("%d uses of clips are lost: the journal has not taken any for long", lost)

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._waiting and not self._closed:
                    self._changed.wait(_IDLE)
                if self._closed or not self._waiting:
                    self._thread = None
                    return
                # The first one waits for company. Closing flushes too, and twice does no harm.
                self._changed.wait_for(lambda: self._closed or len(self._waiting) >= MOST, LONGEST)
            self.try_flush()
