"""Measuring: metrics over a period, by group, or day by day, week by week, month by month. DuckDB counts; only answers are fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

import polars as pl

from voxledger.analytics.metrics.definitions import METRICS, metric
from voxledger.analytics.metrics.errors import MetricError
from voxledger.analytics.metrics.metric import Metric
from voxledger.analytics.metrics.prices import Prices
from voxledger.analytics.metrics.question import Period, Stretch, grouped, stretched, whole
from voxledger.catalog.log import Reading

Value: TypeAlias = int | float | None
Every: TypeAlias = Literal["day", "week", "month"]
MOST = 800
"""Most stretches of a series."""


def measure(
    reading: Reading,
    names: Sequence[str],
    start: datetime,
    stop: datetime,
    *,
    before: datetime | None = None,
    prices: Prices | None = None,
) -> Mapping[str, Value]:
    """Metrics over `start` <= time < `stop` (aware), each by name. What cannot be told (a share of nothing) is None.

    Users are retained or lost against the period from `before` to `start`, by default one as long. Costs are counted with `prices`,
    by default those of the settings' defaults. Raises UnknownMetric.
    """
    period = Period.of(start, stop, before, prices)
    found: dict[str, Value] = {}
    for metrics in _by_source(names):
        found.update(reading.frame(whole(metrics, period)).row(0, named=True))
    return {name: found[name] for name in names}


def breakdown(
    reading: Reading,
    names: Sequence[str],
    start: datetime,
    stop: datetime,
    *,
    by: Sequence[str],
    limit: int | None = None,
    known: bool = False,
    before: datetime | None = None,
    prices: Prices | None = None,
) -> pl.DataFrame:
    """Metrics for each group, sorted by the first metric downwards, then by the group: columns `by`, then `names`.

    All names are of one source. Shares are of all rows; with `known`, rows that do not tell their group (a failure before the
    language was known) count nowhere. Raises MetricError for a way in which these metrics cannot be told.
    """
    metrics = [metric(name) for name in names]
    period = Period.of(start, stop, before, prices)
    return reading.frame(grouped(metrics, by, period, limit=limit, known=known))


def series(
    reading: Reading,
    names: Sequence[str],
    start: datetime,
    stop: datetime,
    *,
    every: Every,
    zone: str = "UTC",
    by: Sequence[str] = (),
    among: Sequence[str] | None = None,
    prices: Prices | None = None,
) -> pl.DataFrame:
    """Metrics for each day, week or month of a zone: columns `stretch` (its first day, a date), `by` and `names`, in order of time.

    Without `by` each stretch has a row, quiet ones with zeros (None for what is no count). Weeks begin on Monday; the first and
    the last stretch are cut at `start` and `stop`. With `among` only these groups are told apart, and all others are one without a
    name. One scan for metrics of one source. Raises MetricError.
    """
    stretches = stretches_of(start, stop, every, zone)
    period = Period.of(start, stop, _before(stretches[0], every, zone), prices)
    found = pl.DataFrame({"stretch": [one.label for one in stretches]}) if not by else None
    for metrics in _by_source(names):
        frame = reading.frame(stretched(metrics, by, stretches, period, every=every, zone=zone, among=among))
        if found is None:
            found = frame
        elif by:
            raise MetricError(f"{', '.join(names)} are counted from different rows; ask for them one after the other")
        else:
            found = found.join(frame, on="stretch", how="left", maintain_order="left")
    assert found is not None  # a frame of stretches, or one of the first source
    zeros = [pl.col(name).fill_null(0) for name in names if METRICS[name].empty == 0]
    return found.with_columns(zeros).select("stretch", *by, *names)


def explain(
    name: str,
    start: datetime,
    stop: datetime,
    *,
    by: Sequence[str] = (),
    before: datetime | None = None,
    every: Every | None = None,
    zone: str = "UTC",
    among: Sequence[str] | None = None,
    limit: int | None = None,
    prices: Prices | None = None,
) -> str:
    """The very query that tells a metric, with its moments written out: `voxledger sql` answers it as it stands."""
    metrics = [metric(name)]
    if every is not None:
        stretches = stretches_of(start, stop, every, zone)
        period = Period.of(start, stop, _before(stretches[0], every, zone), prices)
        return stretched(metrics, by, stretches, period, every=every, zone=zone, among=among)
    period = Period.of(start, stop, before, prices)
    return grouped(metrics, by, period, limit=limit) if by else whole(metrics, period)


def stretches_of(start: datetime, stop: datetime, every: Every, zone: str) -> list[Stretch]:
    """The days, weeks or months of a zone between two moments, cut at both. Raises MetricError for none, and for too many."""
    period = Period.of(start, stop)
    label = _first_day(period.start.astimezone(ZoneInfo(zone)).date(), every)
    found: list[Stretch] = []
    while (begins := midnight(label, zone)) < period.stop:
        following = _following(label, every)
        ends = midnight(following, zone)
        found.append(Stretch(label=label, start=max(begins, period.start), stop=min(ends, period.stop)))
        label = following
        if len(found) > MOST:
            raise MetricError(
                f"from {start.date()} to {stop.date()} there are more than {MOST} {every}s; ask for fewer"
            )
    if not found:
        raise MetricError(
            f"the period from {start.isoformat()} to {stop.isoformat()} holds nothing: it must begin before it ends"
        )
    return found


def _by_source(names: Sequence[str]) -> list[list[Metric]]:
    """The metrics, those of one source together."""
    found: dict[str, list[Metric]] = {}
    for name in names:
        one = metric(name)
        found.setdefault(one.source, []).append(one)
    return list(found.values())


def _before(first: Stretch, every: Every, zone: str) -> datetime:
    """Where the stretch before the first one begins."""
    return midnight(_first_day(first.label - timedelta(days=1), every), zone)


def _first_day(day: date, every: Every) -> date:
    """The first day of the stretch that a day lies in."""
    if every == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if every == "week" else day


def _following(first: date, every: Every) -> date:
    """The first day of the next stretch."""
    if every == "month":
        return (first + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=7 if every == "week" else 1)


def midnight(day: date, zone: str) -> datetime:
    """When a day begins in a zone, in UTC."""
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)
