"""Sending: takes published reports to their channels, each once.

A task of the journal stands for each, under a lease, and its end is one transaction with the event that tells it. What surely did not
arrive is tried again for some days. What may have arrived is never sent again by itself.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import msgspec

from voxledger.analytics.publishing.channel import Channel, Parcel
from voxledger.analytics.publishing.claims import Claims
from voxledger.analytics.publishing.errors import (
    ChannelAway,
    ChannelRefused,
    DeliveryUnknown,
    NotDelivered,
    SentElsewhere,
)
from voxledger.analytics.publishing.tasks import KIND, Errand, opened, parsed, sealed
from voxledger.analytics.report import WeeklyReport
from voxledger.catalog import platform
from voxledger.catalog.errors import StoreError, VoxledgerError
from voxledger.catalog.events import ReportChannel, ReportDelivered, ReportDeliveryFailed
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import Home
from voxledger.catalog.journal import OpenTask, Task
from voxledger.catalog.recorder import SYSTEM, Recorder
from voxledger.catalog.retention.doubts import another_home

GIVE_UP = 3 * 86400.0
"""Seconds since the first try that failed, after which a channel is given up."""
LEAST_TRIES = 12
"""So many at least: a machine that sleeps for days has not tried for days."""
LEASE = 3000.0
"""Longer than any channel may take."""
_FIRST = 60.0
_LONGEST = 3500.0
"""Seconds between two tries: the first and the longest wait. No task of the journal waits for more than an hour."""
_LOCK = "report-sending.lock"


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one try. `said` is a sentence; `again` is when it is tried again (s since the epoch)."""

    week: str
    revision: int
    channel: str
    outcome: Literal["delivered", "waiting", "refused", "given_up", "unknown", "elsewhere"]
    said: str
    again: float | None = None


class Sender:
    """Sends what the journal says is to be sent. `report` gives a published revision."""

    def __init__(
        self,
        home: Home,
        recorder: Recorder,
        channels: Mapping[ReportChannel, Channel],
        claims: Claims,
        report: Callable[[str, int], WeeklyReport],
    ) -> None:
        self._home = home
        self._recorder = recorder
        self._journal = recorder.journal
        self._channels = channels
        self._claims = claims
        self._report = report

    def send(self, *, stop: threading.Event | None = None, wait: bool = False) -> Sequence[Sent]:
        """Try everything that is due, once. One process at a time does: another one waits with `wait`, else it leaves it."""
        stop = stop or threading.Event()
        done = []
        with platform.locked(self._home.path / _LOCK, blocking=wait) as mine:
            while mine and not stop.is_set():
                tasks = self._journal.lease(KIND, limit=1, seconds=LEASE)
                if not tasks:
                    break
                done.append(self._tried(tasks[0], stop))
        return done

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Within the block nothing is being sent, in any process."""
        with platform.locked(self._home.path / _LOCK):
            yield

    def put_up(self, week: str, revision: int, channels: Sequence[ReportChannel], *, everyone: bool) -> None:
        """What a person asked for takes the place of what waits, or was parked. Who has it already does not get it again, but with
        `everyone`. What another process tried in the meantime is left as it is.
        """
        self._journal.take_back()
        before = {task.subject for task in self._open(week) if task.state != "parked"}
        with self.quiet():
            now_open = {task.subject: task for task in self._open(week)}
            payloads = []
            for name in channels:
                errand = Errand(week=week, revision=revision, channel=name, on_purpose=True)
                found = now_open.get(errand.subject)
                if errand.subject in before and (found is None or found.state == "parked"):
                    continue
                task = None if everyone else self._journal.open_task(KIND, errand.subject)
                if task is not None:
                    errand = msgspec.structs.replace(errand, taken=opened(task, self._recorder).taken)
                payloads.append((errand, sealed(errand, self._recorder)))
            system = self._recorder.vault.actor(SYSTEM)
            with self._journal.transaction() as write:
                for errand, payload in payloads:
                    if not write.cancel_tasks(errand.subject):  # else it is being sent right now
                        write.add_task(KIND, subject=errand.subject, actor=system.id, payload=payload)

    def drop_older(self, week: str, revision: int, channels: Sequence[ReportChannel]) -> None:
        """Of a week's revisions people are told of the newest one."""
        told = [name for name in channels if not self._channels[name].repeatable]
        older = [
            task.subject
            for task in self._open(week)
            if (found := parsed(task.subject))[2] in told and found[1] < revision
        ]
        with self._journal.transaction() as write:
            write.drop_tasks(KIND, older)

    def _open(self, week: str) -> Sequence[OpenTask]:
        return [task for task in self._journal.tasks(KIND, limit=10_000) if parsed(task.subject)[0] == week]

    def _tried(self, task: Task, stop: threading.Event) -> Sent:
        errand = opened(task, self._recorder)
        began = time.monotonic()
        decided = threading.Event()
        try:
            errand, said = self._delivered(task, errand, decided, stop)
        except ChannelAway as error:
            since = time.time() if errand.failing_since is None else errand.failing_since
            errand = msgspec.structs.replace(errand, taken=(*errand.taken, *error.taken), failing_since=since)
            if time.time() - since < GIVE_UP or task.attempts < LEAST_TRIES:
                return self._later(task, errand, error)
            return self._ended(task, errand, "given_up", error)
        except ChannelRefused as error:
            return self._ended(task, errand, "refused", error)
        except DeliveryUnknown as error:
            return self._ended(task, errand, "unknown", error)
        except SentElsewhere as error:
            return self._ended(task, errand, "elsewhere", error)
        except Exception as error:
            failure, foreseen = type(error).__name__, isinstance(error, VoxledgerError)
            said = str(error) if foreseen else f"a defect: {failure}"
            if decided.is_set():
                sent = self._ended(
                    task, errand, "unknown", DeliveryUnknown(f"{said}; it may have arrived", failure=failure)
                )
            else:  # the report itself cannot be had now: the log is busy, say
                sent = self._later(task, errand, ChannelAway(said, failure=failure))
            if foreseen:
                return sent
            raise
        elapsed = time.monotonic() - began
        failpoint("reports.after_sending")
        self._finish(task, errand, elapsed)
        failpoint("reports.after_delivered")
        return _sent(errand, "delivered", said)

    def _delivered(
        self, task: Task, errand: Errand, decided: threading.Event, stop: threading.Event
    ) -> tuple[Errand, str]:
        """`decided` is set once it may have arrived where twice would be noticed."""
        channel = self._channels.get(errand.channel)
        if channel is None:
            raise ChannelRefused(f"{errand.channel} is not set up any more", failure="NotSetUp")
        if errand.sending and not channel.repeatable:
            raise DeliveryUnknown(
                "the process that sent it was ended before an answer came: it may have arrived", failure="Killed"
            )
        errand = self._claimed(task, errand)
        report = self._report(errand.week, errand.revision)
        parcel = Parcel(
            node=self._journal.node, week=errand.week, revision=errand.revision, report=report, taken=errand.taken
        )
        failpoint("reports.before_sending")

        def decisive() -> None:
            self._note(task, msgspec.structs.replace(errand, sending=True))
            if not channel.repeatable:
                decided.set()

        return errand, channel.send(parcel, decisive, stop)

    def _claimed(self, task: Task, errand: Errand) -> Errand:
        """Only one of several copies of a HOME may go on. Raises SentElsewhere and ChannelAway."""
        if errand.claimed or errand.on_purpose:
            return errand
        try:
            self._claims.learn()
            if not self._claims.honoured and (another := another_home(self._home)) is not None:
                raise ChannelAway(f"nobody knows which HOME is to send it: {another}", failure="AnotherHome")
            if not self._claims.possible:
                return errand
            key = f"{self._journal.node}/{errand.week}/r{errand.revision}/{errand.channel}"
            if not self._claims.take(key):
                raise SentElsewhere(
                    "another HOME of this node sends it, a copy of this one or what this one is a copy of",
                    failure="Claimed",
                )
        except StoreError as error:
            said = f'nobody can tell whether a copy of this HOME sends it: {error}; with report.bucket = "" nobody asks'
            raise ChannelAway(said, failure=error.code or type(error).__name__) from error
        claimed = msgspec.structs.replace(errand, claimed=True)
        self._note(task, claimed)
        return claimed

    def _note(self, task: Task, errand: Errand) -> None:
        with self._journal.transaction() as write:
            if not write.note_task(task, sealed(errand, self._recorder)):
                raise ChannelAway("another process has taken this over", failure="LeaseLost")

    def _finish(self, task: Task, errand: Errand, elapsed: float) -> None:
        fact = ReportDelivered(
            week=errand.week,
            revision=errand.revision,
            channel=errand.channel,
            attempts=task.attempts,
            elapsed_us=round(elapsed * 1e6),
            waited_us=max(0, round((time.time() - task.created) * 1e6)),
        )
        draft = self._recorder.draft(fact, subject=errand.week, actor=self._recorder.vault.actor(SYSTEM))
        keeps_all = self._channels[errand.channel].repeatable
        older = [
            found.subject
            for found in self._journal.tasks(KIND, limit=1000)
            if _is_before(found.subject, errand) and (found.state == "parked" or not keeps_all)
        ]
        with self._journal.transaction() as write:
            write.append([draft])
            write.finish_task(task)
            # Nobody wants to be told of an old report once a newer one has arrived.
            write.drop_tasks(KIND, older)

    def _later(self, task: Task, errand: Errand, error: ChannelAway) -> Sent:
        wait = min(_FIRST * 2.0 ** min(task.attempts - 1, 10), _LONGEST) * random.uniform(0.5, 1.0)  # noqa: S311  # jitter
        due = time.time() + min(max(wait, error.after or 0.0), _LONGEST)
        with self._journal.transaction() as write:
            write.note_task(task, sealed(msgspec.structs.replace(errand, sending=False), self._recorder))
            write.retry_task(task, due=due, error=str(error))
        return _sent(errand, "waiting", str(error), due)

    def _ended(
        self,
        task: Task,
        errand: Errand,
        outcome: Literal["refused", "given_up", "unknown", "elsewhere"],
        error: NotDelivered,
    ) -> Sent:
        """It is not sent by itself any more. A person may have it sent on purpose."""
        fact = ReportDeliveryFailed(
            week=errand.week,
            revision=errand.revision,
            channel=errand.channel,
            outcome=outcome,
            failure=error.failure,
            attempts=task.attempts,
        )
        draft = self._recorder.draft(fact, subject=errand.week, actor=self._recorder.vault.actor(SYSTEM))
        said = str(error)
        if outcome != "elsewhere":
            said += f"; `voxledger report send {errand.week} --channel {errand.channel}` sends it again"
        with self._journal.transaction() as write:
            write.append([draft])
            if outcome == "elsewhere":
                write.finish_task(task)
            else:
                # Whoever takes it up again must see that it may have arrived.
                noted = msgspec.structs.replace(errand, sending=outcome == "unknown")
                write.note_task(task, sealed(noted, self._recorder))
                write.park_task(task, error=said)
        return _sent(errand, outcome, said)


def _is_before(other: str, errand: Errand) -> bool:
    week, revision, channel = parsed(other)
    return channel == errand.channel and (week, revision) < (errand.week, errand.revision)


def _sent(errand: Errand, outcome: Literal["delivered", "waiting", "refused", "given_up", "unknown", "elsewhere"], said: str,
          again: float | None = None) -> Sent:  # fmt: skip
    return Sent(
        week=errand.week, revision=errand.revision, channel=errand.channel, outcome=outcome, said=said, again=again
    )
