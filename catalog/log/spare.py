"""The DuckDB instance that a process keeps between two readings: it has no file open, and so holds nobody out."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

from voxledger.catalog import platform
from voxledger.catalog.duckdb_files import attach_all, detach, instance, translated
from voxledger.catalog.spill import SPILL

_kept: dict[Path, duckdb.DuckDBPyConnection] = {}
"""By HOME, one at most: to start an instance takes five times as long as to attach both files."""
_lock = threading.Lock()
_BESIDE = ("", ".wal", ".wal.checkpoint", ".wal.recovery")
"""What DuckDB keeps beside a file, and looks for when it opens it."""


@contextlib.contextmanager
def attached(files: Mapping[str, Path], *, patience: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that reads these files and, whatever it is asked, no others; they are let go when the block ends.

    Raises what `duckdb_files.attached` does.
    """
    home = next(iter(files.values())).parent
    with _lock:
        base = _kept.pop(home, None)
    base = base or _confined(home, files)
    try:
        attach_all(base, files, patience=patience, read_only=True)
        cursor = base.cursor()  # its views and its search path go with it
        try:
            with translated(files, lambda: _close(cursor, base)):
                yield cursor
        finally:
            cursor.close()
        for name in files:
            detach(base, name)
    except BaseException:
        base.close()
        raise
    with _lock:
        _empty()
        if (home / SPILL).exists():  # only closing takes it away
            base.close()
        else:
            _kept[home] = base


def _confined(home: Path, files: Mapping[str, Path]) -> duckdb.DuckDBPyConnection:
    connection = instance(home)
    allowed = [str(path) + end for path in files.values() for end in _BESIDE]
    connection.execute("SET allowed_paths = $allowed", {"allowed": allowed})
    connection.execute("SET enable_external_access = false; SET lock_configuration = true")
    return connection


def _close(*connections: duckdb.DuckDBPyConnection) -> None:
    for connection in connections:
        connection.close()


def _empty() -> None:
    _close(*_kept.values())
    _kept.clear()


platform.before_fork(_lock, _empty)
