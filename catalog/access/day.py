"""A day: what limits are counted in, in `general.time_zone`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from typing import NamedTuple
from zoneinfo import ZoneInfo

_FIRST = date(1970, 1, 1)


class Day(NamedTuple):
    """One day: its number since 1970, and when it begins and ends (s since 1970)."""

    number: int
    begin: float
    end: float

    @classmethod
    def of(cls, moment: float, zone: str) -> Day:
        """The day that a moment (s since 1970) belongs to. `zone` is an IANA name."""
        there = ZoneInfo(zone)
        today = datetime.fromtimestamp(moment, UTC).astimezone(there).date()
        begin, end = (datetime.combine(today + timedelta(days=n), clock(), there).timestamp() for n in (0, 1))
        return cls((today - _FIRST).days, begin, end)

    def holds(self, moment: float) -> bool:
        """Whether a moment belongs to it."""
        return self.begin <= moment < self.end
