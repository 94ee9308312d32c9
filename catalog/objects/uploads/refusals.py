"""Refusals: how often the store has refused each task, kept in HOME/uploads across processes."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.journal import Journal, Task

_SUFFIX = ".refused"
_OPEN = "SELECT id FROM tasks WHERE id IN (SELECT value FROM json_each(?))"


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a file. `created` is that of its task: the journal gives an id again when its task is gone."""

    created: float
    count: int


class Refusals:
    """Counts refusals alone: a task's attempts also count outages and kills, which say nothing against it.

    A task is leased to one process at a time, so no two count at once.
    """

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder = folder
        self._journal = journal

    def count(self, task: Task) -> int:
        """One more; gives how many there are. Raises OSError when it cannot be written."""
        path = self._path(task)
        kept = _read(path)
        # Whoever lets a parked task go on sets its attempts back.
        before = kept.count if kept and kept.created == task.created and task.attempts > 1 else 0
        self._folder.mkdir(mode=0o700, exist_ok=True)
        platform.write_atomic(path, msgspec.json.encode(_Kept(created=task.created, count=before + 1)), mode=0o600)
        return before + 1

    def forget(self, task: Task) -> None:
        """It is stored, or parked: then a person says when it begins anew. Idempotent."""
        self._path(task).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Forget tasks that were taken back. Raises JournalError, OSError."""
        found = {path.stem: path for path in self._folder.glob(f"*{_SUFFIX}") if path.stem.isdecimal()}
        wanted = {str(task) for (task,) in self._journal.rows(_OPEN, (json.dumps([int(name) for name in found]),))}
        for name in found.keys() - wanted:
            found[name].unlink(missing_ok=True)

    def _path(self, task: Task) -> Path:
        return self._folder / f"{task.id}{_SUFFIX}"


def _read(path: Path) -> _Kept | None:
    with contextlib.suppress(FileNotFoundError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    return None
