"""Erasing: jobs hold texts and names; those of somebody who is erased go as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voxledger.catalog.erasure.targets import NOTHING, Done
from voxledger.dashboards.jobs.folder import JobFolder, folders

if TYPE_CHECKING:
    from voxledger.catalog.erasure.subject import Subject
    from voxledger.catalog.home import Home
    from voxledger.catalog.progress import Progress


class HandedIn:
    """The jobs in HOME/jobs, also while a node works on them: it notices that they are gone, and ends them."""

    name = "jobs"

    def __init__(self, home: Home) -> None:
        self._home = home

    def preview(self, subject: Subject) -> str:
        """How many."""
        count = len(self._of(subject))
        return f"{count} batch {'job goes' if count == 1 else 'jobs go'}, spoken or not" if count else ""

    def erase(self, request: str, subject: Subject, progress: Progress) -> Done:  # noqa: ARG002  # nothing to remember
        """Remove them. What a job of somebody else would have said in this name goes with it."""
        found = self._of(subject)
        for folder in found:
            folder.remove()
        return Done(outcome="done", count=len(found)) if found else NOTHING

    def _of(self, subject: Subject) -> Sequence[JobFolder]:
        if subject.scope != "actor":
            return []
        return [
            folder
            for folder in folders(self._home)
            if (job := folder.load()) is not None and subject.target in job.actors
        ]
