"""The audio of clips: whole or in ranges, from the cache or the store, without ever loading it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Literal

import anyio.to_thread
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from voxledger.catalog.clip import CONTENT_TYPES, Clip
from voxledger.dashboards.api.answering import matches
from voxledger.dashboards.api.heard import Heard
from voxledger.dashboards.api.ranges import Span, wanted
from voxledger.dashboards.api.shapes import ID, faults
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.server.callers import Caller, may

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

_PIECE = 256 << 10
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_CONTENT = dict.fromkeys(sorted({*CONTENT_TYPES.values()}), _BINARY)

Reference = Annotated[
    str,
    Path(
        alias="clip",
        min_length=4,
        max_length=36,
        description="Its id, or at least the last 4 digits of it.",
        examples=[ID],
    ),
]
Use = Annotated[
    Literal["play", "fetch", "none"],
    Query(
        description="What it is used for; none is for whoever made the clip. It counts once in ten minutes, whatever the ranges."
    ),
]
Reader = Annotated[Caller, Depends(may("read"))]


class _File(StreamingResponse):
    """A stretch of an open file, which is closed at the end whatever happens."""

    def __init__(self, descriptor: int, span: Span, *, status: int, headers: dict[str, str], media_type: str) -> None:
        super().__init__(_read(descriptor, span), status, headers, media_type)
        self._descriptor = descriptor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._descriptor)


def router(site: Site) -> APIRouter:  # noqa: ARG001  # every room's router takes it
    """`GET` and `HEAD` of `/api/clips/{clip}/audio`."""
    routes = APIRouter(tags=["clips"])
    heard = Heard()

    @routes.get(
        "/api/clips/{clip}/audio",
        summary="The audio of a clip",
        response_class=StreamingResponse,
        responses={
            200: {"description": "The file as it was recorded.", "content": _CONTENT},
            206: {"description": "The range that was asked for.", "content": _CONTENT},
            304: {"description": "The client has it."},
            **faults(404, 409, 412, 416, 507),
        },
    )
    def audio(
        request: Request, reference: Reference, caller: Reader, use: Use = "play", download: bool = False
    ) -> Response:
        """One range of bytes is answered with 206, several with the whole. `download` names a file for browsers."""
        clip = caller.clip(reference)
        headers = _headers(clip, download=download)
        known = _conditional(request, clip, headers)
        if known is not None:
            return known
        _require_maker(caller, clip, use)
        descriptor = opened(clip)
        try:
            size = os.fstat(descriptor).st_size
            span = wanted(
                request.headers.get("range"), request.headers.get("if-range"), size=size, etag=headers["ETag"]
            )
            _count(caller, clip, use, heard)
            part = span or Span(0, size, size)
            sent = {**headers, "Content-Length": str(part.end - part.start)}
            if span is not None:
                sent["Content-Range"] = span.header
            return _File(
                descriptor, part, status=200 if span is None else 206, headers=sent, media_type=clip.content_type
            )
        except BaseException:
            os.close(descriptor)
            raise

    @routes.head(
        "/api/clips/{clip}/audio",
        summary="What the audio of a clip is like",
        response_class=Response,
        responses={
            200: {"description": "Its size, type and ETag."},
            304: {"description": "The client has it."},
            **faults(404, 412),
        },
    )
    def audio_head(request: Request, reference: Reference, caller: Reader, download: bool = False) -> Response:
        """Fetches nothing, and is no use of the clip."""
        clip = caller.clip(reference)
        headers = _headers(clip, download=download)
        return _conditional(request, clip, headers) or Response(
            status_code=200, headers={**headers, "Content-Length": str(clip.bytes)}, media_type=clip.content_type
        )

    return routes


def _headers(clip: Clip, *, download: bool) -> dict[str, str]:
    kind = "attachment" if download else "inline"
    return {
        "ETag": f'"{clip.sha256}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",  # it may be purged
        "Vary": "Authorization, Cookie",
        "Content-Disposition": f'{kind}; filename="{clip.short}.{clip.format}"',
        "X-Voxledger-Clip": clip.id,
    }


def _conditional(request: Request, clip: Clip, headers: dict[str, str]) -> Response | None:
    """304 or 412 as RFC 9110, section 13, has it; audio that was purged is never "unchanged"."""
    required = request.headers.get("if-match")
    if (
        required is not None
        and headers["ETag"] not in (each.strip() for each in required.split(","))
        and required.strip() != "*"
    ):
        raise Refused(
            "the clip is not the one that If-Match names",
            status=412,
            code="precondition",
            remedy="Ask without If-Match.",
        )
    if clip.state not in ("purging", "purged") and matches(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return None


def _require_maker(caller: Caller, clip: Clip, use: str) -> None:
    if use == "none" and clip.actor != caller.principal.name:
        raise Refused(
            "only whoever made a clip hears it without a trace",
            status=403,
            code="use",
            remedy="Say use=play or use=fetch.",
            param="use",
        )


def _count(caller: Caller, clip: Clip, use: Literal["play", "fetch", "none"], heard: Heard) -> None:
    if use == "none" or not heard.begins(caller.principal.id, clip.id):
        return
    try:
        caller.ledger.catalog.audio.accessed(clip, use)
    except BaseException:
        heard.forget(caller.principal.id, clip.id)
        raise


def opened(clip: Clip) -> int:
    """The file, which stays there for whoever has it open. Raises StoreError."""
    for again in (True, False):
        path = clip.local()
        try:
            return os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # let go of in between: it is fetched, or the error says that it was purged
            if not again:
                raise
    raise AssertionError


async def _read(descriptor: int, span: Span) -> AsyncIterator[bytes]:
    place = span.start
    while place < span.end:
        piece = await anyio.to_thread.run_sync(os.pread, descriptor, min(_PIECE, span.end - place), place)
        if not piece:
            raise OSError("the file became shorter while it was read")
        yield piece
        place += len(piece)
