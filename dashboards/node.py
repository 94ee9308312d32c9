"""The node: one process that keeps a HOME's log open and answers for it, uploads, drains, indexes, delivers and reports."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from voxledger.analytics.errors import DeliveryUnavailable
from voxledger.analytics.publishing import Weekly
from voxledger.catalog import platform
from voxledger.catalog.errors import HomeError, RunStopped, SettingsError, StoreError, StoreUnavailable, VoxledgerError
from voxledger.catalog.events import now
from voxledger.catalog.log import link
from voxledger.dashboards.schedule import RETAIN, Job, Scribe, jobs

if TYPE_CHECKING:
    from voxledger.catalog.settings import Settings
    from voxledger.dashboards.door import Door

_log = logging.getLogger(__name__)
LEAVE = 10.0
"""Seconds that jobs which run have to end when the node is to stop."""
_SEVERAL = 3
"""Failures on end after which a job counts as failing: another process may have the log for a moment."""
_LEARN_AGAIN = 3600.0
"""Seconds until keys that could try nothing are tried again: somebody may have given them more rights."""
_BRIEFLY = 5.0
"""Seconds that a look for erasures waits for uploads that run."""
_LONGEST_PATIENCE = 3600.0
"""Most seconds that Mixpanel is left alone when it asks for it; it may have meant something else by a week."""
_RETAIN_AGAIN = 900.0
"""Most seconds until a run that was stopped is tried again; each try waits twice as long as the one before."""


def waking(job: Job, settings: Settings) -> IntervalTrigger | OrTrigger:
    """When the timer wakes a job: at its interval, and that of reports also at `report.at`, so that they are there on time."""
    interval = IntervalTrigger(seconds=job.every, timezone="UTC")
    zone = settings.general.time_zone
    with contextlib.suppress(SettingsError):  # the job itself says what is wrong
        if job.name == "report" and (weekly := Weekly.parse(settings.report.at, zone)) is not None:
            clock = weekly.clock
            return OrTrigger([
                interval,
                CronTrigger(day_of_week=weekly.weekday, hour=clock.hour, minute=clock.minute, timezone=zone),
            ])  # fmt: skip
    return interval


class Node:
    """Keeps one HOME going until it is told to stop. APScheduler only wakes; what is due, each job sees for itself."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._stop = threading.Event()
        self._said: dict[str, str] = {}
        self._failures: Counter[str] = Counter()
        self._ended = threading.Condition()
        self._running: set[str] = set()
        self._left: frozenset[str] = frozenset()
        self._scribe = Scribe(door.home)
        self._not_before: dict[str, datetime] = {}
        self._learn_at = self._deliver_at = 0.0
        self._deliver_stopped: DeliveryUnavailable | None = None
        self._looked = False
        self._retain_at, self._retain_wait = 0.0, RETAIN
        self._retain_stopped: RunStopped | None = None

    def stop(self) -> None:
        """Ask the node to end what it is doing and return from `run`. Safe in a signal handler."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    def trouble(self, name: str) -> str | None:
        """What has kept a job from its work several times on end; None when it works, or has not failed often enough to tell."""
        return self._said.get(name, "a defect") if self._failures[name] >= _SEVERAL else None

    def run(self, *, on_started: Callable[[], None] = lambda: None) -> None:
        """Work until `stop`. Raises HomeError when another node serves this HOME already."""
        with self.working():
            on_started()
            self._stop.wait()

    @contextlib.contextmanager
    def working(self, url: str = "") -> Iterator[link.Discovery]:
        """Work until the block ends; `url` is where this process speaks HTTP. Gives what other processes of this HOME are told.

        Raises HomeError when another node serves this HOME already.
        """
        with ExitStack() as stack:
            lock = self._door.home.path / "node.lock"
            if not stack.enter_context(platform.locked(lock, blocking=False)):
                raise HomeError(f"another `voxledger serve` runs on {self._door.home.path}; stop it first")
            if (before := link.left(self._door.home)) is not None:
                self._door.journal.take_over(before.pid, before.started)  # it had the lock that we have now
            discovery = stack.enter_context(self._door.keeper.serving(url=url))
            self._door.uploader.start()
            scheduler = self._scheduler()
            scheduler.start()
            try:
                yield discovery
            finally:
                self._end(scheduler)
                self._scribe.close()

    def _end(self, scheduler: BackgroundScheduler) -> None:
        """Begin nothing more, and wait for what runs; but not for a job that hangs on somebody who does not answer."""
        self._stop.set()
        scheduler.shutdown(wait=False)
        with self._ended:
            self._ended.wait_for(lambda: not self._running, timeout=LEAVE)
            self._left = frozenset(self._running)
        if self._left:
            _log.warning("left behind, to be done at the next start: %s", ", ".join(sorted(self._left)))

    def _scheduler(self) -> BackgroundScheduler:
        """Every job runs at once and then whenever `waking` says; one that is late runs once, never twice at a time."""
        scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(6)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
            timezone="UTC",
        )
        work: dict[str, Callable[[], Any]] = {
            "drain": self._drain,
            "deliver": self._deliver,
            "report": self._report,
            "send": self._send,
            "search": self._index,
            "publish": self._publish,
            "store": self._learn,
            "cache": self._trim,
            "retention": self._retain,
            "elsewhere": self._look_elsewhere,
            "erasures": self._forget,
        }
        for job in jobs(self._door.settings):
            scheduler.add_job(
                self._guarded, waking(job, self._door.settings), args=(job.name, work[job.name]), id=job.name,
                next_run_time=now() + timedelta(seconds=0.1),
            )  # fmt: skip
        return scheduler

    def _guarded(self, name: str, job: Callable[[], Any]) -> None:
        """A failing job is one line, said once until something changes, and tried again at its next turn."""
        with self._ended:
            if self._stop.is_set():
                return
            self._running.add(name)
        try:
            self._done(name, job)
        finally:
            with self._ended:
                self._running.discard(name)
                self._ended.notify_all()

    def _done(self, name: str, job: Callable[[], Any]) -> None:
        began = time.monotonic()
        try:
            job()
        except VoxledgerError as error:
            if name in self._left:
                return  # the ledger was closed under it
            self._scribe.ran(name, began, "stopped", str(error), not_before=self._not_before.get(name))
            if self._said.get(name) != str(error):
                _log.warning("%s: %s", name, error)
            self._said[name] = str(error)
            self._failures[name] += 1
        except Exception as error:  # noqa: BLE001  # a defect in one job must not end the others
            self._scribe.ran(name, began, "failed", f"{type(error).__name__}: see the log of `voxledger serve`")
            _log.exception("%s failed; it is tried again at its next turn", name)
            self._failures[name] += 1
        else:
            self._failures[name] = 0
            self._scribe.ran(name, began, "well")
            if self._said.pop(name, None):
                _log.warning("%s: works again", name)

    def _drain(self) -> None:
        self._door.keeper.drain()

    def _deliver(self) -> None:
        """Whoever asks for patience (`Retry-After`) is left alone that long, an hour at most."""
        if self._deliver_stopped and time.monotonic() < self._deliver_at:
            raise self._deliver_stopped  # nothing works again yet
        self._deliver_stopped = None
        self._not_before.pop("deliver", None)
        try:
            self._deliver_now()
        except DeliveryUnavailable as error:
            if error.retry_after:
                seconds = min(error.retry_after, _LONGEST_PATIENCE)
                self._deliver_at, self._deliver_stopped = time.monotonic() + seconds, error
                self._not_before["deliver"] = now() + timedelta(seconds=seconds)
            raise

    def _deliver_now(self) -> None:
        done = self._door.mixpanel.deliver(stop=self._stop)
        if done.sent or done.quarantined:
            _log.info("delivered %d events to Mixpanel, %d quarantined", done.sent, done.quarantined)
        if done.state == "done":
            self._door.mixpanel.update_profiles(stop=self._stop)

    def _index(self) -> None:
        self._door.search.advance(stop=self._stop, wipe=5.0)

    def _publish(self) -> None:
        if self._door.archive.publish(self._door.keeper.head()):
            _log.info("the head of the chain is on its way to the store")

    def _learn(self) -> None:
        """A store that nobody has tried is tried once; one that is away is looked for again."""
        from voxledger.catalog.objects.probing import learn

        if time.monotonic() < self._learn_at:
            return
        with contextlib.suppress(StoreUnavailable):
            if learn(self._door.home, self._door.store):
                _log.info("the store was tried; `voxledger doctor` shows what it can do")
            self._learn_at = time.monotonic() + _LEARN_AGAIN

    def _look_elsewhere(self) -> None:
        """Another HOME under this node's name is said, and written down for `status`."""
        from voxledger.catalog.objects.elsewhere import elsewhere, note

        door, store = self._door, self._door.store
        if store.is_embedded:
            self._looked = True
            return
        try:
            found = elsewhere(store, door.settings.store.events, door.journal, door.home.segments)
        except StoreError as error:
            _log.debug("nobody can tell whether another HOME goes on as this node: %s", error)
            self._looked |= not isinstance(error, StoreUnavailable)  # a refusal is an answer: there will be no other
            return
        note(door.home, found)
        self._looked = True
        if found is not None and found.is_recent and str(found) != self._said.get("another home"):
            self._said["another home"] = str(found)
            _log.warning("%s", found)

    def _forget(self) -> None:
        """Erasures that waited for the release of a hold, for the store, or for Mixpanel go on."""
        from voxledger.catalog.erasure.requests import unfinished

        if unfinished(self._door.home):
            for done in self._door.erasure.resume(patience=_BRIEFLY):
                if done.finished:
                    _log.info("the erasure %s is finished", done.request)

    def _trim(self) -> None:
        self._door.cache.check()

    def _retain(self) -> None:
        """A run that is stopped, or breaks off, is tried again, more and more seldom: millions of clips are not planned for each minute."""
        if time.monotonic() < self._retain_at:
            if self._retain_stopped:
                raise self._retain_stopped  # nothing works again yet
            return
        if not self._looked and self._door.settings.retention.schedule:
            # A copy of a HOME must not begin with what the original needs.
            self._look_elsewhere()
        try:
            ran = self._door.retention.run_due()
        except Exception as error:
            self._retain_at = time.monotonic() + self._retain_wait - 1
            self._retain_wait = min(2 * self._retain_wait, _RETAIN_AGAIN)
            self._retain_stopped = None
            if isinstance(error, RunStopped):
                self._retain_stopped = RunStopped(f"the nightly run waits: {error}", cause=error.cause)
                raise self._retain_stopped from error
            raise
        self._retain_stopped = None
        self._retain_wait = RETAIN
        if ran is not None:
            done = ran.applied
            opens = f" until the purge window opens at {done.opens:%Y-%m-%d %H:%M %Z}" if done.opens else ""
            waiting = f", {done.waiting} wait{opens}" if done.waiting else ""
            missed = f"; {ran.missed} nights before it were missed" if ran.missed else ""
            _log.info(
                "retention run %s: %d marked, %d marks taken back, %d purged, %d skipped, %d failed%s%s",
                ran.run, done.marked, done.unmarked, done.purged, len(done.skipped), len(done.failed), waiting, missed,
            )  # fmt: skip

    def _report(self) -> None:
        for made in self._door.reports.publish_due(now()):
            _log.info("the report of %s, revision %d, is written: %s", made.week, made.revision, made.files[0])

    def _send(self) -> None:
        """What a channel says is a line, once until it says something else."""
        for sent in self._door.reports.deliver(stop=self._stop):
            about = f"the report of {sent.week}, revision {sent.revision}, {sent.channel}"
            if sent.outcome == "delivered":
                _log.info("%s: delivered", about)
            if sent.said and self._said.get(about) != sent.said:
                again = "; it is tried again" if sent.outcome == "waiting" else ""
                _log.warning("%s: %s%s", about, sent.said, again)
            self._said[about] = sent.said
