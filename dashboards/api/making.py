"""Making clips: `speak` and `stream` of Python, over HTTP. `/v1/audio/speech` is the door for clients written for OpenAI."""

from __future__ import annotations

import asyncio
import base64
import contextvars
import logging
import threading
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from voxledger.catalog.errors import VoxledgerError
from voxledger.dashboards.api.shapes import ClipShape, Shape, faults, told
from voxledger.dashboards.faults import UNEXPECTED, Refused, body, meaning
from voxledger.dashboards.server.answers import JSON
from voxledger.dashboards.server.callers import Caller, may
from voxledger.dashboards.server.departing import while_there
from voxledger.dashboards.server.spool import Spool, too_far_behind

if TYPE_CHECKING:
    from voxledger.catalog.clip import Clip
    from voxledger.dashboards.server.site import Site
    from voxledger.synth.studio import Chunk

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_LINES = "application/x-ndjson"
Speaker = Annotated[Caller, Depends(may("speak"))]


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
    sampling: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")], float] | None = None
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
        return {**given, "actor": self.actor or caller.principal.name, "channel": caller.ledger.channel}


class Made(Shape):
    """The clip, recorded."""

    clip: ClipShape


class _Lines:
    """An `Audience` of the studio: what it hears becomes lines of JSON in a spool. Never waits for whoever reads them."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
        self.made_us = 0

    def begins(self, clip: str) -> None:
        """Of `Audience`; the clip is told at the end."""

    def rate(self, sample_rate: int) -> int:
        """Of `Audience`: as it comes."""
        return sample_rate

    def hears(self, chunk: Chunk) -> None:
        """Of `Audience`."""
        self.made_us += round(chunk.duration * 1e6)
        self.spool.write(_line({"chunk": _chunk(chunk)}))

    def heard_us(self) -> int:
        """Of `Audience`: all but what lies in the spool, which is little for whoever listens."""
        return self.made_us


def router(site: Site) -> APIRouter:
    """`POST /api/clips` and `POST /api/clips/stream`."""
    routes = APIRouter(tags=["clips"])
    workshop = _Workshop(site)

    @routes.post(
        "/api/clips",
        status_code=201,
        summary="Speak a text and record the clip",
        response_model=Made,
        responses={200: {"model": Made, "description": "It was there already."}, **faults(500, 507)},
    )
    async def make_clip(request: Request, asked: Making, caller: Speaker) -> Response:
        """Answers when the clip is recorded; a request that was answered before gives the same clip again, at once."""
        clip = await while_there(request, workshop.clip(asked, caller, None))
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
    async def stream_clip(asked: Making, caller: Speaker) -> Response:
        """Each line is `{"chunk": {samples, sample_rate, text, start}}`, samples being 32-bit floats in base64; the last one is
        `{"clip": …}` or `{"error": …}`, with `retry_after` (s) beside it where it may be asked again. A clip that was there already
        comes without chunks: its audio can be fetched.
        """
        return StreamingResponse(_streamed(asked, caller, workshop), media_type=_LINES)

    return routes


class _Workshop:
    """Where clips are made for requests: threads enough that none of them waits for another's."""

    def __init__(self, site: Site) -> None:
        self._threads = ThreadPoolExecutor(site.settings.serve.at_once, thread_name_prefix="voxledger-making")

    async def clip(self, asked: Making, caller: Caller, audience: _Lines | None) -> Clip:
        """The clip. Cancelled, the engine stops within one segment, and the record of it is waited for."""
        stop = threading.Event()
        work = self._threads.submit(contextvars.copy_context().run, _made, asked, caller, audience, stop)
        making = asyncio.wrap_future(work)
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            stop.set()
            with suppress(VoxledgerError):
                await making
            raise


def _made(asked: Making, caller: Caller, audience: _Lines | None, stop: threading.Event) -> Clip:
    studio = caller.ledger.studio
    wanted = studio.asked(asked.text, asked.options(caller))  # type: ignore[arg-type]  # the model has the same keys
    make = partial(
        studio.make,
        wanted.request,
        engine=wanted.engine,
        reuse=wanted.reuse,
        channel=wanted.channel,
        priority=wanted.priority,
        stop=stop,
        audience=audience,
    )
    spoken_us = (lambda: audience.made_us) if audience is not None else (lambda: 0)
    return caller.made(make, text=wanted.request.text, speed=wanted.request.speed, spoken_us=spoken_us)


async def _streamed(asked: Making, caller: Caller, workshop: _Workshop) -> AsyncIterator[bytes]:
    lines = _Lines(Spool(caller.site.spools, asyncio.get_running_loop()))
    making = asyncio.ensure_future(workshop.clip(asked, caller, lines))
    making.add_done_callback(lambda _: lines.spool.end())
    try:
        while line := await lines.spool.read():
            yield line
        if lines.spool.cut:
            yield _broken(too_far_behind())
            return
        yield _line({"clip": told(await making)})
    except VoxledgerError as error:
        yield _broken(meaning(error))
    except Exception as error:  # noqa: BLE001  # a defect of ours: the answer has begun, and must not end as if it were whole
        _log.error("a clip that was streamed failed (%s)", type(error).__name__)
        yield _broken(UNEXPECTED)
    finally:
        lines.spool.close()
        making.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await making


def _line(content: Mapping[str, Any]) -> bytes:
    return _encode(content) + b"\n"


def _broken(refused: Refused) -> bytes:
    """The last line of an answer that has begun, so that no header can say any more when to come back."""
    later = refused.headers.get("Retry-After")
    return _line(body(refused) | ({"retry_after": int(later)} if later else {}))


def _chunk(chunk: Chunk) -> Mapping[str, Any]:
    samples = base64.b64encode(chunk.samples.astype(np.dtype("<f4")).tobytes()).decode()
    return {"samples": samples, "sample_rate": chunk.sample_rate, "text": chunk.text, "start": chunk.start}
