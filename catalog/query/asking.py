"""Asking: a reading for questions that come from outside, whose mistakes are answered and not thrown."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb

from voxledger.catalog.duckdb_files import is_fault
from voxledger.catalog.errors import QueryError
from voxledger.catalog.query.complaint import plain

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.log.reading import Reading

_REFUSED = "DuckDB refused the query: "
"""How a running node begins when DuckDB would not answer there."""


@contextlib.contextmanager
def asking(
    keeper: Keeper, *, explain: Callable[[str], str], fresh: bool = True, as_of: datetime | None = None
) -> Iterator[Reading]:
    """A reading of now, or of a moment in the past. What DuckDB refuses in the block is a QueryError in `explain`'s words.

    Raises QueryError for an `as_of` without a time zone.
    """
    if as_of is not None and as_of.tzinfo is None:
        raise QueryError(
            f"the moment {as_of.isoformat()} has no time zone; use an aware one, such as datetime.now(UTC)"
        )
    past: dict[str, Any] = {} if as_of is None else {"as_of": as_of}
    try:
        with keeper.reading(fresh=fresh, **past) as reading:
            try:
                yield reading
            except duckdb.Error as error:
                if is_fault(error):
                    raise  # perhaps a damaged file: the keeper looks, and mends it
                raise QueryError(explain(plain(error))) from None
            except QueryError as error:
                if not str(error).startswith(_REFUSED):
                    raise
                raise QueryError(explain(plain(str(error).removeprefix(_REFUSED)))) from None
    except duckdb.Error as error:
        raise QueryError(explain(plain(error))) from error
