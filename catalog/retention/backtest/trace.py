"""Traces: an access history in CSV, such as caches publish them, as if it were the log of a HOME.

A line is one access: an id, a time and a size. The first access to an id makes it, each later one uses it.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import msgspec
import zstandard

from voxledger.catalog.errors import PolicyError
from voxledger.catalog.queries import load
from voxledger.catalog.retention.backtest.history import TRACED, History, asked, micros, named, spans
from voxledger.catalog.retention.policy import Policy

SQL = load("trace.sql", "voxledger.catalog.retention.backtest")
_NAMES = {
    "id": ("id", "key", "object", "object_id", "obj_id", "clip", "name", "url", "path"),
    "time": ("time", "timestamp", "ts", "clock", "clock_time", "date", "datetime"),
    "size": ("size", "bytes", "obj_size", "object_size", "length", "content_length"),
}
"""How a header may call the columns."""
_LACKING = {"reuses": "0::BIGINT", "rating": "NULL::TINYINT", "quality": "NULL::DOUBLE"}
"""What `played_within`, and the orders and values that nobody wrote, ask for, and a trace does not have."""
_HEAD = 65536
_UNITS = ((1e11, "seconds", 1_000_000), (1e14, "milliseconds", 1000), (1e17, "microseconds", 1))
"""Which unit a number for a time has: that in which it is a moment before the year 5138."""
_LAST = "253402300799000000"


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How a trace is written."""

    columns: tuple[str, ...]
    picked: dict[str, str]
    header: bool
    delimiter: str
    compression: str
    unit: str
    moment: str
    """The time as microseconds, in SQL."""


def read(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    policies: Sequence[Policy],
    since: datetime | None,
    until: datetime | None,
) -> tuple[History, str]:
    """The history of a trace and how its times were read. Raises PolicyError for what is not right, with the line."""
    columns = named(policies)
    if other := sorted((asked(policies) - TRACED - {"reuses"}) | (columns - TRACED - _LACKING.keys())):
        raise PolicyError(
            f"a trace has no {', '.join(other)}: a policy that is tried on one may name {', '.join(sorted(TRACED))} only; give one"
            " (--policy FILE) that does"
        )
    layout = _layout(path)
    made = SQL["lines"].format(
        before=1 if layout.header else 0, path=_quoted(str(path)), header=str(layout.header).lower(), delimiter=_quoted(layout.delimiter),
        compression=layout.compression, columns="{" + ", ".join(f"'{_quoted(name)}': 'VARCHAR'" for name in layout.columns) + "}",
        **{what: name.replace('"', '""') for what, name in layout.picked.items()},
    )  # fmt: skip
    try:
        connection.execute(made)
        connection.execute(SQL["accesses"].format(moment=layout.moment))
    except duckdb.Error as error:
        raise PolicyError(_unreadable(path, str(error))) from error
    lines, bad = connection.execute(
        "SELECT count(*), count(*) FILTER (id IS NULL OR time IS NULL OR size IS NULL OR size < 0 OR size > 1e18 OR NOT isfinite(size))"
        " FROM accesses"
    ).fetchall()[0]
    if bad:
        raise PolicyError(_wrong(connection, path, layout))
    if not lines:
        raise PolicyError(f"{path} holds no access: a trace has a line for each, with id, time and size")
    return _history(connection, columns, since, until), f"times are {layout.unit}"


def _history(
    connection: duckdb.DuckDBPyConnection, columns: frozenset[str], since: datetime | None, until: datetime | None
) -> History:
    own = {"id": "id", "created": "make_timestamptz(created)", "bytes": "bytes"}
    moving = {"last_used": "make_timestamptz(anchor)", "plays": "plays::BIGINT", **_LACKING}
    constant, changing = sorted(columns & own.keys()), sorted(columns & moving.keys())
    now = "".join(f", {(own | moving)[name]} AS c_{name}" for name in (*changing, *constant))
    before = "".join(f", {moving[name]} AS c_{name}" for name in changing)
    connection.execute(SQL["present"].format(columns=now))
    connection.execute(SQL["changes"].format(columns=before))
    first, last = connection.execute("SELECT min(time), max(time) FROM accesses").fetchall()[0]
    connection.execute("DROP TABLE accesses")
    history = History(connection, micros(since) if since else first, micros(until) if until else last + 1)
    spans(history, changing, constant)
    return history


def _layout(path: Path) -> Layout:
    head, compression = _head(path)
    first = head.split("\n", 1)[0]
    delimiter = max((",", "\t", ";", "|", " "), key=lambda mark: (first.count(mark) >= 2, first.count(mark)))
    rows = [row for row in csv.reader(io.StringIO(head), delimiter=delimiter) if row][:2]
    if not rows:
        raise PolicyError(f"{path} is empty: a trace has a line for each access, with id, time and size")
    names = [name.strip().lower().lstrip("\ufeff") for name in rows[0]]
    picked = {what: next((name for name in known if name in names), "") for what, known in _NAMES.items()}
    header = any(picked.values())
    if header and not all(picked.values()):
        lacking = ", ".join(what for what, name in picked.items() if not name)
        raise PolicyError(f"{path}, line 1: the header has no column for {lacking}; name the columns id, time and size")
    if not header and len(names) < 3:
        raise PolicyError(f"{path}, line 1: {len(names)} columns where id, time and size are needed, between commas")
    if header and len(set(names)) < len(names):
        raise PolicyError(f"{path}, line 1: the header names a column twice")
    columns = (
        tuple(names) if header else ("id", "time", "size", *(f"column {number}" for number in range(4, len(names) + 1)))
    )
    picked = picked if header else {what: what for what in _NAMES}
    if header and len(rows) < 2:
        raise PolicyError(f"{path} holds no access: there is nothing below its header")
    sample = rows[1 if header else 0]
    place = columns.index(picked["time"])
    unit, moment = _clock(sample[place].strip() if place < len(sample) else "")
    return Layout(
        columns=columns,
        picked=picked,
        header=header,
        delimiter=delimiter,
        compression=compression,
        unit=unit,
        moment=moment,
    )


def _clock(sample: str) -> tuple[str, str]:
    """In which unit times are, to judge by the first, and how SQL makes microseconds of them."""
    if not re.fullmatch(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", sample, re.IGNORECASE):
        return "ISO 8601, UTC where they do not say", "epoch_us(TRY_CAST(time AS TIMESTAMPTZ))"
    try:
        size = abs(float(sample))
    except ValueError:
        size = 0.0
    unit, factor = next(((unit, factor) for most, unit, factor in _UNITS if size < most), ("nanoseconds", 0))
    number = "TRY_CAST(time AS DECIMAL(38, 9))"
    scaled = f"{number} * {factor}" if factor else f"{number} / 1000"
    # What is no moment of the calendar is no time.
    return (
        f"{unit} since 1970",
        f"(CASE WHEN abs(TRY_CAST(time AS DOUBLE)) * {factor or 0.001} < {_LAST} THEN TRY_CAST({scaled} AS BIGINT) END)",
    )


def _head(path: Path) -> tuple[str, str]:
    """The beginning of the file as text, and how it is packed."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            if magic.startswith(b"\x1f\x8b"):
                return _text(gzip.GzipFile(fileobj=file).read(_HEAD)), "gzip"
            if magic == b"\x28\xb5\x2f\xfd":
                return _text(zstandard.ZstdDecompressor().stream_reader(file).read(_HEAD)), "zstd"
            return _text(file.read(_HEAD)), "none"
    except (OSError, EOFError, zstandard.ZstdError) as error:
        raise PolicyError(f"{path} cannot be read: {error}") from error


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _wrong(connection: duckdb.DuckDBPyConnection, path: Path, layout: Layout) -> str:
    """The first line that is not right, as a sentence."""
    connection.execute("SET preserve_insertion_order = true")
    line, identity, time, size, time_read, size_read = connection.execute(
        SQL["wrong"].format(moment=layout.moment)
    ).fetchall()[0]
    where = f"{path}, line {line}"
    if identity is None:
        return f"{where}: there is no id"
    if time_read is None:
        return f"{where}: {time!r} is no time; times here are {layout.unit}, to judge by the first line"
    if size_read is None:
        return f"{where}: {size!r} is no size; it is a number of bytes"
    return f"{where}: a size of {size} is out of bounds; it is a number of bytes"


def _unreadable(path: Path, message: str) -> str:
    found = re.search(r"CSV Error on Line: (\d+)", message)
    lines: Iterable[str] = (line.strip() for line in message.splitlines())
    said = next((line for line in lines if line and not line.startswith(("Original Line", "Invalid Input"))), "")
    if found:
        said = re.sub(r".*CSV Error on Line: \d+", "", said).strip() or "it does not have the columns of the first line"
    return f"{path}, line {found[1]}: {said}" if found else f"{path} cannot be read as CSV: {said}"


def _quoted(text: str) -> str:
    return text.replace("'", "''")
