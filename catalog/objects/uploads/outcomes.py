"""Outcomes: what the end of a transfer means, written into the journal: the event and the end of its task in one transaction."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from voxledger.catalog.errors import EventRejected, VoxledgerError
from voxledger.catalog.events import AudioStored, AudioUploadFailed, Draft
from voxledger.catalog.journal import Task
from voxledger.catalog.objects.uploads.transfer import Sent
from voxledger.catalog.objects.uploads.upload import Upload
from voxledger.catalog.recorder import Recorder

_MOST = 100
"""Outcomes of one transaction: others want to write too."""
_log = logging.getLogger(__name__)


class _Arrived(NamedTuple):
    """A task that is done, its event, and who wants to know when both are recorded."""

    task: Task
    draft: Draft | None
    recorded: Callable[[], None]


class Outcomes:
    """Writes outcomes, and says of each whether the task was still ours: if not, nothing is recorded."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._arrived: deque[_Arrived] = deque()
        self._writing = threading.Lock()

    def stored(self, task: Task, upload: Upload, sent: Sent, *, started: float, recorded: Callable[[], None]) -> None:
        """The store has it: AudioStored and the task done. `started` in s since the epoch.

        Of the threads that come at the same time one writes what all of them bring, and calls `recorded` of those whose
        task was still ours; the others go on with their next upload. A process that ends before that has written nothing:
        the task comes again, and finds its object.
        """
        fact = AudioStored(
            bucket=upload.bucket,
            bytes=sent.bytes,
            etag=sent.etag,
            attempts=task.attempts,
            transfer_us=sent.transfer_us,
            waited_us=max(0, round((started - task.created) * 1e6)),
            key=upload.key,
        )
        self._arrived.append(_Arrived(task, self._draft(task, fact) if upload.event else None, recorded))
        # Whoever comes between the last look and the release is seen by the next look.
        while self._arrived and self._writing.acquire(blocking=False):
            try:
                self._write([self._arrived.popleft() for _ in range(min(_MOST, len(self._arrived)))])
            finally:
                self._writing.release()

    def _write(self, arrived: list[_Arrived]) -> None:
        try:
            ours = self._recorded(arrived)
        except Exception as error:  # noqa: BLE001  # what came meanwhile must not be left to whoever comes next
            if isinstance(error, EventRejected) and len(arrived) > 1:
                for each in arrived:  # whose fault it was shows when each is tried alone
                    self._write([each])
            else:
                _unrecorded(arrived, error)
            return
        for each, mine in zip(arrived, ours, strict=True):
            if not mine:
                _log.info("upload task %d was taken by another or taken back; nothing was recorded", each.task.id)
                continue
            try:
                each.recorded()
            except Exception as error:  # noqa: BLE001  # who is told of one must not keep the others from being told
                _log.warning("of upload task %d not everybody heard: %s", each.task.id, type(error).__name__)

    def _recorded(self, arrived: list[_Arrived]) -> list[bool]:
        with self._recorder.journal.transaction() as write:
            ours = [write.finish_task(each.task) for each in arrived]
            write.append(
                [each.draft for each, mine in zip(arrived, ours, strict=True) if mine and each.draft is not None]
            )
        return ours

    def parked(self, task: Task, upload: Upload | None, failure: str, reason: str) -> bool:
        """It cannot be done as things are: AudioUploadFailed, and the task waits for a person.

        Without `upload`, when the task could not even be read, there is nothing to say in an event.
        """
        draft = None
        if upload is not None and upload.event:
            fact = AudioUploadFailed(bucket=upload.bucket, failure=failure, attempts=task.attempts, key=upload.key)
            draft = self._draft(task, fact)
        with self._recorder.journal.transaction() as write:
            ours = write.park_task(task, error=reason)
            if ours and draft is not None:
                write.append([draft])
        _log.warning("upload task %d is parked: %s", task.id, reason)
        return ours

    def retried(self, task: Task, reason: str, *, after: float) -> bool:
        """It failed for now, and waits for `after` seconds."""
        with self._recorder.journal.transaction() as write:
            ours = write.retry_task(task, due=time.time() + after, error=reason)
        _log.info("upload task %d waits after attempt %d: %s", task.id, task.attempts, reason)
        return ours

    def untried(self, tasks: list[Task]) -> None:
        """Hand tasks back as if they had never been taken."""
        if tasks:
            with self._recorder.journal.transaction() as write:
                for task in tasks:
                    write.release_task(task)

    def _draft(self, task: Task, fact: AudioStored | AudioUploadFailed) -> Draft:
        return self._recorder.draft(fact, subject=task.subject, actor=self._recorder.known(task.actor))


def _unrecorded(arrived: list[_Arrived], error: Exception) -> None:
    """Their leases run out, or end with this process; then they are taken again, and find their objects."""
    why = str(error) if isinstance(error, VoxledgerError) else type(error).__name__
    tasks = ", ".join(str(each.task.id) for each in arrived)
    _log.warning("what has arrived cannot be recorded yet (upload tasks %s): %s", tasks, why)
