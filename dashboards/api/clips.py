"""Clips: found by filters and words, shown with their history and record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from voxledger.catalog.clip import Clip
from voxledger.dashboards.api.answering import Unchanged, json, shown_position
from voxledger.dashboards.api.audio import Reader, Reference
from voxledger.dashboards.api.listing import Listing, listed
from voxledger.dashboards.api.shapes import ClipPage, ClipShape, Shape, faults, told
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.server.callers import Caller, may

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

BRIEF = 3600
"""Seconds that a link of somebody who only reads may work: nothing takes it back."""
_KNOWN: dict[int | str, dict[str, Any]] = {304: {"description": "The client has it."}}


class HappeningShape(Shape):
    """One event in the life of a clip, in words."""

    position: int | None = Field(description="Its place in the log; null for who sees only the own clips.")
    time: datetime
    type: str
    version: int
    actor: str | None
    sentence: str


class History(Shape):
    """Everything that happened to a clip, the oldest first."""

    clip: str
    happenings: list[HappeningShape]


class Link(Shape):
    """A presigned link to the stored audio."""

    url: str
    expires: int = Field(description="Seconds that it works.")


class Linking(BaseModel):
    """A link that is asked for."""

    expires: int = Field(300, ge=1, le=7 * 86_400, description="Seconds that it is to work.")


def router(site: Site) -> APIRouter:  # noqa: ARG001  # every room's router takes it
    """`/api/clips`, a clip, its history, record, subtitles, and a link to it."""
    routes = APIRouter(tags=["clips"])
    unchanged = Unchanged()

    @routes.get("/api/clips", summary="A page of clips", response_model=ClipPage, responses={**_KNOWN, **faults(507)})
    def list_clips(request: Request, listing: Annotated[Listing, Query()], caller: Reader) -> Response:
        """Filters are joined by AND. Pages neither overlap nor miss a clip while others arrive. The ETag changes with the clips; with
        `If-None-Match`, a page that cannot have changed costs no query.
        """
        question = listing.model_dump_json()
        known = unchanged.answer(request, caller, question)
        if known is not None:
            return known
        # A condition may look at the clock, words are indexed a little later, and what is not fresh may be older than the head.
        certain = listing.where is None and listing.q is None and listing.as_of is None and listing.fresh
        head = caller.ledger.journal.head() if certain else None
        found = listed(listing, caller)
        content = {"clips": [told(clip) for clip in found.clips], "next": found.next}
        return unchanged.json(
            content, request, caller, found.position, asked=question, head=head, until=_ends(found.clips)
        )

    @routes.get("/api/clips/{clip}", summary="A clip", response_model=ClipShape, responses={**_KNOWN, **faults(404)})
    def show_clip(request: Request, reference: Reference, caller: Reader) -> Response:
        """As it is now."""
        return json(told(caller.clip(reference)), request, caller)

    @routes.get(
        "/api/clips/{clip}/history",
        summary="What happened to a clip",
        response_model=History,
        responses={**_KNOWN, **faults(404)},
    )
    def clip_history(request: Request, reference: Reference, caller: Reader) -> Response:
        """Every event about it, in words."""
        clip = caller.clip(reference)
        found = [each.as_dict() for each in caller.ledger.catalog.history(clip)]
        for each in found:
            each["position"] = shown_position(caller, each["position"])
        return json({"clip": clip.id, "happenings": found}, request, caller)

    @routes.get(
        "/api/clips/{clip}/record",
        summary="How a clip was made",
        response_model=dict[str, Any],
        responses={**_KNOWN, **faults(404)},
    )
    def clip_record(request: Request, reference: Reference, caller: Reader) -> Response:
        """Everything that decided how it sounds, as it was recorded (docs/record.md)."""
        clip = caller.clip(reference)
        record = msgspec.to_builtins(caller.ledger.catalog.record(clip))
        return json({"clip": clip.id, "record": record}, request, caller)

    @routes.get(
        "/api/clips/{clip}/subtitles",
        summary="The text of a clip with the times at which it is heard",
        response_class=Response,
        responses={
            200: {
                "content": {
                    "text/vtt": {"schema": {"type": "string"}},
                    "application/x-subrip": {"schema": {"type": "string"}},
                }
            },
            **faults(404, 409),
        },
    )
    def clip_subtitles(reference: Reference, caller: Reader, format: Literal["vtt", "srt"] = "vtt") -> Response:
        """WebVTT or SRT."""
        clip = caller.clip(reference)
        kind = "text/vtt" if format == "vtt" else "application/x-subrip"
        return Response(caller.ledger.studio.subtitles(clip, format), media_type=kind)

    @routes.post("/api/clips/{clip}/url", summary="A link to a clip", response_model=Link, responses=faults(404, 409))
    def clip_url(
        reference: Reference, asked: Linking, caller: Annotated[Caller, Depends(may("read"))]
    ) -> dict[str, Any]:
        """A presigned link to the store, which works without a token. It counts as use of the clip, before it is given.
        It outlives the caller's own token, so it works for an hour at most unless they may `curate`.
        """
        clip = caller.clip(reference)
        require_brief(asked.expires, caller)
        return {"url": caller.ledger.catalog.url(clip, asked.expires), "expires": asked.expires}

    return routes


def require_brief(expires: int, caller: Caller) -> None:
    """Raises Refused (403) where a link would work for longer (s) than this caller may have it."""
    if expires <= BRIEF or caller.principal.may("curate"):
        return
    raise Refused(
        f"a link that works for more than {BRIEF:,} s takes the permission `curate` (tag, rate and pin clips)",
        status=403,
        code="role",
        remedy="Ask for one that ends sooner, and for another one when it has ended.",
        param="expires",
    )


def _ends(clips: Sequence[Clip]) -> float | None:
    """When the clock alone changes one of these clips: the next end of a pin."""
    now = time.time()
    ends = [clip.pinned_until.timestamp() for clip in clips if clip.pinned and clip.pinned_until is not None]
    return min((end for end in ends if end > now), default=None)
