"""Outcomes: what the end of a transfer means, each written in one journal transaction."""

from __future__ import annotations

import logging
import time

from voxledger.catalog.events import AudioStored, AudioUploadFailed, Draft
from voxledger.catalog.journal import Task
from voxledger.catalog.objects.uploads.transfer import Sent
from voxledger.catalog.objects.uploads.upload import Upload
from voxledger.catalog.recorder import Recorder

_log = logging.getLogger(__name__)


class Outcomes:
    """Writes outcomes. Each method says whether the task was still ours: if not, nothing is recorded."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def stored(self, task: Task, upload: Upload, sent: Sent, *, started: float) -> bool:
        """The store has it: AudioStored and the task done. `started` in s since the epoch."""
        fact = AudioStored(
            bucket=upload.bucket,
            bytes=sent.bytes,
            etag=sent.etag,
            attempts=task.attempts,
            transfer_us=sent.transfer_us,
            waited_us=max(0, round((started - task.created) * 1e6)),
            key=upload.key,
        )
        draft = self._draft(task, fact) if upload.event else None
        with self._recorder.journal.transaction() as write:
            ours = write.finish_task(task)
            if ours and draft is not None:
                write.append([draft])
        if not ours:
            _log.info("upload task %d was taken by another or taken back; nothing was recorded", task.id)
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
