"""Projections: the tables folded from the log. Set-based SQL, one fold a kind of event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files

import duckdb
import pyarrow as pa

from voxledger.catalog.duckdb_files import transaction
from voxledger.catalog.queries import load

VERSION = 1
"""Raise it with every change of a table or a fold: catalogs of another version are rebuilt."""

SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("id", pa.string()),
        ("type", pa.string()),
        ("subject", pa.string()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("actor", pa.string()),
        ("data", pa.string()),
        ("personal", pa.string()),
    ]
)
"""What a fold reads: events in order, their personal fields opened (NULL where the key is gone)."""

_SQL = load("projections.sql", "voxledger.catalog.projections")
_FOLDS: Mapping[str, frozenset[str]] = {
    "GenerationCompleted": frozenset({"GenerationCompleted"}),
    "GenerationFailed": frozenset({"GenerationFailed"}),
    "GenerationCancelled": frozenset({"GenerationCancelled"}),
    "GenerationReused": frozenset({"GenerationReused"}),
    "AudioAccessed": frozenset({"AudioAccessed"}),
    "upload": frozenset({"AudioStored", "AudioUploadFailed"}),
    "tag": frozenset({"ClipTagged", "ClipUntagged"}),
    "pin": frozenset({"ClipPinned", "ClipUnpinned"}),
    "mark": frozenset({"ClipMarked", "ClipUnmarked"}),
    "purge": frozenset({"PurgeStarted", "ClipPurged"}),
}
"""Each fold with the event types it reads, in the order in which they run: clips exist before anything happens to
them.
"""


def create(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the empty tables in the attached database `catalog`."""
    connection.execute("USE catalog")
    connection.execute(_SQL["schema"])
    connection.execute(files("voxledger.catalog.projections").joinpath("comments.sql").read_text(encoding="utf-8"))
    connection.execute("USE memory")
    connection.execute(_SQL["start"], (VERSION,))


def position(connection: duckdb.DuckDBPyConnection) -> tuple[int, int] | None:
    """Version and position of the attached database `catalog`; None when its tables are not there yet."""
    try:
        rows = connection.execute(_SQL["position"]).fetchall()
    except duckdb.CatalogException:
        return None
    return (int(rows[0][0]), int(rows[0][1])) if rows else None


def fold(connection: duckdb.DuckDBPyConnection, events: pa.Table, through: int) -> None:
    """Fold events (of `SCHEMA`) into the tables and move the position, in one transaction."""
    present: Iterable[str] = set(events.column("type").unique().to_pylist())
    connection.register("folding", events)
    try:
        with transaction(connection):
            for name, types in _FOLDS.items():
                if types.intersection(present):
                    connection.execute(_SQL[name])
            connection.execute(_SQL["move"], (through,))
    finally:
        connection.unregister("folding")
