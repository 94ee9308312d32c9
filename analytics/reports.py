"""Reports: built from the log, written to a folder, and recorded as published."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from voxledger.analytics.report import Week, WeeklyReport, build, load_audio, write
from voxledger.catalog.events import ReportPublished, now
from voxledger.catalog.home import Home
from voxledger.catalog.log import Keeper
from voxledger.catalog.queries import load
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import Settings

CATCH_UP = 8
"""Closed weeks at most that are reported after a long pause."""
_SQL = load("reports.sql", "voxledger.analytics")


class Reports:
    """The weekly reports of a HOME."""

    def __init__(self, home: Home, settings: Settings, recorder: Recorder, keeper: Keeper, *, actor: str) -> None:
        self._home = home
        self._settings = settings
        self._recorder = recorder
        self._keeper = keeper
        self._actor = actor

    def weekly(
        self, week: str | Week | None = None, *, at: datetime | None = None, as_of: datetime | None = None
    ) -> WeeklyReport:
        """The report of a week such as `2026-W47`; without one, of the running week, marked as not closed.

        `as_of` gives the report as it would have been made at that moment, from what had been recorded by then.
        """
        return build(self._keeper, self._settings, week=self._week(week), now=as_of or at or now(), as_of=as_of)

    def publish(
        self, folder: Path | None = None, *, week: str | Week | None = None, as_of: datetime | None = None
    ) -> Sequence[Path]:
        """Write the report as HTML, Markdown and JSON and record it. The HTML file comes first.

        `folder` defaults to `report.folder`, or HOME/reports. A report `as_of` an earlier moment is written and not recorded:
        it was not published then.
        """
        report = self.weekly(week, as_of=as_of)
        target = folder or (Path(self._settings.report.folder) if self._settings.report.folder else self._home.reports)
        files = write(report, target, load_audio(report))
        if as_of is not None:
            return files
        with self._keeper.reading(fresh=False) as reading:
            revision = 1 + int(reading.tuples(_SQL["revisions"], (report.week,))[0][0])
        fact = ReportPublished(
            week=report.week,
            revision=revision,
            closed=report.closed,
            through=report.provenance.position,
            head=report.provenance.chain_digest,
            head_position=report.provenance.chain_position or None,
        )
        self._recorder.emit(fact, subject=report.week, actor=self._recorder.vault.actor(self._actor))
        return files

    def due(self, moment: datetime) -> list[Week]:
        """Closed weeks with generations and no report of the closed week yet, the oldest first: the log decides."""
        zone = self._settings.general.time_zone
        running = Week.of(moment, zone)
        weeks = [running.previous()]
        while len(weeks) < CATCH_UP:
            weeks.append(weeks[-1].previous())
        with self._keeper.reading() as reading:
            published = {row[0] for row in reading.tuples(_SQL["published"])}
            found = []
            for week in reversed(weeks):
                bounds = (week.start, week.end)
                if str(week) not in published and reading.tuples(_SQL["any_generation"], bounds)[0][0]:
                    found.append(week)
        return found

    def _week(self, week: str | Week | None) -> Week | None:
        return Week.parse(week, self._settings.general.time_zone) if isinstance(week, str) else week
