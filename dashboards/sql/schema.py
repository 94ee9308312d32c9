"""The schema: what a query may name, for those who write one. The catalog and DuckDB describe it themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from voxledger.catalog.projections import RELATIONS
from voxledger.catalog.queries import load
from voxledger.catalog.query.guard import REFUSED_FUNCTIONS, TABLE_FUNCTIONS
from voxledger.catalog.query.relations import Relation, relations
from voxledger.dashboards.sql.question import ELSEWHERE

if TYPE_CHECKING:
    from voxledger.catalog.log.reading import Reading

_SQL = load("schema.sql", "voxledger.dashboards.sql")


class Function(NamedTuple):
    """A function. `kind` is scalar, aggregate, window or table."""

    name: str
    kind: str
    parameters: Sequence[str]
    description: str | None


class Schema(NamedTuple):
    """The relations in the order of docs/sql.md, and the functions by name."""

    relations: Sequence[Relation]
    functions: Sequence[Function]

    @classmethod
    def of(cls, reading: Reading) -> Schema:
        """As the catalog says itself; it does not change while a node runs."""
        order = {name: number for number, name in enumerate(RELATIONS)}
        known = [relation for relation in relations(reading) if relation.name not in ELSEWHERE]
        functions = reading.tuples(
            _SQL["functions"], {"tables": sorted(TABLE_FUNCTIONS), "refused": sorted(REFUSED_FUNCTIONS)}
        )
        return cls(
            sorted(known, key=lambda relation: order.get(relation.name, len(order))),
            [Function(name, kind, tuple(parameters or ()), told) for name, kind, parameters, told in functions],
        )
