"""Deciding: which reports are due, of what the log says. Pure, so that any week can be tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import msgspec

from voxledger.analytics.publishing.timing import Weekly
from voxledger.analytics.report import Week

CATCH_UP = 8
"""Closed weeks at most that are reported after a long pause, and that late events give a revision."""
AGAIN = timedelta(days=1)
"""Between two revisions of one week."""


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """The newest report of a closed week: its revision, when it was made, and the position up to which it knows the log."""

    revision: int
    time: datetime
    through: int


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """A report to be made: of which week, since when it is due, and why.

    `announced` says whether mail and webhook tell of it: of weeks that are caught up only the newest is told, for nobody wants to
    find eight letters after a holiday. The others lie in the folder and in the bucket.
    """

    week: Week
    since: datetime
    reason: Literal["over", "late events"]
    announced: bool


def due(
    weekly: Weekly,
    now: datetime,
    *,
    begun: datetime | None,
    published: Mapping[str, Publication],
    is_late: Callable[[Week, Publication], bool],
    is_early: Callable[[Week, Publication], bool],
    announce_revisions: bool = False,
) -> Sequence[Due]:
    """What is due at `now`, the oldest week first.

    `begun` is when the first clip was asked for: a week that was over before then has nothing to tell. A quiet week later on has:
    what lies in the store, and what will go. `is_late` says whether something of a week came after its newest report was made.
    Then `is_early` says whether that is so because a clock that ran ahead had told the week while it ran: nobody has its report yet.
    """
    newest = weekly.newest(now)
    found = []
    for week in (newest.previous(back) for back in range(CATCH_UP - 1, -1, -1)):
        if begun is None or week.end.astimezone(UTC) <= begun.astimezone(UTC):
            continue
        last = published.get(str(week))
        if last is None:
            found.append(Due(week=week, since=weekly.at(week), reason="over", announced=week == newest))
        elif not is_late(week, last):
            continue
        elif is_early(week, last):
            found.append(Due(week=week, since=weekly.at(week), reason="over", announced=week == newest))
        elif last.time + AGAIN <= now:
            told = announce_revisions and week == newest
            found.append(Due(week=week, since=last.time + AGAIN, reason="late events", announced=told))
    return found


def is_revised(weekly: Weekly, week: Week, now: datetime) -> bool:
    """Whether late events of a closed week still make a revision, at `now` or later."""
    return week.start >= weekly.newest(now).previous(CATCH_UP - 1).start


def following(weekly: Weekly, now: datetime) -> datetime:
    """When the next week's report is due, after all that are due now."""
    return weekly.at(weekly.newest(now).following())
