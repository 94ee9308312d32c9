"""A detached copy of the catalog in one DuckDB file, for tools that open such files: DBeaver, Metabase, Grafana.

It is read through a Reading, in slices, so that it makes no difference who keeps the files open, and memory stays flat.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec

from voxledger.catalog import platform
from voxledger.catalog.errors import DiskFull, VoxledgerError
from voxledger.catalog.progress import Counting
from voxledger.catalog.queries import load
from voxledger.catalog.query.relations import Relation, quoted, relations

if TYPE_CHECKING:
    import pyarrow as pa

    from voxledger.catalog.log.reading import Reading

STORAGE_VERSION = "v1.4.0"
"""DuckDB's file format that every DuckDB since 1.4 reads."""

_SLICE = 200_000
"""Rows that are in memory at a time, more or less."""
_MEMORY = "500MB"
"""What the file that is written may keep in memory; what is read has its own."""
_VERSION = re.compile(r"v[0-9]+\.[0-9]+\.[0-9]+")
_SQL = load("export.sql", "voxledger.catalog.query")


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written: the file, its size, and the rows of each relation."""

    path: Path
    bytes: int
    storage_version: str
    rows: Mapping[str, int]


def export(
    reading: Reading, path: Path, *, storage_version: str | None, force: bool, progress: Counting | None
) -> Exported:
    """Write all documented relations, with their comments, to a new file; generated columns become plain ones.

    The file appears whole or not at all. Raises VoxledgerError when it is there already and not forced, DiskFull when
    there is no room.
    """
    version = storage_version or STORAGE_VERSION
    if not _VERSION.fullmatch(version):
        raise VoxledgerError(f"{version!r} is no storage version; write one as v1.5.0")
    check_target(path, force=force)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        rows = _write(reading, part, version, progress)
        check_target(path, force=force)
        part.replace(path)
    except (duckdb.IOException, OSError) as error:
        if platform.lacks_room(error, path.parent):
            raise DiskFull.at(f"{path} could not be written", "nothing was left there") from error
        if isinstance(error, duckdb.Error) and part.name not in str(error):
            raise  # it is not the copy that cannot be written but the catalog that cannot be read
        raise VoxledgerError(f"{path} cannot be written: {str(error).splitlines()[0]}") from error
    finally:
        for left in (part, part.with_name(part.name + ".wal")):
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)
    return Exported(path=path, bytes=path.stat().st_size, storage_version=version, rows=rows)


def check_target(path: Path, *, force: bool) -> None:
    """Raises VoxledgerError unless a file may be written there."""
    if path.is_dir() or (path.exists() and not path.is_file()):
        raise VoxledgerError(f"{path} is no file; name the file to write")
    if path.exists() and not force:
        raise VoxledgerError(f"{path} is there already; --force replaces it")
    if not path.parent.is_dir():
        raise VoxledgerError(f"the folder {path.parent} does not exist; make it first")


def _write(reading: Reading, file: Path, version: str, progress: Counting | None) -> dict[str, int]:
    found = list(relations(reading))
    sizes = {relation.name: _size(reading, relation) for relation in found}
    written = 0
    with _copy(file, version) as copy:
        for relation in found:
            copy.execute(_definition(relation))
            for rows in _slices(reading, relation, sizes[relation.name]):
                # Each slice for itself: DuckDB would keep all of a longer transaction in memory.
                copy.register("arrived", rows)
                copy.execute(f"INSERT INTO {quoted(relation.name)} BY NAME SELECT * FROM arrived")  # noqa: S608
                copy.unregister("arrived")
                written += rows.num_rows
                if progress:
                    progress(written, sum(sizes.values()))
    return sizes


@contextlib.contextmanager
def _copy(file: Path, version: str) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET memory_limit = '{_MEMORY}'")
        connection.execute("SET enable_progress_bar = false")  # it would write to standard output
        try:
            connection.execute(f"ATTACH {_text(str(file))} AS detached (STORAGE_VERSION {_text(version)})")
        except duckdb.InvalidInputException as error:
            raise VoxledgerError(f"this DuckDB cannot write the storage version {version}; try v1.5.0") from error
        connection.execute("USE detached")
        yield connection
        connection.execute("USE memory")
        connection.execute("DETACH detached")
    finally:
        connection.close()


def _definition(relation: Relation) -> str:
    name = quoted(relation.name)
    columns = ", ".join(f"{quoted(column)} {kind}" for column, kind, _ in relation.columns)
    statements = [f"CREATE TABLE {name} ({columns})"]
    if relation.comment:
        statements.append(f"COMMENT ON TABLE {name} IS {_text(relation.comment)}")
    statements += [
        f"COMMENT ON COLUMN {name}.{quoted(column)} IS {_text(comment)}"
        for column, _, comment in relation.columns
        if comment
    ]
    return "; ".join(statements)


def _size(reading: Reading, relation: Relation) -> int:
    ((rows,),) = reading.tuples(_SQL["size"].format(relation=quoted(relation.name)))
    return int(rows)


def _slices(reading: Reading, relation: Relation, rows: int) -> Iterator[pa.Table]:
    columns = ", ".join(quoted(column) for column, _, _ in relation.columns)
    parts = {"relation": quoted(relation.name), "columns": columns}
    if relation.key is None or rows <= _SLICE:
        yield reading.table(_SQL["whole"].format(**parts))
        return
    key, kind = relation.key
    found = reading.tuples(_SQL["bounds"].format(**parts, key=key, count=-(-rows // _SLICE) * 2))
    bounds: list[Any] = [None, *(bound for (bound,) in found), None]
    for low, high in itertools.pairwise(bounds):
        limits = ([f"{key} > $low::{kind}"] if low is not None else []) + (
            [f"{key} <= $high::{kind}"] if high is not None else []
        )
        values = {name: bound for name, bound in (("low", low), ("high", high)) if bound is not None}
        query = _SQL["slice"].format(**parts, key=key, condition=" AND ".join(limits) or "true")
        yield reading.table(query, values)


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
