"""Rates: how fast each token asks. A bucket each, which holds as many requests as the rate has and fills steadily."""

from __future__ import annotations

import threading

from voxledger.catalog.access.limits import Rate

_SLACK = 1e-9


class Rates:
    """The buckets of all tokens that have a rate, as one time each: when the bucket will be full again. Safe from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._full: dict[str, float] = {}

    def take(self, token: str, rate: Rate, now: float) -> float:
        """Take one request at a time (s of a monotonic clock). 0 = it may go on, else the seconds after which it is worth asking again.

        Source: the generic cell rate algorithm, ITU-T I.371, annex A.
        """
        with self._lock:
            full = max(now, self._full.get(token, now)) + rate.seconds / rate.requests
            wait = full - now - rate.seconds
            if wait > _SLACK:
                return wait
            self._full[token] = full
            return 0.0
