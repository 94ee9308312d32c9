"""The answer to a query, whole and detached from the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class Result:
    """The answer to a query, in the form that the caller likes best."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def arrow(self) -> pa.Table:
        """As an Arrow table."""
        return self._table

    def pl(self) -> pl.DataFrame:
        """As a Polars frame."""
        import polars

        frame = polars.from_arrow(self._table)
        assert isinstance(frame, polars.DataFrame)
        return frame

    def df(self) -> pd.DataFrame:
        """As a pandas frame; pandas must be installed."""
        return self._table.to_pandas()

    def rows(self) -> list[dict[str, Any]]:
        """As a list of dictionaries."""
        found: list[dict[str, Any]] = self._table.to_pylist()
        return found

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __repr__(self) -> str:
        return repr(self.pl())

    def _repr_html_(self) -> str:
        return str(self.pl()._repr_html_())
