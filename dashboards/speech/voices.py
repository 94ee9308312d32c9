"""Voices: what `voice` may be: the engine's own, and the registered ones where it speaks with recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxledger.dashboards.speech.request import engine_of

if TYPE_CHECKING:
    from voxledger.dashboards.server.callers import Caller


def voices(caller: Caller, model: str | None) -> dict[str, Any]:
    """The voices of a model, the usual one by default. Raises Refused (404), EngineUnavailable."""
    info = caller.ledger.studio.engine(engine_of(model)).describe()
    own = [{"id": name, "name": name, "engine": info.name, "kind": "engine"} for name in info.voices]
    return {"voices": own + (_registered(caller, info.name) if info.reference_voices else [])}


def _registered(caller: Caller, engine: str) -> list[dict[str, Any]]:
    return [
        {"id": name, "name": name, "engine": engine, "kind": "registered", "scope": voice.scope}
        for voice in caller.ledger.voices.all()
        if voice.state == "registered"
        for name in voice.names
    ]
