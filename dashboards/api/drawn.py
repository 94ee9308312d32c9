"""Drawn: what was computed from the audio of clips, kept for whoever asks next: bounded, in memory, made once at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")
_AT_ONCE = threading.BoundedSemaphore(2)
"""Clips that are decoded at the same time: it takes a core each, which engines need too."""


class Drawn(Generic[_T]):
    """Answers by key, at most `most` of them, the ones used last. Whoever asks for one that is being made waits for it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._made: OrderedDict[Any, Future[_T]] = OrderedDict()

    def get(self, key: Any, make: Callable[[], _T]) -> _T:
        """The answer to a key. What `make` raises, everybody gets who waited for it, and nobody who comes later."""
        with self._lock:
            found = self._made.get(key)
            mine = found is None
            if found is None:
                found = self._made[key] = Future()
            self._made.move_to_end(key)
            if len(self._made) > self._most:
                self._made.popitem(last=False)
        if mine:
            self._make(key, found, make)
        return found.result()

    def _make(self, key: Any, future: Future[_T], make: Callable[[], _T]) -> None:
        try:
            with _AT_ONCE:
                future.set_result(make())
        except BaseException as error:  # noqa: BLE001  # whoever waits for it gets it
            future.set_exception(error)
            with self._lock:
                if self._made.get(key) is future:
                    del self._made[key]
