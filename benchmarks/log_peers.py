"""What a user would do instead of the journal, and the physical limit: bare fsync, raw SQLite, DuckDB rows, `eventsourcing`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate

Write = Callable[[int], None]
"""Makes so many events durable, in one go."""


@contextmanager
def bare_fsync(folder: Path, body: bytes) -> Iterator[Write]:
    """Appends the bytes to a file and forces them to the disk: nothing durable can be cheaper."""
    with (folder / "bare").open("ab", buffering=0) as file:

        def write(count: int) -> None:
            file.write(body * count)
            os.fsync(file.fileno())

        yield write


@contextmanager
def raw_sqlite(folder: Path, body: bytes) -> Iterator[Write]:
    """A table of blobs, WAL, synchronous=FULL, one transaction a call."""
    connection = sqlite3.connect(folder / "raw.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE events (position INTEGER PRIMARY KEY, body BLOB NOT NULL)")

    def write(count: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO events (body) VALUES (?)", [(body,)] * count)
        connection.execute("COMMIT")

    yield write
    connection.close()


@contextmanager
def duckdb_rows(folder: Path, body: bytes) -> Iterator[Write]:
    """A table in DuckDB, row by row, one transaction a call."""
    connection = duckdb.connect(str(folder / "rows.duckdb"))
    connection.execute("CREATE TABLE events (body BLOB NOT NULL)")

    def write(count: int) -> None:
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO events VALUES (?)", [(body,)] * count)
        connection.execute("COMMIT")

    yield write
    connection.close()


class _Clip(Aggregate):
    def __init__(self, payload: str) -> None:
        self.payload = payload


@contextmanager
def eventsourcing(folder: Path, body: bytes) -> Iterator[Write]:
    """The library of that name on SQLite (WAL, synchronous=FULL), one save a call."""
    app: Application = Application(
        env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(folder / "eventsourcing.sqlite")}
    )
    payload = body.decode()

    def write(count: int) -> None:
        app.save(*(_Clip(payload=payload) for _ in range(count)))

    yield write
    app.close()


PEERS = {
    "bare fsync of the same bytes (the limit)": bare_fsync,
    "raw SQLite": raw_sqlite,
    "DuckDB, rows": duckdb_rows,
    "eventsourcing on SQLite": eventsourcing,
}
