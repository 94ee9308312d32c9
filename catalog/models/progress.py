"""Progress: what long work says of itself, from many threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done (`hashing`, `pushing`, `pulling`, `checking`, `waiting`), and the bytes done of how many."""


Read: TypeAlias = Callable[[int], None]
"""Hears from any thread of each piece that was read, in bytes."""


def silent(what: str, done: int, total: int) -> None:
    """Nobody watches."""


def unheard(size: int) -> None:
    """Nobody listens."""


class Meter:
    """Adds up the bytes of many threads for one `progress`."""

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
