"""The schedule: which nightly run is due. Decided from the log and a clock, whatever woke us and how often.

A night is named by its date in the schedule's time zone, and a run is done when the log has a plan of that name, which is recorded
last. So it does not matter whether nobody was there at the time, a run was killed, two processes woke at once, or the clock was
set: each night is done once.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from voxledger.catalog.errors import PolicyError

_DAY = timedelta(days=1)


class Nightly(msgspec.Struct, frozen=True, kw_only=True):
    """Once a day at `clock` in `zone`."""

    clock: time
    zone: ZoneInfo

    @classmethod
    def parse(cls, text: str, zone: str) -> Nightly | None:
        """From `03:00` or `03:00 Europe/Berlin`; `zone` is that of a time without one. None when it is empty.

        Raises PolicyError.
        """
        if not text.strip():
            return None
        found = re.fullmatch(r"\s*(\d{1,2}):(\d{2})(?:\s+(\S+))?\s*", text)
        if found is None or int(found[1]) > 23 or int(found[2]) > 59:
            raise PolicyError(
                f"retention.schedule = {text!r} is no time of day: write '03:00', or '03:00 Europe/Berlin'"
            )
        called = found[3] or zone
        try:
            return cls(clock=time(int(found[1]), int(found[2])), zone=ZoneInfo(called))
        except (ValueError, KeyError, OSError):  # a zone that is not there is a KeyError, or a folder of zones
            raise PolicyError(
                f"retention.schedule = {text!r}: {called!r} is no IANA time zone, such as 'Europe/Berlin'"
            ) from None

    def at(self, night: date) -> datetime:
        """When the run of a night is due, in UTC.

        Of an hour that comes twice it is the first; a time that does not exist on that day comes as much after the gap as it
        lies in it.
        """
        return datetime.combine(night, self.clock, self.zone).astimezone(UTC)

    def newest(self, now: datetime) -> date:
        """The last night whose time has come."""
        night = now.astimezone(self.zone).date() + _DAY
        while self.at(night) > now:
            night -= _DAY
        return night

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.clock:%H:%M} {self.zone.key}"


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is due: the night that names it, since when, and how many nights before it went by without one."""

    night: date
    since: datetime
    missed: int

    @property
    def run(self) -> str:
        """How the log names it: `2026-11-26`."""
        return self.night.isoformat()


def due(nightly: Nightly, now: datetime, done: Collection[date]) -> Due | None:
    """The run that is due at `now`, given the nights that the log has a run of; None when there is none.

    Only the newest night is ever due: one run does all that the missed ones would have done. Without any run in the log the
    newest night is due too, so that a machine that sleeps at night has its first run at all.
    """
    newest = nightly.newest(now)
    if newest in done:
        return None
    before = max((night for night in done if night < newest), default=None)
    missed = 0 if before is None else (newest - before).days - 1
    return Due(night=newest, since=nightly.at(newest), missed=missed)


def following(nightly: Nightly, now: datetime, done: Collection[date]) -> datetime:
    """When the next run is due: in the past for one that is due now."""
    found = due(nightly, now, done)
    night = found.night if found else nightly.newest(now) + _DAY
    while night in done:
        night += _DAY
    return nightly.at(night)
