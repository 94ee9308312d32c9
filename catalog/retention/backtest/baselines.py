"""Baselines: what simple ways to delete would have come to on the same history. They see ages, uses and sizes, and nothing else.

All of them delete at night and without grace. A cache of a size keeps what is first in its order, as far as that fits; both orders
have the property that what comes before a clip only grows until it is used, so one pass answers for every size (Mattson, Gecsei,
Slutz, Traiger: Evaluation techniques for storage hierarchies, IBM Systems Journal 9, 1970).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Literal

from voxledger.catalog.queries import load
from voxledger.catalog.retention.backtest.history import History
from voxledger.catalog.retention.backtest.outcomes import Outcome
from voxledger.catalog.retention.backtest.replay import Totals, outcome

SQL = load("baselines.sql", "voxledger.catalog.retention.backtest")
SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Sizes of the caches that are tried, as shares of what lay there at most."""
NIGHTS = 400
"""Most nights in which caches evict; in a longer period they do so every few nights."""
SLICES = {"lru": 2000, "lfu": 100}
"""In how many slices of time caches tell last uses apart. What was used in the same slice, and as often, goes together."""
_MICRO = timedelta(microseconds=1)


class Baselines:
    """Baselines over one history."""

    def __init__(self, history: History, around: Totals, price_micro: int) -> None:
        self._history = history
        self._around = around
        self._price = price_micro
        self._run = history.connection.execute

    def age(self, spans: Sequence[timedelta], step: Callable[[], None]) -> list[Outcome]:
        """Deleted so long after it was made, used or not; whoever wants it then has it made anew."""
        for name in ("whole", "age_uses", "age_clips"):
            self._run(SQL[name])
        found = []
        for keep_for in spans:
            self._run(SQL["age_begin"])
            while True:
                self._run(SQL["age_fall"].format(keep_for=keep_for // _MICRO, nights=self._history.nights))
                for name in ("age_coming", "age_return", "age_note", "age_again"):
                    self._run(SQL[name])
                if not self._history.row("SELECT count(*) FROM falling")[0]:
                    break
            found.append(self._outcome("age only", "age", keep_for=keep_for.total_seconds()))
            step()
        return found

    def caches(self, kind: Literal["lru", "lfu"], step: Callable[[], None]) -> list[Outcome]:
        """Caches of several sizes that keep what was used last, or most often and among equals last."""
        every = max(1, -(-self._history.nights // NIGHTS))
        slices = SLICES[kind]
        earliest = self._history.row("SELECT min(begins) FROM spans")[0]
        width = max(1, -(-(self._history.until - earliest) // slices))
        key = f"((begins - {earliest}) // {width})"
        if kind == "lfu":
            # From 16 uses on in classes, each a fifth larger than the one before.
            times = "(CASE WHEN nth < 16 THEN nth ELSE 16 + floor(4 * log2((nth + 1) / 17.0))::INTEGER END)"
            key = f"({times} * {slices} + {key})"
        self._run(SQL["whole"])
        self._run(SQL["cached"].format(key=key, step=every))
        self._run(SQL["weights"].format(nights=-(-self._history.nights // every)))
        peak = self._history.row(SQL["peak"])[0]
        name = {"lru": "least recently used", "lfu": "least frequently used"}[kind]
        found = []
        for share in SHARES:
            capacity = int(peak * share)
            self._run(SQL["cache_gone"].format(step=every, capacity=capacity))
            found.append(self._outcome(name, kind, capacity=capacity))
            step()
        return found

    def _outcome(
        self,
        name: str,
        kind: Literal["age", "lru", "lfu"],
        *,
        keep_for: float | None = None,
        capacity: int | None = None,
    ) -> Outcome:
        return outcome(
            self._history, self._around, self._price, 0, name=name, kind=kind, keep_for=keep_for, capacity=capacity
        )
