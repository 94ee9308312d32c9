"""Kept: answers to dear questions, given again while they are young, and renewed beside whoever asks when they have grown old."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from voxledger.catalog.errors import VoxledgerError

NAMED = 120.0
"""Seconds for which answers are kept that hold names or texts of clips."""
_OLDEST = 3600.0
_SELDOM = 20.0
"""What takes long is seldom renewed: it may take a twentieth of the time."""
_MOST = 500
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Renewals:
    """Renews answers beside those who ask: few at a time, and no more waiting than are soon done. Safe from many threads."""

    def __init__(self, *, threads: int = 2, most: int = 64) -> None:
        self._threads = threads
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._running = 0

    def add(self, work: Callable[[], None]) -> bool:
        """Have something done, which raises nothing; False, and nothing is done, where too much waits already."""
        with self._lock:
            if len(self._waiting) >= self._most:
                return False
            self._waiting.append(work)
            if self._running < self._threads:
                self._running += 1
                threading.Thread(target=self._work, name="voxledger-kept", daemon=True).start()
            return True

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                work = self._waiting.popleft()
            work()


_RENEWALS = Renewals()
"""Those of this process, which serves one ledger."""


class Kept(Generic[_T]):
    """Answers by key, bounded. Safe from many threads."""

    def __init__(
        self,
        fresh: float,
        *,
        oldest: float | None = None,
        most: int = _MOST,
        gone: Callable[[], int] | None = None,
        renewals: Renewals = _RENEWALS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """An answer is good for `fresh` seconds, or for twenty times as long as it took, and is never given when it is older than
        `oldest` seconds. Of more than `most`, those that nobody asked for go first.

        Answers with names or texts of clips are given `gone`: when it says another number than before, something was erased or
        purged, and none of them holds any longer.
        """
        self._fresh = fresh
        self._oldest = oldest if oldest is not None else _OLDEST if gone is None else NAMED
        self._most = most
        self._gone = gone
        self._renewals = renewals
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, tuple[_T, float, float]] = OrderedDict()
        self._asking: dict[Hashable, threading.Event] = {}
        self._queued: set[Hashable] = set()
        self._generation = 0
        self._went = 0

    def get(self, key: Hashable, ask: Callable[[], _T]) -> _T:
        """The answer to a key. Only the first one to ask waits; what `ask` raises then is raised."""
        self._heed()
        while True:
            with self._lock:
                found = self._usable(key)
                if found is not None:
                    self._answers.move_to_end(key)
                    if self._clock() >= found[1]:
                        self._renew_soon(key, ask)
                    return found[0]
                waiting = self._asking.get(key)
                if waiting is None:
                    self._asking[key] = threading.Event()
            if waiting is None:
                return self._ask(key, ask)
            waiting.wait()

    def known(self, key: Hashable, ask: Callable[[], _T]) -> _T | None:
        """The answer to a key, if there is one; else None, and it is asked for beside whoever asks."""
        self._heed()
        with self._lock:
            if self._usable(key) is None:
                self._renew_soon(key, ask)
                return None
        return self.get(key, ask)

    def clear(self) -> None:
        """What is known holds no longer: the next one to ask waits. What is being asked now is kept for nobody."""
        with self._lock:
            self._generation += 1
            self._answers.clear()

    def _heed(self) -> None:
        """Forget everything where something was erased or purged since."""
        if self._gone is None:
            return
        went = self._gone()
        with self._lock:
            if went != self._went:
                self._went = went
                self._generation += 1
                self._answers.clear()

    def _usable(self, key: Hashable) -> tuple[_T, float, float] | None:
        found = self._answers.get(key)
        return found if found is not None and self._clock() - found[2] < self._oldest else None

    def _renew_soon(self, key: Hashable, ask: Callable[[], _T]) -> None:
        if key not in self._asking and key not in self._queued and self._renewals.add(lambda: self._renew(key, ask)):
            self._queued.add(key)

    def _ask(self, key: Hashable, ask: Callable[[], _T]) -> _T:
        with self._lock:
            generation = self._generation
        began = self._clock()
        try:
            value = ask()
            with self._lock:
                if generation == self._generation:
                    self._keep(key, value, began)
            return value
        finally:
            with self._lock:
                self._asking.pop(key).set()

    def _keep(self, key: Hashable, value: _T, began: float) -> None:
        present = self._clock()
        self._answers[key] = (value, present + max(self._fresh, _SELDOM * (present - began)), present)
        self._answers.move_to_end(key)
        for old in [each for each, (_, _, made) in self._answers.items() if present - made >= self._oldest]:
            del self._answers[old]
        while len(self._answers) > self._most:
            self._answers.popitem(last=False)

    def _renew(self, key: Hashable, ask: Callable[[], _T]) -> None:
        with self._lock:
            self._queued.discard(key)
            found = self._usable(key)
            if key in self._asking or (found is not None and self._clock() < found[1]):
                return  # somebody was quicker
            self._asking[key] = threading.Event()
        try:
            self._ask(key, ask)
        except VoxledgerError as error:
            _log.info("what a page shows could not be renewed: %s", error)
        except Exception as error:  # noqa: BLE001  # a thread of ours, perhaps at the end of the process
            _log.info("what a page shows could not be renewed: %s", type(error).__name__)
