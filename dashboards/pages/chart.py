"""The chart: a Vega-Lite specification in the house style, and the numbers that it shows, for those who do not see it, too.

A specification names colours by their custom property (`"--happy"`), numbers by their unit and has no data of its own: `assets/chart.js`
puts in the numbers, the colours of the theme and the house style, and draws it again when the theme changes. In a template
`{{ ui.chart(chart) }}` is the whole frame: the question, what is seen, the drawing, the numbers as a table, its SQL and its files.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Literal, TypeAlias

import msgspec
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from voxledger.analytics.report import wording
from voxledger.dashboards.pages import moments
from voxledger.dashboards.pages.cell import cell
from voxledger.dashboards.pages.words import SPOKEN

Kind: TypeAlias = Literal["text", "emotion", "count", "us", "bytes", "share", "ratio", "micro", "day", "week", "month"]
"""What a number is: the units of metrics (µs, bytes, shares of 1, quotients, millionths of a currency), and names and dates."""
SERIES = ("--series-1", "--series-2", "--series-3", "--series-4", "--series-5", "--series-6")
"""Colours of groups that have none of their own, by rank; as many groups can be told apart. They stand in `chart.css`."""
REST = "--series-rest"
"""The colour of all other groups together."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MARKS = 4
_STEPS = tuple(each * 10**power for power in range(12) for each in (1, 2, 5))
_encode = msgspec.json.Encoder().encode


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of the numbers. `title` is shown, and is in the viewer's language."""

    name: str
    title: str
    kind: Kind


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """What a colour stands for; `colour` is a custom property."""

    title: str
    colour: str


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A chart with its frame. Texts are in the viewer's language.

    `name` is its id in the page. `title` is the question, `says` one sentence about what is seen. A row has a value for each column, and
    where a click on it leads as `href`, if anywhere. `files` are the addresses of the numbers by format (`csv`, `json`), `open` that of the
    SQL in the console. `currency` is that of `micro`.
    """

    name: str
    title: str
    says: str
    spec: Mapping[str, Any]
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    keys: Sequence[Key] = ()
    sql: str = ""
    files: Mapping[str, str] = {}
    open: str | None = None
    currency: str = ""
    height: int = 240
    table: tuple[Sequence[Column], Sequence[Mapping[str, Any]]] | None = None
    """Columns and rows of the table, where it has fewer lines than there are rows."""

    @property
    def read_columns(self) -> Sequence[Column]:
        """The columns of the table."""
        return self.table[0] if self.table else self.columns

    @property
    def read_rows(self) -> Sequence[Mapping[str, Any]]:
        """The lines of the table."""
        return self.table[1] if self.table else self.rows

    def written(self, column: Column, row: Mapping[str, Any]) -> Markup | str:
        """A value as the table shows it."""
        return written(row.get(column.name), column.kind, self.currency)

    @property
    def drawing(self) -> Markup:
        """What `chart.js` needs, as JSON that may stand in an attribute between single quotes."""
        columns = [{"name": each.name, "title": each.title, "kind": each.kind} for each in self.columns]
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        lines = [[row.get(name) for name in names] for row in self.rows]
        told = {
            "spec": self.spec, "columns": columns, "names": names, "lines": lines, "currency": self.currency, "height": self.height,
        }  # fmt: skip
        return htmlsafe_json_dumps(told, dumps=lambda value: _encode(value).decode())


def written(value: Any, kind: Kind, currency: str = "") -> Markup | str:
    """A value of a kind, as people read it."""
    if value is None:
        return moments.NOTHING
    if kind == "micro":
        return wording.money(int(value), currency)
    if kind in ("day", "week", "month"):
        return day(value, kind)
    way = _WRITTEN.get(kind)
    return way(value) if way else str(value)


def day(value: date | str, kind: str) -> str:
    """The first day of a stretch: `16 Nov 2026`, of a month `Nov 2026`; `short` without the year."""
    when = date.fromisoformat(value) if isinstance(value, str) else value
    if SPOKEN.get() == "zh":
        year = "" if kind == "short" else f"{when.year}年"
        return f"{year}{when.month}月" + ("" if kind == "month" else f"{when.day}日")
    if kind == "short":
        return f"{when.day}{wording.GAP}{_MONTHS[when.month - 1]}"
    month = f"{_MONTHS[when.month - 1]} {when.year}"
    return month if kind == "month" else f"{when.day}{wording.GAP}{month}"


def pivoted(
    rows: Sequence[Mapping[str, Any]], *, at: Column, over: str, value: str, groups: Mapping[str, str], kind: Kind
) -> tuple[Sequence[Column], Sequence[Mapping[str, Any]]]:
    """Rows as a table with a line each `at` and a column each group: `groups` are their titles by what stands in the column `over`."""
    lines: dict[Any, dict[str, Any]] = {}
    for row in rows:
        lines.setdefault(row[at.name], {at.name: row[at.name]})[f"of {row[over]}"] = row[value]
    columns = [at, *(Column(name=f"of {group}", title=title, kind=kind) for group, title in groups.items())]
    return columns, list(lines.values())


def axis(kind: Kind, most: float = 0) -> dict[str, Any]:
    """An axis of numbers of a kind, up to `most`. One of lengths of time is marked at whole seconds, minutes and hours."""
    found: dict[str, Any] = {"format": "", "formatType": f"vox_{kind}"}
    return {**found, "values": _ticks(most)} if kind == "us" and most > 0 else found


def _ticks(most: float) -> list[float]:
    unit = next((unit for unit in (3.6e9, 6e7, 1e6, 1e3) if most >= 2 * unit), 1.0)
    step = next(step for step in _STEPS if most / (step * unit) <= _MARKS) * unit
    return [step * number for number in range(int(most / step) + 2)]


def as_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Numbers as CSV (RFC 4180, UTF-8), with a line of names; what is not known is empty, and no name is a formula."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows([cell(row.get(name)) for name in columns] for row in rows)
    return file.getvalue().encode()


def as_json(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Numbers as a JSON array of objects."""
    return _encode([{name: row.get(name) for name in columns} for row in rows])


_WRITTEN: Mapping[str, Callable[[Any], Markup | str]] = {
    "count": moments.count,
    "us": moments.duration,
    "bytes": moments.size,
    "share": moments.share,
    "ratio": wording.ratio,
}
