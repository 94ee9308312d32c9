"""Progress: one sum of what many threads have done."""

from __future__ import annotations

import threading

from voxledger.catalog.progress import Progress


class Meter:
    """Adds up the bytes of many threads for one `progress`, which hears of `hashing`, `pushing`, `pulling`, `checking`."""

    def __init__(self, what: str, total: int, progress: Progress) -> None:
        self._what = what
        self._total = total
        self._progress = progress
        self._done = 0
        self._lock = threading.Lock()
        progress(what, 0, total)

    def add(self, size: int) -> None:
        """So many more bytes are done; fewer, where something is done again."""
        with self._lock:
            self._done += size
            self._progress(self._what, self._done, self._total)
