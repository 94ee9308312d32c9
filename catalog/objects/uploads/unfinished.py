"""Unfinished: multipart uploads that were begun, remembered in HOME/uploads, so that they are finished or given up."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.errors import StoreError, VaultError
from voxledger.catalog.journal import Task
from voxledger.catalog.objects.multipart import give_up
from voxledger.catalog.objects.sending import Begun
from voxledger.catalog.objects.store import Store
from voxledger.catalog.objects.uploads.upload import Upload
from voxledger.catalog.recorder import Recorder

_SUFFIX = ".begun"
_OPEN = "SELECT id FROM tasks WHERE id IN (SELECT value FROM json_each(?))"
_log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a file. `place` is bucket and key, sealed by the actor's key: keys hold names."""

    task: int
    actor: str
    upload: str
    part_bytes: int
    place: bytes


class TaskMemory:
    """Remembers the upload of one task: a `sending.Memory`. Raises OSError when it cannot be written."""

    def __init__(self, path: Path, task: Task, upload: Upload, recorder: Recorder) -> None:
        self._path = path
        self._task = task
        self._upload = upload
        self._recorder = recorder

    def recall(self) -> Begun | None:
        """What was begun for this content and key."""
        kept = _read(self._path)
        return None if kept is None else Begun(kept.upload, kept.part_bytes)

    def remember(self, begun: Begun) -> None:
        """It is begun."""
        place = self._recorder.seal(
            [self._upload.bucket, self._upload.key],
            actor=self._recorder.known(self._task.actor),
            about=self._path.stem,
        )
        kept = _Kept(
            task=self._task.id, actor=self._task.actor, upload=begun.upload, part_bytes=begun.part_bytes, place=place
        )
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        platform.write_atomic(self._path, msgspec.json.encode(kept), mode=0o600)

    def forget(self) -> None:
        """It is finished or given up."""
        self._path.unlink(missing_ok=True)


class Unfinished:
    """All uploads that were begun from this HOME and not finished."""

    def __init__(self, folder: Path, recorder: Recorder) -> None:
        self._folder = folder
        self._recorder = recorder

    def of(self, task: Task, upload: Upload) -> TaskMemory:
        """What is remembered for a task; it belongs to one content and one key."""
        what = f"{upload.bucket}\0{upload.key}\0{upload.sha256}".encode()
        name = hashlib.sha256(what).hexdigest()[:32]
        return TaskMemory(self._folder / f"{name}{_SUFFIX}", task, upload, self._recorder)

    def give_up(self, store: Store, task: Task, upload: Upload) -> None:
        """Nobody will finish what was begun for a task: the store may throw its parts away. Where it cannot be asked, later."""
        memory = self.of(task, upload)
        begun = memory.recall()
        if begun is None:
            return
        try:
            give_up(store, upload.bucket, upload.key, begun.upload)
        except StoreError as error:
            _log.info("an unfinished upload is given up later: the store said %s", error.code)
            return
        memory.forget()

    def sweep(self, store: Store) -> int:
        """Give up what belongs to no task any more; says how many. Raises StoreError when the store does not answer."""
        found = {path: kept for path in self._files() if (kept := _read(path))}
        if not found:
            return 0
        asked = json.dumps([kept.task for kept in found.values()])
        wanted = {task for (task,) in self._recorder.journal.rows(_OPEN, (asked,))}
        gone = [(path, kept) for path, kept in found.items() if kept.task not in wanted]
        for path, kept in gone:
            try:
                bucket, key = self._recorder.unseal(kept.place, actor=kept.actor, about=path.stem)
            except VaultError:
                pass  # its owner was erased: a lifecycle rule of the store is what is left
            else:
                give_up(store, bucket, key, kept.upload)
            path.unlink(missing_ok=True)
        return len(gone)

    def _files(self) -> Iterator[Path]:
        with contextlib.suppress(FileNotFoundError):
            yield from [path for path in self._folder.iterdir() if path.suffix == _SUFFIX]


def _read(path: Path) -> _Kept | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
