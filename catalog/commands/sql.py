"""The command `sql`: one SELECT, asked of the node's snapshot where a node runs, else of the log itself."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Protocol, TypeAlias

from cyclopts import App, Parameter
from rich.table import Table

from voxledger.catalog import terminal
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.catalog import Catalog
    from voxledger.catalog.home import Home
    from voxledger.catalog.query import Result
    from voxledger.catalog.query.parameters import Value
    from voxledger.catalog.settings import Loaded

_FOLDED = 16
"""Letters that a column gets at least, if it has as many: below, rows are shown one under the other."""
_SHOWN_ROWS = 100


class Served(NamedTuple):
    """A node's answer: from a snapshot of this position, in which nothing was missing `age` seconds ago."""

    result: Result
    position: int
    age: float
    truncated: bool


class Unserved(NamedTuple):
    """No answer of a node, and why, if that is worth saying: then the log itself is asked."""

    why: str = ""


Service: TypeAlias = "Callable[[Home, str, Mapping[str, Value]], Served | Unserved]"
"""Asks the node that serves a HOME."""


class Door(AbstractContextManager["Door"], Protocol):
    """What this command needs of a ledger."""

    home: Home
    loaded: Loaded

    @property
    def catalog(self) -> Catalog:
        """Answers."""


class Commands:
    """The command, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door], *, service: Service) -> None:
        """`service` asks a running node, whose SQL is the work of a floor above."""
        self._opened = opened
        self._service = service

    def add_to(self, app: App) -> None:
        """Register it."""
        app.command(self.sql)

    def sql(
        self,
        query: Annotated[str, Parameter(allow_leading_hyphen=True)],
        /,
        *,
        param: Annotated[tuple[str, ...], Parameter(allow_leading_hyphen=True)] = (),
        as_of: str | None = None,
        fresh: bool = False,
        format: Literal["table", "json", "jsonl", "csv", "arrow", "parquet"] = "table",
        json: bool = False,
    ) -> None:
        """Ask the catalog with one SELECT.

        The relations are those of docs/sql.md: clips, generations, plays, events and more (`SHOW TABLES`). Nothing can be
        changed this way, and no other file can be read.

        Where a node runs, it answers from its last snapshot, which may be some minutes old, within its limits of time, memory and
        rows. `--fresh` and `--as-of` ask the log itself, which has none, and so does what a snapshot does not hold.

        **Examples**

            voxledger sql "SELECT emotion, count(*), round(sum(duration_s), 1) FROM clips GROUP BY 1 ORDER BY 2 DESC"
            voxledger sql "FROM generations WHERE outcome = 'failed'" --format json
            voxledger sql "SELECT name FROM clips WHERE language = $language" --param language=en --fresh
            voxledger sql "SELECT state, count(*) FROM clips GROUP BY 1" --as-of 7d
            voxledger sql - --format csv < query.sql > answer.csv
            voxledger sql "FROM clips" --format parquet > clips.parquet
            voxledger metrics rtf_p95 --by engine --sql | voxledger sql -

        Parameters
        ----------
        query
            One SELECT in DuckDB's dialect; `-` reads standard input.
        param
            `name=value` for a `$name` in the query; once for each. What reads as a number, true, false or null is one.
        as_of
            As everything stood then: 2026-03-01T12:00:00Z, 2026-03-01 (the end of that day), or 7d (seven days ago). Days, and
            times without an offset, are those of general.time_zone.
        fresh
            Ask the log itself, everything that was recorded before included.
        format
            table for people; json is one array, jsonl one object a line; arrow and parquet are for files and programs.
        json
            Print one JSON document: the same as `--format json`.
        """
        from voxledger.catalog.query.moment import moment_of
        from voxledger.catalog.query.parameters import parameters_of

        if json and format not in ("table", "json"):
            raise VoxledgerError(f"--json and --format {format} contradict each other; give one of them")
        if format in ("arrow", "parquet") and sys.stdout.isatty():
            raise VoxledgerError(
                f"--format {format} is for files and programs: write it to one, such as > answer.{format}"
            )
        asked, values = terminal.piped() if query == "-" else query, parameters_of(param)
        with self._opened() as door:
            moment = moment_of("--as-of", as_of, door.loaded.settings.general.time_zone)
            served = Unserved() if fresh or moment else self._service(door.home, asked, values)
            if isinstance(served, Unserved):
                if served.why:
                    terminal.errors.print(f"[dim]asked the log itself: {served.why}[/]", soft_wrap=True)
                result = door.catalog.sql(asked, params=values or None, as_of=moment)
            else:
                result = served.result
        _print(result, "json" if json else format)
        if isinstance(served, Served):
            _tell(served, quiet=format != "table" or json)


def _print(result: Result, format: str) -> None:
    if format == "json":
        terminal.print_json(result.rows())
    elif format == "table":
        _print_rows(result)
    elif format == "jsonl":
        terminal.print_json_lines(result.rows())
    elif format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(result.arrow().column_names)
        writer.writerows(
            [value.hex() if isinstance(value, bytes) else value for value in row.values()] for row in result.rows()
        )
    else:
        sys.stdout.buffer.write(_binary(result, format))
        sys.stdout.buffer.flush()


def _binary(result: Result, format: str) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink, table = io.BytesIO(), result.arrow()
    if format == "parquet":
        pq.write_table(table, sink, compression="zstd")
    else:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return sink.getvalue()


def _tell(served: Served, *, quiet: bool) -> None:
    """How old the answer is, for whoever reads it at a terminal; that rows were left off, always."""
    if served.truncated:
        terminal.errors.print(
            "[yellow]rows were left off: the node's limits are sql.rows and sql.bytes;[/] `--fresh` asks the log itself",
            soft_wrap=True,
        )
    if not quiet or terminal.errors.is_terminal:
        age = "now" if served.age < 1 else f"{terminal.length(served.age)} ago"
        terminal.errors.print(f"[dim]the node's snapshot: as of {age}, position {served.position:,}[/]", soft_wrap=True)


def _print_rows(result: Result) -> None:
    columns = result.arrow().column_names
    numeric = [
        field.name
        for field in result.arrow().schema
        if str(field.type).startswith(("int", "uint", "double", "float", "decimal"))
    ]
    rows = [[_cell(value) for value in row.values()] for row in result.arrow().slice(0, _SHOWN_ROWS).to_pylist()]
    if _fit(columns, rows):
        made = terminal.table("", *columns, right=numeric)
        for row in rows:
            made.add_row(*map(terminal.text, row))
        terminal.console.print(made)
    else:
        _print_records(columns, rows)
    more = len(result) - len(rows)
    tail = f", {more:,} more not shown (--format csv prints all)" if more > 0 else ""
    terminal.console.print(f"[dim]{terminal.count(len(result), 'row')}{tail}[/]")


def _fit(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the rows can stand side by side, words and numbers whole; only long texts may fold."""
    widest = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    return sum(min(width, _FOLDED) + 2 for width in widest) <= terminal.console.width


def _print_records(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Each row as a block of its own, a line a column."""
    name = max(map(len, columns))
    for number, row in enumerate(rows, 1):
        block = Table(box=None, show_header=False, padding=(0, 2, 0, 0), title=f"row {number}", title_justify="left")
        block.add_column(width=min(name, 30), style="dim", overflow="fold")
        block.add_column(overflow="fold")
        for column, value in zip(columns, row, strict=True):
            block.add_row(terminal.text(column), terminal.text(value))
        terminal.console.print(block)


def _cell(value: Any) -> str:
    if value is None:
        return "·"
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):  # an interval, as Arrow gives it: months, days, nanoseconds
        months, days, nanoseconds = value
        parts = (f"{months} months" if months else "", f"{days} d" if days else "", f"{nanoseconds / 1e9:g} s")
        return " ".join(part for part in parts if part)
    if isinstance(value, list):
        return ", ".join(_cell(item) for item in value)
    return str(value)
