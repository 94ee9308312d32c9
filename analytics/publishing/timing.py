"""Timing: when the report of a week that is over is due. Decided from a clock; the log says whether it was made.

A week's report is due at one moment, and made once, whenever somebody wakes after it. So it does not matter that an hour comes
twice, or never, or that nobody was there for a fortnight.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from voxledger.analytics.report import Week
from voxledger.catalog.errors import SettingsError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Weekly(msgspec.Struct, frozen=True, kw_only=True):
    """Once a week, on `weekday` (0 = Monday) at `clock` in `zone`."""

    weekday: int
    clock: time
    zone: str

    @classmethod
    def parse(cls, text: str, zone: str) -> Weekly | None:
        """From `Mon 06:00`; None when it is empty. Raises SettingsError."""
        if not text.strip():
            return None
        found = re.fullmatch(r"\s*([A-Za-z]{3})[a-z]*\s+(\d{1,2}):(\d{2})\s*", text)
        try:
            made = found and cls(
                weekday=_DAYS.index(found[1].lower()), clock=time(int(found[2]), int(found[3])), zone=zone
            )
        except ValueError:
            made = None
        if made is None:
            raise SettingsError(f"report.at = {text!r} is no weekday and time, such as 'Mon 06:00'", name="report.at")
        return made

    def at(self, week: Week) -> datetime:
        """When the report of a week is due, in UTC: at the first such time after it is over.

        Of an hour that comes twice it is the first; a time that does not exist on that day comes as much after the gap as it
        lies in it.
        """
        day = week.monday + timedelta(days=7 + self.weekday)
        return max(datetime.combine(day, self.clock, ZoneInfo(self.zone)).astimezone(UTC), week.end.astimezone(UTC))

    def newest(self, now: datetime) -> Week:
        """The last week whose report is due."""
        week = Week.of(now, self.zone).previous()
        return week if self.at(week) <= now else week.previous()

    def __str__(self) -> str:
        """As people write it."""
        return f"{_DAYS[self.weekday].title()} {self.clock:%H:%M} {self.zone}"
