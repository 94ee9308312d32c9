"""Stored reports: pages that were written show names and hold voices; when somebody is erased they are written anew, or go."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from voxledger.analytics.report import Week
from voxledger.analytics.reports import Reports
from voxledger.catalog.erasure.subject import Subject
from voxledger.catalog.erasure.targets import NOTHING, Done
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import Home
from voxledger.catalog.log import Keeper
from voxledger.catalog.progress import Progress
from voxledger.catalog.settings import Settings

_REPORT = re.compile(r"voxledger-(\d{4}-W\d{2})\.(html|md|json)")
_log = logging.getLogger(__name__)


class StoredReports:
    """The weekly reports in HOME/reports and in `report.folder`. Those that were taken elsewhere nobody can reach."""

    name = "reports"

    def __init__(self, home: Home, settings: Settings, keeper: Keeper, reports: Callable[[], Reports]) -> None:
        """`reports` are published in Voxledger's own name: that of whoever erases may be the one that goes."""
        self._home = home
        self._settings = settings
        self._keeper = keeper
        self._reports = reports

    def preview(self, subject: Subject) -> str:
        """How many weeks."""
        count = sum(1 for _ in self._touched(subject))
        return f"{count} stored weekly {'report is' if count == 1 else 'reports are'} written anew" if count else ""

    def erase(self, request: str, subject: Subject, progress: Progress) -> Done:  # noqa: ARG002  # nothing to remember
        """Publish each again as a revision, from what is known now; one that cannot be made any more is deleted."""
        found = list(self._touched(subject))
        lost = 0
        for number, (folder, week, files) in enumerate(found, 1):
            try:
                self._reports().publish(folder, week=week)
            except VoxledgerError as error:
                _log.warning("the report of %s cannot be made again (%s), so it is deleted", week, error)
                lost += 1
                for file in files:
                    file.unlink(missing_ok=True)
            failpoint("reports.after_rewritten")
            progress("writing reports anew", number, len(found))
        if not found:
            return NOTHING
        note = f"{lost} of {len(found)} reports could not be made again and were deleted" if lost else ""
        return Done(outcome="done", count=len(found), note=note)

    def _touched(self, subject: Subject) -> Iterator[tuple[Path, str, Sequence[Path]]]:
        """Folder, week and files of each report since the subject first appeared: later weeks compare with earlier ones."""
        since = subject.since(self._keeper)
        if since is None:
            return
        folders = {self._home.reports}
        if self._settings.report.folder:
            folders.add(Path(self._settings.report.folder).expanduser())
        for folder in sorted(folders):
            weeks: dict[str, list[Path]] = defaultdict(list)
            for path in sorted(folder.glob("voxledger-*")):
                if named := _REPORT.fullmatch(path.name):
                    weeks[named[1]].append(path)
            for week, files in weeks.items():
                if Week.parse(week, self._settings.general.time_zone).end > since:
                    yield folder, week, files
