"""Moments as people write them on the command line, for questions about the past."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from voxledger.catalog.errors import QueryError
from voxledger.catalog.settings import parse_span

_SPAN = re.compile(r"[0-9][0-9a-z.\s]*[a-z]")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d")


def read_moment(text: str, *, zone: tzinfo, now: datetime) -> datetime:
    """A moment in UTC: `7d` is seven days before `now`, `2026-03-01` the end of that day, `2026-03-01T12:00` noon.

    A time without an offset, and a day, are those of `zone`. Raises QueryError for anything else.
    """
    words = text.strip()
    try:
        if _SPAN.fullmatch(words):
            return now.astimezone(UTC) - timedelta(seconds=parse_span(words))
        if _DAY.fullmatch(words):
            following = date.fromisoformat(words) + timedelta(days=1)
            return datetime.combine(following, time(), zone).astimezone(UTC) - timedelta(microseconds=1)
        found = datetime.fromisoformat(words) if _TIME.match(words) else None
        moment = found and (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise QueryError(
            f"{text[:80]!r} is no moment: write 2026-03-01T12:00:00Z, 2026-03-01 (the end of that day) or 7d (seven days ago)"
        )
    return moment


def moment_of(text: str | None, zone: str) -> datetime | None:
    """What `--as-of` says, None when it says nothing. `zone` is the IANA name in `general.time_zone`."""
    return None if text is None else read_moment(text, zone=ZoneInfo(zone), now=datetime.now(UTC))
