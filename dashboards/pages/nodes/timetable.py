"""The timetable: what the node does by itself, each job in sentences that a viewer can read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from voxledger.catalog.events import now
from voxledger.dashboards import schedule as schedules
from voxledger.dashboards.pages.words import later
from voxledger.dashboards.schedule import Door, Run, Shown

WHAT: Mapping[str, str] = MappingProxyType({
    "drain": later("Bring the log and its tables up to date"),
    "search": later("Index words for the search"),
    "deliver": later("Send events to Mixpanel"),
    "report": later("Make the report of a week that is over"),
    "send": later("Take reports to bucket, mail and webhook"),
    "retention": later("Plan and purge each night"),
    "cache": later("Keep local copies within their limit"),
    "publish": later("Put the head of the chain into the store"),
    "store": later("Try what the store can do"),
    "elsewhere": later("Look for another HOME of this node"),
    "erasures": later("Go on with erasures that wait"),
})  # fmt: skip
"""What each job does, as the page says it."""
_BY_CALENDAR = frozenset({"report", "retention"})


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A job as the page shows it. `every` is in seconds, None for what goes by the calendar: then `when` says it."""

    shown: Shown
    what: str
    every: float | None
    run: Run | None

    @property
    def level(self) -> str:
        """`good`, `bad`, or `off` for what has not run."""
        return "bad" if self.shown.ended in ("stopped", "failed") else "good" if self.shown.ended else "off"


class Timetable(msgspec.Struct, frozen=True, kw_only=True):
    """All jobs, and what else is to be said."""

    jobs: tuple[Planned, ...]
    notes: tuple[str, ...]


def renewed(door: Door, known: Timetable) -> Timetable:
    """What looks again and again as it stands by now; what goes by the calendar takes large questions, and stays as it was known."""
    noted = schedules.noted(door.home)
    if noted is None:
        return known
    every = {job.name: job for job in schedules.jobs(door.settings)}

    def again(each: Planned) -> Planned:
        run = noted.runs.get(each.shown.name)
        if each.every is None:
            return msgspec.structs.replace(each, run=run)
        shown = schedules.plain(door, every[each.shown.name], run, serving=noted.serves)
        return msgspec.structs.replace(each, run=run, shown=shown)

    return msgspec.structs.replace(known, jobs=tuple(again(each) for each in known.jobs))


def timetable(door: Door) -> Timetable:
    """How the jobs stand. Tries nothing."""
    found = schedules.schedule(door, now())
    noted = schedules.noted(door.home)
    every = {job.name: job.every for job in schedules.jobs(door.settings)}
    return Timetable(
        jobs=tuple(
            Planned(
                shown=each, what=WHAT.get(each.name, each.what), every=None if each.name in _BY_CALENDAR else every[each.name],
                run=noted.runs.get(each.name) if noted else None,
            )
            for each in found.jobs
        ),
        notes=found.notes,
    )  # fmt: skip
