"""Figures: what was made today and this week, beside the same stretch of yesterday and of the week before, and day by day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

from markupsafe import Markup

from voxledger.catalog.queries import load
from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.pages import moments
from voxledger.dashboards.pages.words import say

if TYPE_CHECKING:
    from voxledger.dashboards.server.callers import Caller

DAYS = 14
"""Days of the small lines."""
SQL = load("overview.sql", "voxledger.dashboards.pages.overview")
_TALL = 40
_NONE: Mapping[str, int] = {"clips": 0, "audio_us": 0, "reused": 0, "failed": 0, "cancelled": 0, "people": 0}


class Stretch(NamedTuple):
    """A stretch of time, from `start` to before `stop`, in UTC."""

    name: str
    start: datetime
    stop: datetime


class Figures(NamedTuple):
    """Counts by name (`clips`, `audio_us`, `reused`, `failed`, `cancelled`, `people`) of each stretch, and of each of `DAYS` days."""

    today: Mapping[str, int]
    yesterday: Mapping[str, int]
    week: Mapping[str, int]
    week_before: Mapping[str, int]
    days: Sequence[Mapping[str, int]]
    dates: Sequence[date]

    @property
    def nothing(self) -> bool:
        """Whether nobody has asked for anything in all these days."""
        return not any(day["clips"] or day["reused"] or day["failed"] or day["cancelled"] for day in self.days)

    def line(self, name: str) -> list[int]:
        """One count day by day, today last."""
        return [day[name] for day in self.days]


def figures(caller: Caller, zone: str) -> Figures:
    """The figures of all that the caller sees, by the days of a zone. Raises QueryError."""
    stretches = of(datetime.now(UTC), zone)
    whose, values = seen(caller)
    values |= {
        "names": [each.name for each in stretches],
        "starts": [each.start for each in stretches],
        "stops": [each.stop for each in stretches],
        "first": min(each.start for each in stretches),
    }
    with asked(caller, fresh=False) as reading:
        rows = reading.rows(SQL["figures"].format(whose=whose), values)
    found: dict[str, Mapping[str, int]] = {row["stretch"]: row for row in rows}
    return Figures(
        today=found.get("today", _NONE),
        yesterday=found.get("yesterday", _NONE),
        week=found.get("week", _NONE),
        week_before=found.get("week_before", _NONE),
        days=[found.get(f"day {number}", _NONE) for number in range(DAYS)],
        dates=[each.start.astimezone(ZoneInfo(zone)).date() for each in stretches if each.name.startswith("day ")],
    )


def of(now: datetime, zone: str) -> list[Stretch]:
    """The stretches that a moment (aware) is compared by. A day that the clocks change in is as long as it is."""
    local = now.astimezone(ZoneInfo(zone))
    today = local.date()
    monday = today - timedelta(days=today.weekday())

    def midnight(days: int, *, since: Any = today) -> datetime:
        return datetime.combine(since + timedelta(days=days), time(), ZoneInfo(zone)).astimezone(UTC)

    spent, of_week = now - midnight(0), now - midnight(0, since=monday)
    days = [
        Stretch(f"day {number}", midnight(number - DAYS + 1), midnight(number - DAYS + 2)) for number in range(DAYS)
    ]
    return [
        Stretch("today", midnight(0), now + timedelta(hours=1)),  # an event may be dated a little ahead
        Stretch("yesterday", midnight(-1), min(midnight(-1) + spent, midnight(0))),
        Stretch("week", midnight(0, since=monday), now + timedelta(hours=1)),
        Stretch("week_before", midnight(-7, since=monday), midnight(-7, since=monday) + of_week),
        *days,
    ]


def seen(caller: Caller) -> tuple[str, dict[str, Any]]:
    """What limits a query to what the caller sees: a condition, and its values."""
    own = caller.principal.sees
    return ("true", {}) if own is None else ("actor = $actor", {"actor": own})


def bars(found: Figures, name: str, way: str) -> Markup:
    """One count day by day as a row of bars, which each tell their day; `way` is the filter that writes the count."""
    counts = found.line(name)
    top = max(*counts, 1)
    write = moments.FILTERS[way]
    drawn = []
    for place, (day, value) in enumerate(zip(found.dates, counts, strict=True)):
        tall = max(1.5, _TALL * value / top) if value else 1.0
        now = " now" if place == len(counts) - 1 else "" if value else " none"
        drawn.append(
            Markup(
                '<rect class="bar-day{}" x="{}" y="{:.1f}" width="7" height="{:.1f}"><title>{}: {}</title></rect>'
            ).format(now, place * 10, _TALL - tall, tall, moments.date(day), write(value))
        )
    return Markup(
        '<svg class="days" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format(10 * len(counts) - 3, _TALL, say("Day by day, two weeks"), Markup("").join(drawn))
