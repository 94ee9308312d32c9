"""The DuckDB instances that a process keeps between two readings and two writings: they have no file open, and so hold nobody out."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

from voxledger.catalog import duckdb_files, platform
from voxledger.catalog.duckdb_files import detach, instance, translated
from voxledger.catalog.spill import SPILL, clear_spill

_kept: dict[tuple[Path, bool], duckdb.DuckDBPyConnection] = {}
"""By HOME and whether it only reads, one of each kind at most: to start an instance takes five times as long as to attach both files,
and to end it as long again.
"""
_lock = threading.Lock()
_BESIDE = ("", ".wal", ".wal.checkpoint", ".wal.recovery")
"""What DuckDB keeps beside a file, and looks for when it opens it."""


@contextlib.contextmanager
def attached(files: Mapping[str, Path], *, patience: float, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to these files, which are let go when the block ends; one that only reads opens no others, whatever it is asked.

    Raises what `duckdb_files.attached` does.
    """
    home = next(iter(files.values())).parent
    base = _taken(home, files, read_only=read_only)
    try:
        duckdb_files.attach_all(base, files, patience=patience, read_only=read_only)
        cursor = base.cursor()  # its views and its search path go with it
        try:
            with translated(files, lambda: _close(cursor, base)):
                yield cursor
        finally:
            cursor.close()
    except BaseException:
        base.close()
        raise
    try:
        for name in files:
            detach(base, name)
    except duckdb.Error:  # what is committed is in the write-ahead log; closing lets go of the files in any case
        base.close()
        return
    _keep(home, base, read_only=read_only)


def _taken(home: Path, files: Mapping[str, Path], *, read_only: bool) -> duckdb.DuckDBPyConnection:
    with _lock:
        base = _kept.pop((home, read_only), None)
    if base is None:
        return _confined(home, files) if read_only else instance(home)
    if not read_only:
        clear_spill(home)
    return base


def _keep(home: Path, base: duckdb.DuckDBPyConnection, *, read_only: bool) -> None:
    with _lock:
        for key in [key for key in _kept if key[0] != home or key[1] == read_only]:
            _kept.pop(key).close()
        if (home / SPILL).exists():  # only closing takes it away
            base.close()
        else:
            _kept[home, read_only] = base


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
