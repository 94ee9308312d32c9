"""The replay: what one policy would have deleted in a period, and what would have been missed."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from voxledger.catalog.retention.backtest import segments
from voxledger.catalog.retention.backtest.history import NIGHT, History, at, exposed, moment
from voxledger.catalog.retention.backtest.outcomes import Outcome, Regret
from voxledger.catalog.retention.backtest.segments import SQL
from voxledger.catalog.retention.policy import Policy

MONTH = 30
"""Days of a month, for prices."""
_MICRO = timedelta(microseconds=1)
_DAY = 86400
_LOOKS = 400_000_000
"""Most stretches that budgets look at, all nights together."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What there was in the period without any retention."""

    clips: int
    uses: int
    byte_seconds: int


def totals(history: History) -> Totals:
    """Count it."""
    clips, uses, weight = history.row(SQL["totals"].format(since=history.since))
    return Totals(clips=clips, uses=uses, byte_seconds=weight)


def cost(byte_seconds: int, price_micro: int) -> float:
    """What so much storage costs, in the currency of the price for 10^9 bytes and 30 days."""
    return byte_seconds / _DAY / MONTH / 1e9 * price_micro / 1e6


class Replay:
    """Replays policies over one history. Those that differ in spans only share the work that takes the time."""

    def __init__(self, history: History, around: Totals, worst: int) -> None:
        """`worst` is how many regrets are listed."""
        self._history = history
        self._around = around
        self._worst = worst
        self._shape: object = None
        self._notes: tuple[str, ...] = ()

    def run(self, policy: Policy, name: str, keep_for: float | None = None) -> Outcome:
        """What this policy would have done."""
        shape = segments.shape(policy)
        if shape != self._shape:
            self._shape = None
            self._notes = segments.build(self._history, policy)
            self._shape = shape
        wait = max(1, -(-policy.grace // NIGHT))
        age = policy.minimum_age // _MICRO
        rules = " ".join(f"WHEN {number} THEN {rule.keep_for // _MICRO}" for number, rule in enumerate(policy.rules))
        run = self._history.connection.execute
        run(SQL["gone"].format(age=age, wait=wait, keep_for=rules or "WHEN -1 THEN 0"))
        notes = self._notes + self._budgets(policy, wait, age)
        return outcome(
            self._history,
            self._around,
            policy.price_micro,
            self._worst,
            name=name,
            kind="policy",
            keep_for=keep_for,
            notes=notes,
        )

    def _budgets(self, policy: Policy, wait: int, age: int) -> tuple[str, ...]:
        if not policy.budgets:
            return ()
        run = self._history.connection.execute
        run("CREATE OR REPLACE TABLE evicted (clip BIGINT, life INTEGER, night BIGINT)")
        rows = self._history.row("SELECT count(*) FROM spans")[0]
        step = max(1, -(-self._history.nights * rows * len(policy.budgets) // _LOOKS))
        for night in range(0, self._history.nights, step):
            now = f"make_timestamptz(hour_of({night}))"
            for budget in policy.budgets:
                columns = budget.condition.columns | budget.value.columns | {*budget.per}
                scoped = SQL["scoped"].format(
                    value=at(budget.value, now),
                    condition=at(budget.condition, now),
                    exposed=exposed(columns),
                    # A number in place of the words of a group.
                    member=f"hash({', '.join(budget.per)})" if budget.per else "0",
                    night=night,
                    wait=wait,
                )
                run(scoped)
                group = "PARTITION BY member" if budget.per else ""
                run(SQL["evict"].format(night=night, age=age, group=group, budget=budget.max_bytes))
        run(SQL["evicted"].format(wait=wait))
        return (
            (f"budgets were looked at every {step} nights, not every night: there are many clips",) if step > 1 else ()
        )


def outcome(
    history: History,
    around: Totals,
    price_micro: int,
    worst: int,
    *,
    name: str,
    kind: str,
    keep_for: float | None = None,
    capacity: int | None = None,
    notes: tuple[str, ...] = (),
) -> Outcome:
    """What stands in `gone`, in numbers."""
    purges, saved, regrets, regret_bytes, at_end = history.row(SQL["outcome"].format(until=history.until))
    clips, size = history.row(SQL["distinct_clips"])
    regret_clips = history.row("SELECT count(DISTINCT clip) FROM gone WHERE used")[0] if regrets else 0
    return msgspec.convert(
        {
            "name": name, "kind": kind, "keep_for": keep_for, "capacity": capacity, "purges": purges, "clips": clips, "bytes": size,
            "bytes_at_end": at_end, "byte_days": saved / _DAY, "saved_share": saved / around.byte_seconds if around.byte_seconds else 0.0,
            "saved_cost": cost(saved, price_micro), "regrets": regrets, "regret_share": regrets / around.uses if around.uses else 0.0,
            "regret_clips": regret_clips, "regret_bytes": regret_bytes,
            "worst": _worst(history, worst) if regrets and worst else (), "notes": notes,
        },
        Outcome,
    )  # fmt: skip


def _worst(history: History, most: int) -> tuple[Regret, ...]:
    query = SQL["worst"].format(most=most, day=NIGHT // _MICRO)
    return tuple(
        Regret(clip=str(clip), bytes=size, purged=moment(purged), wanted=moment(wanted), uses=uses)
        for clip, size, purged, wanted, uses in history.connection.execute(query).fetchall()
    )
