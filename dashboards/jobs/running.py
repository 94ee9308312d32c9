"""Running: the lines of one job are spoken, as many at once as the engine works on, and their outcomes written down in order."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from voxledger.catalog.access import LOCAL, Principal
from voxledger.catalog.errors import AccessRefused, CatalogBusy, DiskFull, HomeError, StoreUnavailable, VoxledgerError
from voxledger.dashboards.faults import UNEXPECTED, Refused, body, meaning
from voxledger.dashboards.jobs.folder import JobFolder, outcome_line
from voxledger.dashboards.jobs.job import Job, Outcome, Progress
from voxledger.synth import batch, manifest
from voxledger.synth.errors import EngineUnavailable, ManifestError, Stopped, StudioBusy
from voxledger.synth.manifest import Line

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site
    from voxledger.synth.engines.base import EngineInfo

BRIEFLY = 1.0
"""Seconds until a line is tried again for which the engine had no turn."""
AGAIN = 30.0
"""Seconds until it is tried again where something else is in the way: the disk is full, the store is away."""
GIVE_UP = 3600.0
"""Seconds after which an engine that cannot start ends the job."""
_LIMITS = 2.0
"""Seconds between two looks whether a token's limits let it go on, and whether it is still one."""
_LOOK = 0.2
_IN_THE_WAY = (DiskFull, HomeError, EngineUnavailable, StoreUnavailable, CatalogBusy)
_log = logging.getLogger(__name__)


class JobEnded(VoxledgerError):
    """A job cannot go on: its token opens nothing any more, its engine cannot start, it was erased."""


class Run:
    """One job at work. `said` hears what it waits for, `went_on` each new progress; `stop` calls it off."""

    def __init__(
        self,
        site: Site,
        job: Job,
        folder: JobFolder,
        stop: threading.Event,
        *,
        said: Callable[[str], None],
        went_on: Callable[[Progress], None],
    ) -> None:
        self._site = site
        self._job = job
        self._folder = folder
        self._stop = stop
        self._said = said
        self._went_on = went_on
        self._ledger = site.ledger(Principal(id=job.principal, name=job.owner, role="creator"), "batch")
        self._options = job.asked.options(job.owner, f"job-{job.id[-8:]}")
        self._away: float | None = None
        """Since when the engine cannot start."""

    def speak(self) -> bool:
        """Speak what is left. False when it was called off, or the node stops. Raises JobEnded."""
        info = self._engine()
        progress = self._job.progress
        waiting: deque[Future[Outcome]] = deque()
        with (
            self._folder.appending() as out,
            ThreadPoolExecutor(info.concurrency, thread_name_prefix=f"voxledger-job-{self._job.id[-8:]}") as pool,
        ):
            try:
                for line in self._lines(progress.through):
                    if self._is_called_off:
                        return False
                    waiting.append(pool.submit(self._spoken, line, info))
                    if len(waiting) > 2 * info.concurrency:
                        progress = self._written(out.write, waiting.popleft().result(), progress)
                while waiting:
                    progress = self._written(out.write, waiting.popleft().result(), progress)
            except Stopped:
                return False
            finally:
                for future in waiting:
                    future.cancel()
        return True

    @property
    def _is_called_off(self) -> bool:
        return self._stop.is_set() or self._site.stopping.is_set()

    def _engine(self) -> EngineInfo:
        """What the engine can do. One that cannot start now may later."""
        while True:
            try:
                return self._ledger.studio.engine(self._job.asked.engine).describe()
            except EngineUnavailable as error:
                self._wait_for(error)
            except VoxledgerError as error:
                raise JobEnded(str(error)) from error

    def _lines(self, after: int) -> Iterator[Line | ManifestError]:
        try:
            yield from manifest.read(self._folder.manifest, after=after, files=False)
        except ManifestError as error:
            raise JobEnded("its manifest cannot be read any more") from error

    def _spoken(self, line: Line | ManifestError, info: EngineInfo) -> Outcome:
        """What becomes of a line; what stands in its way for now is waited for."""
        if isinstance(line, ManifestError):
            return _failed(line.line or 0, line)
        while True:
            try:
                return self._speak(line, info)
            except (Stopped, JobEnded):
                raise
            except StudioBusy:
                self._pause(BRIEFLY)
            except _IN_THE_WAY as error:
                self._wait_for(error)
            except VoxledgerError as error:
                return _failed(line.number, error)
            except Exception as error:  # noqa: BLE001  # a defect ends this line and no other; what it says may quote the text
                _log.error("a line of a job failed: %s", type(error).__name__)  # nor its trace
                return _failed(line.number, UNEXPECTED)

    def _speak(self, line: Line, info: EngineInfo) -> Outcome:
        with ExitStack() as reserved:
            principal = self._admitted(line, reserved)
            self._check(line, principal)
            done = batch.speak(self._ledger.studio, line, info, self._folder.manifest, self._options, self._stop)
            assert done.clip is not None  # it raises otherwise
            self._away = None
            made = done.outcome == "made"
            if made:
                self._site.gate.charge(principal, audio_us=done.clip.duration_us)
        return Outcome(
            line=line.number, outcome="made" if made else "reused", clip=done.clip.id, duration_us=done.clip.duration_us,
            dropped=done.dropped,
        )  # fmt: skip

    def _admitted(self, line: Line, reserved: ExitStack) -> Principal:
        """Whoever handed it in, as they stand now; a line counts as a request, and its audio is held back until `reserved` ends.

        Raises JobEnded where they may not any more.
        """
        while True:
            if self._is_called_off:
                raise Stopped
            try:
                principal = self._principal()
                if lacks := principal.lacks("speak"):
                    raise JobEnded(f"the token that it was handed in with may not speak any more ({lacks})")
                reserved.enter_context(self._site.gate.reserved(principal, line.text, line.speed))
                self._site.gate.admit(principal)
            except AccessRefused as error:
                reserved.close()
                if error.reason != "quota":
                    raise JobEnded(f"the token that it was handed in with is gone: {error}") from None
                self._wait_for(error, most=_LIMITS)
            else:
                return principal

    def _principal(self) -> Principal:
        if self._job.principal == LOCAL:
            return Principal(id=LOCAL, name=self._job.owner, role="admin")
        return self._site.gate.holder(self._job.principal)

    def _check(self, line: Line, principal: Principal) -> None:
        """Raises Refused for a line in somebody else's name, UnknownVoice for a file, JobEnded after an erasure."""
        if line.actor not in (None, self._job.owner) and not principal.may("admin"):
            raise others()
        # Under the same name it would be somebody new's.
        key = self._ledger.vault.known(line.actor or self._job.owner)
        if key is None or key.id not in self._job.actors:
            raise JobEnded("somebody in whose name it speaks was erased")
        for voice in (line.voice, *(wish.value for wish in line.wishes if wish.feature != "emotion_words")):
            if voice is not None:
                self._ledger.voices.require_name(voice)

    def _wait_for(self, error: VoxledgerError, most: float = AGAIN) -> None:
        """Something is in the way. Raises JobEnded where it is an engine that has not started for long, Stopped when called off."""
        if isinstance(error, EngineUnavailable):
            self._away = self._away or time.monotonic()
            if time.monotonic() - self._away > GIVE_UP:
                raise JobEnded(f"its engine cannot start: {error}") from error
        self._said(str(error))
        self._pause(min(most, AGAIN))

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._stop.wait(_LOOK) or self._is_called_off:
                raise Stopped

    def _written(self, write: Callable[[bytes], object], outcome: Outcome, progress: Progress) -> Progress:
        while True:
            if not self._folder.is_there:
                raise JobEnded("somebody in whose name it speaks was erased")
            try:
                write(outcome_line(outcome))
            except OSError as error:
                self._wait_for(DiskFull.at("the outcome of a line cannot be written", f"it waits ({error.strerror})"))
            else:
                break
        found = outcome.counted(progress)
        self._went_on(found)
        return found


def others() -> Refused:
    """What is said of lines in other people's names."""
    return Refused(
        "only an admin speaks in the name of others",
        status=403,
        code="role",
        remedy="Leave `actor` out; clips are recorded under the name of your token.",
        param="actor",
    )


def _failed(number: int, error: VoxledgerError) -> Outcome:
    return Outcome(line=number, outcome="failed", error=body(meaning(error))["error"])
