"""Drawn: what was computed from the audio of clips, kept for whoever asks next: bounded, in memory, made once at a time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from voxledger.dashboards.faults import Refused

AT_ONCE = 2
"""Clips that are decoded at the same time: it takes a core each, which engines need too."""
WAITING = 14
"""Requests that wait for them. Each has one of the threads that all routes share."""
_T = TypeVar("_T")


class Decoding:
    """Who may decode, or wait for it: the others are asked to come back."""

    def __init__(self, *, at_once: int = AT_ONCE, waiting: int = WAITING) -> None:
        self.turns = threading.BoundedSemaphore(at_once)
        self._room = threading.BoundedSemaphore(at_once + waiting)

    def __enter__(self) -> None:
        if not self._room.acquire(blocking=False):
            raise Refused(
                "as many clips are being drawn as may be",
                status=503,
                code="busy",
                remedy="Try again later.",
                headers={"Retry-After": "2"},
            )

    def __exit__(self, *_: object) -> None:
        self._room.release()


class Drawn(Generic[_T]):
    """Answers by key, at most `most` of them, the ones used last. Whoever asks for one that is being made waits for it."""

    def __init__(self, most: int, decoding: Decoding | None = None) -> None:
        """`decoding` may be shared with others."""
        self._most = most
        self._decoding = decoding or Decoding()
        self._lock = threading.Lock()
        self._made: OrderedDict[Any, Future[_T]] = OrderedDict()

    def get(self, key: Any, make: Callable[[], _T]) -> _T:
        """The answer to a key. What `make` raises, everybody gets who waited for it, and nobody who comes later.

        Raises Refused (503) when too many wait already; what is there is given all the same.
        """
        with self._lock:
            found = self._made.get(key)
            if found is not None and found.done():
                self._made.move_to_end(key)
        if found is not None and found.done():
            return found.result()
        with self._decoding:
            return self._waited_for(key, make)

    def _waited_for(self, key: Any, make: Callable[[], _T]) -> _T:
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
            with self._decoding.turns:
                future.set_result(make())
        except BaseException as error:  # noqa: BLE001  # whoever waits for it gets it
            future.set_exception(error)
            with self._lock:
                if self._made.get(key) is future:
                    del self._made[key]
