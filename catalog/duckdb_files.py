"""Opening the DuckDB files of a HOME: waits for its turn, names who holds them, and moves a damaged one aside."""

from __future__ import annotations

import contextlib
import logging
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import duckdb

from voxledger.catalog import platform
from voxledger.catalog.errors import CatalogBusy, DiskFull, HomeError, LogCorrupt
from voxledger.catalog.events import now
from voxledger.catalog.spill import SPILL, clear_spill

MEMORY = "1200MB"
"""What DuckDB may use; beyond that it spills."""
ROW_GROUP = 24_576
"""Rows of a row group, a multiple of 2,048. A checkpoint merges groups that are not full by writing all of them anew: of the usual
122,880 rows that takes seconds, and as much room again in the file.
"""
CHECKPOINT = "256MB"
"""A write-ahead log of this size is written into the file. At DuckDB's own 16 MB each batch would be compressed twice."""
_log = logging.getLogger(__name__)
_FULL = re.compile(r"No space left|disk is full|Disk quota|File too large|could not write all", re.IGNORECASE)
_HELD = re.compile(
    r"(set|Conflicting) lock|used by another process|different configuration|file handle conflict|already attached",
    re.IGNORECASE,
)
_DAMAGED = re.compile(
    r"not a valid DuckDB|Could not read enough bytes|checksum|corrupt|Serialization Error|replaying WAL|INTERNAL Error",
    re.IGNORECASE,
)
"""What DuckDB says of a file that is not whole; anything else is no reason to touch it."""
_HEADERS = 3 * 4096
"""A file that is shorter than its headers holds nothing."""
_GIVEN_UP = re.compile(r"has been invalidated", re.IGNORECASE)
"""What DuckDB says when an earlier error makes it refuse everything until the file is opened anew."""
_NEWER = re.compile(r"can only read versions|newer version of DuckDB", re.IGNORECASE)


@contextlib.contextmanager
def attached(files: Mapping[str, Path], *, patience: float, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own with each file attached under its name, as soon as nobody else holds them.

    A file that DuckDB cannot read is moved aside, never deleted: the keeper fills a new one from journal and segments.
    A file that turns out to be damaged only while it is read is moved aside too, and LogCorrupt says so: ask again.
    Raises CatalogBusy when another process does not let go within `patience` seconds, DiskFull when there is no room,
    HomeError for a file of a newer DuckDB, or one that this user may not open.
    """
    connection = opened(files, patience=patience, read_only=read_only)
    try:
        with translated(files, connection.close):
            yield connection
    finally:
        connection.close()


def opened(files: Mapping[str, Path], *, patience: float, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Like `attached`, for whoever keeps the connection and closes it."""
    connection = instance(next(iter(files.values())).parent)
    try:
        attach_all(connection, files, patience=patience, read_only=read_only)
    except BaseException:
        connection.close()
        raise
    return connection


def attach_all(
    connection: duckdb.DuckDBPyConnection, files: Mapping[str, Path], *, patience: float, read_only: bool
) -> None:
    """Attach each file under its name, as soon as nobody else holds them."""
    deadline = time.monotonic() + patience
    for name, path in files.items():
        _attach(connection, name, path, deadline, patience, read_only=read_only)


def is_fault(error: duckdb.Error) -> bool:
    """Whether the trouble is with a file or with DuckDB itself, and no mistake of who asked.

    A block whose checksum is wrong is a bare duckdb.Error, of no class below it.
    """
    kinds = (duckdb.IOException, duckdb.SerializationException, duckdb.FatalException, duckdb.InternalException)
    return type(error) is duckdb.Error or isinstance(error, kinds)


@contextlib.contextmanager
def translated(files: Mapping[str, Path], let_go: Callable[[], None]) -> Iterator[None]:
    """Turns DuckDB's word for a full disk or a damaged file into ours. `let_go` closes what has the files open: it is
    called before a damaged one is moved aside, and when DuckDB has given the files up after an error it cannot undo.
    """
    try:
        yield
    except duckdb.Error as error:
        message = str(error)
        if _FULL.search(message):
            let_go()
            raise no_room(
                next((path for path in files.values() if str(path) in message), next(iter(files.values())))
            ) from error
        if _GIVEN_UP.search(message) and not _DAMAGED.search(message):
            let_go()
            raise
        if not _DAMAGED.search(message):
            raise
        let_go()
        path = _mended(files, message)
        if path is None:
            raise LogCorrupt(f"DuckDB found damage ({message}), but every file can be read; ask again") from error
        raise LogCorrupt(f"{path} is damaged and was moved aside; ask again, and it is filled anew") from error


def instance(home: Path) -> duckdb.DuckDBPyConnection:
    """An instance with bounded memory, that spills in HOME and never writes a progress bar to standard output."""
    clear_spill(home)
    connection = duckdb.connect(
        ":memory:",
        config={"memory_limit": MEMORY, "temp_directory": str(home / SPILL), "checkpoint_threshold": CHECKPOINT},
    )
    # Cursors take these over.
    connection.execute("SET GLOBAL TimeZone = 'UTC'; SET enable_progress_bar = false")
    return connection


@contextlib.contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All of the block's statements or none."""
    connection.execute("BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(
            duckdb.Error
        ):  # a commit that failed has rolled back already; its error is what counts
            connection.execute("ROLLBACK")
        raise


def detach(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Let one of the files go, written out."""
    connection.execute(f"DETACH {name}")


def attach(connection: duckdb.DuckDBPyConnection, name: str, path: Path) -> None:
    """Attach one more file for writing; it is made when it is not there."""
    connection.execute(f"ATTACH '{_quoted(path)}' AS {name} (ROW_GROUP_SIZE {ROW_GROUP})")


def _attach(
    connection: duckdb.DuckDBPyConnection, name: str, path: Path, deadline: float, patience: float, *, read_only: bool
) -> None:
    access = "READ_ONLY" if read_only else f"ROW_GROUP_SIZE {ROW_GROUP}"
    while True:
        try:
            connection.execute(f"ATTACH '{_quoted(path)}' AS {name} ({access})")
        except duckdb.Error as error:
            message = str(error)
            if _FULL.search(message):
                _sweep(path)
            if time.monotonic() > deadline:
                raise CatalogBusy(_busy(path, message, patience)) from error
            if _DAMAGED.search(message):
                _move_aside(path)
                if read_only:  # there is nothing to read then, until a writer has filled a new one
                    raise LogCorrupt(
                        f"{path} is damaged and was moved aside; ask again, and it is filled anew"
                    ) from error
            elif not _HELD.search(message):
                raise _refused(path, message) from error
            time.sleep(random.uniform(0.005, 0.03))  # noqa: S311  # jitter, not a secret
        else:
            return


def _sweep(path: Path) -> None:
    """What was begun on a full disk is no file yet: it must not look like a damaged one later."""
    with contextlib.suppress(OSError):
        if path.stat().st_size < _HEADERS:
            path.unlink()


def _refused(path: Path, message: str) -> HomeError:
    if _FULL.search(message):
        return no_room(path)
    if _NEWER.search(message):
        return HomeError(f"{path} was written by a newer DuckDB; upgrade Voxledger. Nothing was changed")
    if "Permission denied" in message or "Operation not permitted" in message:
        return HomeError(f"{path} cannot be opened: permission denied; run as the owner of this HOME")
    return HomeError(f"{path} cannot be opened: {message.splitlines()[0]}")


def _move_aside(path: Path) -> None:
    """Only if it is still damaged once we are alone: another process may have mended it meanwhile."""
    with platform.locked(path.with_name("mend.lock")):
        try:
            duckdb.connect(str(path), read_only=True).close()
        except duckdb.Error as error:
            if _DAMAGED.search(str(error)) and path.exists():
                set_aside(path, str(error))


def _mended(files: Mapping[str, Path], message: str) -> Path | None:
    """Move the damaged one of these files aside. DuckDB does not always name it: then all are read, from end to end."""
    with platform.locked(next(iter(files.values())).with_name("mend.lock")):
        for path in sorted(files.values(), key=lambda path: str(path) not in message):
            why = _damage(path)
            if why is not None:
                set_aside(path, why)
                return path
    return None


def _damage(path: Path) -> str | None:
    """What DuckDB says of a file when every value in it is read; None when nothing is wrong with it."""
    try:
        with duckdb.connect(str(path), read_only=True, config={"memory_limit": MEMORY}) as connection:
            for schema, table in connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():
                query = f'SELECT bit_xor(hash(found)) FROM "{schema}"."{table}" AS found'  # noqa: S608  # names of ours
                connection.execute(query).fetchall()
    except duckdb.Error as error:
        if _DAMAGED.search(str(error)):
            return str(error)
    return None


def set_aside(path: Path, why: str) -> None:
    """Move a file that cannot be used out of the way, with its write-ahead log; nothing is ever deleted."""
    stamp = now().strftime("%Y%m%dT%H%M%S%f")
    for found in (path, path.with_name(path.name + ".wal")):
        if found.exists():
            found.replace(found.with_name(f"{found.name}.damaged-{stamp}"))
    _log.warning(
        "%s was damaged (%s); it is moved aside, and a new one filled from journal and segments", path.name, why
    )


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def no_room(path: Path) -> DiskFull:
    """The error for a file that could not be written for want of room."""
    return DiskFull.at(f"{path} could not be written", "what was recorded is safe in the journal")


def _busy(path: Path, message: str, patience: float) -> str:
    holder = re.search(r"\(PID (\d+)\)", message)
    who = f"process {holder[1]}" if holder else "another process"
    return (
        f"{path} has been held by {who} for {patience:g} s; close what has it open (DuckDB, DBeaver, a node that hangs, …),"
        " then try again"
    )
