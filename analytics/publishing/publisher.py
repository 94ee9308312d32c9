"""Publishing: a report is built once, written to its folder, recorded, and given its errands to the other channels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from voxledger.analytics.publishing.deciding import Due, Publication, due, is_revised
from voxledger.analytics.publishing.errors import PublishingStopped
from voxledger.analytics.publishing.revisions import Revisions
from voxledger.analytics.publishing.tasks import KIND, Errand, sealed
from voxledger.analytics.publishing.timing import Weekly
from voxledger.analytics.publishing.watch import Watch
from voxledger.analytics.report import Links, ReportNotWritten, Week, WeeklyReport, build, changes, load_audio, write
from voxledger.catalog import platform
from voxledger.catalog.errors import StoreError
from voxledger.catalog.events import ReportChannel, ReportPublished
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import Home
from voxledger.catalog.log import Keeper, Reading
from voxledger.catalog.queries import load
from voxledger.catalog.recorder import SYSTEM, Recorder
from voxledger.catalog.retention.doubts import forgiven, wrong_clock
from voxledger.catalog.retention.nights import STORE_SKEW
from voxledger.catalog.settings import Settings

By: TypeAlias = Literal["schedule", "send", "hand", "erasure"]
SQL = load("publishing.sql", "voxledger.analytics.publishing")
KEPT = 12
"""Weeks whose revisions are kept here: longer than anything may still be revised or sent."""
_LOCK = "report.lock"
_log = logging.getLogger(__name__)


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """A report that was published, and the files that were written, the page first."""

    week: str
    revision: int
    files: tuple[Path, ...]


class Outdated(msgspec.Struct, frozen=True, kw_only=True):
    """A week of which events arrived after its newest report, `revision`, was made; `revised`: the schedule makes another one."""

    week: str
    revision: int
    revised: bool


class Publisher:
    """Publishes the reports of one HOME. `skew` says how many seconds the store's clock is ahead of ours, None when that cannot be
    told; `links` gives a report's page its links to clips.
    """

    def __init__(
        self,
        home: Home,
        settings: Settings,
        recorder: Recorder,
        keeper: Keeper,
        *,
        revisions: Revisions,
        skew: Callable[[], float | None],
        links: Callable[[WeeklyReport], Links],
    ) -> None:
        self._home = home
        self._settings = settings
        self._recorder = recorder
        self._keeper = keeper
        self._revisions = revisions
        self._skew = skew
        self._links = links
        self._watch = Watch(home)

    @property
    def weekly(self) -> Weekly | None:
        """When reports are due. Raises SettingsError."""
        return Weekly.parse(self._settings.report.at, self._settings.general.time_zone)

    def due(self, now: datetime) -> Sequence[Due]:
        """What is due, by the log as it stands now."""
        weekly = self.weekly
        if weekly is None:
            return ()
        with self._keeper.reading() as reading:
            return self._due(weekly, reading, now)

    def outdated(self, week: Week, now: datetime) -> Outdated | None:
        """That the newest report of a closed week lacks what came after it was made; None where it lacks nothing."""
        with self._keeper.reading() as reading:
            found = {row[0]: row for row in reading.tuples(SQL["published"])}.get(str(week))
            if found is None:
                return None
            _, revision, time, through = found
            last = Publication(revision=revision, time=time.astimezone(UTC), through=through)
            if not self._is_late(reading, week, last):
                return None
        weekly = self.weekly
        return Outdated(week=str(week), revision=revision, revised=weekly is not None and is_revised(weekly, week, now))

    def publish_due(self, now: datetime, channels: Sequence[ReportChannel]) -> Sequence[Published]:
        """Publish what is due, the oldest week first. Nothing while another process is at it.

        Raises PublishingStopped while the clock cannot be believed: a week that is not over must not be reported as if it were.
        """
        ahead = self._watch.ahead()  # also while nothing is due: it must know how the clock went
        if not self.due(now):
            return ()
        with platform.locked(self._home.path / _LOCK, blocking=False) as mine:
            if not mine:
                return ()
            if self._check_clock(now) and ahead:
                self._watch.believe()
                ahead = 0.0
            waiting = self.due(now)  # whoever had the lock until now may have done some
            sure = {found.week for found in self.due(now - timedelta(seconds=ahead))} if ahead else None
            done = []
            for found in waiting:
                if sure is not None and found.week not in sure:
                    raise PublishingStopped(
                        f"the report of {found.week} waits: the clock went ahead by {ahead / 60:,.0f} minutes at once, and there is no"
                        " other one to ask. If it is wrong, set it right; if it is right, it is believed a day later"
                    )
                to = channels if found.announced else [name for name in channels if name == "bucket"]
                done.append(self._published(found.week, now, by="schedule", channels=to))
            return done

    def publish(
        self,
        week: Week | None,
        now: datetime,
        *,
        by: By,
        channels: Sequence[ReportChannel] = (),
        folder: Path | None = None,
        actor: str = SYSTEM,
    ) -> Published:
        """Publish a week, or the running one, whatever the log says. Waits for another process that is at it."""
        with platform.locked(self._home.path / _LOCK):
            return self._published(week, now, by=by, channels=channels, folder=folder, actor=actor)

    def _due(self, weekly: Weekly, reading: Reading, now: datetime) -> Sequence[Due]:
        begun = reading.tuples(SQL["begun"])[0][0]
        published = {
            week: Publication(revision=revision, time=time.astimezone(UTC), through=through)
            for week, revision, time, through in reading.tuples(SQL["published"])
        }

        def is_early(week: Week, last: Publication) -> bool:
            asked = {"week": str(week), "revision": last.revision, "through": last.through}
            return bool(reading.tuples(SQL["early"], asked | {"start": week.start, "stop": week.end})[0][0])

        return due(
            weekly,
            now,
            begun=begun,
            published=published,
            is_late=lambda week, last: self._is_late(reading, week, last),
            is_early=is_early,
            announce_revisions=self._settings.report.announce == "revisions",
        )

    def _is_late(self, reading: Reading, week: Week, last: Publication) -> bool:
        span = {"through": last.through, "start": week.start, "stop": week.end}
        return bool(reading.tuples(SQL["late"], span)[0][0])

    def _published(
        self,
        week: Week | None,
        now: datetime,
        *,
        by: By,
        channels: Sequence[ReportChannel],
        folder: Path | None = None,
        actor: str = SYSTEM,
    ) -> Published:
        report = build(self._keeper, self._settings, week=week, now=now)
        with self._keeper.reading(fresh=False) as reading:
            revision = 1 + int(reading.tuples(SQL["revision"], {"week": report.week})[0][0])
            before = reading.tuples(SQL["of_week"], {"week": report.week})
        # What was forgotten must not come back as what changed.
        if before and report.closed and by in ("schedule", "send"):
            older, was_closed, _ = before[0]
            found = self._revisions.load(report.week, older) if was_closed else None
            report = msgspec.structs.replace(
                report, revises=older if was_closed else None, changes=tuple(changes(found, report))
            )
        report = msgspec.structs.replace(report, revision=revision)
        files = write(report, folder or self.folder, load_audio(report), self._links(report))
        if by != "hand":
            self._keep(report, revision)
        failpoint("reports.after_files")
        self._record(report, revision, by, channels, actor)
        failpoint("reports.after_recorded")
        return Published(week=report.week, revision=revision, files=tuple(files))

    @property
    def folder(self) -> Path:
        """Where reports are written that nobody wants elsewhere."""
        return Path(self._settings.report.folder).expanduser() if self._settings.report.folder else self._home.reports

    def _keep(self, report: WeeklyReport, revision: int) -> None:
        try:
            self._revisions.keep(report, revision)
            self._revisions.forget(before=str(Week.parse(report.week, report.time_zone).previous(KEPT)))
        except OSError as error:
            raise ReportNotWritten(
                f"the report of {report.week} cannot be kept in {self._home.reports}: {error.strerror or error}"
            ) from error

    def _record(
        self, report: WeeklyReport, revision: int, by: By, channels: Sequence[ReportChannel], actor: str
    ) -> None:
        """The event and the errands, in one transaction."""
        fact = ReportPublished(
            week=report.week,
            revision=revision,
            closed=report.closed,
            through=report.provenance.position,
            head=report.provenance.chain_digest,
            head_position=report.provenance.chain_position or None,
            by=by,
            channels=tuple(channels),
        )
        vault = self._recorder.vault
        draft = self._recorder.draft(fact, subject=report.week, actor=vault.actor(actor))
        errands = [Errand(week=report.week, revision=revision, channel=name) for name in channels]
        payloads = [(errand, sealed(errand, self._recorder)) for errand in errands]
        system = vault.actor(SYSTEM)
        with self._recorder.journal.transaction() as write:
            write.append([draft])
            for errand, payload in payloads:
                write.add_task(KIND, subject=errand.subject, actor=system.id, payload=payload)

    def _check_clock(self, now: datetime) -> bool:
        """Whether another clock says the same. Raises PublishingStopped, but not because the store is silent: the report says so."""
        with self._keeper.reading(fresh=False) as reading:
            doubt = wrong_clock(reading, now, forgiven(self._settings.retention.wrong_clock_until))
        if doubt:
            raise PublishingStopped(f"no report is published: {doubt}")
        try:
            skew = self._skew()
        except StoreError as error:
            _log.debug("the store's clock is not known: %s", error)
            return False
        if skew is not None and abs(skew) > STORE_SKEW:
            raise PublishingStopped(
                f"no report is published: the store's clock is {abs(skew) / 60:,.0f} minutes {'ahead of' if skew > 0 else 'behind'}"
                " ours: one of them is wrong; set it right"
            )
        return skew is not None
