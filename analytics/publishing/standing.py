"""Standing: which reports there are, how each went at each channel, and what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from voxledger.analytics.publishing.deciding import Due, following
from voxledger.analytics.publishing.publisher import SQL
from voxledger.analytics.publishing.tasks import KIND, parsed
from voxledger.analytics.publishing.timing import Weekly
from voxledger.catalog.events import ReportChannel
from voxledger.catalog.journal import Journal, OpenTask
from voxledger.catalog.log import Keeper


class AtChannel(msgspec.Struct, frozen=True, kw_only=True):
    """How one report went at one channel: `delivered`, `waiting`, `sending`, `refused`, `given_up`, `unknown`, `elsewhere`, or
    `unsent`. `again` is when it is tried again; `arrived` when it came there last, also where sending it once more did not succeed.
    """

    channel: str
    state: str
    time: datetime | None = None
    attempts: int = 0
    said: str = ""
    again: datetime | None = None
    arrived: datetime | None = None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A report that was published."""

    week: str
    revision: int
    time: datetime
    closed: bool
    by: str
    channels: tuple[AtChannel, ...]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How the schedule of reports stands. `next_run` lies in the past while a report is due; `claims` says when two copies of this
    HOME would both send, and is empty where only one does.
    """

    schedule: str
    last_week: str | None
    last_run: datetime | None
    due: tuple[str, ...]
    next_run: datetime | None
    channels: Mapping[ReportChannel, str]
    claims: str
    open: tuple[AtChannel, ...]


def listed(keeper: Keeper, *, limit: int) -> Sequence[Listed]:
    """The reports that were published, the newest week first."""
    with keeper.reading() as reading:
        rows = reading.tuples(SQL["all"], {"limit": limit})
        ended = {
            (week, revision, channel): rest for week, revision, channel, *rest in reading.tuples(SQL["deliveries"])
        }
    tasks = {task.subject: task for task in keeper.journal.tasks(KIND, limit=10_000)}
    opened = {parsed(subject): task for subject, task in tasks.items()}
    found = []
    for week, revision, time, closed, by, channels in rows:
        names = dict.fromkeys(channels or ())
        names |= {channel: None for known in (ended, opened) for (w, r, channel) in known if (w, r) == (week, revision)}
        found.append(
            Listed(
                week=week, revision=revision, time=time.astimezone(UTC), closed=closed, by=by or "schedule",
                channels=tuple(_at(name, opened.get((week, revision, name)), ended.get((week, revision, name))) for name in names),
            )
        )  # fmt: skip
    return found


def standing(
    keeper: Keeper,
    weekly: Weekly | None,
    now: datetime,
    waiting: Sequence[Due],
    channels: Mapping[ReportChannel, str],
    claims: str,
) -> Standing:
    """How it stands, without trying anything."""
    with keeper.reading(fresh=False) as reading:
        last = reading.tuples(SQL["last"])
    week, _, time = last[0] if last else (None, None, None)
    return Standing(
        schedule=str(weekly) if weekly else "",
        last_week=week,
        last_run=time.astimezone(UTC) if time else None,
        due=tuple(str(found.week) for found in waiting),
        next_run=None if weekly is None else waiting[0].since if waiting else following(weekly, now),
        channels=channels,
        claims=claims,
        open=tuple(_open(keeper.journal)),
    )


def _open(journal: Journal) -> Iterable[AtChannel]:
    for task in journal.tasks(KIND, limit=100):
        found = _at(parsed(task.subject)[2], task, None)
        yield msgspec.structs.replace(found, said=f"{task.subject}: {found.said}" if found.said else task.subject)


def _at(name: str, task: OpenTask | None, ended: Sequence[Any] | None) -> AtChannel:
    outcome, failure, time, attempts, arrived = ended or (None, None, None, 0, None)
    came = arrived.astimezone(UTC) if arrived else None
    if task is None or task.state == "parked":
        return AtChannel(
            channel=name,
            state=outcome or ("parked" if task else "unsent"),
            time=time.astimezone(UTC) if time else None,
            attempts=attempts,
            said=(task.error if task else failure) or "",
            arrived=came,
        )
    return AtChannel(
        channel=name,
        state="sending" if task.state == "leased" else "waiting",
        attempts=task.attempts,
        said=task.error or "",
        again=datetime.fromtimestamp(task.due, UTC) if task.state == "waiting" and task.attempts else None,
        arrived=came,
    )
