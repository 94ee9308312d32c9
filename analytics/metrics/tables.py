"""Tables that are more than a metric by group: cohorts of users, the funnel of clips, the forecast of storage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl

from voxledger.analytics.metrics.definitions import METRICS
from voxledger.analytics.metrics.measure import measure, midnight, series, stretches_of
from voxledger.analytics.metrics.prices import Prices
from voxledger.analytics.metrics.question import filled, load_query, moment, within
from voxledger.analytics.statistics import Interval, trend
from voxledger.catalog.log import Reading

COHORTS = 9
"""Weeks of cohorts: the newest, and eight before it."""
FUNNEL = ("funnel_made", "funnel_stored", "funnel_played", "funnel_kept")
"""How far clips get, step by step."""
TREND = 8
"""Weeks that the forecast is made of, at most."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the funnel: how many got there, of all that were made and of those of the step before (None of nothing)."""

    metric: str
    title: str
    clips: int
    share: float | None
    share_of_previous: float | None


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Where the size of all clips goes: what it was at the end of each week, and what it will be `weeks` later, in bytes.

    `expected` and `interval` are None while fewer than four whole weeks are known: insufficient data. `cost_micro` is what the
    expected size costs for 30 days.
    """

    at: datetime
    history: tuple[int, ...]
    weekly: float | None
    weeks: int
    expected: int | None
    interval: Interval | None
    cost_micro: int | None


def cohorts(reading: Reading, stop: datetime, *, zone: str = "UTC", weeks: int = COHORTS) -> pl.DataFrame:
    """In which week users came first, and how many of them were there again so many weeks later.

    One row a cohort and week: `cohort` (its Monday), `after` (0 = the week they came in), `users`, `share` of the cohort. Of the newest
    `weeks` up to `stop`; weeks in which nobody of a cohort was there have no row.
    """
    return reading.frame(cohorts_query(stop, zone=zone, weeks=weeks))


def cohorts_query(stop: datetime, *, zone: str = "UTC", weeks: int = COHORTS) -> str:
    """The query of `cohorts`, as it stands."""
    stretches = stretches_of(stop - timedelta(weeks=weeks) + timedelta(hours=2), stop, "week", zone)[-weeks:]
    begins = [midnight(one.label, zone) for one in stretches]
    labels = ", ".join(f"DATE '{one.label.isoformat()}'" for one in stretches)
    return filled(load_query("cohorts"), {"stop": moment(stop), "labels": f"[{labels}]", **within(begins)})


def funnel(reading: Reading, start: datetime, stop: datetime) -> tuple[Step, ...]:
    """How far the clips made in a period got: made, stored, played, kept."""
    found = measure(reading, FUNNEL, start, stop)
    counts = [int(found[name] or 0) for name in FUNNEL]
    before = [counts[0], *counts]
    return tuple(
        Step(
            metric=name,
            title=METRICS[name].title,
            clips=count,
            share=count / counts[0] if counts[0] else None,
            share_of_previous=count / previous if previous else None,
        )
        for name, count, previous in zip(FUNNEL, counts, before, strict=False)
    )


def forecast(
    reading: Reading, stop: datetime, *, zone: str = "UTC", weeks: int = 4, prices: Prices | None = None
) -> Forecast:
    """Where the size of all clips goes, from the last whole weeks before `stop` and before the week it lies in, eight at most.

    A trend that a single week of much work, or of one large purge, does not move (`statistics.trend`); sizes are never less than 0.
    """
    stop = stop.astimezone(UTC)
    monday = stretches_of(stop - timedelta(microseconds=1), stop, "week", zone)[-1].label
    following = monday + timedelta(weeks=1)
    day = following if midnight(following, zone) <= stop else monday
    at, begins = midnight(day, zone), midnight(day - timedelta(weeks=TREND), zone)
    now = reading.frame(filled(load_query("size"), {"stop": moment(at)})).row(0, named=True)
    flow = series(reading, ["net_bytes"], begins, at, every="week", zone=zone)
    known = [net for day, net in flow.rows() if now["earliest"] is not None and midnight(day, zone) >= now["earliest"]]
    sizes = [now["bytes"]]
    for net in reversed(known):
        sizes.append(sizes[-1] - net)
    history = tuple(reversed(sizes[:-1])) if known else ()
    line = trend(history)
    if line is None:
        return Forecast(at=at, history=history, weekly=None, weeks=weeks, expected=None, interval=None, cost_micro=None)
    expected, interval = line.ahead(weeks)
    size = max(round(expected), 0)
    return Forecast(
        at=at,
        history=history,
        weekly=line.slope,
        weeks=weeks,
        expected=size,
        interval=Interval(max(interval.low, 0.0), max(interval.high, 0.0)),
        cost_micro=size * prices.gb_month // 10**9 if prices else None,
    )
