"""The schedule: the jobs of `voxledger serve`, when each ran last, how it ended, and when it runs next.

What is due, the log says of reports and of retention. Of the other jobs a small file in HOME tells, which may be lost at any time.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.errors import PolicyError, SettingsError
from voxledger.catalog.events import now
from voxledger.catalog.home import Home
from voxledger.catalog.settings import Settings, format_span

if TYPE_CHECKING:
    from voxledger.analytics.reports import Reports
    from voxledger.catalog.retention import Retention

LEARN = 60.0
"""Seconds between two looks for a store that nobody has tried yet."""
TRIM = 60.0
"""Seconds between two looks whether the local cache is over its limit."""
RETAIN = 60.0
"""Seconds between two looks whether a nightly run of retention is due."""
ELSEWHERE = 3600.0
"""Seconds between two looks whether another HOME goes on as this node."""
FORGET = 3600.0
"""Seconds between two looks whether an erasure that waits can go on."""
_FILE = "schedule.json"
_SELDOM = 30.0
"""Seconds between two times that the file is written, while nothing but times changes."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One job of the node: what it does, and how many seconds lie between two looks."""

    name: str
    what: str
    every: float


def jobs(settings: Settings) -> Sequence[Job]:
    """All jobs, in the order in which they are shown."""
    schedule = settings.schedule
    return tuple(
        Job(name=name, what=what, every=max(0.1, every))
        for name, what, every in (
            ("drain", "brings the log up to date", schedule.drain),
            ("search", "indexes words", schedule.search),
            ("deliver", "sends events to Mixpanel", schedule.deliver),
            ("report", "makes the report of a week that is over", schedule.report),
            ("send", "takes reports to bucket, mail and webhook", schedule.send),
            ("retention", "plans and purges each night", RETAIN),
            ("cache", "keeps local copies within their limit", TRIM),
            ("publish", "puts the head of the chain into the store", schedule.publish),
            ("store", "tries what the store can do", LEARN),
            ("elsewhere", "looks for another HOME of this node", ELSEWHERE),
            ("erasures", "goes on with erasures that wait", FORGET),
        )
    )


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The last run of a job: when it ended, how, what it said if it did not end well, how long it took, and which run it was.

    `not_before`: until when it does nothing, because the other side asked for that.
    """

    at: datetime
    ended: Literal["well", "stopped", "failed"]
    said: str = ""
    took_s: float = 0.0
    number: int = 1
    not_before: datetime | None = None


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the file: which process serves, and the last run of each job."""

    pid: int
    start: float
    runs: dict[str, Run] = {}

    @property
    def serves(self) -> bool:
        """Whether that process still runs."""
        return platform.is_alive(self.pid, self.start)


class Scribe:
    """Writes down what the jobs of this process do. Safe from many threads; a file that cannot be written is no matter."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        before = noted(home)
        self._runs: dict[str, Run] = dict(before.runs) if before else {}
        self._written = -_SELDOM

    def ran(
        self,
        job: str,
        began: float,
        ended: Literal["well", "stopped", "failed"],
        said: str = "",
        *,
        not_before: datetime | None = None,
    ) -> None:
        """A job ended; `began` is on the monotonic clock."""
        with self._lock:
            before = self._runs.get(job)
            self._runs[job] = Run(
                at=now(), ended=ended, said=said, took_s=round(time.monotonic() - began, 3),
                number=1 + (before.number if before else 0), not_before=not_before,
            )  # fmt: skip
            changed = before is None or (before.ended, before.said) != (ended, said)
            if changed or time.monotonic() - self._written >= _SELDOM:
                self._write()

    def close(self) -> None:
        """Write down the last state."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        found = Noted(pid=os.getpid(), start=platform.started(os.getpid()) or 0.0, runs=self._runs)
        with contextlib.suppress(OSError):
            platform.write_atomic(self._home.path / _FILE, msgspec.json.encode(found), mode=0o600)


def noted(home: Home) -> Noted | None:
    """What the file says; None where there is none."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((home.path / _FILE).read_bytes(), type=Noted)
    return None


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A job as people see it. `last` is what it did last by the log where the log tells, else when it looked last; `next` lies in
    the past for what is due, and is None for that where nobody serves; `why` says what keeps it, or what is wrong.
    """

    name: str
    what: str
    when: str
    last: datetime | None
    last_of: str
    ended: str
    next: datetime | None
    why: str


class Door(Protocol):
    """What the schedule needs of a ledger."""

    home: Home
    settings: Settings

    @property
    def reports(self) -> Reports:
        """Reports."""

    @property
    def retention(self) -> Retention:
        """Retention."""


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """The whole schedule. `serving`: whether a node runs; without one nothing happens by itself."""

    serving: bool
    jobs: tuple[Shown, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def schedule(door: Door, moment: datetime) -> Schedule:
    """How the jobs of a HOME stand. Tries nothing."""
    found = noted(door.home)
    serving = found is not None and found.serves
    runs = found.runs if found else {}
    notes: list[str] = []
    shown = []
    for job in jobs(door.settings):
        run = runs.get(job.name)
        if job.name == "report":
            shown.append(_report(door, job, run, moment, notes))
        elif job.name == "retention":
            shown.append(_retention(door, job, run, moment))
        else:
            shown.append(plain(door, job, run, serving=serving))
    if not serving:
        # What is due comes with the next `serve`, whenever that is.
        shown = [msgspec.structs.replace(one, next=None) if one.next and one.next < moment else one for one in shown]
    return Schedule(serving=serving, jobs=tuple(shown), notes=tuple(notes))


def plain(door: Door, job: Job, run: Run | None, *, serving: bool) -> Shown:
    """A job that looks again and again, by its last run."""
    why = run.said if run and run.ended != "well" else _idle(door, job)
    coming = run.at + timedelta(seconds=job.every) if run and serving else None
    if coming and run and run.not_before:
        coming = max(coming, run.not_before)
    return Shown(
        name=job.name, what=job.what, when=f"every {format_span(job.every)}", last=run.at if run else None, last_of="",
        ended=run.ended if run else "", next=coming, why=why,
    )  # fmt: skip


def _idle(door: Door, job: Job) -> str:
    """Why a job has nothing to do, by the settings."""
    settings = door.settings
    if job.name == "deliver" and not settings.mixpanel.token:
        return "mixpanel.token is not set"
    if job.name == "cache" and not settings.cache.max_bytes:
        return "cache.max_bytes is 0: no limit"
    if job.name in ("store", "elsewhere") and not settings.store.endpoint:
        return "the embedded store needs none of it"
    return ""


def _report(door: Door, job: Job, run: Run | None, moment: datetime, notes: list[str]) -> Shown:
    failed = run.said if run and run.ended != "well" else ""
    try:
        standing = door.reports.standing(moment)
    except SettingsError as error:
        return _wrong(job, run, str(error))
    for channel, target in standing.channels.items():
        notes.append(f"{channel}: {target}")
    notes.extend(at.said for at in standing.open if at.said)
    if standing.claims:
        notes.append(standing.claims)
    why = failed or (
        f"due: {', '.join(standing.due)}" if standing.due else "" if standing.schedule else "report.at is empty"
    )
    return Shown(
        name=job.name, what=job.what, when=standing.schedule or "never", last=standing.last_run, last_of=standing.last_week or "",
        ended=run.ended if run else "", next=standing.next_run, why=why,
    )  # fmt: skip


def _retention(door: Door, job: Job, run: Run | None, moment: datetime) -> Shown:
    try:
        standing = door.retention.status(moment)
    except PolicyError as error:
        return _wrong(job, run, str(error))
    why = standing.stopped.said if standing.stopped else ""
    if standing.waiting and not why:
        why = f"{standing.waiting.clips} purges wait for the purge window"
    return Shown(
        name=job.name, what=job.what, when=standing.schedule or "never", last=standing.last_time, last_of=standing.last_run or "",
        ended="stopped" if standing.stopped else run.ended if run else "", next=standing.next_run,
        why=why or ("" if standing.schedule else "retention.schedule is empty"),
    )  # fmt: skip


def _wrong(job: Job, run: Run | None, said: str) -> Shown:
    return Shown(
        name=job.name,
        what=job.what,
        when="never",
        last=run.at if run else None,
        last_of="",
        ended="stopped",
        next=None,
        why=said,
    )
