"""Pages: ordered lists of clips, a page at a time, that neither overlap nor miss one while new clips arrive.

A page continues after the last clip of the page before (keyset), never after so many clips (OFFSET): the next page costs
as little as the first, and clips that arrive meanwhile move nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import QueryError
from voxledger.catalog.queries import load
from voxledger.catalog.query.condition import check_condition
from voxledger.catalog.query.place import Place, plain, read

if TYPE_CHECKING:
    from voxledger.catalog.log.reading import Reading

MOST = 10_000
"""Most clips of one page."""

_SQL = load("pages.sql", "voxledger.catalog.query")


class Page(list[Clip]):
    """A list of clips. `next` is the token for the page after it (`after=`), None when this is the last one."""

    next: str | None

    def __init__(self, clips: list[Clip], next: str | None) -> None:
        super().__init__(clips)
        self.next = next


class _Key(NamedTuple):
    """What a list may be ordered by: a column, whether it may be NULL, and how its value travels in a token."""

    column: str
    nullable: bool = False
    kind: type[str | int | float] = int

    @property
    def value(self) -> str:
        """The value as a token holds it."""
        return f"epoch_us({self.column})" if self.column in _MOMENTS else self.column

    @property
    def bound(self) -> str:
        """The value of a token, as the column holds it."""
        if self.column in _MOMENTS:
            return "make_timestamptz($_value)"
        return "$_value::FLOAT" if self.kind is float else "$_value"

    def takes(self, value: str | int | float | None) -> bool:
        """Whether a token for this order may hold the value."""
        return self.nullable if value is None else isinstance(value, self.kind)


_MOMENTS = frozenset({"created", "last_used", "stored"})
_KEYS: Mapping[str, _Key] = {
    "created": _Key("created"),
    "last_used": _Key("last_used"),
    "stored": _Key("stored", nullable=True),
    "duration": _Key("duration_us"),
    "bytes": _Key("bytes"),
    "text_length": _Key("text_length"),
    "plays": _Key("plays"),
    "reuses": _Key("reuses"),
    "loudness": _Key("loudness_lufs", nullable=True, kind=float),
    "name": _Key("name", nullable=True, kind=str),
    "actor": _Key("actor", nullable=True, kind=str),
    "session": _Key("session", nullable=True, kind=str),
    "language": _Key("language", kind=str),
    "emotion": _Key("emotion", kind=str),
    "engine": _Key("engine", kind=str),
    "voice": _Key("voice", nullable=True, kind=str),
}
ORDERS = tuple(_KEYS)
"""What a list of clips may be ordered by. Ties are ordered by id, clips without a value come last in both directions."""


class _Step(NamedTuple):
    """A stretch of the ordered list: what belongs to it, and its order."""

    condition: str
    order: str


class Listing(NamedTuple):
    """Which clips, in which order: what all pages of one list have in common.

    `filters` are values for the named conditions of pages.sql, `where` is an expression of the caller's. Raises
    QueryError for an order or a condition that cannot be.
    """

    filters: Mapping[str, Any]
    where: str | None = None
    order: str = "-created"
    past: bool = False
    """Whether a past state is asked, whose rows have no place in a table."""

    def page(self, reading: Reading, limit: int, after: str | None) -> tuple[list[dict[str, Any]], str | None]:
        """The rows of a page in order, and the token for the next one. Errors of DuckDB come through as they are."""
        key = _key(self.order)
        if not 1 <= limit <= MOST:
            raise QueryError(f"a page has 1 to {MOST:,} clips, not {limit:,}; more are found with after=")
        place = None if after is None else read(after, order=self.order)
        if place is not None and not key.takes(place.value):
            raise QueryError(f"{after!r} is no token of a list ordered by {self.order}")
        given = {name: value for name, value in self.filters.items() if value is not None}
        conditions = [_SQL[name] for name in given] + ([check_condition(self.where)] if self.where else [])
        found: list[tuple[Any, Any, Any]] = []
        for step in _steps(key, descending=self.order.startswith("-"), after=place):
            query = _SQL["piece"].format(
                place="id" if self.past else "rowid",
                value=key.value,
                conditions=" AND ".join((*conditions, step.condition)) or "true",
                order=step.order,
            )
            bounds = {} if place is None else {"_value": place.value, "_id": place.id}
            used = {name: value for name, value in bounds.items() if f"${name}" in step.condition}
            # One more than the page holds says whether there is a next one.
            found += reading.tuples(query, {**given, **used, "_limit": limit + 1 - len(found)})
            if len(found) > limit:
                break
        rows = self._rows(reading, [place for place, _, _ in found[:limit]])
        if len(found) <= limit:
            return rows, None
        _, value, identity = found[limit - 1]
        return rows, Place(self.order, plain(value), str(identity)).token()

    def _rows(self, reading: Reading, places: list[Any]) -> list[dict[str, Any]]:
        if not places:
            return []
        query = _SQL["rows_by_id" if self.past else "rows_by_rowid"].format(columns=_SQL["columns"])
        rows = reading.rows(query, {"places": places})
        by_place = {row["_place"]: row for row in rows}
        return [by_place[place] for place in places]


def _key(order: str) -> _Key:
    name = order.removeprefix("-")
    if name not in _KEYS:
        near = difflib.get_close_matches(name, ORDERS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; orders are {', '.join(ORDERS)},"
        raise QueryError(f"clips cannot be ordered by {name!r}{hint} with a hyphen in front for the largest first")
    return _KEYS[name]


def _steps(key: _Key, *, descending: bool, after: Place | None) -> Iterator[_Step]:
    """The stretches of the list in order. Each is a condition that DuckDB can prune by; their OR is not."""
    way, beyond = ("DESC", "<") if descending else ("ASC", ">")
    ordered, alike = f"{key.column} {way}, id {way}", f"id {way}"
    behind = f"id {beyond} $_id::UUID"
    if after is None:
        yield _Step(f"{key.column} IS NOT NULL" if key.nullable else "true", ordered)
    elif after.value is not None:
        yield _Step(f"{key.column} = {key.bound} AND {behind}", alike)
        yield _Step(f"{key.column} {beyond} {key.bound}", ordered)
    if after is not None and after.value is None:
        yield _Step(f"{key.column} IS NULL AND {behind}", alike)
    elif key.nullable:
        yield _Step(f"{key.column} IS NULL", alike)
