"""The jobs of a node: handed in, queued, worked on in turn, remembered for a while, and taken up again by the next process."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.events import new_id, now
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.jobs import folder as folders
from voxledger.dashboards.jobs.folder import JobFolder
from voxledger.dashboards.jobs.intake import Kind, take_in
from voxledger.dashboards.jobs.job import Asked, Job, Progress
from voxledger.dashboards.jobs.running import JobEnded, Run, others

if TYPE_CHECKING:
    from voxledger.catalog.access import Principal
    from voxledger.dashboards.server.site import Site

AT_ONCE = 4
"""Jobs that are worked on at the same time, one of each owner."""
EACH = 20
"""Open jobs of one owner."""
OPEN = 200
"""Open jobs in all."""
KEPT = 500
"""Jobs that are over and remembered."""
KEEP = timedelta(days=30)
_FAREWELL = 8.0
_log = logging.getLogger(__name__)


class _Known:
    """A job, and what is known of it while it runs."""

    def __init__(self, job: Job, folder: JobFolder) -> None:
        self.job = job
        self.folder = folder
        self.stop = threading.Event()
        self.cancelled = False
        self.since = 0.0
        self.before = 0

    @property
    def eta(self) -> float | None:
        """Seconds that it takes yet, at its present pace."""
        done = self.job.progress.done - self.before
        if self.job.state != "running" or done < 1:
            return None
        return (time.monotonic() - self.since) / done * (self.job.lines - self.job.progress.done)


class Jobs:
    """All jobs of a HOME. Safe from many threads; `start` and `stop` once each."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._home = site.door.home
        self._changed = threading.Condition()
        self._all: dict[str, _Known] = {}
        self._threads: list[threading.Thread] = []
        self._stopped = False

    def start(self) -> None:
        """Take up what an earlier process left."""
        folders.tidy(self._home)
        for folder in folders.folders(self._home):
            job = folder.load()
            if job is None:
                folder.remove()  # it was never acknowledged
                continue
            if job.is_open:
                job = msgspec.structs.replace(job, state="waiting", said="", progress=folder.recover())
            self._all[job.id] = _Known(job, folder)
        self._forget()
        for number in range(AT_ONCE):
            thread = threading.Thread(target=self._work, name=f"voxledger-jobs-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Begin nothing more, and wait for lines that end now. What is left is taken up by the next process."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        deadline = time.monotonic() + _FAREWELL
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def require_room(self, principal: Principal) -> None:
        """Raises Refused where as many jobs are open as may be, DiskFull."""
        self._home.require_room(self._site.settings.general.min_free_disk)
        with self._changed:
            open_ = [known.job for known in self._all.values() if known.job.is_open]
        mine = sum(job.owner == principal.name for job in open_)
        if mine >= EACH or len(open_) >= OPEN:
            raise Refused(
                f"as many jobs are open as may be: {EACH} of one name, {OPEN} in all",
                status=429,
                code="too_many_jobs",
                remedy="Wait for the end of one, or cancel one: GET /api/jobs.",
                headers={"Retry-After": "60"},
            )

    def hand_in(self, content: Path, kind: Kind, asked: Asked, principal: Principal) -> Job:
        """A new job from lines in a file, acknowledged when it is on the disk. Raises ManifestError, Refused, OSError."""
        identity = new_id()
        folder = JobFolder(folders.prepare(self._home) / identity)
        folder.path.mkdir(mode=0o700)
        try:
            taken = take_in(content, kind, folder.manifest)
            job = Job(
                id=identity, owner=principal.name, principal=principal.id, actors=self._actors(principal, taken.actors), asked=asked,
                lines=taken.lines, created=now(),
            )  # fmt: skip
            self.require_room(principal)
            folder.save(job)
            platform.fsync_folder(folder.path.parent)
        except BaseException:
            folder.remove()
            raise
        with self._changed:
            self._all[job.id] = _Known(job, folder)
            self._forget()
            self._changed.notify()
        return job

    def _actors(self, principal: Principal, named: frozenset[str]) -> tuple[str, ...]:
        """The opaque ids of all in whose names lines are spoken. Raises Refused for those of others, unless an admin asks."""
        if named - {principal.name} and not principal.may("admin"):
            raise others()
        vault = self._site.door.vault
        return tuple(sorted(vault.actor(name).id for name in {principal.name, *named}))

    def one(self, identity: str, principal: Principal) -> tuple[Job, float | None]:
        """A job that somebody may see, and how many seconds it takes yet. Raises Refused (404)."""
        known = self._known(identity, principal)
        return known.job, known.eta

    def folder(self, identity: str, principal: Principal) -> JobFolder:
        """Its folder. Raises Refused (404)."""
        return self._known(identity, principal).folder

    def all(self, principal: Principal) -> Sequence[tuple[Job, float | None]]:
        """Those that somebody may see, the newest first."""
        with self._changed:
            mine = [known for known in self._all.values() if _sees(principal, known.job)]
        found = [(known.job, known.eta) for known in mine if known.folder.is_there]
        return sorted(found, key=lambda each: each[0].id, reverse=True)

    def every(self) -> Sequence[Job]:
        """All of them, whoever's they are."""
        with self._changed:
            return [known.job for known in self._all.values()]

    def cancel(self, identity: str, principal: Principal) -> Job:
        """Call it off: what is being spoken is cancelled, what was spoken stays. Nothing happens to one that is over.

        Raises Refused for somebody else's, unless an admin asks.
        """
        known = self._known(identity, principal)
        if known.job.owner != principal.name and not principal.may("admin"):
            raise Refused(
                "only its owner, or an admin, cancels a job",
                status=403,
                code="role",
                remedy=f"Ask {known.job.owner}, or an admin.",
            )
        with self._changed:
            if known.job.is_open:
                known.cancelled = True
                known.stop.set()
                if known.job.state == "waiting":
                    self._end(known, "cancelled")
            return known.job

    def _known(self, identity: str, principal: Principal) -> _Known:
        with self._changed:
            known = self._all.get(identity)
        if known is None or not _sees(principal, known.job) or not known.folder.is_there:
            raise Refused(
                f"there is no job {identity[:40]!r}, or it is not yours",
                status=404,
                code="job_not_found",
                remedy=f"GET /api/jobs lists yours; those that are over are remembered for {KEEP.days} days.",
            )
        return known

    def _work(self) -> None:
        while (known := self._next()) is not None:
            try:
                self._run(known)
            except Exception as error:  # noqa: BLE001  # a defect ends this job and no other
                _log.exception("a job failed", exc_info=error)
                with self._changed:
                    self._end(known, "failed", "a defect; the node's log has it")

    def _next(self) -> _Known | None:
        """The oldest job whose owner has none at work; waits for one. None at the stop."""
        with self._changed:
            while not self._stopped and not self._site.stopping.is_set():
                busy = {each.job.owner for each in self._all.values() if each.job.state == "running"}
                for known in list(self._all.values()):
                    if known.job.state == "waiting" and known.job.owner not in busy:
                        if not known.folder.is_there:
                            del self._all[known.job.id]  # it was erased
                            continue
                        known.since, known.before = time.monotonic(), known.job.progress.done
                        self._change(known, state="running", began=known.job.began or now(), said="")
                        return known
                self._changed.wait(1.0)
        return None

    def _run(self, known: _Known) -> None:
        def said(what: str) -> None:
            with self._changed:
                known.job = msgspec.structs.replace(known.job, said=what)

        def went_on(progress: Progress) -> None:
            with self._changed:
                known.job = msgspec.structs.replace(known.job, progress=progress, said="")

        run = Run(self._site, known.job, known.folder, known.stop, said=said, went_on=went_on)
        try:
            done = run.speak()
        except JobEnded as error:
            with self._changed:
                self._end(known, "failed", str(error))
            return
        with self._changed:
            if done:
                self._end(known, "done")
            elif known.cancelled:
                self._end(known, "cancelled")

    def _end(self, known: _Known, state: str, said: str = "") -> None:
        """It is over. Called with the lock."""
        self._change(known, state=state, ended=now(), said=said)
        with contextlib.suppress(OSError):
            known.folder.over()
        self._changed.notify_all()

    def _change(self, known: _Known, **fields: object) -> None:
        known.job = msgspec.structs.replace(known.job, **fields)
        if not known.folder.is_there:  # it was erased, and must not come back
            return
        try:
            known.folder.save(known.job)
        except OSError as error:
            _log.warning("how a job stands cannot be written down: %s", error.strerror)

    def _forget(self) -> None:
        """Those that are over for long, or too many; and those that an erasure has removed."""
        oldest = now() - KEEP
        over = [known for known in self._all.values() if not known.job.is_open]
        last = [known for known in over if known.job.ended is None or known.job.ended < oldest]
        for known in {known.job.id: known for known in (*last, *over[: max(0, len(over) - KEPT)])}.values():
            known.folder.remove()
            del self._all[known.job.id]


def _sees(principal: Principal, job: Job) -> bool:
    return principal.sees is None or job.owner == principal.sees
