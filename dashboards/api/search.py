"""Search: clips by words in their texts, names and tags, with the places where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from voxledger.catalog.query.moment import moment_of
from voxledger.catalog.search.pages import LARGEST_PAGE, Found
from voxledger.dashboards.api.answering import json
from voxledger.dashboards.api.shapes import ID, Shape, faults
from voxledger.dashboards.server.callers import Caller, may

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

_HIT: Mapping[str, Any] = {
    "clip": ID, "short": ID[-8:], "created": "2026-03-02T09:30:00Z", "position": 12, "score": 1.7, "emotion": "happy", "language": "en",
    "voice": "ann", "actor": "ann", "session": "trailer", "name": "opening line", "tags": ["on-air"], "duration_s": 1.52,
    "state": "stored", "pinned": False,
    "snippets": [
        {"field": "text", "text": "The tide is turning.", "start": 0, "ranges": [[4, 8]], "cut_before": False, "cut_after": False}
    ],
}  # fmt: skip


class SnippetShape(Shape):
    """A stretch of a field; `ranges` are the matches, in code points within `text`."""

    field: str
    text: str
    start: int
    ranges: list[tuple[int, int]]
    cut_before: bool
    cut_after: bool


class HitShape(Shape):
    """A clip that was found. `score` is higher the better it fits, null where the order is by time."""

    clip: str
    short: str
    created: datetime
    position: int | None
    score: float | None
    emotion: str | None
    language: str | None
    voice: str | None
    actor: str | None
    session: str | None
    name: str | None
    tags: list[str]
    duration_s: float | None
    state: str | None
    pinned: bool | None
    snippets: list[SnippetShape]


class FoundShape(Shape):
    """A page of hits. `matches` is exact up to 50,000, and 50,001 stands for more; `waiting` events are not in the index yet."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"hits": [dict(_HIT)], "matches": 1, "ranked": True, "next": None, "waiting": 0}]
        }
    )

    hits: list[HitShape]
    matches: int
    ranked: bool
    next: str | None = Field(description="The cursor of the next page.")
    waiting: int


def router(site: Site) -> APIRouter:
    """`/api/search`."""
    routes = APIRouter(tags=["clips"])

    @routes.get("/api/search", summary="Clips by words", response_model=FoundShape, responses=faults(507))
    def search(
        request: Request,
        caller: Annotated[Caller, Depends(may("read"))],
        q: Annotated[
            str, Query(max_length=2000, description='All of them; `"two words"`, `begin*`.', examples=["tide"])
        ],
        emotion: Annotated[str | None, Query(max_length=100)] = None,
        voice: Annotated[str | None, Query(max_length=500, description="A name, or a whole SHA-256.")] = None,
        language: Annotated[str | None, Query(max_length=100, description="`en` includes `en-GB`.")] = None,
        since: Annotated[str | None, Query(max_length=100, description="A moment, a day, or `7d`.")] = None,
        newest: Annotated[bool, Query(description="The newest first, however few match.")] = False,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 20,
        cursor: Annotated[str | None, Query(max_length=2000, description="`next` of the page before.")] = None,
        fresh: Annotated[bool, Query(description="Whether everything recorded so far must be seen.")] = True,
    ) -> Response:
        """The best first. Purged clips are found, too."""
        index, own, whose = caller.ledger.search, caller.principal.sees, None
        if own is not None:
            key = caller.ledger.vault.known(own)
            if key is None:  # whoever has no key has no clip
                return json(_told(Found(hits=(), matches=0, ranked=True, next=None), {}), request, caller)
            whose = key.id
        found = index.search(
            q, emotion=emotion, voice=voice, language=language, actor=whose, newest=newest, limit=limit, after=cursor, fresh=fresh,
            since=moment_of("since", since, site.settings.general.time_zone, day="start"),
        )  # fmt: skip
        told = _told(found, index.clips(found))
        if own is not None:  # how much others do is not for them
            told = {**told, "waiting": 0, "hits": [{**hit, "position": None} for hit in told["hits"]]}
        return json(told, request, caller)

    return routes


_OF_A_CLIP = (
    "emotion", "language", "voice", "actor", "session", "name", "tags", "duration_s", "state", "pinned",
)  # fmt: skip


def _told(found: Found, clips: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    hits = []
    for hit in found.hits:
        clip = clips.get(hit.clip, {})
        known = {name: clip.get(name) for name in _OF_A_CLIP}
        hits.append({
            "clip": hit.clip, "short": hit.short, "created": hit.created, "position": hit.position, "score": hit.score, **known,
            "tags": known["tags"] or [], "snippets": msgspec.to_builtins(hit.snippets),
        })  # fmt: skip
    return {
        "hits": hits, "matches": found.matches, "ranked": found.ranked, "next": found.next, "waiting": found.waiting,
    }  # fmt: skip
