"""Pages: what a search asks of the index and what it gets, a page at a time."""

from __future__ import annotations

import base64
import binascii
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Annotated, Any

import msgspec

from voxledger.catalog.errors import SearchError
from voxledger.catalog.search.database import SQL, place
from voxledger.catalog.search.endings import endings
from voxledger.catalog.search.excerpt import Snippet, beginning, excerpt
from voxledger.catalog.search.words import Term, expression, facet, parse

MOST = 50_000
"""More matches than this are not ranked, and not counted."""
LARGEST_PAGE = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A clip that was found. `score` is higher the better it fits, None when the order is by time; `position` is that of
    its GenerationCompleted, `actor` an opaque id.
    """

    clip: str
    position: int
    created: datetime
    actor: str
    score: float | None
    snippets: tuple[Snippet, ...]

    @property
    def short(self) -> str:
        """The last 8 hex digits of the clip's id: what people see and type."""
        return self.clip[-8:]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A page of results. `matches` is exact up to 50,000, and 50,001 stands for more; `ranked` says whether the best come
    first or the newest. `next` is the token of the next page. `waiting` events were not in the index yet.
    """

    hits: tuple[Hit, ...]
    matches: int
    ranked: bool
    next: str | None
    waiting: int = 0

    @property
    def many(self) -> bool:
        """Whether there are more matches than are counted."""
        return self.matches > MOST


_Place = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
_Moment = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]


class _Token(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended. `top` keeps out what came later, so that nothing moves between pages."""

    asked: str
    ranked: bool
    top: _Place
    since: _Moment | None
    end: _Place
    matches: _Place


@dataclass(frozen=True, kw_only=True)
class Request:
    """A search, read and checked. `since` is µs since the epoch."""

    terms: tuple[Term, ...]
    facets: tuple[str, ...]
    query: str
    since: int | None
    limit: int
    newest: bool
    token: _Token | None


def request(
    query: str,
    *,
    emotion: str | None,
    voice: str | None,
    language: str | None,
    actor: str | None = None,
    since: datetime | None,
    limit: int,
    after: str | None,
    newest: bool,
) -> Request:
    """Read what is asked for. Raises SearchError for what cannot be understood."""
    if not 1 <= limit <= LARGEST_PAGE:
        raise SearchError(f"a page has between 1 and {LARGEST_PAGE:,} clips, not {limit:,}")
    if since is not None and since.tzinfo is None:
        raise SearchError(f"since = {since.isoformat()} has no time zone; use datetime.now(UTC) - timedelta(…)")
    facets = [facet(kind, told) for kind, told in (("a", actor), ("e", emotion), ("l", language)) if told is not None]
    if voice is not None:
        sha256 = len(voice) == 64 and all(digit in "0123456789abcdefABCDEF" for digit in voice)
        facets.append(facet("s" if sha256 else "v", voice))
    terms = parse(query)
    asked = Request(
        terms=terms,
        facets=tuple(facets),
        query=expression(terms, tuple(facets)),
        since=None if since is None else (since - _EPOCH) // timedelta(microseconds=1),
        limit=limit,
        newest=newest,
        token=None,
    )
    return asked if after is None else replace(asked, token=_read_token(after, asked))


def find(connection: sqlite3.Connection, asked: Request) -> Found:
    """The page, from the index as it is now."""
    token = asked.token
    top = token.top if token else place(connection).position
    since = token.since if token else asked.since
    query = expression(asked.terms, asked.facets, endings(connection, asked.terms))
    values = {"query": query, "top": top, "since": since, "most": MOST + 1, **_from(connection, since)}
    matches = token.matches if token else int(connection.execute(SQL["count"], values).fetchone()[0])
    ranked = token.ranked if token else not asked.newest and matches <= MOST
    done = token.end if token else 0
    if ranked:
        rows = connection.execute(SQL["ranked"], {**values, "limit": asked.limit + 1, "offset": done}).fetchall()
        end = done + asked.limit
    else:
        values["top"] = min(top, done - 1) if token else top
        rows = connection.execute(SQL["newest"], {**values, "limit": asked.limit + 1}).fetchall()
        end = rows[min(len(rows), asked.limit) - 1][0] if rows else 0
    more = len(rows) > asked.limit
    following = _Token(_fingerprint(asked), ranked, top, since, end, matches)
    return Found(
        hits=_hits(connection, rows[: asked.limit], asked.terms),
        matches=matches,
        ranked=ranked,
        next=_write_token(following) if more else None,
    )


def _from(connection: sqlite3.Connection, since: int | None) -> dict[str, int]:
    """The position where `since` begins, and whether what follows may be older all the same."""
    if since is None:
        return {"from": 0, "mixed": 0}
    first = connection.execute(SQL["since"], {"since": since}).fetchone()[0]
    if first is None:
        return {"from": 2**62, "mixed": 0}
    mixed = connection.execute(SQL["mixed"], {"from": first, "since": since}).fetchone()[0]
    return {"from": first, "mixed": mixed}


def _hits(
    connection: sqlite3.Connection, rows: Sequence[tuple[int, float | None]], terms: tuple[Term, ...]
) -> tuple[Hit, ...]:
    positions = json.dumps([position for position, _ in rows])
    shown = {row[0]: row for row in connection.execute(SQL["shown"], (positions,))}
    return tuple(_hit(shown[position], score, terms) for position, score in rows)


def _hit(row: tuple[Any, ...], score: float | None, terms: tuple[Term, ...]) -> Hit:
    position, clip, created, actor, name, tags, text = row
    fields = [("name", name), *(("tags", tag) for tag in json.loads(tags)), ("text", text)]
    snippets = [snippet for field, value in fields if (snippet := excerpt(field, value, terms))]
    if text and not any(snippet.field == "text" for snippet in snippets):
        snippets.append(beginning("text", text))
    digits = clip.hex()
    return Hit(
        clip="-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])),
        position=position,
        created=_EPOCH + timedelta(microseconds=created),
        actor=actor,
        score=None if score is None else -score,
        snippets=tuple(snippets),
    )


def _fingerprint(asked: Request) -> str:
    return blake2b(f"{asked.newest} {asked.query}".encode(), digest_size=6).hexdigest()


def _write_token(token: _Token) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode().rstrip("=")


def _read_token(text: str, asked: Request) -> _Token:
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        token = msgspec.json.decode(content, type=_Token)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise SearchError(f"{text[:40]!r} is no place to go on from; use `next` of the page before") from None
    if token.asked != _fingerprint(asked):
        raise SearchError("this place belongs to another search; repeat the search with which it came")
    return token
