"""Exports: what people download from Mixpanel, read row by row: the raw export's lines, gzipped or not, or a table as CSV.

Source: https://developer.mixpanel.com/reference/raw-event-export
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from voxledger.analytics.errors import ExportUnreadable

_SECONDS_END = 100_000_000_000
"""Beyond this a time is in milliseconds."""
_COLUMNS = {
    "name": ("event", "event name", "event_name", "$event_name"),
    "time": ("time", "$time", "date", "day"),
    "id": ("$insert_id", "insert_id", "insert id"),
    "count": ("count", "total", "total events", "value"),
}


class Row(NamedTuple):
    """So many events of one name at one time (s since the epoch); `id` is ours, empty where the file has none."""

    name: str
    seconds: float
    id: str
    number: int


class _Properties(msgspec.Struct, frozen=True):
    time: float
    insert_id: str = msgspec.field(name="$insert_id", default="")


class _Line(msgspec.Struct, frozen=True):
    event: str
    properties: _Properties


_decode = msgspec.json.Decoder(_Line).decode


def rows(path: Path) -> Iterator[Row]:
    """Every row of an export. Raises ExportUnreadable that names the line."""
    with _opened(path) as file:
        head = file.peek(1)[:1]
        if head in (b"{", b""):
            yield from _lines(path, file)
        elif head == b"[":
            raise ExportUnreadable(f"{path} is one JSON array; the raw export has one event a line")
        else:
            text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
            try:
                yield from _table(path, text)
            finally:
                text.detach()


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    try:
        with path.open("rb") as plain:
            if plain.peek(2)[:2] == b"\x1f\x8b":
                with gzip.open(plain) as packed, io.BufferedReader(packed) as file:
                    yield file  # type: ignore[misc]  # a reader of a GzipFile is a reader
            else:
                yield plain
    except (OSError, EOFError) as error:
        said = getattr(error, "strerror", None) or error
        raise ExportUnreadable(f"{path} cannot be read: {said}") from error


def _lines(path: Path, file: io.BufferedReader) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            found = _decode(line)
        except msgspec.MsgspecError as error:
            raise ExportUnreadable(
                f"{path}, line {number}: {error}; each line is to be one event, as Mixpanel's raw export writes it"
            ) from None
        yield Row(found.event, _to_seconds(found.properties.time), found.properties.insert_id, 1)


def _table(path: Path, file: io.TextIOWrapper) -> Iterator[Row]:
    try:
        reader = csv.DictReader(file)
        columns = _columns(path, reader.fieldnames or [])
        for row in reader:
            try:
                yield Row(
                    row[columns["name"]],
                    _moment(row[columns["time"]]),
                    row.get(columns.get("id", ""), "") or "",
                    int(row.get(columns.get("count", ""), "") or 1),
                )
            except (ValueError, TypeError):
                raise ExportUnreadable(
                    f"{path}, line {reader.line_num}: {row[columns['time']]!r} is no time, or its count no number; times are"
                    " seconds since 1970, or 2026-03-01T12:00:00"
                ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ExportUnreadable(f"{path} is neither lines of JSON nor a CSV file in UTF-8: {error}") from None


def _columns(path: Path, names: Sequence[str]) -> dict[str, str]:
    known = {name.strip().lower(): name for name in names}
    found = {use: known[each] for use, each_of in _COLUMNS.items() for each in each_of[::-1] if each in known}
    if "name" not in found or "time" not in found:
        has = ", ".join(repr(name) for name in names) or "nothing"
        raise ExportUnreadable(
            f"{path} has no columns for event and time (such as 'event' and 'time'); it has {has[:200]}"
        )
    return found


def _moment(text: str) -> float:
    try:
        return _to_seconds(float(text))
    except ValueError:
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _to_seconds(time: float) -> float:
    return time / 1000 if time > _SECONDS_END else time
