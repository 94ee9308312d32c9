"""The intake: lines as JSON, JSONL or CSV become the manifest of a job."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, TypeAlias

import msgspec

from voxledger.dashboards.jobs.array import LONGEST, elements
from voxledger.synth.errors import ManifestError
from voxledger.synth.manifest import FIELDS

Kind: TypeAlias = Literal["json", "jsonl", "csv"]
KINDS: Mapping[str, Kind] = {
    "application/json": "json", "application/x-ndjson": "jsonl", "application/jsonl": "jsonl", "text/csv": "csv",
}  # fmt: skip
"""What is taken, by content type."""
MOST = 1_000_000
"""Lines of a job."""
_NAMES = 1000
_LONGEST_NAME = 1000
"""Characters of a name that are kept: nobody is called more than that."""
_BLANK = b"\xef\xbb\xbf \t\r\n"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Taken(NamedTuple):
    """What a manifest holds: how many lines, and whom they are spoken for where they say so."""

    lines: int
    actors: frozenset[str]


def take_in(body: Path, kind: Kind, manifest: Path) -> Taken:
    """Write the manifest. A line that cannot be spoken is no matter here: it fails alone, later.

    Raises ManifestError for what holds no lines, or too many; OSError.
    """
    lines, actors = 0, set[str]()
    handle = os.open(manifest, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out:
        for line in _lines(body, kind):
            out.write(line + b"\n")
            lines += 1
            if lines > MOST:
                raise ManifestError(f"there are more than {MOST:,} lines; hand them in as several jobs")
            if len(actors) <= _NAMES and (actor := _actor(line)) is not None:
                actors.add(actor[:_LONGEST_NAME])
        if len(actors) > _NAMES:
            raise ManifestError(f"the lines are spoken for more than {_NAMES:,} people; hand them in as several jobs")
        out.flush()
        os.fsync(out.fileno())
    if not lines:
        raise ManifestError("there are no lines; give at least one object with a text")
    return Taken(lines, frozenset(actors))


def _lines(body: Path, kind: Kind) -> Iterator[bytes]:
    with body.open("rb") as file:
        if kind == "jsonl":
            yield from _written(file)
        elif kind == "json":
            # In a text a line feed is written \n, so those that are left stand between.
            yield from (each.replace(b"\r", b" ").replace(b"\n", b" ") for each in elements(file))
        else:
            yield from _rows(file)


def _written(file: BinaryIO) -> Iterator[bytes]:
    """The lines that are not blank."""
    number = 0
    while line := file.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST:
            raise _too_long(number)
        if line := line.strip(_BLANK):
            yield line


def _rows(file: BinaryIO) -> Iterator[bytes]:
    """The rows of a table whose first row names the fields."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        room = _Room()
        rows = csv.reader(room.of(text), strict=True)
        names = [name.strip() for name in next(rows, [])]
        unknown = [name for name in names if name not in FIELDS]
        if unknown or "text" not in names or len(set(names)) < len(names):
            raise ManifestError(
                "the first row of the table names its columns: text, and others of a manifest's fields, each once",
                line=1,
            )
        for row in rows:
            room.renew()
            if not row:
                continue
            if len(row) > len(names):
                raise ManifestError(f"row {rows.line_num} of the table has more cells than there are columns")
            cells = {name: _cell(name, cell) for name, cell in zip(names, row, strict=False) if cell}
            yield _encode(cells)
    except csv.Error as error:
        raise ManifestError(f"the table cannot be read: {error}") from None
    except UnicodeError:
        raise ManifestError("the table is not UTF-8; save it as UTF-8") from None
    finally:
        text.detach()


class _Room:
    """Counts the characters of one row, which may have several lines: a reader of CSV has no limit for them."""

    def __init__(self) -> None:
        self._left = LONGEST
        self._lines = 0

    def renew(self) -> None:
        """A row is complete."""
        self._left = LONGEST

    def of(self, text: io.TextIOWrapper) -> Iterator[str]:
        """The lines of a table. Raises ManifestError."""
        while line := text.readline(LONGEST + 1):
            self._lines += 1
            self._left -= len(line)
            if self._left < 0:
                raise _too_long(self._lines)
            yield line


def _too_long(line: int) -> ManifestError:
    return ManifestError(f"line {line:,} has more than {LONGEST:,} bytes", line=line)


def _cell(name: str, cell: str) -> Any:
    """Objects and lists are JSON in a cell, several tags are divided by semicolons; the manifest reads numbers from texts."""
    if name == "text":
        return cell
    if cell[0] in "[{":
        with suppress(msgspec.MsgspecError, RecursionError):
            return _decode(cell)
    if name == "tags":
        return [tag.strip() for tag in cell.split(";") if tag.strip()]
    if name == "marks":
        return {"true": True, "false": False}.get(cell.strip().lower(), cell)
    if name == "emo_mode" and cell.strip().isdecimal():
        return int(cell)
    return cell


def _actor(line: bytes) -> str | None:
    """Whom a line is spoken for; None where it does not say, or cannot be read."""
    if b"actor" not in line and b"\\u" not in line:
        return None
    with suppress(ValueError, RecursionError):
        fields = json.loads(line)  # as the manifest reads it
        if isinstance(fields, dict) and isinstance(fields.get("actor"), str):
            return fields["actor"] or None
    return None
