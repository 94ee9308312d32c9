"""Copying a journal: one moment of it in a file of its own, and such a copy made the journal of another place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from voxledger.catalog.errors import JournalError, LogCorrupt
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.journal import epochs, schema
from voxledger.catalog.journal.records import Epoch
from voxledger.catalog.progress import Counting
from voxledger.catalog.queries import load

_SQL = load("journal.sql", "voxledger.catalog.journal")
_PAGES = 2048
"""Pages that are copied at a time (16 MB), so that an interrupt need not wait for all of them."""
_MANY = 5000


class Copied(NamedTuple):
    """What a copy holds: `head` is its newest position (or what the log knew when the journal was made), `oldest` the first
    position whose bytes are in it.
    """

    node: str
    head: int
    oldest: int | None
    epochs: tuple[Epoch, ...]


def copy(path: Path, target: Path, *, progress: Counting | None = None) -> Copied:
    """Copy the journal at `path` as it is at one moment, by SQLite's backup API; `target` is replaced.

    Nobody who writes waits for it. Pages keep their places, so that two copies differ only where the journal does. Raises
    JournalError, LogCorrupt for a damaged file.
    """
    target.unlink(missing_ok=True)

    def heard(_status: int, left: int, total: int) -> None:
        if progress:
            progress(total - left, total)

    with _translated(path), closing(_opened(path)) as source, closing(_opened(target)) as made:
        # One transaction from beginning to end: without it a busy writer would make the copying begin again and again.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM meta").fetchone()
        source.backup(made, pages=_PAGES, progress=heard, sleep=0)
        source.execute("ROLLBACK")
        made.execute("PRAGMA journal_mode = DELETE")  # a copy is one file
    return about(target)


def about(copied: Path) -> Copied:
    """Read what a copy says of itself. Raises JournalError for what is no journal of this version or an older one."""
    with _translated(copied), closing(_opened(copied)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        meta, _ = schema.bring_up(connection, copied)
        connection.execute("COMMIT")
        if not meta:
            raise JournalError(f"{copied} is no journal: it is empty")
        newest = connection.execute(_SQL["newest"]).fetchone()
        return Copied(
            node=meta["node"],
            head=int(newest[0]) if newest else int(meta["base"]),
            oldest=connection.execute(_SQL["oldest"]).fetchone()[0],
            epochs=tuple(epochs.all_epochs(connection.execute(_SQL["epochs"]).fetchall())),
        )


def bodies(copied: Path, after: int) -> Iterator[tuple[int, bytes]]:
    """The acknowledged bytes in a copy from a position on, in order."""
    with _translated(copied), closing(_opened(copied)) as connection:
        while rows := connection.execute(_SQL["after"], (after, _MANY)).fetchall():
            yield from rows
            after = rows[-1][0]


def settle(copied: Path, *, given: int) -> Epoch:
    """Make a copy the journal of the place where it lies now: a new epoch begins, and nobody's work is in progress in it.

    `given` is the highest position that is known to have been given by the journal it was copied from: those beyond the copy
    count as lost with it, until segments bring them back. Repeating is safe. Gives the epoch that is now.
    """
    with _translated(copied), closing(_opened(copied)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        meta, _ = schema.bring_up(connection, copied)
        place = epochs.place(copied)
        if meta.get("place") != place:
            free = epochs.end(connection, int(meta["base"])).free
            last = max(given, free - 1)
            epochs.begin(connection, epochs.Beginning("restored", last + 1, (free, last) if last >= free else None))
            connection.execute(_SQL["set_meta"], ("place", place))
            connection.execute(_SQL["release_all"])
            connection.execute(_SQL["release_all_claims"])
        failpoint("restore.after_settled")
        connection.execute("COMMIT")
        return epochs.all_epochs(connection.execute(_SQL["epochs"]).fetchall())[-1]


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=30)


class _translated:  # noqa: N801  # a context manager, named like one
    """SQLite's errors in our words."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, sqlite3.DatabaseError):
            if "malformed" in str(error) or "not a database" in str(error):
                raise LogCorrupt(f"{self._path} is damaged ({error})") from error
            raise JournalError(f"{self._path} cannot be copied or read: {error}") from error
