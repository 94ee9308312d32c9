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
from markupsafe import Markup

from voxledger.analytics.report import wording
from voxledger.dashboards.pages import moments
from voxledger.dashboards.pages.words import SPOKEN

Kind: TypeAlias = Literal["text", "emotion", "count", "us", "bytes", "share", "ratio", "micro", "day", "week", "month"]
"""What a number is: the units of metrics (µs, bytes, shares of 1, quotients, millionths of a currency), and names and dates."""
SERIES = ("--series-1", "--series-2", "--series-3", "--series-4", "--series-5", "--series-6")
"""Colours of groups that have none of their own, by rank; as many groups can be told apart. They stand in `chart.css`."""
REST = "--series-rest"
"""The colour of all other groups together."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
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

    def written(self, column: Column, row: Mapping[str, Any]) -> Markup | str:
        """A value as the table shows it."""
        return written(row.get(column.name), column.kind, self.currency)

    @property
    def drawing(self) -> str:
        """What `chart.js` needs, as JSON."""
        columns = [{"name": each.name, "title": each.title, "kind": each.kind} for each in self.columns]
        return _encode(
            {"spec": self.spec, "columns": columns, "rows": list(self.rows), "currency": self.currency, "height": self.height}
        ).decode()  # fmt: skip


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
    """The first day of a stretch: `16 Nov 2026`, of a month `Nov 2026`."""
    when = date.fromisoformat(value) if isinstance(value, str) else value
    if SPOKEN.get() == "zh":
        return f"{when.year}年{when.month}月" + ("" if kind == "month" else f"{when.day}日")
    month = f"{_MONTHS[when.month - 1]} {when.year}"
    return month if kind == "month" else f"{when.day}{wording.GAP}{month}"


def as_csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Numbers as CSV (RFC 4180, UTF-8), with a line of names; what is not known is empty."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows([row.get(name) for name in columns] for row in rows)
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
