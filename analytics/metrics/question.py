"""The SQL of metrics: one SELECT for some metrics of one source, with its moments written out, so that anybody can ask it again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec

from voxledger.analytics.metrics.definitions import METRICS
from voxledger.analytics.metrics.dimensions import Dimension, dimension
from voxledger.analytics.metrics.errors import MetricError
from voxledger.analytics.metrics.metric import WHOLE_ONLY, Metric, Source
from voxledger.analytics.metrics.prices import DEFAULT, Prices, device_price
from voxledger.catalog.queries import load

_SQL = load("metrics.sql", "voxledger.analytics.metrics")
LOOK_BACK = timedelta(weeks=8)
"""How far back it is looked whether somebody used a feature before."""
_PLACE = re.compile(r"\$(\w+)")


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """From `start` up to, and without, `stop`; `before` begins the period that users are compared with. All aware, in UTC."""

    start: datetime
    stop: datetime
    before: datetime
    prices: Prices = DEFAULT

    @classmethod
    def of(
        cls, start: datetime, stop: datetime, before: datetime | None = None, prices: Prices | None = None
    ) -> Period:
        """The period before is as long as this one unless `before` says otherwise. Raises ValueError for a naive moment."""
        for moment in (start, stop, *([before] if before else [])):
            if moment.tzinfo is None:
                raise ValueError(f"{moment.isoformat()} has no time zone")
        start, stop = start.astimezone(UTC), stop.astimezone(UTC)
        return cls(
            start=start,
            stop=stop,
            before=before.astimezone(UTC) if before else start - (stop - start),
            prices=prices or DEFAULT,
        )


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """A day, a week or a month: `label` is its first day; it holds `start` <= time < `stop`."""

    label: date
    start: datetime
    stop: datetime


def whole(metrics: Sequence[Metric], period: Period) -> str:
    """One row: metrics of one source over the period."""
    return _select(metrics, (), _rows(metrics[0].source, period, [period.before, period.start, period.stop]))


def grouped(
    metrics: Sequence[Metric],
    by: Sequence[str],
    period: Period,
    *,
    limit: int | None = None,
    known: bool = False,
    among: Sequence[str] | None = None,
) -> str:
    """One row a group, the largest of the first metric first. `known` leaves out rows that do not tell what group they are in; with
    `among` the first way tells only these groups apart, and all others are one without a name.
    """
    ways = _ways(metrics, by, among)
    rows = _rows(metrics[0].source, period, [period.before, period.start, period.stop])
    if known:
        singles = [way for way in ways if not way.several]
        if singles:
            rows = f"SELECT * FROM ({rows})\nWHERE {' AND '.join(f'{way.expression} IS NOT NULL' for way in singles)}"  # noqa: S608  # our own words
    order = f"ORDER BY {len(ways) + 1} DESC NULLS LAST, {', '.join(str(place + 1) for place in range(len(ways)))}"
    return _select(metrics, ways, rows) + f"\n{order}" + (f"\nLIMIT {int(limit)}" if limit is not None else "")


def stretched(
    metrics: Sequence[Metric],
    by: Sequence[str],
    stretches: Sequence[Stretch],
    period: Period,
    *,
    every: str,
    zone: str,
    among: Sequence[str] | None = None,
) -> str:
    """One row a stretch of time, or a group in one; stretches in which nothing was are left out. `every` is day, week or month."""
    if metrics[0].source in WHOLE_ONLY:
        raise MetricError(f"{metrics[0].name} is told of a period as a whole, not in stretches of time")
    ways = _ways(metrics, by, among)
    rows = _rows(metrics[0].source, period, [period.before, *(one.start for one in stretches), stretches[-1].stop])
    day = f"make_timestamp(epoch_us(time) + {_offset(stretches, zone)})::DATE"
    label = day if every == "day" else f"date_trunc('{every}', {day})::DATE"
    binned = f"SELECT *, {label} AS stretch FROM (\n{rows})"  # noqa: S608  # our own words
    return _select(metrics, ways, binned, stretched=True) + "\nORDER BY ALL"


def _offset(stretches: Sequence[Stretch], zone: str) -> str:
    """How far the clocks of a zone are ahead of UTC (µs), as SQL over `time`.

    Arithmetic is ten times as fast as DuckDB's own zones, and hundreds of comparisons are slower still.
    """
    bounds = [*(one.start for one in stretches), stretches[-1].stop]
    known = _ahead(bounds[0], zone)
    whens: list[str] = []
    for first, last in pairwise(bounds):
        following = _ahead(last, zone)
        if following != known:
            whens.append(f"WHEN time >= {moment(_turn(first, last, zone))} THEN {following}")
            known = following
    first_of_all = _ahead(bounds[0], zone)
    return f"CASE {' '.join(reversed(whens))} ELSE {first_of_all} END" if whens else str(first_of_all)


def _ahead(when: datetime, zone: str) -> int:
    offset = when.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()
    return offset // timedelta(microseconds=1)


def _turn(first: datetime, last: datetime, zone: str) -> datetime:
    """When the clocks change between two moments, to the second."""
    while last - first > timedelta(seconds=1):
        middle = first + (last - first) / 2
        if _ahead(middle, zone) == _ahead(last, zone):
            last = middle
        else:
            first = middle
    return last.replace(microsecond=0)


def _ways(metrics: Sequence[Metric], by: Sequence[str], among: Sequence[str] | None = None) -> tuple[Dimension, ...]:
    """The dimensions; with `among` the first of them tells only these groups apart."""
    first = metrics[0]
    for metric in metrics[1:]:
        if metric.source != first.source:
            raise MetricError(
                f"{metric.name} and {first.name} are counted from different rows; ask for them one after the other"
            )
    ways = [dimension(name, first.source, first.name) for name in by]
    if among is not None and ways and not ways[0].several:
        named = ", ".join("'" + name.replace("'", "''") + "'" for name in among)
        only = (
            f"CASE WHEN {ways[0].expression} IN ({named}) THEN {ways[0].expression} END" if named else "NULL::VARCHAR"
        )
        ways[0] = msgspec.structs.replace(ways[0], expression=only)
    return tuple(ways)


def _select(metrics: Sequence[Metric], ways: Sequence[Dimension], rows: str, *, stretched: bool = False) -> str:
    """Metrics over rows. A share is of all rows, before those of several groups are told apart, and of one stretch of time."""
    table = "period"
    if several := [way for way in ways if way.several]:
        table = f"(SELECT *, {', '.join(f'{way.expression} AS its_{way.name}' for way in several)} FROM period)"  # noqa: S608  # our own words
    tables = [f"period AS NOT MATERIALIZED (\n{_indented(rows)}\n)"]
    wholes = dict.fromkeys(metric.of for metric in metrics if metric.of)
    # Groups that add up are added up: to read the rows once more takes as long again.
    summed = not several and all(METRICS[name].additive for name in wholes)
    if stretched and wholes and not summed:
        sums = ", ".join(f"{METRICS[name].aggregate} AS all_{name}" for name in wholes)
        tables.append(f"whole AS (\n    SELECT stretch, {sums} FROM period GROUP BY stretch\n)")  # noqa: S608  # our own words
        table += " JOIN whole USING (stretch)"
    keys = [f"{f'its_{way.name}' if way.several else way.expression} AS {way.name}" for way in ways]
    values = [f"{_value(metric, stretched=stretched, summed=summed)} AS {metric.name}" for metric in metrics]
    wanted = ",\n    ".join([*(["stretch"] if stretched else []), *keys, *values])
    places = range(1, len(ways) + 1 + stretched)
    groups = f"\nGROUP BY {', '.join(map(str, places))}" if ways or stretched else ""
    return f"WITH {', '.join(tables)}\nSELECT {wanted}\nFROM {table}{groups}"


def _value(metric: Metric, *, stretched: bool, summed: bool) -> str:
    if metric.of is None:
        return metric.aggregate
    part = METRICS[metric.of].aggregate
    if summed:
        whole = f"sum({part}) OVER ({'PARTITION BY stretch' if stretched else ''})"
    elif stretched:
        whole = f"any_value(all_{metric.of})"
    else:
        whole = f"(SELECT {part} FROM period)"  # noqa: S608  # our own words
    return f"{part} / nullif({whole}, 0)"


def _rows(source: Source, period: Period, bounds: Sequence[datetime]) -> str:
    """The rows of a source; `bounds` are where the stretches of time begin, and where the last one ends."""
    values = {
        "start": moment(period.start),
        "stop": moment(period.stop),
        "before": moment(period.before),
        "since": moment(min(period.before, period.start - LOOK_BACK)),
        "gb_month": str(period.prices.gb_month),
        "uploads": str(period.prices.uploads),
        "device_price": device_price(period.prices),
        **within(bounds[:-1]),
    }
    return filled(_SQL[source], values)


def within(bounds: Sequence[datetime]) -> dict[str, str]:
    """The moments at which stretches of time begin, as SQL, and the number of the stretch that a time lies in, 0 for an earlier one."""
    numbers = [f"WHEN time >= {moment(bound)} THEN {number}" for number, bound in enumerate(bounds, 1)]
    return {
        "bounds": f"[{', '.join(moment(bound) for bound in bounds)}]",
        "stretch": f"CASE {' '.join(reversed(numbers))} ELSE 0 END",
    }


def load_query(name: str) -> str:
    """A named query of `metrics.sql`."""
    return _SQL[name]


def filled(query: str, values: dict[str, str]) -> str:
    """A named query with SQL in place of its `$name`s, without the comments above it and the semicolon."""
    text = "\n".join(line for line in query.split("\n") if not line.startswith("--")).strip().removesuffix(";")
    return _PLACE.sub(lambda found: values[found[1]], text)


def moment(when: datetime) -> str:
    """A moment as SQL writes it."""
    return f"TIMESTAMPTZ '{when.astimezone(UTC).isoformat()}'"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))
