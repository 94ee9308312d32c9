"""Routes: what is served under `/v1`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from voxledger.dashboards.server.callers import Caller, may, permit
from voxledger.dashboards.speech.answering import CLIP, DROPPED, KEY, REUSED, Answering
from voxledger.dashboards.speech.idempotency import HEADER, Idempotency
from voxledger.dashboards.speech.lane import Lane
from voxledger.dashboards.speech.models import Models
from voxledger.dashboards.speech.request import read, schema
from voxledger.dashboards.speech.voices import voices
from voxledger.synth.formats import FORMATS

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site


def router(site: Site) -> APIRouter:
    """`POST /v1/audio/speech`, `/v1/models` and `/v1/audio/voices`."""
    routes = APIRouter(tags=["speech"])
    idempotency = Idempotency(site.door.home.path, site.door.vault, site.settings.serve.idempotency)
    # As many as requests that the node works on at a time: none of them waits for another's thread.
    threads = ThreadPoolExecutor(site.settings.serve.at_once, thread_name_prefix="voxledger-speech")
    lane = Lane(threads)
    site.at_stop(idempotency.close)
    models = Models(site)

    @routes.post(
        "/v1/audio/speech",
        summary="Speak a text, as OpenAI's clients ask for it",
        response_class=Response,
        responses=_ANSWERS,
        openapi_extra=_described(),
    )
    async def speech(request: Request, caller: Annotated[Caller, Depends(may("speak"))]) -> Response:
        """Gives audio: from the first segment on for a text of more than 400 characters, or where `stream_format` is given; else
        the recorded file, as it does for a clip that is there already.
        """
        body = read(await request.body())
        return Answering(body, caller, idempotency, lane, key=request.headers.get(HEADER))

    async def straight(request: Request) -> Response:
        return await speech(request, permit(request, "speak"))

    site.straight["POST", "/v1/audio/speech"] = straight

    @routes.get("/v1/models", summary="The engines there are, and OpenAI's names for the usual one")
    def list_models(_: Annotated[Caller, Depends(may("read"))]) -> dict[str, Any]:
        return models.all()

    @routes.get("/v1/models/{model}", summary="One of them", responses={404: {"description": "There is none."}})
    def one_model(model: str, _: Annotated[Caller, Depends(may("read"))]) -> dict[str, Any]:
        return models.one(model)

    @routes.get(
        "/v1/audio/voices", summary="What `voice` may be", responses={404: {"description": "There is no such model."}}
    )
    def list_voices(caller: Annotated[Caller, Depends(may("read"))], model: str | None = None) -> dict[str, Any]:
        return voices(caller, model)

    return routes


_HEADERS = {
    CLIP: "The clip's id.",
    KEY: "Its key in the store; not while it is being made.",
    REUSED: "Whether it was there already.",
    DROPPED: "What this engine could not do, and was left out.",
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The audio, or events with it.",
        "headers": {name: {"description": what, "schema": {"type": "string"}} for name, what in _HEADERS.items()},
        "content": {
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in sorted({one.content_type for one in FORMATS.values()})},
            "text/event-stream": {"schema": {"type": "string"}},
        },
    },
    400: {"description": "It cannot be spoken as asked."},
    404: {"description": "There is no such model."},
    409: {"description": "The request with this Idempotency-Key is still being worked on."},
    422: {"description": "The Idempotency-Key was used for another request."},
    503: {"description": "Not now; see Retry-After."},
}  # fmt: skip


def _described() -> dict[str, Any]:
    return {
        "x-permission": "speak",
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema()}}},
        "parameters": [
            {
                "name": HEADER,
                "in": "header",
                "required": False,
                "description": "The same request with the same key leads to the same clip.",
                "schema": {"type": "string", "maxLength": 255},
            }
        ],
    }
