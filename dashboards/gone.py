"""Gone: a number that changes when the catalog shows that something was erased or purged."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import duckdb

from voxledger.catalog.errors import VoxledgerError

if TYPE_CHECKING:
    from voxledger.dashboards.door import Door

_FRESH = 1.0
"""Seconds between two looks."""
_PATIENCE = 0.5
_LOOK = """
    SELECT (SELECT position FROM projections WHERE name = 'catalog'),
        (SELECT max(position) FROM events WHERE position > $seen AND type IN ('SubjectErased', 'ClipPurged'))
"""
_REACHED = "SELECT position FROM projections WHERE name = 'catalog'"


class Gone:
    """Looks at what the log says since the last look, when somebody asks. Safe from many threads.

    It says what the tables show, not what was recorded: an answer that was asked for after the number changed is read from tables
    in which nothing of it is left.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._lock = threading.Lock()
        self._seen: int | None = None
        self._due = 0.0
        self._place = 0

    def place(self) -> int:
        """The place of the last event that something went with, or of the first look; a second old at most."""
        # Whoever asks while another looks is told what was known before.
        if time.monotonic() >= self._due and self._lock.acquire(blocking=False):
            try:
                # What cannot be looked at now is looked at by the next to ask; answers do not grow old meanwhile.
                with suppress(VoxledgerError, duckdb.Error):
                    self._look()
                self._due = time.monotonic() + _FRESH
            finally:
                self._lock.release()
        return self._place

    def _look(self) -> None:
        if self._seen is not None and self._seen >= self._door.journal.head():
            return
        with self._door.keeper.reading(fresh=False, patience=_PATIENCE) as reading:
            if self._seen is None:
                self._seen = self._place = int(reading.tuples(_REACHED)[0][0])
                return
            reached, last = reading.tuples(_LOOK, {"seen": self._seen})[0]
        self._seen = int(reached)
        self._place = max(self._place, int(last or 0))
