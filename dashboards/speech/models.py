"""Models: the engines of this node, as OpenAI's clients list models, and OpenAI's own names for the usual one."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from voxledger.dashboards.speech.request import MODELS, engine_of
from voxledger.synth import engines

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site
    from voxledger.synth.engines import Listed

_FRESH = 60.0
"""Seconds for which a look at the engines is good: some take a while to be imported."""


class Models:
    """What `/v1/models` tells. Safe from many threads."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._seen: tuple[Listed, ...] = ()
        self._until = 0.0
        self._begun = int(time.time())

    def all(self) -> dict[str, Any]:
        """Every engine that can be used now, and the names that mean the usual one."""
        usual = self._site.settings.synth.engine
        found = {listed.name: listed for listed in self._engines() if listed.info is not None}
        told = [self._told(name, listed) for name, listed in found.items()]
        if usual in found:
            told += [self._told(name, found[usual]) for name in MODELS if name not in found]
        return {"object": "list", "data": told}

    def one(self, name: str) -> dict[str, Any]:
        """One by name. Raises Refused (404), and EngineUnavailable for an engine that cannot be used now."""
        engine = engine_of(name) or self._site.settings.synth.engine
        listed = next((one for one in self._engines() if one.name == engine), None)
        if listed is None or listed.info is None:
            self._site.door.studio.engine(engine).describe()  # says why
        return self._told(name, listed)

    def _engines(self) -> tuple[Listed, ...]:
        with self._lock:
            if time.monotonic() >= self._until:
                self._seen = engines.survey(self._site.settings)
                self._until = time.monotonic() + _FRESH
            return self._seen

    def _told(self, name: str, listed: Listed | None) -> dict[str, Any]:
        told: dict[str, Any] = {"id": name, "object": "model", "created": self._begun, "owned_by": "voxledger"}
        if listed is None or listed.info is None:
            return told
        info = listed.info
        return {
            **told,
            "owned_by": listed.package.partition(" ")[0] or "voxledger",
            "engine": info.name,
            "default": info.name == self._site.settings.synth.engine,
            "languages": list(info.languages),
            "emotion_modes": sorted(info.emotion_modes),
            "reference_voices": info.reference_voices,
            "sampling": list(info.sampling),
        }
