"""Formats: the rows of an answer as JSON, CSV, an Arrow stream or Parquet, up to so many rows and bytes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from voxledger.dashboards.sql.question import Format, Question

_encode = msgspec.json.Encoder(enc_hook=str).encode
_PIECE = 256
"""Rows that are values of Python's at a time: they may be large."""


class Encoded(NamedTuple):
    """An answer, whole, in the order in which its parts follow each other."""

    parts: Sequence[bytes]
    rows: int
    truncated: bool


class Facts(NamedTuple):
    """What an answer says of itself, in so far as its format has room for it."""

    rows: int
    truncated: bool
    position: int
    took: float
    question: Question


class Sink(Protocol):
    """Takes rows and makes one format of them."""

    def add(self, batch: pa.RecordBatch, room: int) -> int:
        """Take as many rows, from the first, as fit into so many bytes; gives how many."""

    def size(self) -> int:
        """Bytes so far."""

    def parts(self, facts: Facts) -> Sequence[bytes]:
        """Everything, now that it is complete."""


def encoded(
    reader: pa.RecordBatchReader, types: Sequence[str], question: Question, position: int, took: Callable[[], float]
) -> Encoded:
    """The rows that a query gives, as long as there is room. `types` are DuckDB's names for those of the columns."""
    sink = _SINKS[question.format](reader.schema, types)
    rows, truncated = 0, False
    for batch in reader:
        wanted = batch.slice(0, question.rows - rows)
        taken = sink.add(wanted, question.bytes - sink.size())
        rows += taken
        if taken < batch.num_rows:
            truncated = True
            break
    facts = Facts(rows, truncated, position, took(), question)
    return Encoded(sink.parts(facts), rows, truncated)


def stated(facts: Facts) -> Mapping[str, Any]:
    """What the JSON says after the rows."""
    taken = datetime.fromtimestamp(facts.question.taken, UTC)
    return {
        "row_count": facts.rows,
        "truncated": facts.truncated,
        "position": facts.position,
        "snapshot": {"taken": taken, "age_s": round(facts.question.age, 3)},
        "took_ms": round(facts.took * 1000, 3),
    }


class _Json:
    """`{"columns": …, "rows": [[…], …], …}`: names may come twice, so that rows are no objects."""

    def __init__(self, schema: pa.Schema, types: Sequence[str]) -> None:
        columns = [{"name": name, "type": kind} for name, kind in zip(schema.names, types, strict=True)]
        self._parts = [b'{"columns":' + _encode(columns) + b',"rows":[']
        self._size = len(self._parts[0])

    def add(self, batch: pa.RecordBatch, room: int) -> int:
        for number, row in enumerate(_rows(batch)):
            line = _encode(row)
            room -= len(line) + 1
            if room < 0:
                return number
            self._parts.append(b"," + line if len(self._parts) > 1 else line)
            self._size += len(line) + 1
        return int(batch.num_rows)

    def size(self) -> int:
        return self._size

    def parts(self, facts: Facts) -> Sequence[bytes]:
        return [*self._parts, b"]," + _encode(stated(facts))[1:]]


class _Csv:
    """RFC 4180 with a line of names; no value is an empty field, bytes are hexadecimal."""

    def __init__(self, schema: pa.Schema, types: Sequence[str]) -> None:  # noqa: ARG002  # every sink takes them
        self._parts: list[bytes] = []
        self._size = 0
        self._write([schema.names])

    def add(self, batch: pa.RecordBatch, room: int) -> int:
        before = self._size
        for number, row in enumerate(_rows(batch)):
            held = len(self._parts)
            self._write([[value.hex() if isinstance(value, bytes) else value for value in row]])
            if self._size - before > room:
                self._size -= sum(map(len, self._parts[held:]))
                del self._parts[held:]
                return number
        return int(batch.num_rows)

    def _write(self, rows: Sequence[Sequence[Any]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._parts.append(text.getvalue().encode())
        self._size += len(self._parts[-1])

    def size(self) -> int:
        return self._size

    def parts(self, facts: Facts) -> Sequence[bytes]:  # noqa: ARG002  # CSV has no place for them
        return self._parts


class _Arrow:
    """An IPC stream. What the answer says of itself stands with a last batch, which has no rows."""

    def __init__(self, schema: pa.Schema, types: Sequence[str]) -> None:  # noqa: ARG002  # Arrow has types of its own
        self._schema = schema
        self._sink = pa.BufferOutputStream()
        self._writer = pa.ipc.new_stream(self._sink, schema)

    def add(self, batch: pa.RecordBatch, room: int) -> int:
        rows = _fitting(batch, room)
        if rows:
            self._writer.write_batch(batch.slice(0, rows))
        return rows

    def size(self) -> int:
        return int(self._sink.tell())

    def parts(self, facts: Facts) -> Sequence[bytes]:
        empty = pa.RecordBatch.from_pylist([], schema=self._schema)
        self._writer.write_batch(empty, custom_metadata=pa.KeyValueMetadata({"voxledger": _encode(stated(facts))}))
        self._writer.close()
        return [self._sink.getvalue().to_pybytes()]


class _Parquet:
    """One file, whose metadata has what the answer says of itself under `voxledger`."""

    def __init__(self, schema: pa.Schema, types: Sequence[str]) -> None:  # noqa: ARG002  # Parquet has types of its own
        self._sink = pa.BufferOutputStream()
        self._batches: list[pa.RecordBatch] = []
        self._writer = pq.ParquetWriter(self._sink, schema, compression="zstd")
        self._held = 0

    def add(self, batch: pa.RecordBatch, room: int) -> int:
        rows = _fitting(batch, room)
        self._batches.append(batch.slice(0, rows))
        self._held += batch.slice(0, rows).nbytes
        return rows

    def size(self) -> int:
        return self._held

    def parts(self, facts: Facts) -> Sequence[bytes]:
        if self._batches:
            self._writer.write_table(pa.Table.from_batches(self._batches))
        self._writer.add_key_value_metadata({"voxledger": _encode(stated(facts)).decode()})
        self._writer.close()
        return [self._sink.getvalue().to_pybytes()]


_SINKS: Mapping[Format, Callable[[pa.Schema, Sequence[str]], Sink]] = {
    "json": _Json, "csv": _Csv, "arrow": _Arrow, "parquet": _Parquet,
}  # fmt: skip


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    """The rows as Python's values."""
    for start in range(0, batch.num_rows, _PIECE):
        piece = batch.slice(start, _PIECE)
        yield from zip(*(column.to_pylist() for column in piece.columns), strict=True)


def _fitting(batch: pa.RecordBatch, room: int) -> int:
    """How many of the first rows take no more than so many bytes."""
    least, most = 0, int(batch.num_rows)
    if batch.nbytes <= room:
        return most
    while least < most:
        middle = (least + most + 1) // 2
        if batch.slice(0, middle).nbytes <= room:
            least = middle
        else:
            most = middle - 1
    return least


def warm() -> None:
    """Use everything once, so that nothing has to be loaded when no file can be opened any more."""
    table = pa.table({
        "a": pa.array([0], pa.timestamp("us", "UTC")), "b": pa.array(["x"]), "c": pa.array([b"x"]), "d": pa.array([1], pa.date32()),
    })  # fmt: skip
    for kind in _SINKS:
        question = Question(query="", parameters=None, format=kind, rows=9, bytes=9999, taken=0, age=0)
        encoded(table.to_reader(), ["x"] * 4, question, 0, lambda: 0.0)
