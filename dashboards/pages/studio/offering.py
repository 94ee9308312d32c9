"""Offering: which engines the studio has, what each of them heeds, and what it makes of an emotion."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from voxledger.dashboards.pages.kept import Kept
from voxledger.dashboards.pages.words import later
from voxledger.synth.emotion import Emotion, Weights
from voxledger.synth.engines import load, survey
from voxledger.synth.engines.guarded import Guarded

if TYPE_CHECKING:
    from voxledger.catalog.settings import Settings
    from voxledger.synth.engines import EngineInfo, Listed

RULES: Mapping[str, str] = {
    "espeak": later("The weights times the strength. Where they sum up to more than 1, all are scaled down together."),
    "indextts": later(
        "The weights times the model's own factors, scaled down together where they sum up to more than 0.8, then times the"
        " strength. What is left to 1 stays with the voice's own emotion."
    ),
    "remote": later("The weights times the strength; the server does the rest."),
}
"""What each of our engines does with the weights, in words; `Engine.effective` is what does it."""
OTHER = later("This engine has a rule of its own.")


class Offering:
    """The engines of a node. Looking costs milliseconds, or, where a model's files are hashed, seconds once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._surveys: Kept[Sequence[Listed]] = Kept(30.0)
        self._lock = threading.Lock()
        self._held: dict[str, Guarded] = {}

    @property
    def usual(self) -> str:
        """The engine that speaks when nobody says which."""
        return self._settings.synth.engine

    def all(self) -> Sequence[Listed]:
        """Every engine that is installed, by name; some cannot be used, and say why."""
        return self._surveys.get("", lambda: survey(self._settings))

    def info(self, name: str) -> EngineInfo | None:
        """What an engine is; None for one that cannot be used, or is not there."""
        return next((each.info for each in self.all() if each.name == name), None)

    def chosen(self, name: str) -> Listed | None:
        """The engine that is asked for; else the usual one; else, when that cannot be used, the first that can. None without any."""
        found = {each.name: each for each in self.all()}
        if name:
            return found.get(name)
        usual = found.get(self.usual)
        if usual is not None and usual.info is not None:
            return usual
        return next((each for each in found.values() if each.info is not None), usual)

    def effective(self, name: str, emotion: Emotion) -> Weights:
        """The vector that an engine applies. Nothing is loaded for it. Raises UnknownEngine, EngineUnavailable."""
        with self._lock:
            if name not in self._held:
                self._held[name] = Guarded(load(name, self._settings), name)
            engine = self._held[name]
        return engine.effective(emotion)

    def close(self) -> None:
        """Let the engines go."""
        with self._lock:
            for engine in self._held.values():
                engine.close()
            self._held.clear()
