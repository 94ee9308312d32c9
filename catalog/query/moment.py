"""Moments as people write them on the command line: `--as-of`, `--since`, `--until`."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

from voxledger.catalog.errors import QueryError
from voxledger.catalog.settings import parse_span

Edge: TypeAlias = Literal["start", "end"]
"""Which moment of a day is meant: its first, or its last."""
_SPAN = re.compile(r"[0-9][0-9a-z.\s]*[a-z]")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d")


def read_moment(text: str, *, zone: tzinfo, now: datetime, day: Edge = "end", option: str = "--as-of") -> datetime:
    """A moment in UTC: `7d` is seven days before `now`, `2026-03-01` an edge of that day, `2026-03-01T12:00` noon.

    A time without an offset, and a day, are those of `zone`. Raises QueryError, naming the option, for anything else.
    """
    words = text.strip()
    try:
        if _SPAN.fullmatch(words):
            return now.astimezone(UTC) - timedelta(seconds=parse_span(words))
        if _DAY.fullmatch(words):
            if day == "start":
                return datetime.combine(date.fromisoformat(words), time(), zone).astimezone(UTC)
            following = date.fromisoformat(words) + timedelta(days=1)
            return datetime.combine(following, time(), zone).astimezone(UTC) - timedelta(microseconds=1)
        found = datetime.fromisoformat(words) if _TIME.match(words) else None
        moment = found and (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise QueryError(
            f"{option} {text[:80]!r} is no moment: write 2026-03-01T12:00:00Z, 2026-03-01 (the {day} of that day) or 7d"
            " (seven days ago)"
        )
    return moment


def moment_of(option: str, text: str | None, zone: str, *, day: Edge = "end") -> datetime | None:
    """What an option says, None when it says nothing. `zone` is the IANA name in `general.time_zone`."""
    if text is None:
        return None
    return read_moment(text, zone=ZoneInfo(zone), now=datetime.now(UTC), day=day, option=option)
