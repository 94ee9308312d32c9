"""What speaks: engines, the versions of their models, and presets."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from voxledger.dashboards.api.answering import json
from voxledger.dashboards.api.audio import Reader
from voxledger.dashboards.api.drawn import Drawn
from voxledger.dashboards.api.shapes import Shape, faults

if TYPE_CHECKING:
    from voxledger.catalog.models import ModelVersion
    from voxledger.dashboards.server.site import Site
    from voxledger.synth.engines import Listed

_FRESH = 30.0
"""Seconds that a look at the engines counts: one may be installed, or break."""
_SAME: dict[int | str, dict[str, Any]] = {304: {"description": "The client has it."}}


class ModelShape(Shape):
    """A version of an engine's files, in the store and on the node."""

    reference: str
    name: str
    version: str
    files: int
    bytes: int
    own_bytes: int = Field(description="Bytes that no other version in the list has.")
    manifest: str
    pushed: datetime | None
    in_store: Literal["yes", "deleted", "removed", "damaged", "no"]
    here: Literal["yes", "incomplete", "no"]
    is_current: bool


class ModelList(Shape):
    """Every version that is known."""

    models: list[ModelShape]


class EngineShape(Shape):
    """An engine, and what it can do; of one that cannot be used, why and what helps."""

    name: str
    available: bool
    default: bool
    why: str | None
    remedy: str | None
    version: str | None
    model: str | None
    model_revision: str | None
    device: str | None
    languages: list[str]
    voices: list[str]
    emotion_modes: list[str]
    reference_voices: bool
    sample_rate: int | None
    streaming: bool
    determinism: str | None
    concurrency: int
    sampling: list[str]


class EngineList(Shape):
    """Every engine that is installed."""

    engines: list[EngineShape]


class PresetShape(Shape):
    """An emotion and a voice under a name."""

    name: str
    about: str
    emotion: dict[str, float] | None
    strength: float | None
    voice: str | None
    language: str | None
    engine: str | None
    sampling: dict[str, float]
    built_in: bool


class PresetList(Shape):
    """All presets."""

    presets: list[PresetShape]


def router(site: Site) -> APIRouter:
    """`/api/models`, `/api/engines` and `/api/presets`."""
    routes = APIRouter(tags=["models"])
    surveys: Drawn[list[dict[str, Any]]] = Drawn(1)

    @routes.get(
        "/api/models",
        summary="The versions of models",
        response_model=ModelList,
        responses={**_SAME, **faults(409)},
    )
    def list_models(request: Request, caller: Reader) -> Response:
        """Asks the store."""
        return json({"models": [_model(each) for each in caller.ledger.models.list()]}, request, caller)

    @routes.get("/api/engines", summary="What can speak", response_model=EngineList, responses={**_SAME, **faults()})
    def list_engines(request: Request, caller: Reader) -> Response:
        """Languages, voices, emotions, and why one cannot be used. No model is loaded for it."""
        found = surveys.get(int(time.monotonic() / _FRESH), lambda: _engines(site))
        return json({"engines": found}, request, caller)

    @routes.get("/api/presets", summary="The presets", response_model=PresetList, responses={**_SAME, **faults()})
    def list_presets(request: Request, caller: Reader) -> Response:
        """Those that come with Voxledger, and the node's own."""
        return json({"presets": presets_of(site)}, request, caller)

    return routes


def _model(each: ModelVersion) -> dict[str, Any]:
    shown = each._asdict()
    del shown["reference"]
    name = {"reference": str(each.reference), "name": each.reference.name, "version": each.reference.version}
    return {**name, **shown}


def _engines(site: Site) -> list[dict[str, Any]]:
    from voxledger.synth.engines import survey

    return [_engine(each, site.settings.synth.engine) for each in survey(site.settings)]


def _engine(each: Listed, default: str) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "name": each.name, "available": each.info is not None, "default": each.name == default, "why": each.why or None,
        "remedy": each.remedy or None, "version": None, "model": None, "model_revision": None, "device": None, "languages": [],
        "voices": [], "emotion_modes": [], "reference_voices": False, "sample_rate": None, "streaming": False, "determinism": None,
        "concurrency": 0, "sampling": [],
    }  # fmt: skip
    if each.info is not None:
        facts = asdict(each.info)
        shape |= {key: facts[key] for key in shape if key in facts and key != "name"}
        shape["emotion_modes"] = sorted(each.info.emotion_modes)
    return shape


def presets_of(site: Site) -> list[dict[str, Any]]:
    """The presets as the API tells them. Raises SettingsError where the node's own cannot be read."""
    from voxledger.synth.presets import Presets

    return [
        {
            "name": each.name, "about": each.about, "emotion": None if each.emotion is None else each.emotion.as_dict(),
            "strength": None if each.emotion is None else each.emotion.strength, "voice": each.voice, "language": each.language,
            "engine": each.engine, "sampling": dict(each.sampling), "built_in": each.built_in,
        }
        for each in Presets(site.door.home).all()
    ]  # fmt: skip
