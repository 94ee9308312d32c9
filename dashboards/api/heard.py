"""Heard: which clips somebody is hearing, so that a player that asks for range after range is one use, whatever the ranges."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

WINDOW = 600.0
"""Seconds in which one principal uses a clip once."""
_MOST = 10_000


class Heard:
    """Principals and clips, of which the oldest are forgotten first: what is forgotten counts once more. Safe from many threads."""

    def __init__(
        self, *, window: float = WINDOW, most: int = _MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._window = window
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._since: OrderedDict[tuple[str, str], float] = OrderedDict()

    def begins(self, principal: str, clip: str) -> bool:
        """Whether this is a use of its own, which it is from here on."""
        key, now = (principal, clip), self._clock()
        with self._lock:
            since = self._since.get(key)
            if since is not None and now - since < self._window:
                return False
            self._since[key] = now
            self._since.move_to_end(key)
            if len(self._since) > self._most:
                self._since.popitem(last=False)
            return True

    def forget(self, principal: str, clip: str) -> None:
        """It could not be counted: the next request is."""
        with self._lock:
            self._since.pop((principal, clip), None)
