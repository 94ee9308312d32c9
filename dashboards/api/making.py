"""Making clips: `speak` and `stream` of Python, over HTTP. `/v1/audio/speech` is the door for clients written for OpenAI."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from voxledger.catalog.errors import VoxledgerError
from voxledger.dashboards.api.shapes import ClipShape, Shape, faults, told
from voxledger.dashboards.faults import Refused, body, meaning
from voxledger.dashboards.server.answers import JSON
from voxledger.dashboards.server.callers import Caller, may
from voxledger.dashboards.server.leaving import while_there

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site
    from voxledger.synth.studio import Chunk, Stream

_encode = msgspec.json.Encoder().encode
_LINES = "application/x-ndjson"


class Making(BaseModel):
    """What `Studio.speak` takes; voices are names, never files."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"text": "The tide is turning.", "emotion": {"happy": 0.7}, "session": "trailer"}]
        },
    )

    text: str = Field(description="What is spoken.")
    voice: str | None = Field(None, description="A registered voice, or one of the engine's.")
    emotion: str | dict[str, float] | list[float] | None = Field(
        None, description="A name, weights by name, or eight weights."
    )
    emotion_strength: float = 1.0
    emotion_reference: str | None = Field(None, description="A registered recording whose emotion is taken.")
    emotion_words: str | None = Field(None, description="The emotion in words, where the engine can.")
    language: str | None = Field(None, description="A BCP 47 tag; guessed when it is left out.")
    actor: str | None = Field(None, description="In whose name; only an admin speaks in others'.")
    session: str | None = None
    name: str | None = None
    tags: list[str] = Field(default_factory=list, max_length=100)
    format: str = "wav"
    seed: int | None = None
    take: int = 1
    speed: float | None = None
    sampling: dict[str, float] | None = None
    marks: bool = True
    preset: str | None = None
    reuse: bool = True
    engine: str | None = None
    priority: Literal["interactive", "batch"] | None = Field(
        None, description="Who goes first where requests wait for the engine."
    )

    def options(self, caller: Caller) -> Mapping[str, Any]:
        """The keyword arguments. Raises Refused for another actor's name, UnknownVoice for a file."""
        if self.actor not in (None, caller.principal.name) and not caller.principal.may("admin"):
            raise Refused(
                "only an admin speaks in the name of others",
                status=403,
                code="role",
                remedy="Leave `actor` out; the clip is recorded under the name of your token.",
                param="actor",
            )
        for voice in (self.voice, self.emotion_reference):
            if voice is not None:
                caller.ledger.voices.require_name(voice)
        given = {name: getattr(self, name) for name in type(self).model_fields if name != "text"}
        return {**given, "actor": self.actor or caller.principal.name, "channel": "api"}


class Made(Shape):
    """The clip, recorded."""

    clip: ClipShape


def router(site: Site) -> APIRouter:  # noqa: ARG001  # every room's router takes it
    """`POST /api/clips` and `POST /api/clips/stream`."""
    routes = APIRouter(tags=["clips"])

    @routes.post(
        "/api/clips",
        status_code=201,
        summary="Speak a text and record the clip",
        response_model=Made,
        responses={200: {"model": Made, "description": "It was there already."}, **faults(500, 507)},
    )
    async def make_clip(request: Request, asked: Making, caller: Annotated[Caller, Depends(may("speak"))]) -> Response:
        """Answers when the clip is recorded; a request that was answered before gives the same clip again, at once."""
        options = await asyncio.to_thread(asked.options, caller)
        clip = await while_there(request, caller.ledger.studio.aspeak(asked.text, **options))
        caller.charge(clip)
        return Response(_encode({"clip": told(clip)}), 200 if clip.reused else 201, media_type=JSON)

    @routes.post(
        "/api/clips/stream",
        summary="Speak a text, and hear it from the first segment on",
        response_class=StreamingResponse,
        responses={
            200: {"content": {_LINES: {}}, "description": "Lines of JSON: chunks, then the clip or an error."},
            **faults(500, 507),
        },
    )
    async def stream_clip(asked: Making, caller: Annotated[Caller, Depends(may("speak"))]) -> Response:
        """Each line is `{"chunk": {samples, sample_rate, text, start}}`, samples being 32-bit floats in base64; the last one is
        `{"clip": …}` or `{"error": …}`.
        """
        options = await asyncio.to_thread(asked.options, caller)
        stream = await asyncio.to_thread(partial(caller.ledger.studio.stream, asked.text, **options))
        return StreamingResponse(_lines(stream, caller), media_type=_LINES)

    return routes


async def _lines(stream: Stream, caller: Caller) -> AsyncIterator[bytes]:
    """As somebody reads them; nobody who reads slowly holds an engine longer than it takes to speak what is ahead."""
    try:
        while (chunk := await asyncio.to_thread(next, stream, None)) is not None:
            yield _line({"chunk": _chunk(chunk)})
        caller.charge(stream.clip)
        yield _line({"clip": told(stream.clip)})
    except VoxledgerError as error:
        yield _line(body(meaning(error)))
    finally:
        await asyncio.shield(asyncio.to_thread(stream.close))


def _line(content: Mapping[str, Any]) -> bytes:
    return _encode(content) + b"\n"


def _chunk(chunk: Chunk) -> Mapping[str, Any]:
    samples = base64.b64encode(chunk.samples.astype(np.dtype("<f4")).tobytes()).decode()
    return {"samples": samples, "sample_rate": chunk.sample_rate, "text": chunk.text, "start": chunk.start}
