"""Events: the log as CloudEvents, a page at a time, or each new one as it is recorded."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Depends, Header, Path, Query, Request
from pydantic import ConfigDict
from starlette.responses import Response, StreamingResponse

from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.event_view import types as known_types
from voxledger.catalog.events import Event, to_cloudevent
from voxledger.catalog.exchange import check_types, counts, find
from voxledger.catalog.feed import Feed
from voxledger.catalog.query.moment import moment_of
from voxledger.dashboards.api.answering import json
from voxledger.dashboards.api.shapes import Shape, faults
from voxledger.dashboards.faults import Refused, body, meaning
from voxledger.dashboards.server.callers import Caller, may, still
from voxledger.dashboards.server.underway import Underway

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

STREAM = "text/event-stream"
MOST = 1000
"""Events of a page."""
FOLLOWERS = 64
"""Streams at the same time."""
EACH = 8
"""Streams of one token at the same time."""
HEARTBEAT = 15.0
"""Seconds without an event after which a stream says how far it has come."""
_LOOK = 0.2
_AGAIN = 5.0
"""Seconds between two looks whether a token that follows still may."""
_STEP = 2000
"""Positions that are read at a time."""
_SOON = 1.0
"""Seconds after which a page is given though it is not full."""
_CHUNK = 100
_encode = msgspec.json.Encoder().encode
_EVENT: dict[str, Any] = {
    "specversion": "1.0", "id": "0199e2f4-2f65-7c1e-9d0a-5b7c8f3a91c2", "source": "voxledger/0199e2f4/5c1e09ab77d2",
    "type": "ClipTagged", "subject": "0199e2f4-2f65-7c1e-9d0a-5b7c8f3a91c2", "time": "2026-11-23T09:00:00Z", "data": {},
}  # fmt: skip
_Position = Annotated[int | None, Query(ge=0, le=2**53, description="Those that follow this position of the log.")]
Reader = Annotated[Caller, Depends(may("sql"))]


class EventPage(Shape):
    """Events in the order of the log, as CloudEvents 1.0 with what is personal sealed. `next` is the `after` of what follows; there is
    `more` now, also where this page holds fewer than were asked for, or none.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"events": [_EVENT], "next": 12, "more": True, "position": 4711}]}
    )

    events: list[dict[str, Any]]
    next: int
    more: bool
    position: int


class TypeShape(Shape):
    """A type of event, and how many of it the log holds."""

    type: str
    version: int
    events: int
    about: str | None


class TypeList(Shape):
    """All types that are known, or in the log."""

    types: list[TypeShape]


class Followers:
    """How many streams there are."""

    def __init__(self) -> None:
        self._underway = Underway(EACH, FOLLOWERS)

    def come(self, principal: str) -> None:
        """Count one more. Raises Refused where there are too many."""
        if not self._underway.come(principal):
            raise Refused(
                f"as many streams are open as may be: {EACH} of a token, {FOLLOWERS} in all",
                status=429,
                code="too_many_streams",
                remedy="Close one, or let one reader serve all who want to know.",
                headers={"Retry-After": "10"},
            )

    def go(self, principal: str) -> None:
        """One has ended."""
        self._underway.go(principal)


class Streaming(StreamingResponse):
    """A stream that is counted until its end, also where the client goes away before its beginning."""

    def __init__(self, content: AsyncIterator[bytes], *, ended: Callable[[], None]) -> None:
        super().__init__(content, media_type=STREAM, headers={"X-Accel-Buffering": "no"})
        self._ended = ended

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()


def router(site: Site) -> APIRouter:
    """`/api/events`."""
    routes = APIRouter(tags=["events"])
    followers = Followers()
    zone = site.settings.general.time_zone

    @routes.get(
        "/api/events",
        summary="Events of the log, or each new one as it is recorded",
        response_model=EventPage,
        responses={
            200: {
                "content": {
                    STREAM: {
                        "schema": {"type": "string"},
                        "example": "id: 4711\nevent: ClipTagged\ndata: {…}\n\n",
                    }
                }
            },
            **faults(),
        },
    )
    async def list_events(
        request: Request,
        caller: Reader,
        after: _Position = None,
        since: Annotated[
            str | None, Query(max_length=100, description="From what was recorded then on: a moment, a day, or `7d`.")
        ] = None,
        type: Annotated[list[str] | None, Query(max_length=50, description="Only events of these types.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
        follow: Annotated[
            bool, Query(description="Server-sent events instead of a page; without a place to begin, the new ones.")
        ] = False,
        last_event_id: Annotated[
            int | None,
            Header(alias="Last-Event-ID", ge=0, le=2**53, description="The last position that was seen of a stream."),
        ] = None,
    ) -> Response:
        """A stream sends each event with its position as `id`, so that a client which was cut off goes on where it was; it says how far
        it has come every 15 seconds, and ends when the node stops.
        """
        seen = last_event_id if last_event_id is not None else after
        place: datetime | int | None = moment_of("since", since, zone, day="start") if seen is None else seen + 1

        def begun(*, following: bool) -> Feed:
            check_types(type or (), caller.ledger.keeper)
            return Feed(caller.ledger.keeper, since=place, types=type or (), follow=following, most=_STEP)

        if follow or STREAM in request.headers.get("accept", ""):
            mine = caller.principal.id
            followers.come(mine)
            try:
                feed = await anyio.to_thread.run_sync(lambda: begun(following=True))
            except BaseException:
                followers.go(mine)
                raise
            lines = _lines(feed, site.stopping, lambda: still(caller, request))
            return Streaming(lines, ended=lambda: followers.go(mine))
        return await anyio.to_thread.run_sync(lambda: _page(begun(following=False), limit, request, caller))

    @routes.get("/api/events/types", summary="What is recorded", response_model=TypeList, responses=faults())
    def list_types(request: Request, caller: Reader) -> Response:
        """docs/events.md tells more of each."""
        return json({"types": known_types(counts(caller.ledger.keeper))}, request, caller)

    @routes.get("/api/events/{event}", summary="An event", response_model=dict[str, Any], responses=faults(404))
    def show_event(
        event: Annotated[str, Path(max_length=40, description="Its id, or its position.", examples=["4711"])],
        request: Request,
        caller: Reader,
    ) -> Response:
        """As CloudEvents 1.0, with what is personal sealed."""
        found = find(caller.ledger.keeper, event)
        if found is None:
            raise Refused(
                "there is no such event",
                status=404,
                code="event_not_found",
                remedy="Give the whole id of one, or a position: GET /api/events.",
            )
        return json(msgspec.Raw(to_cloudevent(found)), request, caller)

    return routes


def _page(feed: Feed, limit: int, request: Request, caller: Caller) -> Response:
    found: list[Event] = []
    deadline = time.monotonic() + _SOON
    more = True
    while more and len(found) <= limit and time.monotonic() < deadline:
        step = feed.step()
        more = step is not None
        found += step or ()
    following = feed.position
    if len(found) > limit:
        del found[limit:]
        following, more = found[-1].position, True
    told = {
        "events": [msgspec.Raw(to_cloudevent(event)) for event in found], "next": following, "more": more,
        "position": caller.ledger.journal.head(),
    }  # fmt: skip
    return json(told, request, caller)


async def _lines(feed: Feed, stopping: threading.Event, check: Callable[[], object]) -> AsyncIterator[bytes]:
    """What a stream sends. Who reads slowly is waited for, with one page in memory."""
    yield b"retry: 2000\n\n"
    said = checked = time.monotonic()
    try:
        while not stopping.is_set():
            events = await anyio.to_thread.run_sync(feed.step)
            present = time.monotonic()
            if present - checked > _AGAIN:
                check()
                checked = present
            for start in range(0, len(events or ()), _CHUNK):
                yield _told(events[start : start + _CHUNK])  # type: ignore[index]  # there are some
                said = time.monotonic()
            if present - said > HEARTBEAT:
                yield f": alive\nid: {feed.position}\n\n".encode()
                said = present
            if events is None:
                await asyncio.sleep(_LOOK)
    except VoxledgerError as error:
        yield b"event: error\ndata: " + _encode(body(meaning(error))) + b"\n\n"


def _told(events: Sequence[Event]) -> bytes:
    return b"".join(
        b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, event.type.encode(), to_cloudevent(event))
        for event in events
    )
