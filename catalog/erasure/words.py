"""Words: what a HOME itself says about a person. The key first, then every file that was folded under it, written anew."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from voxledger.catalog import platform
from voxledger.catalog.access.tokens import end_tokens_of
from voxledger.catalog.erasure.subject import Subject
from voxledger.catalog.erasure.targets import NOTHING, Done
from voxledger.catalog.errors import ErasureError
from voxledger.catalog.home import Home
from voxledger.catalog.journal.owners import owner_lives
from voxledger.catalog.log import Keeper
from voxledger.catalog.progress import Progress
from voxledger.catalog.queries import load
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.spill import clear_spill

if TYPE_CHECKING:
    from voxledger.catalog.search import SearchIndex

_SQL = load("journal.sql", "voxledger.catalog.erasure")
_LOOK = 0.1
_DUCKDB = b"DUCK"
_OWN = frozenset({"store", "segments", "cache", "voices", "speech", "models", "uploads"})
"""Folders of HOME in which nobody keeps a copy of the catalog."""


def close_door(subject: Subject, recorder: Recorder, *, patience: float) -> None:
    """From here on nothing is recorded for the actor any more: the name leads to somebody new, and what waits is given up. A voice is
    refused.

    Waits for clips that are being made. Raises ErasureError when that takes longer than `patience` seconds.
    """
    journal = recorder.journal
    if subject.scope == "voice":
        with journal.transaction() as write:
            for query in ("forget_recordings", "forget_names"):
                write.connection.execute(_SQL[query], (subject.target,))
        return
    with journal.transaction() as write:  # whoever records looks for the name within one: before this, or after it
        recorder.vault.detach(subject.target)
        end_tokens_of(subject.target, recorder, write)
    deadline = time.monotonic() + patience
    while _making(recorder, subject.target):
        if time.monotonic() > deadline:
            raise ErasureError(
                f"clips of this actor are still being made after {patience:g} s; the request stands, and `voxledger erase --resume`"
                " goes on when they are done. Nothing was deleted yet"
            )
        time.sleep(_LOOK)
    with journal.transaction() as write:
        for query in ("forget_answers", "cancel_work", "drop_names", "drop_facts"):
            write.connection.execute(_SQL[query], (subject.target,))


def _making(recorder: Recorder, actor: str) -> bool:
    return any(owner_lives(owner) for (owner,) in recorder.journal.rows(_SQL["making"], (actor,)))


def forget(subject: Subject, recorder: Recorder) -> None:
    """The point of no return: the actor's key is destroyed, or the voice's name not opened any more."""
    if subject.scope == "actor":
        recorder.vault.destroy(subject.target)
    else:
        recorder.vault.forget_voice(subject.target, recorder.journal.head())


def forgotten(subject: Subject, recorder: Recorder, *, since: int) -> bool:
    """Whether that has happened, after a position: a voice may have been erased before, and registered again."""
    if subject.scope == "actor":
        return recorder.vault.destroyed(subject.target)
    return recorder.vault.forgotten_voices().get(subject.target, -1) >= since


def fold_anew(keeper: Keeper, progress: Progress) -> Done:
    """Write `catalog.duckdb` anew from a log that cannot be opened there any more."""
    keeper.rebuild(progress=lambda at, end: progress("writing the catalog anew", at, end))
    return Done(outcome="done")


def index_anew(search: SearchIndex, progress: Progress) -> Done:
    """Write the search index anew."""
    if not search.path.exists():
        return NOTHING
    search.rewrite(progress=lambda at, end: progress("writing the search index anew", at, end))
    return Done(outcome="done")


def drop_copies(home: Home) -> Done:
    """Delete copies of the catalog that lie in HOME: those moved aside as damaged, half a rebuild, what was exported there, and what
    processes that ended had spilled.
    """
    count, size = 0, clear_spill(home.path)
    with platform.locked(home.path / "rebuild.lock", blocking=False) as mine:
        if not mine:
            return Done(outcome="waiting", note="another process is writing the catalog anew; the next run goes on")
        for path in _copies(home):
            size += path.stat().st_size
            path.unlink()
            count += 1
    return Done(outcome="done", count=count, bytes=size) if count or size else NOTHING


def empty_logs(home: Home) -> Done:
    """The log of the embedded store: rclone writes keys there when something is odd about them. It is open, and begins anew."""
    log = home.path / "store.log"
    size = log.stat().st_size if log.exists() else 0
    if size:
        os.truncate(log, 0)
    return Done(outcome="done", bytes=size) if size else NOTHING


def copies(home: Home) -> int:
    """How many there are."""
    return sum(1 for _ in _copies(home))


def _copies(home: Home) -> Iterator[Path]:
    own = {home.log.name, home.catalog.name, f"{home.log.name}.wal", f"{home.catalog.name}.wal"}
    for path in sorted(home.path.iterdir()):
        if path.is_dir() and path.name not in _OWN and not path.is_symlink():
            yield from (found for found in sorted(path.rglob("*")) if found.is_file() and _is_duckdb(found))
        elif path.name not in own and path.is_file():
            left = path.name.startswith((f"{home.catalog.name}.", f"{home.search.name}.damaged"))
            if left or (_is_duckdb(path) and not path.name.startswith(f"{home.log.name}.")):
                yield path


def _is_duckdb(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(12)[8:] == _DUCKDB
