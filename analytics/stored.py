"""Stored reports: pages that were written show names and hold voices; when somebody is erased they are written anew, or go."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from voxledger.analytics.publishing.publisher import SQL
from voxledger.analytics.report import Week
from voxledger.analytics.reports import Reports
from voxledger.catalog.erasure.subject import Subject
from voxledger.catalog.erasure.targets import NOTHING, Done
from voxledger.catalog.errors import StoreError, VoxledgerError
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import Home
from voxledger.catalog.log import Keeper
from voxledger.catalog.objects import Store
from voxledger.catalog.progress import Progress
from voxledger.catalog.settings import Settings

_REPORT = re.compile(r"voxledger-(\d{4}-W\d{2})\.(html|md|json)")
_OBJECT = re.compile(r"[^/]+/(\d{4}-W\d{2})/r\d+/report\.\w+")
_log = logging.getLogger(__name__)


class StoredReports:
    """The weekly reports in HOME/reports, in `report.folder` and in the bucket of reports. Those that were taken elsewhere, mailed
    or posted nobody can reach.
    """

    name = "reports"

    def __init__(
        self, home: Home, settings: Settings, keeper: Keeper, store: Callable[[], Store], reports: Callable[[], Reports]
    ) -> None:
        """`reports` are published in Voxledger's own name: that of whoever erases may be the one that goes."""
        self._home = home
        self._settings = settings
        self._keeper = keeper
        self._store = store
        self._reports = reports

    def preview(self, subject: Subject) -> str:
        """How many weeks, and how many of them went where nobody can take them back."""
        first = self._first(subject)
        if first is None:
            return ""
        count = sum(1 for _ in self._written(first))
        said = [f"{count} stored weekly {'report is' if count == 1 else 'reports are'} written anew"] if count else []
        with self._keeper.reading(fresh=False) as reading:
            if gone := int(reading.tuples(SQL["announced"], {"week": first})[0][0]):
                said.append(
                    f"the {'report' if gone == 1 else 'reports'} of {gone} {'week' if gone == 1 else 'weeks'}"
                    " went out by mail or webhook and cannot be called back: ask those who have it to delete it"
                )
        return "; ".join(said)

    def erase(self, request: str, subject: Subject, progress: Progress) -> Done:  # noqa: ARG002  # nothing to remember
        """Publish each again as a revision, from what is known now; one that cannot be made any more is deleted. So is what the
        bucket, and HOME, hold of earlier revisions.
        """
        first = self._first(subject)
        if first is None:
            return NOTHING
        reports = self._reports()
        with reports.quiet():  # what is being sent right now is the old one
            self._forget_revisions(first, reports)
            found = list(self._written(first))
            lost = self._write_anew(found, reports, progress)
            count, trouble = self._empty_bucket(first)
        if trouble:
            return Done(outcome="waiting", count=len(found), note=trouble)
        if not found and not count:
            return NOTHING
        note = f"{lost} of {len(found)} reports could not be made again and were deleted" if lost else ""
        return Done(outcome="done", count=len(found), note=note)

    def _write_anew(
        self, found: Sequence[tuple[Path, str, Sequence[Path]]], reports: Reports, progress: Progress
    ) -> int:
        lost = 0
        for number, (folder, week, files) in enumerate(found, 1):
            try:
                reports.publish_anew(week, folder)
            except VoxledgerError as error:
                _log.warning("the report of %s cannot be made again (%s), so it is deleted", week, error)
                lost += 1
                for file in files:
                    file.unlink(missing_ok=True)
            failpoint("reports.after_rewritten")
            progress("writing reports anew", number, len(found))
        return lost

    def _forget_revisions(self, first: str, reports: Reports) -> None:
        """What waits to be sent is made again from what is known now."""
        for week in reports.revisions.weeks():
            if week >= first:
                reports.revisions.drop(week, before=2**31)

    def _empty_bucket(self, first: str) -> tuple[int, str]:
        """How many objects of revisions went, and in words what keeps some. Those that were just made are put there later."""
        bucket = self._settings.report.bucket
        if not bucket:
            return 0, ""
        try:
            store = self._store()
            prefix = f"{self._keeper.journal.node}/"
            keys = [
                info.key
                for info in store.list(bucket, prefix)
                if (named := _OBJECT.fullmatch(info.key)) and named[1] >= first
            ]
            answers = store.purge(bucket, keys)
        except StoreError as error:
            return 0, f"reports in the bucket {bucket} wait for the store: {error}"
        left = [key for key, answer in answers.items() if not answer.gone]
        if left:
            return len(keys) - len(left), f"{len(left)} reports in the bucket {bucket} could not be deleted yet"
        return len(keys), ""

    def _first(self, subject: Subject) -> str | None:
        """The week in which the subject first appeared: later weeks compare with earlier ones."""
        since = subject.since(self._keeper)
        return None if since is None else str(Week.of(since, self._settings.general.time_zone))

    def _written(self, first: str) -> Iterator[tuple[Path, str, Sequence[Path]]]:
        """Folder, week and files of each report from a week on."""
        folders = {self._home.reports}
        if self._settings.report.folder:
            folders.add(Path(self._settings.report.folder).expanduser())
        for folder in sorted(folders):
            weeks: dict[str, list[Path]] = defaultdict(list)
            for path in sorted(folder.glob("voxledger-*")):
                if named := _REPORT.fullmatch(path.name):
                    weeks[named[1]].append(path)
            yield from ((folder, week, files) for week, files in weeks.items() if week >= first)
