"""Moments as people write them on the command line: `--as-of`, `--since`, `--until`, `--review`."""

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


def read_end(text: str, *, zone: tzinfo, now: datetime, option: str = "--until") -> datetime:
    """When something is to end, in UTC: `30d` is in thirty days, `2027-01-01` the end of that day. It lies after `now`.

    A time without an offset, and a day, are those of `zone`. Raises QueryError, naming the option, for anything else.
    """
    words = text.strip()
    try:
        found = (
            now.astimezone(UTC) + timedelta(seconds=parse_span(words))
            if _SPAN.fullmatch(words)
            else read_moment(words, zone=zone, now=now, option=option)
        )
    except (ValueError, OverflowError, QueryError):
        raise QueryError(
            f"{option} {text[:80]!r} is no moment: write 2027-01-01T12:00:00Z, 2027-01-01 (the end of that day) or 30d (in"
            " thirty days)"
        ) from None
    return check_end(found, now=now, option=option)


def check_end(moment: datetime, *, now: datetime, option: str = "until") -> datetime:
    """A moment at which something is to end. Raises QueryError for one without time zone, and for one that is over."""
    if moment.tzinfo is None:
        raise QueryError(f"{option} {moment.isoformat()} has no time zone; use UTC")
    if moment <= now:
        raise QueryError(f"{option} {moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC is over already; give a later one")
    return moment.astimezone(UTC)


def end_of(option: str, text: str | None, zone: str) -> datetime | None:
    """What an option says about an end, None when it says nothing. `zone` is the IANA name in `general.time_zone`."""
    return None if text is None else read_end(text, zone=ZoneInfo(zone), now=datetime.now(UTC), option=option)
