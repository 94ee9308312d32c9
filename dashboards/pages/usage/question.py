"""The question of the page: which days, which metric, by what told apart. The address holds it, and nothing else does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec

from voxledger.analytics.metrics import METRICS, Every
from voxledger.analytics.metrics.measure import midnight
from voxledger.dashboards.pages.words import later

PRESETS: Mapping[str, str] = MappingProxyType(
    {"7d": later("7 days"), "30d": later("30 days"), "90d": later("90 days"), "1y": later("A year")}
)
"""The ranges that a click chooses."""
USUAL = "30d"
FIGURES = ("clips", "audio_us", "active_users", "engine_us", "reuse_rate", "failure_rate")
"""The metrics at the top; each can be looked at over time, and by group."""
WAYS: Mapping[str, str] = MappingProxyType(
    {
        "actor": later("Actor"), "voice": later("Voice"), "emotion": later("Emotion"), "engine": later("Engine"),
        "language": later("Language"), "format": later("Format"), "channel": later("Channel"), "device": later("Device"),
    }
)  # fmt: skip
"""The dimensions by which they are told apart."""
STRETCH: Mapping[str, str] = MappingProxyType({"day": later("Day"), "week": later("Week"), "month": later("Month")})
"""What the stretches are called."""
DAYS, WEEKS = 62, 400
"""Up to so many days are told day by day, or week by week; more of them month by month."""
_EARLIEST = timedelta(days=20 * 366)


class Span(NamedTuple):
    """What is asked for and what it is compared with, in UTC. A period that still runs is compared with as much of the one before."""

    start: datetime
    stop: datetime
    before: datetime
    before_stop: datetime


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What the page is asked. `first` and `last` are days of `zone`, both of them in it; `preset` is what they are called, if anything."""

    first: date
    last: date
    zone: str
    preset: str
    metric: str
    by: str
    split: bool
    compare: bool

    @classmethod
    def of(cls, given: Mapping[str, str], zone: str, *, now: datetime | None = None) -> Question:
        """What an address asks. What makes no sense is what is usual; days to come are today."""
        today = (now or datetime.now(UTC)).astimezone(ZoneInfo(zone)).date()
        first, last, preset = _range(given, today)
        metric = given["metric"] if given.get("metric") in FIGURES else FIGURES[0]
        return cls(
            first=first, last=last, zone=zone, preset=preset,
            metric=metric, by=given["by"] if given.get("by") in ways(metric) else "voice",
            split=given.get("split") == "yes",
            compare=given.get("compare") != "no",
        )  # fmt: skip

    @property
    def days(self) -> int:
        """How many days it is about."""
        return (self.last - self.first).days + 1

    @property
    def every(self) -> Every:
        """How fine it is told over time."""
        return "day" if self.days <= DAYS else "week" if self.days <= WEEKS else "month"

    @property
    def additive(self) -> bool:
        """Whether groups of the metric add up."""
        return METRICS[self.metric].additive

    def span(self, now: datetime | None = None) -> Span:
        """The moments, at a moment."""
        start, stop = midnight(self.first, self.zone), midnight(self.last + timedelta(days=1), self.zone)
        before = midnight(self.first - timedelta(days=self.days), self.zone)
        elapsed = min(now or datetime.now(UTC), stop) - start
        return Span(start, stop, before, min(before + elapsed, start))

    def address(self, path: str = "/usage", **changes: Any) -> str:
        """The address that asks this, with something changed: `preset`, `metric`, `by`, `split`, `compare`."""
        asked: dict[str, Any] = {
            "range": self.preset, "metric": self.metric, "by": self.by, "split": self.split, "compare": self.compare,
        } | changes  # fmt: skip
        query = {} if asked["range"] == USUAL else {"range": asked["range"]}
        if not asked["range"]:
            query = {"from": self.first.isoformat(), "to": self.last.isoformat()}
        query |= {} if asked["metric"] == FIGURES[0] else {"metric": asked["metric"]}
        query |= {} if asked["by"] == "voice" else {"by": asked["by"]}
        query |= {"split": "yes"} if asked["split"] else {}
        query |= {} if asked["compare"] else {"compare": "no"}
        return f"{path}?{urlencode(query)}" if query else path


def ways(metric: str) -> Mapping[str, str]:
    """By what a metric is told apart: people are not counted person by person."""
    return {name: title for name, title in WAYS.items() if (metric, name) != ("active_users", "actor")}


def _range(given: Mapping[str, str], today: date) -> tuple[date, date, str]:
    first, last = _day(given.get("from")), _day(given.get("to"))
    if first is not None or last is not None:
        last = min(last or today, today)
        first = min(max(first or last - timedelta(days=29), today - _EARLIEST), today)
        return min(first, last), max(first, last), ""
    preset = given.get("range", USUAL)
    if preset == "7d":
        return today - timedelta(days=6), today, preset
    if preset == "90d":
        return today - timedelta(days=89), today, preset
    if preset == "1y":
        return today - timedelta(days=today.weekday(), weeks=51), today, preset
    return today - timedelta(days=29), today, USUAL


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
