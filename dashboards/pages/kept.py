"""Kept: answers to dear questions, given again while they are young, and renewed beside whoever asks when they have grown old."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from voxledger.catalog.errors import VoxledgerError

_SELDOM = 20.0
"""What takes long is seldom renewed: it may take a twentieth of the time."""
_MOST = 500
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Kept(Generic[_T]):
    """Answers by key, bounded. Safe from many threads."""

    def __init__(self, fresh: float, *, oldest: float = 3600.0, clock: Callable[[], float] = time.monotonic) -> None:
        """An answer is good for `fresh` seconds, or for twenty times as long as it took, and is never given when it is older than
        `oldest` seconds.
        """
        self._fresh = fresh
        self._oldest = oldest
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, tuple[_T, float, float]] = OrderedDict()
        self._asking: dict[Hashable, threading.Event] = {}

    def get(self, key: Hashable, ask: Callable[[], _T]) -> _T:
        """The answer to a key. Only the first one to ask waits; what `ask` raises then is raised."""
        while True:
            with self._lock:
                found = self._answers.get(key)
                present = self._clock()
                usable = found is not None and present - found[2] < self._oldest
                if found is not None and usable:
                    self._answers.move_to_end(key)
                    if present >= found[1] and key not in self._asking:
                        self._asking[key] = threading.Event()
                        threading.Thread(
                            target=self._renew, args=(key, ask), name="voxledger-kept", daemon=True
                        ).start()
                    return found[0]
                waiting = self._asking.get(key)
                if waiting is None:
                    self._asking[key] = threading.Event()
            if waiting is None:
                return self._ask(key, ask)
            waiting.wait()

    def known(self, key: Hashable, ask: Callable[[], _T]) -> _T | None:
        """The answer to a key, if there is one; else None, and it is asked for beside whoever asks."""
        with self._lock:
            found = self._answers.get(key)
            if (found is None or self._clock() - found[2] >= self._oldest) and key not in self._asking:
                found = None
                self._asking[key] = threading.Event()
                threading.Thread(target=self._renew, args=(key, ask), name="voxledger-kept", daemon=True).start()
        return None if found is None else self.get(key, ask)

    def clear(self) -> None:
        """What is known holds no longer: the next one to ask waits."""
        with self._lock:
            self._answers.clear()

    def _ask(self, key: Hashable, ask: Callable[[], _T]) -> _T:
        began = self._clock()
        try:
            value = ask()
            with self._lock:
                present = self._clock()
                self._answers[key] = (value, present + max(self._fresh, _SELDOM * (present - began)), present)
                self._answers.move_to_end(key)
                if len(self._answers) > _MOST:
                    self._answers.popitem(last=False)
            return value
        finally:
            with self._lock:
                self._asking.pop(key).set()

    def _renew(self, key: Hashable, ask: Callable[[], _T]) -> None:
        try:
            self._ask(key, ask)
        except VoxledgerError as error:
            _log.info("what a page shows could not be renewed: %s", error)
        except Exception as error:  # noqa: BLE001  # a thread of ours, perhaps at the end of the process
            _log.info("what a page shows could not be renewed: %s", type(error).__name__)
