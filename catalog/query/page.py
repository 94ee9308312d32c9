"""Pages: ordered lists of clips, a page at a time, that neither overlap nor miss one while new clips arrive.

A page continues after the last clip of the page before (keyset), never after so many clips (OFFSET): the next page costs
as little as the first, and clips that arrive meanwhile move nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
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
_FEW = 50
"""As many values DuckDB pushes into a scan as they are (`dynamic_or_filter_threshold`); of more, only their bounds."""

_SQL = load("pages.sql", "voxledger.catalog.query")
COLUMNS = _SQL["columns"]
"""What a query for clips selects."""


class Page(list[Clip]):
    """A list of clips. `next` is the token for the page after it (`after=`), None when this is the last one."""

    next: str | None

    def __init__(self, clips: list[Clip], next: str | None) -> None:
        super().__init__(clips)
        self.next = next


class _Key(NamedTuple):
    """What a list may be ordered by: a column, what kind of value a token holds of it, and whether it may be NULL."""

    column: str
    kind: type[str | int | float]
    nullable: bool = True

    @property
    def value(self) -> str:
        """The value as a token holds it."""
        return f"epoch_us({self.column})" if self.column in _MOMENTS else self.column

    @property
    def bound(self) -> str:
        """The value of a token as the column holds it."""
        if self.column in _MOMENTS:
            return "make_timestamptz($_value)"
        return "$_value::DOUBLE" if self.kind is float else "$_value"

    def takes(self, value: str | int | float | None) -> bool:
        """Whether a token for this order may hold the value."""
        return self.nullable if value is None else isinstance(value, self.kind)


_MOMENTS = frozenset({"created", "last_used", "stored"})
_KEYS: Mapping[str, _Key] = {
    "created": _Key("created", int, nullable=False),
    "last_used": _Key("last_used", int, nullable=False),
    "stored": _Key("stored", int),
    "duration": _Key("duration_us", int),
    "bytes": _Key("bytes", int),
    "text_length": _Key("text_length", int),
    "plays": _Key("plays", int, nullable=False),
    "rating": _Key("rating", int),
    "reuses": _Key("reuses", int, nullable=False),
    "loudness": _Key("loudness_lufs", float),
    "name": _Key("name", str),
    "actor": _Key("actor", str),
    "session": _Key("session", str),
    "language": _Key("language", str),
    "emotion": _Key("emotion", str),
    "engine": _Key("engine", str),
    "voice": _Key("voice", str),
}
ORDERS = tuple(_KEYS)
"""What a list of clips may be ordered by. Ties are ordered by id, clips without a value come last in both directions."""


class _Step(NamedTuple):
    """A stretch of the ordered list: what belongs to it, and its order."""

    condition: str
    order: str


class Request(NamedTuple):
    """A page that is asked for: everything that can be wrong with it was checked when it was made, by `request`."""

    order: str
    limit: int
    queries: Sequence[tuple[str, Mapping[str, Any]]]
    """One for each stretch of the list, in order; asked until the page is full."""

    def answer(self, reading: Reading) -> tuple[list[dict[str, Any]], str | None]:
        """The rows of the page in order, and the token for the next one. Errors of DuckDB come through as they are."""
        found: list[tuple[Any, Any]] = []
        for query, values in self.queries:
            # One more than the page holds says whether there is a next one.
            found += reading.tuples(query, {**values, "_limit": self.limit + 1 - len(found)})
            if len(found) > self.limit:
                break
        rows = _rows(reading, [str(identity) for identity, _ in found[: self.limit]])
        if len(found) <= self.limit:
            return rows, None
        identity, value = found[self.limit - 1]
        return rows, Place(self.order, plain(value), str(identity)).token()


def request(filters: Mapping[str, Any], *, where: str | None, order: str, limit: int, after: str | None) -> Request:
    """Ask for a page. `filters` are values for the named conditions of pages.sql, `where` is the caller's own condition.

    Raises QueryError for a condition, an order, a limit or a token that cannot be.
    """
    key = _key(order)
    if not 1 <= limit <= MOST:
        raise QueryError(f"a page has 1 to {MOST:,} clips, not {limit:,}; more are found with after=")
    place = None if after is None else read(after, order=order)
    if place is not None and not key.takes(place.value):
        raise QueryError(f"{after!r} is no token of a list ordered by {order}")
    given = {name: value for name, value in filters.items() if value is not None}
    conditions = [_SQL[name] for name in given] + ([] if where is None else [check_condition(where)])
    bounds = {} if place is None else {"_value": place.value, "_id": place.id}
    queries = []
    for step in _steps(key, descending=order.startswith("-"), after=place):
        query = _SQL["piece"].format(
            value=key.value, conditions=" AND ".join((*conditions, step.condition)), order=step.order
        )
        used = {name: value for name, value in bounds.items() if f"${name}" in step.condition}
        queries.append((query, {**given, **used}))
    return Request(order, limit, queries)


def pages(clips: Callable[..., Page], *, limit: int, after: str | None) -> Page:
    """As many clips as wanted, however many pages that takes; `clips` gives one page."""
    found = Page([], after)
    while len(found) < limit:
        page = clips(limit=min(limit - len(found), MOST), after=found.next)
        found = Page(found + page, page.next)
        if page.next is None:
            break
    return found


def _rows(reading: Reading, ids: list[str]) -> list[dict[str, Any]]:
    query = _SQL["rows"].format(columns=COLUMNS)
    # A few at a time are looked up by the ids themselves; many are better found in one go over all clips.
    size = _FEW if len(ids) <= 4 * _FEW else len(ids)
    by_id = {
        str(row["id"]): row
        for start in range(0, len(ids), size)
        for row in reading.rows(query, {"ids": ids[start : start + size]})
    }
    return [by_id[identity] for identity in ids]


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
