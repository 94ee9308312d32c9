"""Seats: how many threads work at a time, and who is next, the most urgent first."""

from __future__ import annotations

import heapq
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

LATER = math.inf
"""When work is due for which nobody waits with his ears open."""


class _Waiting:
    """One who waits. `seated` and `gone` change under the lock of the seats."""

    __slots__ = ("called", "gone", "seated")

    def __init__(self) -> None:
        self.called = threading.Event()
        self.seated = False
        self.gone = False


class Seats:
    """So many threads work at a time; a seat that becomes free goes to whoever is due first, and of those to who came first."""

    def __init__(self, number: int) -> None:
        self._free = number
        self._lock = threading.Lock()
        self._numbers = count()
        self._waiting: list[tuple[float, int, _Waiting]] = []

    @contextmanager
    def taken(self, due: float = LATER) -> Iterator[None]:
        """Hold a seat while the block runs. `due`: when it ought to be done, on the monotonic clock."""
        self._take(due)
        try:
            yield
        finally:
            self._give()

    def give_way(self, due: float = LATER) -> None:
        """Let those go first who are due before `due`, in the middle of long work: the seat is held again afterwards."""
        with self._lock:
            urgent = bool(self._waiting) and self._waiting[0][0] < due
        if urgent:
            self._give()
            try:
                self._take(due)
            except (
                BaseException
            ):  # an interrupt: `taken` gives a seat back that nobody has, so there is one less until then
                with self._lock:
                    self._free -= 1
                raise

    def _take(self, due: float) -> None:
        mine = _Waiting()
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return
            heapq.heappush(self._waiting, (due, next(self._numbers), mine))
        try:
            mine.called.wait()
        except BaseException:  # an interrupt
            with self._lock:
                mine.gone, seated = True, mine.seated
            if seated:
                self._give()
            raise

    def _give(self) -> None:
        with self._lock:
            while self._waiting and self._free >= 0:
                _, _, chosen = heapq.heappop(self._waiting)
                if not chosen.gone:
                    chosen.seated = True
                    chosen.called.set()
                    return
            self._free += 1
