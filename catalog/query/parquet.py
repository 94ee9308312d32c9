"""The catalog as Parquet, partitioned by week: for polars, pandas, Spark, a warehouse, or DuckDB somewhere else.

It is read through a Reading, a slice at a time, so that it makes no difference who keeps the files open, and memory stays flat.
What is in a week is summed up first, and only weeks in which that has changed are written.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import itertools
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import duckdb
import msgspec

from voxledger.catalog import platform
from voxledger.catalog.errors import DiskFull, QueryError, VoxledgerError
from voxledger.catalog.parallel import in_parallel
from voxledger.catalog.progress import Progress, silent
from voxledger.catalog.queries import load
from voxledger.catalog.query.parquet_folder import FORMAT, NO_WEEK, Folder, Manifest, Partition, opened
from voxledger.catalog.query.relations import Relation, quoted, relations

if TYPE_CHECKING:
    import pyarrow as pa

    from voxledger.catalog.log.reading import Reading

ROW_GROUP = 60_000
"""Rows of a row group, and in memory at a time: of events that is about 150 MB."""
_TIMES = ("time", "created", "recorded", "placed", "marked", "started", "drained")
"""By which time a relation is divided into weeks, the first one that it has; the others are small, or have no time."""
_CONTENT = {"events": ("position", "digest")}
"""What is summed up of a relation whose rows are never changed; of all others it is every column."""
_COMPARING, _WRITING = "comparing weeks", "writing rows"
_SQL = load("export.sql", "voxledger.catalog.query")


class ParquetExported(msgspec.Struct, frozen=True, kw_only=True):
    """What the folder holds, as of which position of the log, and what had to be done for it."""

    path: Path
    position: int
    bytes: int
    files: int
    written: int
    """Files that were new, or whose week had changed."""
    removed: int
    """Files whose week or relation is no more."""
    rows: Mapping[str, int]
    """Of each relation."""


class _Week(NamedTuple):
    relation: Relation
    monday: date | None
    rows: int
    content: str

    @property
    def name(self) -> str:
        if _time(self.relation) is None:
            return ""
        return f"{self.monday:%G-W%V}" if self.monday else NO_WEEK


def export_parquet(
    reading: Reading,
    path: Path,
    *,
    node: str,
    zone: str,
    names: Collection[str] = (),
    as_of: datetime | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> ParquetExported:
    """Bring a folder to what the catalog is at this moment: all documented relations, or those named.

    The weeks are ISO weeks in `zone`. The folder changes as a whole, at the end; cut off before, the next call goes on. Raises
    QueryError for an unknown relation, VoxledgerError when the folder is not one of ours, DiskFull when there is no room.
    """
    wanted = _wanted(list(relations(reading)), names)
    moment = None if as_of is None else as_of.astimezone(UTC).isoformat()
    try:
        with opened(path, node, force=force) as folder:
            following = Manifest(
                node=node, position=reading.tuples(_SQL["position"])[0][0], as_of=moment, time_zone=zone, whole=False,
                relations={},
            )  # fmt: skip
            before = _files(folder.now)
            done = _write(reading, folder, following, wanted, zone, anew=force, progress=progress)
            if names and folder.now is not None and folder.now.node == node:
                following.relations |= {
                    name: weeks for name, weeks in folder.now.relations.items() if name not in following.relations
                }
            folder.become(following)
    except OSError as error:
        if platform.lacks_room(error, path.parent):
            raise DiskFull.at(
                f"{path} could not be brought up to date", "it is as it was, and the next export goes on from here"
            ) from error
        raise VoxledgerError(f"{path} cannot be written: {error.strerror or error}") from error
    now = _files(following)
    return ParquetExported(
        path=path,
        position=following.position,
        bytes=sum(found.bytes for found in now.values()),
        files=len(now),
        written=done,
        removed=len(before.keys() - now.keys()),
        rows={name: sum(found.rows for found in weeks.values()) for name, weeks in following.relations.items()},
    )


def _wanted(known: list[Relation], names: Collection[str]) -> list[Relation]:
    by_name = {relation.name: relation for relation in known}
    for name in names:
        if name not in by_name:
            near = difflib.get_close_matches(name, by_name, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(by_name)}"
            raise QueryError(f"there is no relation {name!r}; {hint}")
    return [relation for relation in known if not names or relation.name in names]


def _files(manifest: Manifest | None) -> dict[tuple[str, str], Partition]:
    return {
        (relation, week): found
        for relation, weeks in (manifest.relations if manifest else {}).items()
        for week, found in weeks.items()
    }


def _write(
    reading: Reading,
    folder: Folder,
    following: Manifest,
    wanted: list[Relation],
    zone: str,
    *,
    anew: bool,
    progress: Progress,
) -> int:
    """Write what is not there yet; gives how many files that were."""
    changed: list[_Week] = []
    for number, relation in enumerate(wanted):
        progress(_COMPARING, number, len(wanted))
        weeks = following.relations[relation.name] = {}
        for week in _weeks(reading, relation, zone):
            there = None if anew else folder.has(relation.name, week.name, week.content)
            if there is None:
                changed.append(week)
            else:
                weeks[week.name] = there
    progress(_COMPARING, len(wanted), len(wanted))
    total, done = sum(week.rows for week in changed), 0
    progress(_WRITING, 0, total)
    try:
        for week in changed:
            with folder.writing(week.relation.name, week.name) as file:
                for rows in _written(_slices(reading, week, zone), week.relation, file):
                    done += rows
                    progress(_WRITING, done, total)
            following.relations[week.relation.name][week.name] = Partition(
                rows=week.rows, bytes=folder.size(week.relation.name, week.name), content=week.content,
                position=following.position,
            )  # fmt: skip
            folder.note(following)
    except BaseException:
        with contextlib.suppress(OSError):
            folder.note(following, now=True)
        raise
    return len(changed)


def _weeks(reading: Reading, relation: Relation, zone: str) -> Iterator[_Week]:
    """The weeks of a relation; one without rows has an empty file, so that its columns are known."""
    columns = _CONTENT.get(relation.name) or [name for name, _, _ in relation.columns]
    parts = {"relation": quoted(relation.name), "columns": ", ".join(map(quoted, columns)), "time": _time(relation)}
    rows = (
        reading.tuples(_SQL["undivided"].format(**parts))
        if parts["time"] is None
        else reading.tuples(_SQL["weeks"].format(**parts), {"zone": zone})
    )
    for monday, count, content in rows or [(None, 0, None)]:
        facts = (FORMAT, duckdb.__version__, relation, count, content)
        digest = hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
        yield _Week(relation, monday, count, digest)


def _time(relation: Relation) -> str | None:
    """The time by which a relation is divided, as SQL names it. A column `week` of its own would be hidden by that of the folder."""
    columns = {name for name, _, _ in relation.columns}
    return None if "week" in columns else next((quoted(name) for name in _TIMES if name in columns), None)


def _slices(reading: Reading, week: _Week, zone: str) -> Iterator[pa.Table]:
    relation, time = week.relation, _time(week.relation)
    condition, values = "true", {}
    if time is not None and week.monday is None:
        condition = f"{time} IS NULL"
    elif time is not None and week.monday is not None:
        # The first two only say where to look.
        condition = (
            f"{time} >= $low AND {time} < $high AND date_trunc('week', {time} AT TIME ZONE $zone)::DATE = $monday"
        )
        low = datetime.combine(week.monday, datetime.min.time(), UTC) - timedelta(days=2)
        values = {"low": low, "high": low + timedelta(days=11), "zone": zone, "monday": week.monday}
    parts = {"relation": quoted(relation.name), "columns": ", ".join(quoted(name) for name, _, _ in relation.columns)}
    if relation.key is None:
        yield reading.table(_SQL["whole"].format(**parts))
        return
    key, kind = relation.key
    cuts: list[Any] = []
    if week.rows > ROW_GROUP:
        asked = _SQL["cuts"].format(**parts, key=key, condition=condition)
        cuts = [found for (found,) in reading.tuples(asked, {**values, "size": ROW_GROUP})]
    for after, last in itertools.pairwise([None, *cuts, None]):
        limits = {"after": after, "last": last}
        bounds = [
            f"{key} {sign} ${name}::{kind}"
            for name, sign in (("after", ">"), ("last", "<="))
            if limits[name] is not None
        ]
        query = _SQL["part"].format(**parts, condition=" AND ".join([condition, *bounds]))
        yield reading.table(query, {**values, **{name: at for name, at in limits.items() if at is not None}})


def _written(slices: Iterator[pa.Table], relation: Relation, file: BinaryIO) -> Iterator[int]:
    """Write the slices, each while the next one is read; gives the rows of each."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = next(slices)
    schema = _commented(first.schema, relation)
    # Numbers are smaller without a dictionary, and written twice as fast.
    words = [field.name for field in schema if pa.types.is_string(field.type)]
    writer = pq.ParquetWriter(file, schema, compression="zstd", compression_level=3, use_dictionary=words)

    def write(rows: pa.Table) -> int:
        writer.write_table(rows.cast(schema), row_group_size=2 * ROW_GROUP)
        return int(rows.num_rows)

    second = next(slices, None)
    if second is None:
        yield write(first)
    else:
        rest = itertools.chain((first, second), slices)
        del first, second
        for _, count in in_parallel(write, rest, threads=1, name="parquet", ahead=1):
            yield count
    writer.close()


def _commented(schema: pa.Schema, relation: Relation) -> pa.Schema:
    """With the comments of the columns, which pyarrow and whoever else reads Arrow's schema find at each field."""
    import pyarrow as pa

    comments = {name: comment for name, _, comment in relation.columns if comment}
    fields = [
        field.with_metadata({"comment": comments[field.name]}) if field.name in comments else field for field in schema
    ]
    return pa.schema(fields, metadata={"comment": relation.comment} if relation.comment else None)
