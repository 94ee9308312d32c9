"""The ISO week: Monday 00:00 to Monday 00:00 in a time zone (ISO 8601)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from voxledger.analytics.report.errors import InvalidWeek

_FORM = re.compile(r"(\d{4})-W(\d{2})", re.ASCII)


class Week(msgspec.Struct, frozen=True):
    """One ISO week in a time zone (IANA name). Raises InvalidWeek for one that no calendar has."""

    year: int
    number: int
    zone: str = "UTC"

    def __post_init__(self) -> None:
        # 28 December always lies in a year's last week.
        last = date(self.year, 12, 28).isocalendar().week if 1900 <= self.year < 9999 else 0
        if not 1 <= self.number <= last:
            raise InvalidWeek(
                f"there is no week {self.number} in the year {self.year:04}; years have 52 or 53, as in 2026-W47"
            )

    @classmethod
    def parse(cls, text: str, zone: str = "UTC") -> Week:
        """Read `2026-W47`. Raises InvalidWeek."""
        found = _FORM.fullmatch(text.strip().upper())
        if not found:
            raise InvalidWeek(f"{text!r} is no ISO week; write year and week, such as 2026-W47")
        return cls(int(found[1]), int(found[2]), zone)

    @classmethod
    def of(cls, moment: datetime, zone: str = "UTC") -> Week:
        """The week that holds an aware moment. Raises ValueError for a naive one."""
        if moment.tzinfo is None:
            raise ValueError(f"{moment.isoformat()} has no time zone")
        year, number, _ = moment.astimezone(ZoneInfo(zone)).isocalendar()
        return cls(year, number, zone)

    def __str__(self) -> str:
        return f"{self.year}-W{self.number:02}"

    @property
    def monday(self) -> date:
        """Its first day."""
        return date.fromisocalendar(self.year, self.number, 1)

    @property
    def days(self) -> tuple[date, ...]:
        """Its seven days, from Monday on."""
        return tuple(self.monday + timedelta(days=day) for day in range(7))

    @property
    def start(self) -> datetime:
        """The moment it begins, aware, in its zone."""
        return self._midnight(self.monday)

    @property
    def end(self) -> datetime:
        """The moment it is over, which is the next week's start: 167 or 169 hours on where clocks change."""
        return self._midnight(self.monday + timedelta(days=7))

    def closed(self, now: datetime) -> bool:
        """Whether it is over."""
        # Moments of one zone compare by their clocks, which a clock change makes wrong; those of UTC do not.
        return now.astimezone(UTC) >= self.end.astimezone(UTC)

    def previous(self, count: int = 1) -> Week:
        """The week `count` weeks before."""
        year, number, _ = (self.monday - timedelta(weeks=count)).isocalendar()
        return Week(year, number, self.zone)

    def following(self) -> Week:
        """The week after."""
        return self.previous(-1)

    def a_week_before(self, moment: datetime) -> datetime:
        """The same weekday and clock time one week earlier, in this week's zone."""
        local = moment.astimezone(ZoneInfo(self.zone))
        return _real(local - timedelta(weeks=1))

    def _midnight(self, day: date) -> datetime:
        return _real(datetime.combine(day, time(), ZoneInfo(self.zone)))


def _real(moment: datetime) -> datetime:
    """The same moment as clocks show it: a midnight that a clock change skipped becomes 01:00."""
    return moment.astimezone(UTC).astimezone(moment.tzinfo)
