"""Building the weekly report: the week measured where its rows lie, as records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from voxledger.analytics import metrics
from voxledger.analytics.mixpanel import VOCABULARY
from voxledger.analytics.report import moves, sections
from voxledger.analytics.report.errors import InvalidWeek
from voxledger.analytics.report.parts import Cost, Expiring, LoudnessBin, PurgedByRule, Retention, Storage
from voxledger.analytics.report.samples import read_samples
from voxledger.analytics.report.week import Week
from voxledger.analytics.report.weekly import Definition, Evidence, Headline, Provenance, Quality, Told, WeeklyReport
from voxledger.analytics.statistics import WEEKS
from voxledger.catalog.log import Keeper, Reading
from voxledger.catalog.queries import load
from voxledger.catalog.settings import Settings

HISTORY = 8
"""Weeks of a sparkline, this one included."""
EXPIRING = 12
"""Most clips listed as expiring."""
EXPIRING_WITHIN = timedelta(days=7)
"""After the report was made."""
HEADLINES = (
    "clips", "audio_us", "active_users", "returning_users", "generations", "reuse_rate", "saved_us", "failure_rate",
    "suspect_rate", "rtf_p95", "latency_p95_us", "queue_p95_us",
)  # fmt: skip

_PRESENT = (
    "stored_clips",
    "stored_bytes",
    "waiting_clips",
    "waiting_bytes",
    "refused_clips",
    "marked_clips",
    "marked_bytes",
)
_FLOW = ("added_clips", "added_bytes", "purged_clips", "purged_bytes", "net_bytes")
_SQL = load("report.sql", "voxledger.analytics.report")


class _Period(msgspec.Struct, frozen=True, kw_only=True):
    """What is counted and what it is compared with; all in UTC."""

    week: Week
    start: datetime
    stop: datetime
    before_start: datetime
    before_stop: datetime
    now: datetime


def build(
    keeper: Keeper, settings: Settings, *, week: Week | None = None, now: datetime, as_of: datetime | None = None
) -> WeeklyReport:
    """The report of a week, by default of the one that runs. Everything acknowledged so far is in it.

    The week is read in `general.time_zone`. A week that runs is compared with the same stretch of the week before.
    Raises InvalidWeek for a week that has not begun, ValueError for a naive `now`, and what the keeper raises.
    """
    period = _period(_wanted(week, settings.general.time_zone, now), now)
    # What the other side had acknowledged at an earlier moment is not recorded.
    cursor = keeper.journal.cursor("mixpanel") if as_of is None else None
    with keeper.reading(as_of=as_of) as reading:
        return _build(reading, period, settings, keeper.home.cache, cursor)


def explained(
    keeper: Keeper,
    settings: Settings,
    metric: str,
    week: str | None,
    by: Sequence[str] = (),
    *,
    now: datetime | None = None,
) -> dict[str, Any]:
    """A metric of a week as the report counts it: what it means, its value (`by`: its groups), and the query that told it.

    Raises UnknownMetric, MetricError for what it cannot be told by, InvalidWeek.
    """
    found, zone = metrics.metric(metric), settings.general.time_zone
    moment = now or datetime.now(UTC)
    period = _period(_wanted(Week.parse(week, zone) if week else None, zone, moment), moment)
    query = metrics.explain(
        metric, period.start, period.stop, by=by, before=period.before_start, prices=metrics.Prices.of(settings)
    )
    with keeper.reading() as reading:
        rows = reading.frame(query).to_dicts()
    told = {"groups": rows} if by else {"value": rows[0][metric]}
    return {
        "metric": metric,
        "title": found.title,
        "unit": found.unit,
        "definition": found.definition,
        "week": str(period.week),
        **told,
        "query": query,
    }


def _wanted(week: Week | None, zone: str, now: datetime) -> Week:
    running = Week.of(now, zone)
    wanted = Week(week.year, week.number, zone) if week else running
    if wanted.start.astimezone(UTC) > now.astimezone(UTC):
        raise InvalidWeek(f"week {wanted} has not begun; the newest week that can be reported is {running}")
    return wanted


def _period(week: Week, now: datetime) -> _Period:
    closed = week.closed(now)
    return _Period(
        week=week,
        start=week.start.astimezone(UTC),
        stop=week.end.astimezone(UTC) if closed else now.astimezone(UTC),
        before_start=week.previous().start.astimezone(UTC),
        before_stop=(week.start if closed else week.a_week_before(now)).astimezone(UTC),
        now=now.astimezone(UTC),
    )


def _build(reading: Reading, period: _Period, settings: Settings, cache: Path, cursor: int | None) -> WeeklyReport:
    week, prices = period.week, metrics.Prices.of(settings)
    now, before = (period.start, period.stop), (period.before_start, period.before_stop)
    earliest: datetime | None = reading.frame(_SQL["earliest"], {"stop": period.stop}).item()
    first = earliest is None or earliest >= period.start
    present: Mapping[str, Any] = metrics.measure(reading, _PRESENT, *now)
    origin = reading.frame(_SQL["provenance"]).row(0, named=True)
    history = _history(reading, period, earliest)
    moved = moves.find(reading, week, now, None if first else before, history, closed=week.closed(period.now))
    return WeeklyReport(
        week=str(week),
        time_zone=week.zone,
        start=week.start,
        end=week.end,
        through=period.stop.astimezone(week.start.tzinfo),
        closed=week.closed(period.now),
        compared_week=None if first else str(week.previous()),
        compared_start=None if first else week.previous().start,
        compared_end=None if first else period.before_stop.astimezone(week.start.tzinfo),
        headlines=_headlines(reading, period, history, moved.evidence, first=first),
        moves=moved.moves,
        history_weeks=tuple(str(week.previous(back)) for back in range(HISTORY - 1, -1, -1)),
        days=sections.days(reading, week, now),
        emotions=sections.emotions(reading, now, before),
        users=sections.users(reading, week, now, period.before_start),
        features=sections.features(reading, week, now, before),
        languages=sections.ranking(reading, now, before, "language"),
        voices=sections.ranking(reading, now, before, "voice"),
        models=sections.ranking(reading, now, before, "model"),
        channels=sections.channels(reading, now, before),
        engines=sections.engines(reading, now),
        failures=sections.failures(reading, now),
        loudness=msgspec.convert(_rows(reading, "loudness", period), tuple[LoudnessBin, ...]),
        funnel=metrics.funnel(reading, *now),
        storage=_storage(reading, period, present, prices),
        retention=_retention(reading, period, present, scheduled=bool(settings.retention.schedule)),
        samples=read_samples(reading, period.start, period.stop, settings.report.samples, cache),
        quality=_quality(reading, period, present, origin["position"], cursor, on=bool(settings.mixpanel.token)),
        provenance=_provenance(origin, period),
        definitions=_definitions(period, prices),
    )


def _history(reading: Reading, period: _Period, earliest: datetime | None) -> Mapping[str, tuple[metrics.Value, ...]]:
    """Each headline's weeks in one scan, the oldest first and this one last; None for what was before the catalog's first week."""
    week = period.week
    found = metrics.series(
        reading, HEADLINES, week.previous(WEEKS).start, period.stop, every="week", zone=week.zone
    ).to_dicts()
    known = [
        earliest is not None and week.previous(back - 1).start.astimezone(UTC) > earliest
        for back in range(WEEKS, 0, -1)
    ]
    return {
        name: (*(row[name] if there else None for row, there in zip(found, known, strict=False)), found[-1][name])
        for name in HEADLINES
    }


def _headlines(
    reading: Reading,
    period: _Period,
    history: Mapping[str, tuple[metrics.Value, ...]],
    evidence: Mapping[str, Evidence],
    *,
    first: bool,
) -> tuple[Headline, ...]:
    """What is compared may be only a part of the week before; a whole one is in the history."""
    previous: Mapping[str, metrics.Value] = {}
    if not first and period.before_stop == period.start:
        previous = {name: weeks[-2] for name, weeks in history.items()}
    elif not first:
        previous = metrics.measure(
            reading, HEADLINES, period.before_start, period.before_stop, before=period.week.previous(2).start
        )
    return tuple(
        Headline(
            metric=name,
            title=metric.title,
            unit=metric.unit,
            better=metric.better,
            value=history[name][-1],
            previous=previous.get(name),
            change=change(history[name][-1], previous.get(name), share=metric.unit == "share"),
            history=history[name][-HISTORY:],
            evidence=evidence[name],
        )
        for name in HEADLINES
        for metric in [metrics.METRICS[name]]
    )


def change(value: metrics.Value, previous: metrics.Value, *, share: bool = False) -> float | None:
    """How much a number moved: relative to what it was, or the difference for a share. None where that says nothing."""
    if value is None or previous is None:
        return None
    if share:
        return value - previous
    return (value - previous) / previous if previous else None


def _storage(reading: Reading, period: _Period, present: Mapping[str, Any], prices: metrics.Prices) -> Storage:
    waiting = reading.frame(_SQL["waiting_since"]).row(0, named=True)
    both = {**metrics.measure(reading, _FLOW, period.start, period.stop), **present, **waiting}
    cost = metrics.breakdown(reading, ["cost_micro"], period.start, period.stop, by=["part"], prices=prices)
    ahead = metrics.forecast(reading, period.stop, zone=period.week.zone, prices=prices)
    counted = set(Storage.__struct_fields__) - {"currency", "cost", "forecast"}
    return Storage(
        **{name: both[name] for name in counted},
        currency=prices.currency,
        cost=tuple(Cost(part=row["part"], micro=row["cost_micro"]) for row in cost.to_dicts() if row["cost_micro"]),
        forecast=ahead if ahead.history else None,
    )


def _retention(reading: Reading, period: _Period, present: Mapping[str, Any], *, scheduled: bool) -> Retention:
    until = period.now + EXPIRING_WITHIN
    rows = reading.frame(_SQL["expiring"], {"limit": EXPIRING, "until": until}).to_dicts()
    return Retention(
        marked_clips=present["marked_clips"],
        marked_bytes=present["marked_bytes"],
        expiring_until=until.astimezone(period.week.start.tzinfo),
        expiring_clips=rows[0]["all_clips"] if rows else 0,
        expiring_bytes=rows[0]["all_bytes"] if rows else 0,
        expiring=msgspec.convert(rows, tuple[Expiring, ...]),
        purged=msgspec.convert(_rows(reading, "purged", period), tuple[PurgedByRule, ...]),
        scheduled=scheduled,
    )


def _quality(
    reading: Reading, period: _Period, present: Mapping[str, Any], position: int, cursor: int | None, *, on: bool
) -> Quality:
    told = None
    if cursor is not None:
        told = Told(
            on=on,
            **reading.frame(
                _SQL["told"],
                {"start": period.start, "stop": period.stop, "cursor": cursor, "types": list(VOCABULARY)},
            ).row(0, named=True),
        )
    return Quality(
        position=position,
        waiting_clips=present["waiting_clips"],
        refused_clips=present["refused_clips"],
        **_rows(reading, "lateness", period)[0],
        quarantined=reading.frame(_SQL["quarantined"]).item(),
        mixpanel=told,
    )


def _definitions(period: _Period, prices: metrics.Prices) -> tuple[Definition, ...]:
    """Every metric with the query that tells it for this week; those of users against the week before."""
    return tuple(
        Definition(
            metric=metric.name,
            title=metric.title,
            unit=metric.unit,
            definition=metric.definition,
            query=metrics.explain(metric.name, period.start, period.stop, before=period.before_start, prices=prices),
        )
        for metric in metrics.METRICS.values()
    )


def _provenance(origin: Mapping[str, Any], period: _Period) -> Provenance:
    digest = origin["chain_digest"]
    return Provenance(
        source=origin["source"],
        position=origin["position"],
        chain_position=origin["chain_position"] or 0,
        chain_digest=bytes(digest).hex() if digest is not None else None,
        generated=period.now.astimezone(period.week.start.tzinfo),
        version=_version(),
    )


def _rows(reading: Reading, query: str, period: _Period, *, before: bool = False) -> list[dict[str, Any]]:
    start, stop = (period.before_start, period.before_stop) if before else (period.start, period.stop)
    found: pl.DataFrame = reading.frame(_SQL[query], {"start": start, "stop": stop})
    return found.to_dicts()


def _version() -> str:
    try:
        return version("voxledger")
    except PackageNotFoundError:
        return "unknown"
