"""Building the weekly report: the week measured where its rows lie, as records."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from voxledger.analytics import metrics
from voxledger.analytics.report import sections
from voxledger.analytics.report.errors import InvalidWeek
from voxledger.analytics.report.samples import read_samples
from voxledger.analytics.report.week import Week
from voxledger.analytics.report.weekly import (
    Definition,
    Expiring,
    Headline,
    LoudnessBin,
    Provenance,
    PurgedByRule,
    Quality,
    Retention,
    Storage,
    WeeklyReport,
)
from voxledger.catalog.log import Keeper, Reading
from voxledger.catalog.queries import load
from voxledger.catalog.settings import Settings

HISTORY = 8
"""Weeks of a sparkline, this one included."""
EXPIRING = 12
"""Most clips listed as expiring."""
HEADLINES = (
    "clips", "audio_us", "active_users", "returning_users", "generations", "reuse_rate", "saved_us", "failure_rate",
    "rtf_p95", "queue_p95_us",
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
_NO_SPARKLINE = frozenset({"rtf_p95", "queue_p95_us"})
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
    zone = settings.general.time_zone
    running = Week.of(now, zone)
    wanted = Week(week.year, week.number, zone) if week else running
    if wanted.start.astimezone(UTC) > now.astimezone(UTC):
        raise InvalidWeek(f"week {wanted} has not begun; the newest week that can be reported is {running}")
    period = _period(wanted, now)
    with keeper.reading(as_of=as_of) as reading:
        return _build(reading, period, settings, keeper.home.cache)


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


def _build(reading: Reading, period: _Period, settings: Settings, cache: Path) -> WeeklyReport:
    week = period.week
    now, before = (period.start, period.stop), (period.before_start, period.before_stop)
    earliest: datetime | None = reading.frame(_SQL["earliest"], {"stop": period.stop}).item()
    first = earliest is None or earliest >= period.start
    present: Mapping[str, Any] = metrics.measure(reading, _PRESENT, *now)
    origin = reading.frame(_SQL["provenance"]).row(0, named=True)
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
        headlines=_headlines(reading, period, earliest, first=first),
        history_weeks=tuple(str(week.previous(back)) for back in range(HISTORY - 1, -1, -1)),
        days=sections.days(reading, week, now),
        emotions=sections.emotions(reading, now, before),
        users=sections.users(reading, now),
        features=sections.features(reading, now, before),
        languages=sections.groups(reading, now, before, "language"),
        channels=sections.groups(reading, now, before, "channel"),
        voices=sections.voices(_rows(reading, "voices", period), _rows(reading, "voices", period, before=True)),
        engines=sections.engines(reading, now),
        failures=sections.failures(reading, now),
        loudness=msgspec.convert(_rows(reading, "loudness", period), tuple[LoudnessBin, ...]),
        storage=_storage(reading, period, present),
        retention=_retention(reading, period, present),
        samples=read_samples(reading, period.start, period.stop, settings.report.samples, cache),
        quality=Quality(
            position=origin["position"],
            waiting_clips=present["waiting_clips"],
            refused_clips=present["refused_clips"],
            recorded_late=_rows(reading, "recorded_late", period)[0]["recorded_late"],
        ),
        provenance=_provenance(origin, period),
        definitions=tuple(
            Definition(metric=metric.name, title=metric.title, unit=metric.unit, definition=metric.definition)
            for metric in metrics.METRICS.values()
        ),
    )


def _headlines(reading: Reading, period: _Period, earliest: datetime | None, *, first: bool) -> tuple[Headline, ...]:
    """The weeks of the sparkline in one scan; what is compared may be only a part of the week before."""
    week = period.week
    history = metrics.series(
        reading, HEADLINES, week.previous(HISTORY - 1).start, period.stop, every="week", zone=week.zone
    ).to_dicts()
    begun = [
        earliest is not None and week.previous(back - 1).start.astimezone(UTC) > earliest
        for back in range(HISTORY - 1, 0, -1)
    ]
    present = history[-1]
    previous = {} if first else metrics.measure(reading, HEADLINES, period.before_start, period.before_stop)
    return tuple(
        Headline(
            metric=name,
            title=metrics.METRICS[name].title,
            unit=metrics.METRICS[name].unit,
            better=metrics.METRICS[name].better,
            value=present[name],
            previous=previous.get(name),
            change=change(present[name], previous.get(name), share=metrics.METRICS[name].unit == "share"),
            history=()
            if name in _NO_SPARKLINE
            else (*(past[name] if known else None for past, known in zip(history, begun, strict=False)), present[name]),
        )
        for name in HEADLINES
    )


def change(value: metrics.Value, previous: metrics.Value, *, share: bool = False) -> float | None:
    """How much a number moved: relative to what it was, or the difference for a share. None where that says nothing."""
    if value is None or previous is None:
        return None
    if share:
        return value - previous
    return (value - previous) / previous if previous else None


def _storage(reading: Reading, period: _Period, present: Mapping[str, Any]) -> Storage:
    waiting = reading.frame(_SQL["waiting_since"]).row(0, named=True)
    both = {**metrics.measure(reading, _FLOW, period.start, period.stop), **present, **waiting}
    return Storage(**{name: both[name] for name in Storage.__struct_fields__})


def _retention(reading: Reading, period: _Period, present: Mapping[str, Any]) -> Retention:
    expiring = reading.frame(_SQL["expiring"], {"limit": EXPIRING}).to_dicts()
    return Retention(
        marked_clips=present["marked_clips"],
        marked_bytes=present["marked_bytes"],
        expiring=msgspec.convert(expiring, tuple[Expiring, ...]),
        purged=msgspec.convert(_rows(reading, "purged", period), tuple[PurgedByRule, ...]),
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
