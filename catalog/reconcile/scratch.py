"""The scratch: both sides side by side in a database of this run, on disk and in bounded memory.

Listings come in the order of keys from most stores, not from all (S3 Express, some that serve folders), and the catalog
must not be held while a bucket is listed for minutes. So both sides are copied, and DuckDB joins them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from voxledger.catalog.errors import DiskFull
from voxledger.catalog.objects import ObjectInfo, Store, is_record, record_key
from voxledger.catalog.progress import Progress, silent
from voxledger.catalog.queries import load
from voxledger.catalog.reconcile.around import Around

SQL = load("scratch.sql", "voxledger.catalog.reconcile")
MEMORY = "384MB"
"""What DuckDB may use here; beyond that it spills."""
_PAGE = 20_000
"""Objects that are taken over at a time."""
_STRETCH = 100_000
"""Positions of the log that are read at a time, between which others get their turn."""
_PART = 500_000
"""Rows that are joined at a time. DuckDB spills, but not everything that it holds."""
_ROWS = 1000
_IGNORED = ("voxledger-probe/",)
"""What `voxledger doctor` puts into a bucket to try it, and takes away again."""
_SUFFIX = len(record_key(""))
_LISTED = pa.schema(
    [("bucket", pa.string()), ("key", pa.string()), ("bytes", pa.int64()), ("etag", pa.string()), ("modified", pa.timestamp("us", "UTC"))]
)  # fmt: skip


class Scratch:
    """A database in a folder that goes away. `open` makes one."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    @classmethod
    @contextlib.contextmanager
    def open(cls, folder: Path) -> Iterator[Scratch]:
        """An empty one. Raises DiskFull when there is no room for it."""
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": MEMORY,
            "temp_directory": str(folder / "spill"),
            "preserve_insertion_order": "false",
            "threads": 2,
        }
        # In memory, and spilled from there: what nobody wants to keep needs no write-ahead log.
        connection = duckdb.connect(":memory:", config=config)
        try:
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            connection.execute(SQL["schema"])
            yield cls(connection)
        except duckdb.Error as error:
            if "No space left" in str(error) or "could not write all" in str(error).lower():
                raise DiskFull(
                    f"the disk is full: the comparison needs room under {folder}; free some space. Nothing was changed"
                ) from error
            raise
        finally:
            connection.close()

    def execute(self, name: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The answer to a named query."""
        found = self._connection.execute(SQL[name], values or {}) if values else self._connection.execute(SQL[name])
        return found.fetchall()

    def rows(self, name: str, values: Mapping[str, Any] | None = None) -> Iterator[list[dict[str, Any]]]:
        """The answer to a named query in pieces of rows, however long it is."""
        cursor = self._connection.cursor()
        try:
            # Through Arrow: DuckDB itself wants pytz for moments.
            for batch in cursor.sql(SQL[name], params=values).to_arrow_reader(_ROWS):
                if batch.num_rows:
                    yield batch.to_pylist()
        finally:
            cursor.close()

    def list_bucket(self, store: Store, bucket: str, prefix: str = "", *, progress: Progress = silent) -> int:
        """Take over what the store lists; gives how many objects there are, records not counted. Raises StoreError.

        The listing is all there or this raises: a page that fails ends it.
        """
        objects = records = 0
        for page in _pages(store.list(bucket, prefix)):
            audio = [found for found in page if not is_record(found.key) and not found.key.startswith(_IGNORED)]
            beside = [found for found in page if is_record(found.key)]
            self._insert("listed", _table(bucket, audio))
            if beside:
                table = pa.table({
                    "bucket": [bucket] * len(beside),
                    "key": [found.key[:-_SUFFIX] for found in beside],
                    "bytes": pa.array([found.bytes for found in beside], pa.int64()),
                })  # fmt: skip
                self._insert("records", table)
            objects, records = objects + len(audio), records + len(beside)
            progress(f"Listing {bucket}", objects + records, None)
        return objects

    def compare(self, *, recent: datetime, own: str) -> None:
        """Give every clip and every object its class (`compare` in scratch.sql), in parts that fit into memory.

        What is younger than `recent` is left alone; `own` is the bucket of clips.
        """
        parts = 1 + int(self.execute("rows")[0][0]) // _PART
        for part in range(parts):
            self.execute("newest", {"parts": parts, "part": part})
        for part in range(parts):
            self.execute("compare", {"parts": parts, "part": part, "recent": recent, "own": own})

    def copy_catalog(self, around: Around, *, progress: Progress = silent) -> int:
        """Take over what the catalog holds of every clip; gives the position of the log up to which that is."""
        with around.keeper.reading() as reading:
            head = int(reading.tuples("SELECT coalesce(max(position), 0) FROM projections")[0][0])
        for after in range(0, head, _STRETCH):
            stretch = {"after": after, "through": min(head, after + _STRETCH)}
            with around.keeper.reading(fresh=False) as reading:
                clips, uploaded = reading.table(SQL["clips"], stretch), reading.table(SQL["uploaded"], stretch)
                told = reading.tuples(SQL["told"], stretch)
            self._insert("known", clips)
            self._insert("etags", uploaded)
            self._take_told(told)
            progress("Reading the catalog", stretch["through"], head)
        return head

    def _take_told(self, told: Iterable[tuple[Any, ...]]) -> None:
        rows = list(told)
        orphans = [row for row in rows if row[0] == "ObjectOrphaned"]
        others = [row for row in rows if row[0] != "ObjectOrphaned" and row[3]]
        for table, name, found in (("orphaned", "subject", orphans), ("etags", "clip", others)):
            if found:
                columns = {
                    name: [str(row[1]) for row in found],
                    "position": pa.array([row[2] for row in found], pa.int64()),
                    "etag": pa.array([row[3] for row in found], pa.string()),
                }
                self._insert(table, pa.table(columns))

    def _insert(self, table: str, rows: pa.Table) -> None:
        if not rows.num_rows:
            return
        self._connection.register("arriving", rows)
        try:
            self._connection.execute(f"INSERT INTO {table} BY NAME FROM arriving")  # one of our own tables
        finally:
            self._connection.unregister("arriving")


def _pages(objects: Iterable[ObjectInfo]) -> Iterator[list[ObjectInfo]]:
    page: list[ObjectInfo] = []
    for found in objects:
        page.append(found)
        if len(page) == _PAGE:
            yield page
            page = []
    if page:
        yield page


def _table(bucket: str, objects: list[ObjectInfo]) -> pa.Table:
    columns: dict[str, list[str] | list[int] | list[datetime]] = {
        "bucket": [bucket] * len(objects),
        "key": [found.key for found in objects],
        "bytes": [found.bytes for found in objects],
        "etag": [found.etag for found in objects],
        "modified": [found.modified for found in objects],
    }
    return pa.table(columns, schema=_LISTED)
