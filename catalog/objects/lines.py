"""Lines: the connections that several fetches share, and their common end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from voxledger.catalog.objects.range_reader import Stopped

LOOK = 0.2
"""Seconds between two looks whether to end."""


class Lines:
    """At most `count` requests at a time among all who share them. Safe for many threads."""

    def __init__(self, count: int) -> None:
        self._slots = threading.Semaphore(count)
        self._ended = threading.Event()
        self.error: BaseException | None = None
        """Why they were ended first."""

    @property
    def ended(self) -> bool:
        """Whether nobody wants the rest any more."""
        return self._ended.is_set()

    def end(self, error: BaseException) -> None:
        """Let every fetch that shares them raise Stopped; what has arrived stays."""
        self.error = self.error or error
        self._ended.set()

    @contextlib.contextmanager
    def one(self, halted: Callable[[], bool]) -> Iterator[None]:
        """Wait for a connection. Raises Stopped when `halted`."""
        while not self._slots.acquire(timeout=LOOK):
            if halted():
                raise Stopped
        try:
            yield
        finally:
            self._slots.release()
