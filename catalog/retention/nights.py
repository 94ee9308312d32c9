"""The nights: carries the schedule's runs out, each once, and says why one cannot go on.

What woke us does not matter. A run that is stopped is not recorded, so it is due again at the next wake, until the next night
takes its place. So is one that came while the purge window was shut, but for its purges only, and once it opens.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.errors import (
    CatalogBusy,
    HomeError,
    JournalError,
    PolicyError,
    RunStopped,
    StoreError,
)
from voxledger.catalog.home import Home
from voxledger.catalog.log import Keeper
from voxledger.catalog.queries import load
from voxledger.catalog.retention.applying.executor import Applied
from voxledger.catalog.retention.doubts import another_home, wrong_clock
from voxledger.catalog.retention.schedule import Due, Nightly, due, following

STORE_SKEW = 300.0
"""Seconds that our clock and the store's may differ."""
_FILE = "retention.json"
_GUESS = re.compile(r"; did you mean .*?\?(?= \(or say|$)")
_SQL = load("nights.sql", "voxledger.catalog.retention")
_log = logging.getLogger(__name__)


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """A run of the schedule that was carried out, as far as the purge window let it, and how many nights before it had gone by
    without one.
    """

    run: str
    missed: int
    applied: Applied


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run did not go on: `cause` is one word, `said` a sentence; `since` is when it stopped first."""

    run: str
    cause: str
    said: str
    since: datetime


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """How many purges of a run wait until the purge window opens."""

    run: str
    clips: int
    opens: datetime


class Noted(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered between wakes: why the run that is due is stopped, why one was at last, how many runs each cause has
    stopped, and what waits for the purge window.
    """

    stopped: Stopped | None = None
    stops: dict[str, int] = {}
    waiting: Waiting | None = None
    last_stop: Stopped | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How retention stands: its schedule, its last run and its next, what stops it, and legal holds to be looked at.

    `next_run` lies in the past while a run is due. `stops` counts stopped runs by cause; `last_stop` is the newest of them, also
    when that run has gone on since. Purges are `waiting` when the last run
    came while the purge window was shut; that run is not over then.
    """

    schedule: str
    last_run: str | None
    last_time: datetime | None
    last_plan: str | None
    next_run: datetime | None
    stopped: Stopped | None
    stops: dict[str, int]
    overdue_holds: int
    waiting: Waiting | None = None
    last_stop: Stopped | None = None

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class Nights:
    """The runs of one HOME's schedule.

    `apply` plans and applies in the name of a run, `skew` says how many seconds the store's clock is ahead of ours, None when
    that cannot be told. Both raise what stops them. Events recorded until `forgiven` bear the time of a wrong clock.
    """

    def __init__(
        self,
        home: Home,
        keeper: Keeper,
        schedule: Callable[[], Nightly | None],
        apply: Callable[[Due, datetime], Applied],
        skew: Callable[[], float | None],
        forgiven: Callable[[], datetime | None],
    ) -> None:
        self._home = home
        self._keeper = keeper
        self._schedule = schedule
        self._apply = apply
        self._skew = skew
        self._forgiven = forgiven
        self._over: date | None = None
        self._waiting: Waiting | None = None

    def run(self, now: datetime) -> Ran | None:
        """Carry out the run that is due at `now`. None when there is none, and while another run goes on.

        Raises RunStopped when it cannot go on; it is due again then. Before it began nothing was changed, and what it has done by
        then stays done.
        """
        nightly = self._schedule()
        if nightly is None or nightly.newest(now) == self._over or self._is_too_early(nightly, now):
            return None
        found = None
        try:
            found = self._due(nightly, now)
            if found is None:
                self._over = nightly.newest(now)
                return None
            ran = self._carried_out(nightly, found, now)
        except RunStopped as error:
            self._note(found.run if found else nightly.newest(now).isoformat(), error, now)
            raise
        if ran is not None:
            self._waiting = _waiting(ran)
            if ran.applied.over:
                self._over = date.fromisoformat(ran.run)
            self._went_on()
        return ran

    def _is_too_early(self, nightly: Nightly, now: datetime) -> bool:
        """Whether nothing is left of this night but purges, and their window is shut still."""
        waiting = self._waiting
        return waiting is not None and waiting.run == nightly.newest(now).isoformat() and now < waiting.opens

    def standing(self, now: datetime, overdue: int) -> Standing:
        """How it stands, without trying anything. Raises PolicyError when the schedule is no time of day."""
        nightly, noted = self._schedule(), self._noted()
        with self._keeper.reading() as reading:
            last = reading.tuples(_SQL["last"])
            done = _dates(reading.tuples(_SQL["runs"]))
        run, time, plan = last[0] if last else (None, None, None)
        found = due(nightly, now, done) if nightly else None
        return Standing(
            schedule=str(nightly) if nightly else "",
            last_run=run,
            last_time=time.astimezone(UTC) if time else None,
            last_plan=plan,
            next_run=following(nightly, now, done) if nightly else None,
            stopped=noted.stopped if found else None,
            stops=noted.stops,
            overdue_holds=overdue,
            last_stop=noted.last_stop,
            waiting=noted.waiting if found and noted.waiting and noted.waiting.run == found.run else None,
        )

    def _due(self, nightly: Nightly, now: datetime) -> Due | None:
        """What is due, by the log as it stands now."""
        head = self._keeper.journal.head()
        try:
            with self._keeper.reading() as reading:
                done = _dates(reading.tuples(_SQL["runs"]))
                reached = reading.tuples(_SQL["reached"])
                doubt = wrong_clock(reading, now, self._forgiven())
        except (CatalogBusy, JournalError, HomeError) as error:
            raise RunStopped(
                f"nobody knows what was used lately, the log could not be brought up to date: {error}",
                cause="ingestion",
            ) from error
        found = due(nightly, now, done)
        if found is None:
            return None
        if another := another_home(self._home):
            raise RunStopped(f"nobody knows what was used lately: {another}", cause="elsewhere")
        if reached and int(reached[0][0]) < head:
            raise RunStopped(
                "nobody knows what was used lately: events have not reached the log yet", cause="ingestion"
            )
        if doubt:
            raise RunStopped(doubt, cause="clock")
        return found

    def _carried_out(self, nightly: Nightly, found: Due, now: datetime) -> Ran | None:
        self._check_store()
        with platform.locked(self._home.path / "retention.lock", blocking=False) as mine:
            if not mine:
                _log.debug("run %s waits: another retention run goes on", found.run)
                return None
            # Whoever had the lock until now may have done it.
            again = self._due(nightly, now)
            if again is None or again.run != found.run:
                return None
            try:
                return Ran(run=found.run, missed=found.missed, applied=self._apply(found, now))
            except RunStopped:
                raise
            except StoreError as error:
                raise RunStopped(str(error), cause="store") from error
            except PolicyError as error:
                raise RunStopped(str(error), cause="policy") from error
            except (CatalogBusy, JournalError, HomeError) as error:
                raise RunStopped(str(error), cause="ingestion") from error

    def _check_store(self) -> None:
        try:
            skew = self._skew()
        except StoreError as error:
            raise RunStopped(str(error), cause="store") from error
        if skew is not None and abs(skew) > STORE_SKEW:
            raise RunStopped(
                f"the store's clock is {abs(skew) / 60:,.0f} minutes {'ahead of' if skew > 0 else 'behind'} ours: one of them is"
                " wrong; set it right",
                cause="clock",
            )

    def _noted(self) -> Noted:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode((self._home.path / _FILE).read_bytes(), type=Noted)
        return Noted()

    def _note(self, run: str, error: RunStopped, now: datetime) -> None:
        """Remember why a run stopped; it counts once for each run and cause, however often it is tried."""
        noted = self._noted()
        before = noted.stopped
        same = before is not None and (before.run, before.cause) == (run, error.cause)
        stops = noted.stops if same else {**noted.stops, error.cause: noted.stops.get(error.cause, 0) + 1}
        since = before.since if before is not None and same else now
        # What was meant is guessed from the words of clips, which must not outlive them in a file: `retention check` guesses again.
        said = _GUESS.sub("", str(error))
        stopped = Stopped(run=run, cause=error.cause, said=said, since=since)
        self._write(msgspec.structs.replace(noted, stopped=stopped, stops=stops, last_stop=stopped))

    def _went_on(self) -> None:
        noted = self._noted()
        if noted.stopped is not None or noted.waiting != self._waiting:
            self._write(msgspec.structs.replace(noted, stopped=None, waiting=self._waiting))

    def _write(self, noted: Noted) -> None:
        try:
            platform.write_atomic(self._home.path / _FILE, msgspec.json.encode(noted), mode=0o600)
        except OSError as error:  # a full disk must not hide what stopped the run
            _log.warning("why the run stopped cannot be written down: %s", error.strerror)


def _waiting(ran: Ran) -> Waiting | None:
    done = ran.applied
    return None if done.over or done.opens is None else Waiting(run=ran.run, clips=done.waiting, opens=done.opens)


def _dates(rows: list[tuple[Any, ...]]) -> set[date]:
    """The nights of runs; what is no date was recorded by something else."""
    found = set()
    for (run,) in rows:
        with contextlib.suppress(ValueError):
            found.add(date.fromisoformat(run))
    return found
