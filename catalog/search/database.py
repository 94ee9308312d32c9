"""The database in `search.sqlite`: how it is made, opened and told apart from a damaged one. It can always be filled
again from the log, so whatever cannot be used is thrown away.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from voxledger.catalog import platform
from voxledger.catalog.errors import DiskFull, SearchError
from voxledger.catalog.queries import load
from voxledger.catalog.sqlite_files import write_ahead

VERSION = 1
"""Raise it, and `user_version` in the schema, with every change of a table or of how texts are cut into words."""

SQL = load("search.sql", "voxledger.catalog.search")
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_REFUSED = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)
_log = logging.getLogger(__name__)


class Unusable(SearchError):
    """There is no index of this version and of this log in the file; a new one must be filled."""


class Place(NamedTuple):
    """How far the log was read, the last event up to there, the journal's epoch, and whether words wait to be wiped."""

    position: int
    event: str
    epoch: str
    erasing: bool


@contextlib.contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The index at one moment, to be asked. Raises Unusable when it must be filled anew, SearchError when it cannot be read."""
    with _translated(path):
        if not path.exists():
            raise Unusable(f"{path} is not there")
        connection = _connect(path)
        try:
            connection.execute(SQL["spelled"])
            connection.execute("PRAGMA query_only = ON")
            _check(connection, path)
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.close()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """The index to be filled; made when it is not there. One process at a time, which is the caller's care."""
    with _translated(path):
        _make(path)
        connection = _connect(path)
        try:
            write_ahead(connection)
            connection.execute(
                "PRAGMA synchronous = NORMAL"
            )  # a power cut may undo the newest pieces, never half of one
            connection.execute("PRAGMA secure_delete = ON")  # erased words must not stay in free pages
            connection.execute("PRAGMA cache_size = -32768")
            if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                connection.executescript(f"BEGIN IMMEDIATE; {SQL['schema']} COMMIT;")
            _check(connection, path)
            yield connection
        finally:
            connection.close()


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the block's statements or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def place(connection: sqlite3.Connection) -> Place:
    """Where the index stands."""
    position, event, epoch, erasing = connection.execute(SQL["place"]).fetchone()
    return Place(position, event, epoch, bool(erasing))


def actors(connection: sqlite3.Connection) -> list[str]:
    """The opaque ids of all whose clips can be found."""
    return [actor for (actor,) in connection.execute(SQL["actors"])]


def discard(path: Path, why: str, *, quietly: bool = False) -> None:
    """Throw the file away, so that the next one to write fills a new one; `why` is said, unless `quietly`."""
    if path.exists() and not quietly:
        _log.warning("%s; it is filled anew from the log", why)
    for found in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        try:
            found.unlink(missing_ok=True)
        except OSError as error:
            raise SearchError(f"{found} cannot be removed ({error.strerror}); remove it, it is filled anew") from error


def _make(path: Path) -> None:
    """It holds texts and names in plain: only its owner may read it."""
    try:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        if platform.lacks_room(error, path.parent):
            raise _no_room(path) from error
        raise SearchError(f"{path} cannot be made: {error.strerror or error}") from error


def _no_room(path: Path) -> DiskFull:
    return DiskFull.at(f"{path} could not be written", "nothing else was touched")


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=30.0)


def _check(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found != VERSION:
        raise Unusable(f"{path} is an index of version {found}, this Voxledger writes version {VERSION}")
    connection.execute(SQL["place"])


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """What SQLite says, in our words."""
    try:
        yield
    except sqlite3.Error as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code in _DAMAGED or "no such" in str(error):
            raise Unusable(f"{path} is damaged ({error})") from error
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and platform.is_full(path.parent)):
            raise _no_room(path) from error
        if code in _REFUSED:
            raise SearchError(f"{path} cannot be opened ({error}); run as the owner of this HOME") from error
        raise SearchError(f"{path} cannot be used: {error}") from error
