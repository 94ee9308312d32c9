"""Under way: how many things that go on for long each principal has begun, and all of them together."""

from __future__ import annotations

import math
import threading
from collections import Counter


class Underway:
    """Counts up to `each` of one principal and `most` in all. Safe from many threads."""

    def __init__(self, each: int, most: float = math.inf) -> None:
        self._each, self._most = each, most
        self._by: Counter[str] = Counter()
        self._lock = threading.Lock()

    def come(self, principal: str) -> bool:
        """Count one more; False, and nothing counted, where there are too many."""
        with self._lock:
            if self._by.total() >= self._most or self._by[principal] >= self._each:
                return False
            self._by[principal] += 1
            return True

    def go(self, principal: str) -> None:
        """One has ended."""
        with self._lock:
            self._by[principal] -= 1
            if not self._by[principal]:
                del self._by[principal]
