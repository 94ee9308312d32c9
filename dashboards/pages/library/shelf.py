"""Shelf: a page of the library, by filters or by words, as `/api/clips` lists it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from voxledger.catalog.errors import SearchError
from voxledger.catalog.search.words import parse
from voxledger.dashboards.api.listing import Listed, Listing, listed
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.pages.library.wanted import Wanted

if TYPE_CHECKING:
    from voxledger.dashboards.server.callers import Caller

FIRST = 50
"""Clips of a page."""
_ENOUGH = 3


def page_of(wanted: Wanted, caller: Caller, zone: str, *, limit: int = FIRST, before: datetime | None = None) -> Listed:
    """The page; `before` leaves out what was made later. Raises QueryError, SearchError and Refused for what cannot be asked."""
    asked: dict[str, Any] = {
        "where": condition(wanted, zone, before=before),
        "limit": limit,
        "cursor": wanted.cursor,
        "order": wanted.by,
    }
    if wanted.q is not None:
        asked |= {"q": begun(wanted.q), **wanted.indexed()}
    try:
        return listed(Listing.model_validate(asked), caller)
    except ValidationError as error:
        raise Refused(
            "too much is asked for at once", status=400, code="query", remedy="Take some of the filters off."
        ) from error


def condition(wanted: Wanted, zone: str, *, before: datetime | None) -> str:
    """The filters as SQL, and nothing that was made after a moment. Raises QueryError and Refused."""
    where = wanted.condition(zone)
    return (
        where if before is None else f"{where} AND created <= TIMESTAMPTZ '{before.isoformat(timespec='microseconds')}'"
    )


def begun(words: str) -> str:
    """Words as somebody types them: the last one may still go on, once it is long enough that not too much begins so."""
    if (
        words[-1:].isalnum()
        and words.count('"') % 2 == 0
        and (len(words.split()[-1]) >= _ENOUGH or not words.isascii())
    ):
        try:
            parse(f"{words}*")
        except SearchError:  # a single letter, which too many words begin with
            return words
        return f"{words}*"
    return words
