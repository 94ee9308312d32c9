"""Listing: a page of clips, as a caller asks for it: filtered, ordered or searched, now or in the past."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from voxledger.catalog.catalog import clip_of
from voxledger.catalog.clip import Clip
from voxledger.catalog.queries import load
from voxledger.catalog.query.condition import explain
from voxledger.catalog.query.moment import moment_of
from voxledger.catalog.query.page import COLUMNS, ORDERS, request
from voxledger.dashboards.api.answering import asked, position
from voxledger.dashboards.api.conditions import LONGEST, condition
from voxledger.dashboards.faults import Refused

if TYPE_CHECKING:
    from voxledger.catalog.log.reading import Reading
    from voxledger.dashboards.server.callers import Caller

MOST = 500
"""Most clips of a page."""
_ROUNDS = 10
"""How often the index is asked for one page; when most of what it finds is left out, a page is short and yet has a next one."""
_FILTERS = ("actor", "session", "emotion", "language", "voice", "tag", "state")
_DIGITS = re.compile("[0-9a-fA-F]{8,63}")
_SQL = load("pages.sql", "voxledger.catalog.query")


class Filters(BaseModel):
    """Which clips."""

    model_config = ConfigDict(extra="forbid")

    where: str | None = Field(
        None,
        max_length=LONGEST,
        description="A condition over the columns of `clips` (docs/sql.md), made of comparisons.",
        examples=["plays = 0 AND duration_s > 2"],
    )
    actor: str | None = Field(None, max_length=500)
    session: str | None = Field(None, max_length=500)
    emotion: str | None = Field(None, max_length=100, examples=["happy"])
    language: str | None = Field(None, max_length=100, description="`en` includes `en-GB`.", examples=["en"])
    voice: str | None = Field(
        None,
        max_length=500,
        description="A name, or the SHA-256 of a recording (8 digits or more) of voice or emotion.",
    )
    tag: str | None = Field(None, max_length=128, examples=["on-air"])
    state: Literal["local", "stored", "upload failed", "missing", "marked", "purging", "purged"] | None = None
    as_of: str | None = Field(
        None,
        max_length=100,
        description="How it was at that moment: `2026-03-01T12:00:00Z`, `2026-03-01` or `7d`.",
        examples=["7d"],
    )
    fresh: bool = Field(
        True, description="Whether everything recorded so far must be seen; without it the last known state will do."
    )

    def named(self, caller: Caller) -> dict[str, str | None]:
        """The values of the named conditions; who sees only the own clips asks for no others."""
        found: dict[str, str | None] = {name: getattr(self, name) for name in _FILTERS}
        own = caller.principal.sees
        if own is None or self.actor in (None, own):
            return {**found, "actor": self.actor if own is None else own}
        raise not_yours()

    def moment(self, caller: Caller) -> datetime | None:
        """The moment of `as_of`. Raises QueryError."""
        return moment_of("as_of", self.as_of, caller.site.settings.general.time_zone)


class Listing(Filters):
    """A page of clips that somebody asks for."""

    q: str | None = Field(
        None,
        max_length=2000,
        description="Words in text, name or tags; the best matches come first, with `order=-created` the newest.",
    )
    order: str | None = Field(
        None,
        max_length=20,
        description=f"`-created` by default; a hyphen in front: the largest first. One of {', '.join(ORDERS)}.",
    )
    limit: int = Field(50, ge=1, le=MOST)
    cursor: str | None = Field(
        None, max_length=2000, description="`next` of the page before; ask for the same otherwise."
    )


def not_yours() -> Refused:
    """The answer to who asks for others' and sees only the own."""
    return Refused(
        "this token sees your own clips only",
        status=403,
        code="scope",
        remedy="Leave `actor` out, or ask an admin for a token with the scope `all`.",
        param="actor",
    )


class Listed(NamedTuple):
    """A page: its clips, the cursor of the next one, where in the log it is from, and how many that have the words were looked at."""

    clips: Sequence[Clip]
    next: str | None
    position: int
    looked: int = 0


def listed(listing: Listing, caller: Caller) -> Listed:
    """The page. Raises QueryError and SearchError for what cannot be asked."""
    if listing.q is not None:
        return _searched(listing, listing.q, caller)
    filters, moment = listing.named(caller), listing.moment(caller)
    where = condition(listing.where, sees=caller.principal.sees)
    page = request(filters, where=where, order=listing.order or "-created", limit=listing.limit, after=listing.cursor)
    with asked(caller, fresh=listing.fresh, as_of=moment, explain=explain) as reading:
        rows, following = page.answer(reading)
        place = position(reading)
    return Listed(_clips(rows, caller), following, place)


def clips_with(ids: Sequence[str], reading: Reading, caller: Caller) -> list[Clip]:
    """The clips with these whole ids that are there and that the caller sees, in this order."""
    own = caller.principal.sees
    return _clips(_among(ids, {} if own is None else {"actor": own}, None, reading), caller)


def _searched(listing: Listing, words: str, caller: Caller) -> Listed:
    """Clips by words. The index knows emotion, voice, language and actor; the rest is left out of what it finds."""
    if listing.as_of is not None or listing.order not in (None, "-created"):
        raise Refused(
            "what is found by words is ordered by how well it fits, or by `-created`, and shown as it is now",
            status=400,
            code="query",
            remedy="Leave `order` or `as_of` out.",
        )
    whose, filters = None, listing.named(caller)
    where = condition(listing.where, sees=caller.principal.sees)
    if filters["actor"] is not None:
        key = caller.ledger.vault.known(filters["actor"])
        if key is None:  # whoever has no key has no clip
            with asked(caller, fresh=False) as reading:
                return Listed([], None, position(reading))
        whose = key.id
    clips: list[Clip] = []
    following, place, looked = listing.cursor, 0, 0
    for _ in range(_ROUNDS):
        found = caller.ledger.search.search(
            words, emotion=listing.emotion, voice=_name(listing.voice), language=listing.language, actor=whose,
            limit=listing.limit - len(clips), after=following, newest=listing.order is not None, fresh=listing.fresh,
        )  # fmt: skip
        with asked(caller, fresh=False, explain=explain) as reading:
            rows = _among([hit.clip for hit in found.hits], filters, where, reading)
            place = position(reading)
        clips += _clips(rows, caller)
        looked += len(found.hits)
        following = found.next
        if following is None or len(clips) >= listing.limit:
            break
    return Listed(clips, following, place, looked)


def _name(voice: str | None) -> str | None:
    """A voice as the index knows it: by its name or a whole SHA-256; of a part of one it knows nothing."""
    return None if voice is not None and _DIGITS.fullmatch(voice) else voice


def _among(ids: Sequence[str], filters: Mapping[str, Any], where: str | None, reading: Reading) -> list[dict[str, Any]]:
    """The rows of those clips that fit the filters, in the order of the ids."""
    given = {name: value for name, value in filters.items() if value is not None}
    conditions = [_SQL[name] for name in given] + ([] if where is None else [f"(\n{where}\n)"])
    query = " AND ".join((_SQL["rows"].removesuffix(";").format(columns=COLUMNS), *conditions))
    by_id = {str(row["id"]): row for row in reading.rows(query, {**given, "ids": list(ids)})} if ids else {}
    return [by_id[identity] for identity in ids if identity in by_id]


def _clips(rows: Sequence[Mapping[str, Any]], caller: Caller) -> list[Clip]:
    catalog = caller.ledger.catalog
    return [clip_of(row, catalog.home.cache).bound(catalog.audio) for row in rows]
