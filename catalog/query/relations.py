"""The documented relations, as the database describes them itself: what is written into files of other kinds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from voxledger.catalog.queries import load

if TYPE_CHECKING:
    from voxledger.catalog.log.reading import Reading

_KEYS = ("position", "id", "first")
"""What relations are cut along, the first one that they have: in the order in which rows came."""
_SQL = load("export.sql", "voxledger.catalog.query")


class Relation(NamedTuple):
    """A relation with its comment."""

    name: str
    comment: str | None
    columns: Sequence[tuple[str, str, str | None]]
    """Name, type and comment of each."""

    @property
    def key(self) -> tuple[str, str] | None:
        """The column to cut along, as SQL names it, and its type."""
        types = {name: kind for name, kind, _ in self.columns}
        return next(((quoted(name), types[name]) for name in _KEYS if name in types), None)


def relations(reading: Reading) -> Iterator[Relation]:
    """All of them, in the order of their names."""
    columns: dict[str, list[tuple[str, str, str | None]]] = {}
    for relation, name, kind, comment in reading.tuples(_SQL["columns"]):
        columns.setdefault(relation, []).append((name, kind, comment))
    for name, comment in reading.tuples(_SQL["relations"]):
        yield Relation(name, comment, columns[name])


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'
