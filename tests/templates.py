"""Empty tables, made once by each process of the tests instead of anew for each HOME: 300 comments alone take 60 ms of CPU.

They are what `projections.create` makes of a file; a new HOME begins with a copy. A soak has every HOME make its own, and so has
everything that tests start or fork, and every HOME whose log is there already.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import duckdb

from tests.soak import FULL
from voxledger.catalog import duckdb_files, projections

_make = duckdb_files.attach_all


def begin_with_copies() -> None:
    """From now on a HOME that has neither log nor tables begins with a copy of the empty tables."""

    def attach_all(
        connection: duckdb.DuckDBPyConnection, files: Mapping[str, Path], *, patience: float, read_only: bool
    ) -> None:
        beside = [path.with_name(path.name + end) for path in files.values() for end in ("", ".wal")]
        if set(files) == {"log", "catalog"} and not read_only and not any(path.exists() for path in beside):
            _put(files["catalog"])
        _make(connection, files, patience=patience, read_only=read_only)

    duckdb_files.attach_all = attach_all


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """What `projections.create` does in the attached database `catalog`, in a tenth of the time."""
    if FULL:
        projections.create(connection)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.duckdb"
        path.write_bytes(_empty())
        connection.execute(f"ATTACH '{path}' AS empty (READ_ONLY)")
        connection.execute("COPY FROM DATABASE empty TO catalog; DETACH empty")


def _put(path: Path) -> None:
    """Whole, or not at all: another process may be about to make the file, and where there is no room the product says so."""
    with contextlib.suppress(OSError), tempfile.NamedTemporaryFile(dir=path.parent) as file:
        file.write(_empty())
        file.flush()
        os.link(file.name, path)


@functools.cache
def _empty() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.duckdb"
        with contextlib.closing(duckdb_files.instance(Path(folder))) as connection:
            duckdb_files.attach(connection, "catalog", path)
            with duckdb_files.transaction(connection):
                projections.create(connection)
            duckdb_files.detach(connection, "catalog")
        return path.read_bytes()
