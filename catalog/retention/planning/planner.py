"""The planner: `(catalog as of a position, policy, now) -> Plan`. It changes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import duckdb
import polars as pl

from voxledger.catalog.errors import PolicyError, QueryError
from voxledger.catalog.log import Reading
from voxledger.catalog.retention.doubts import wrong_clock
from voxledger.catalog.retention.planning.amounts import (
    DECISIONS,
    FINISH,
    KEEP,
    MARK,
    PURGE,
    UNMARK,
    WAIT,
    Amount,
    Fuse,
    KeepSummary,
    RuleSummary,
)
from voxledger.catalog.retention.planning.budgets import cut, standing
from voxledger.catalog.retention.planning.deciding import CAUSES, SQL, Deciding
from voxledger.catalog.retention.planning.deciding import CONDEMNED as GUILTY
from voxledger.catalog.retention.planning.decisions import Decisions, by
from voxledger.catalog.retention.planning.plan import Plan
from voxledger.catalog.retention.planning.warnings import warned
from voxledger.catalog.retention.policy import Policy
from voxledger.catalog.retention.policy.policy import WITHDRAWN
from voxledger.catalog.settings import format_span

_DECISION = pl.Enum(DECISIONS)
_CAUSE = pl.Enum(CAUSES)
_TIME = pl.Datetime("us", "UTC")


def aware(now: datetime) -> datetime:
    """Raises PolicyError for a time without time zone; gives the time otherwise."""
    if now.tzinfo is None:
        raise PolicyError(f"the time {now.isoformat()} has no time zone; use UTC")
    return now


def make(
    reading: Reading,
    policy: Policy,
    now: datetime,
    *,
    every: bool = False,
    lag: timedelta = timedelta(0),
    unknown: str | None = None,
    forgiven: datetime | None = None,
) -> Plan:
    """The plan for what a reading shows; with `every` its frame holds also the clips that stay.

    `lag` is how long the oldest event has waited that did not reach the tables; `unknown` says why nobody knows what was used,
    where the caller knows of a reason; events recorded until `forgiven` bear the time of a wrong clock. Raises PolicyError for
    a time without time zone, and for a condition that DuckDB cannot answer.
    """
    present = aware(now)
    with _answered():
        doubt = unknown or unsure(reading, policy, present, lag, forgiven)
        return _made(reading, policy, present, every=every, unknown=doubt)


@contextlib.contextmanager
def _answered() -> Iterator[None]:
    """What DuckDB says only when a condition meets the clips, such as a text that is no number, is a mistake in the policy."""
    try:
        yield
    except (duckdb.Error, QueryError) as error:
        # What DuckDB says in full quotes the clip: that belongs into no log and no file.
        raise PolicyError(
            f"the policy cannot be evaluated on the clips that there are ({type(error).__name__}): some value does not fit what a"
            " condition does with it, such as CAST(name AS INTEGER). TRY_CAST gives NULL there"
        ) from None


def _made(reading: Reading, policy: Policy, present: datetime, *, every: bool, unknown: str | None) -> Plan:
    deciding = Deciding(policy, present, blind=unknown is not None)
    lacks = cut(reading, deciding, policy)
    grouped = _judged(reading.frame(deciding.sums(), deciding.values(every=every)), present)
    sums = grouped.drop("condemned", "others")
    decisions = Decisions(policy, _unfolded(grouped, "condemned"), _timed(_unfolded(grouped, "others")))
    amounts = _amounts(sums)
    problems, warnings = warned(reading, policy, sums)
    return Plan(
        id=decisions.digest(),
        policy=policy,
        position=reached(reading),
        now=present,
        decisions=decisions,
        amounts=amounts,
        held=_sum(sums.filter(pl.col("cause").is_in(["legal hold", "held", "pinned"]))).clips,
        rules=_rules(policy, sums),
        keep=_keepers(policy, sums),
        budgets=standing(policy, sums, lacks),
        fuses=_fuses(policy, amounts),
        unknown=unknown,
        problems=problems,
        warnings=warnings,
    )


def reached(reading: Reading) -> int:
    """The position of the log that a reading shows."""
    return int(reading.tuples(SQL["head"])[0][0])


def one(reading: Reading, policy: Policy, now: datetime, clip: str, *, blind: bool = False) -> pl.DataFrame:
    """The decision about one clip as a frame of one row, or none, with the bits of all rules that match it; `blind` where usage
    is unknown.
    """
    deciding = Deciding(policy, aware(now), blind=blind, protecting=True)
    with _answered():
        return _one(reading, deciding, policy, now, clip)


def _one(reading: Reading, deciding: Deciding, policy: Policy, now: datetime, clip: str) -> pl.DataFrame:
    cut(reading, deciding, policy)
    rows = reading.frame(deciding.query("one"), deciding.values(id=clip))
    return _judged(_timed(rows), now).with_columns(by=by(policy))


def _unfolded(grouped: pl.DataFrame, column: str) -> pl.DataFrame:
    """The clips that stand in a list beside what they have in common, one row each."""
    listed = grouped.select("decision", "cause", "rule", "keeper", "budget", column).drop_nulls(column)
    return listed.explode(column).unnest(column)


def _timed(rows: pl.DataFrame) -> pl.DataFrame:
    names = ("created", "used", "expires", "mature", "linked_until", "delete_after", "spared")
    return rows.with_columns(pl.col(name).cast(_TIME) for name in names)


def _judged(rows: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """With the cause in words, and the decision that follows from cause and mark."""
    causes = dict(enumerate(CAUSES))
    rows = rows.with_columns(pl.col("cause").replace_strict(list(causes), list(causes.values()), return_dtype=_CAUSE))
    if "marked" in rows.columns:
        marked, graced = pl.col("marked"), pl.col("graced").fill_null(value=False)
    else:
        marked = pl.col("delete_after").is_not_null()
        graced = pl.col("delete_after") > pl.lit(now, _TIME)
    guilty = pl.col("cause").is_in(GUILTY)
    return rows.with_columns(
        decision=pl.when(pl.col("cause") == "purging").then(pl.lit(FINISH, _DECISION))
        # What nobody knows anything about is left as it is: neither marked, nor purged, nor unmarked.
        .when((pl.col("cause") == "unknown") & marked).then(pl.lit(WAIT, _DECISION))
        .when(~guilty & marked).then(pl.lit(UNMARK, _DECISION))
        .when(~guilty).then(pl.lit(KEEP, _DECISION))
        .when(~marked).then(pl.lit(MARK, _DECISION))
        .when(graced).then(pl.lit(WAIT, _DECISION))
        .otherwise(pl.lit(PURGE, _DECISION))
    )  # fmt: skip


def unsure(
    reading: Reading, policy: Policy, now: datetime, lag: timedelta, forgiven: datetime | None = None
) -> str | None:
    """Why nobody knows what was used lately; None when it is known."""
    if doubt := wrong_clock(reading, now, forgiven):
        return doubt
    if lag > policy.max_lag:
        longest = format_span(policy.max_lag.total_seconds())
        return f"events have waited longer than retention.max_lag = {longest} to reach the tables"
    return None


def _sum(sums: pl.DataFrame) -> Amount:
    clips, size, length = sums.select(pl.col("clips", "bytes", "duration_us").sum()).row(0)
    return Amount(clips=int(clips or 0), bytes=int(size or 0), duration_us=int(length or 0))


def _amounts(sums: pl.DataFrame) -> dict[str, Amount]:
    return {name: _sum(sums.filter(pl.col("decision") == name)) for name in DECISIONS}


def _rules(policy: Policy, sums: pl.DataFrame) -> tuple[RuleSummary, ...]:
    decides = pl.col("cause").is_in(["kept", "linked", "minimum age", "expired"])
    found = [
        RuleSummary(
            name=rule.name,
            condition=rule.words,
            keep_for=rule.keep_for.total_seconds(),
            amounts=_amounts(sums.filter(decides & (pl.col("rule") == number))),
        )
        for number, rule in enumerate(policy.rules)
    ]
    found += [
        RuleSummary(
            name=budget.name,
            condition=budget.words,
            keep_for=None,
            amounts=_amounts(sums.filter((pl.col("cause") == "over budget") & (pl.col("budget") == number))),
        )
        for number, budget in enumerate(policy.budgets)
    ]
    if policy.withdrawn == "delete":
        gone = sums.filter(pl.col("cause") == "withdrawn")
        found.append(RuleSummary(name=WITHDRAWN, condition="voice withdrawn", keep_for=None, amounts=_amounts(gone)))
    return tuple(found)


def _keepers(policy: Policy, sums: pl.DataFrame) -> tuple[KeepSummary, ...]:
    found = []
    for number, rule in enumerate(policy.keep):
        mine = sums.filter(pl.col("keeper") == number)
        saved = mine.filter((pl.col("cause") == "protected") & pl.col("rule").is_not_null())
        found.append(KeepSummary(name=rule.name, condition=rule.words, keeps=_sum(mine), saves=_sum(saved)))
    return tuple(found)


def _fuses(policy: Policy, amounts: Mapping[str, Amount]) -> tuple[Fuse, ...]:
    """Marks and purges are limited one by one: what waits was counted in the run that marked it."""
    live = sum(amount.clips for name, amount in amounts.items() if name != FINISH)
    fuses = []
    for step in (MARK, PURGE):
        amount = amounts[step]
        fuses.append(Fuse(setting="retention.max_clips", step=step, limit=policy.max_clips, value=amount.clips))
        percent = 100 * amount.clips / live if live else 0.0
        fuses.append(Fuse(setting="retention.max_percent", step=step, limit=policy.max_percent, value=percent))
        if policy.max_bytes:
            fuses.append(Fuse(setting="retention.max_bytes", step=step, limit=policy.max_bytes, value=amount.bytes))
    return tuple(fuses)
