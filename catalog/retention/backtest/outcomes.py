"""Outcomes: what a backtest found, for each policy and baseline. Everything is a number or a moment: ready for JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from voxledger.catalog.settings import format_span
from voxledger.catalog.terminal import size


class Regret(msgspec.Struct, frozen=True, kw_only=True):
    """A clip that would have been deleted at `purged` and was used at `wanted`, and `uses` times from then on."""

    clip: str
    bytes: int
    purged: datetime
    wanted: datetime
    uses: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One policy, or one baseline at one setting, over the period. docs/backtest.md defines every number.

    `keep_for` is in seconds where the family varies it, `capacity` in bytes for a cache.
    """

    name: str
    kind: Literal["policy", "age", "lru", "lfu"]
    keep_for: float | None = None
    capacity: int | None = None
    purges: int
    clips: int
    bytes: int
    bytes_at_end: int
    byte_days: float
    saved_share: float
    saved_cost: float
    regrets: int
    regret_share: float
    regret_clips: int
    regret_bytes: int
    worst: tuple[Regret, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What stands at its point in the chart."""
        return format_span(self.keep_for) if self.keep_for is not None else self.name

    @property
    def title(self) -> str:
        """What it is called in a table, which also lists baselines at several settings."""
        if self.kind == "age":
            return f"{self.name}, {self.label}"
        return self.name if self.capacity is None else f"{self.kind.upper()}, {size(self.capacity)}"


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """What was replayed, what came of it, and which policy is suggested."""

    source: str
    since: datetime
    until: datetime
    nights: int
    clips: int
    uses: int
    byte_days: float
    cost: float
    currency: str
    max_regret: float
    policies: tuple[Outcome, ...]
    baselines: tuple[Outcome, ...]
    suggestion: int | None
    notes: tuple[str, ...]

    @property
    def suggested(self) -> Outcome | None:
        """The policy that saves most with no more regret than was allowed; None where no policy does."""
        return None if self.suggestion is None else self.policies[self.suggestion]

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    def best_baselines(self) -> list[Outcome]:
        """Of each baseline the setting that saves most with the regret that is allowed, where there is one."""
        found: dict[str, Outcome] = {}
        for outcome in self.baselines:
            best = found.get(outcome.name)
            if outcome.regret_share <= self.max_regret and (best is None or outcome.byte_days > best.byte_days):
                found[outcome.name] = outcome
        return list(found.values())


def suggest(policies: tuple[Outcome, ...], max_regret: float) -> int | None:
    """Which policy saves most with at most this regret; among equals the one with less regret, then the first."""
    fit = [
        (-outcome.byte_days, outcome.regret_share, place)
        for place, outcome in enumerate(policies)
        if outcome.regret_share <= max_regret and outcome.purges
    ]
    return min(fit)[2] if fit else None
