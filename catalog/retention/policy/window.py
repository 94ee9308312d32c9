"""The purge window: the hours of a day in which audio may be deleted."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """From `start` to `end` by the clock of `zone`, every day; over midnight where the end comes before the start."""

    start: time
    end: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: ZoneInfo) -> Window:
        """From `01:00-05:00`. Raises ValueError."""
        found = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*", text)
        try:
            hours = [int(part) for part in found.groups()] if found else []
            start, end = time(hours[0], hours[1]), time(hours[2] % 24 if hours[2:] == [24, 0] else hours[2], hours[3])
        except (IndexError, ValueError):
            raise ValueError(f"{text!r} is no window; write the hours of a day, such as '01:00-05:00'") from None
        if start == end:
            raise ValueError(f"{text!r} ends when it begins; leave the window empty for the whole day")
        return cls(start=start, end=end, zone=zone)

    def is_open(self, now: datetime) -> bool:
        """Whether `now` (aware) lies in it."""
        clock = now.astimezone(self.zone).time()
        if self.start < self.end:
            return self.start <= clock < self.end
        return clock >= self.start or clock < self.end

    def opens(self, now: datetime) -> datetime:
        """When it opens next; `now` while it is open."""
        if self.is_open(now):
            return now
        local = now.astimezone(self.zone)
        day = local.date() if local.time() < self.start else local.date() + timedelta(days=1)
        return datetime.combine(day, self.start, self.zone).astimezone(now.tzinfo)

    def __str__(self) -> str:
        """As people write it, with its time zone."""
        return f"{self.start:%H:%M}-{self.end:%H:%M} {self.zone.key}"
