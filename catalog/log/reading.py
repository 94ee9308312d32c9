"""A reading: the catalog at one moment, to be asked and not changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

if TYPE_CHECKING:
    import polars as pl

Parameters: TypeAlias = Mapping[str, Any] | Sequence[Any] | None
"""Values for `$name` or `?` in a query."""
Ask: TypeAlias = Callable[[str, Parameters], pa.Table]
"""Answers one SELECT."""


class Reading:
    """The catalog at one moment: all its answers are of the same position. `Keeper.reading` gives one, for a `with` block.

    Queries see the relations of docs/sql.md. It makes no difference whether this process has the files open or a running
    node answers. A query that cannot be answered raises duckdb.Error here and QueryError when the node answered.
    """

    def __init__(self, ask: Ask, interrupt: Callable[[], None] = lambda: None) -> None:
        """`interrupt` breaks off the question that is being answered."""
        self._ask = ask
        self.interrupt = interrupt

    def table(self, query: str, parameters: Parameters = None) -> pa.Table:
        """The answer as an Arrow table."""
        return self._ask(query, parameters)

    def frame(self, query: str, parameters: Parameters = None) -> pl.DataFrame:
        """The answer as a Polars frame."""
        import polars

        found = polars.from_arrow(self._ask(query, parameters))
        assert isinstance(found, polars.DataFrame)
        return found

    def rows(self, query: str, parameters: Parameters = None) -> list[dict[str, Any]]:
        """The answer as one dictionary a row; times are aware, in UTC."""
        found: list[dict[str, Any]] = self._ask(query, parameters).to_pylist()
        return found

    def tuples(self, query: str, parameters: Parameters = None) -> list[tuple[Any, ...]]:
        """The answer as one tuple a row."""
        return list(zip(*(column.to_pylist() for column in self._ask(query, parameters).columns), strict=True))
