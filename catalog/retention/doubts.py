"""Doubts: why nobody knows what was used lately, so that nothing may be condemned.

The time at which an event was recorded never goes back. After a clock that was wrong for a moment, far ahead, it stands still until
that time has really come: only a person can say that it is the log that is wrong, and not the clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from voxledger.catalog.errors import PolicyError
from voxledger.catalog.home import Home
from voxledger.catalog.log import Reading
from voxledger.catalog.objects.elsewhere import noted
from voxledger.catalog.queries import load

SKEW: Final = timedelta(minutes=1)
"""How far the clock may lie before the newest event."""
_DELAY: Final = timedelta(hours=1)
"""Events whose own time lies this much before that of their recording came after the clock was set right."""
_SQL = load("nights.sql", "voxledger.catalog.retention")


def another_home(home: Home) -> str | None:
    """While another HOME goes on as this node, over the same store, our log does not tell what is used there."""
    found = noted(home)
    if found is None or not found.is_recent:
        return None
    return (
        "another HOME goes on as this node, with the same store, and what is used there is not known here. Let only one of the two"
        " go on (`voxledger status` says more)"
    )


def wrong_clock(reading: Reading, now: datetime, forgiven: datetime | None) -> str | None:
    """Why the clock cannot be believed; None when it can. The sentence stays the same from one try to the next.

    Events recorded until `forgiven` are known to bear the time of a wrong clock. Then the clock is held against the own times of
    what came since.
    """
    recorded = reading.tuples(_SQL["newest"])[0][0]
    if recorded is None or now >= recorded - SKEW:
        return None
    if forgiven is None or recorded > forgiven:
        until = recorded.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        return (
            f"the clock lies before the newest event, of {_minute(recorded)} UTC. If it was set back, set it right; if it is right, and was"
            f' wrong when that was recorded, say so: retention.wrong_clock_until = "{_minute(until)}"'
        )
    since = reading.tuples(_SQL["since"], {"recorded": recorded, "before": recorded - _DELAY})[0][0]
    if since is None or now >= since - SKEW:
        return None
    return f"the clock lies before the newest event since it was set right, of {_minute(since)} UTC: it was set back; set it right"


def forgiven(text: str) -> datetime | None:
    """What `retention.wrong_clock_until` says, in UTC; None when it says nothing. Raises PolicyError."""
    if not text.strip():
        return None
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise PolicyError(
            f"retention.wrong_clock_until = {text!r} is no time: write it in UTC, such as '2026-11-26 17:05'"
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _minute(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M}"
