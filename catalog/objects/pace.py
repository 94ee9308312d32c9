"""Pace: how fast this process may send, `store.upload_limit` bytes a second for all its connections together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import cache

_SLOWEST, _LARGEST = 1024, 65536
_LOOK = 0.1
"""Seconds between two looks whether to stop."""


class Pace:
    """A token bucket without a store of tokens: whoever wants to send gets the next free moment, first come, first served.

    Safe from many threads.
    """

    def __init__(self, rate: float) -> None:
        """`rate` in bytes a second."""
        self.rate = rate
        self.piece = int(min(_LARGEST, max(_SLOWEST, rate / 20)))
        """Bytes that are sent at once, so that a slow connection does not look like a dead one."""
        self._lock = threading.Lock()
        self._free_at = 0.0

    def take(self, amount: int, stopped: Callable[[], bool]) -> None:
        """Wait until so many bytes may be sent; returns early when `stopped`."""
        with self._lock:
            begin = max(time.monotonic(), self._free_at)
            self._free_at = begin + amount / self.rate
        while (left := begin - time.monotonic()) > 0 and not stopped():
            time.sleep(min(left, _LOOK))


@cache
def pace_of(limit: int) -> Pace | None:
    """The pace of this process for a limit in bytes a second; None for 0, no limit."""
    return Pace(limit) if limit else None
