"""Loaded: the engines that were asked for, each of them once, with the turns that it gives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from voxledger.catalog.settings import Settings
from voxledger.synth import engines
from voxledger.synth.engines.guarded import Guarded
from voxledger.synth.errors import Stopped
from voxledger.synth.studio.turns import Turns


class Loaded:
    """Engines by name; None is the usual one. Safe from many threads."""

    def __init__(self, settings: Settings, ensure_model: Callable[[str], Path] | None) -> None:
        """`ensure_model` gives engines the folder of a model version, pulled if it is not here."""
        self._settings = settings
        self._ensure_model = ensure_model
        self._engines: dict[str, Guarded] = {}
        self._turns: dict[str, Turns] = {}
        self._lock = threading.Lock()
        self._closed = False

    def __contains__(self, name: str | None) -> bool:
        """Whether it is loaded, so that asking it takes no time."""
        return self._named(name) in self._engines

    def get(self, name: str | None = None) -> Guarded:
        """An engine, loaded if it is not. Raises UnknownEngine, EngineUnavailable when it cannot start, Stopped."""
        wanted = self._named(name)
        with self._lock:
            self._require_open()
            if wanted in self._engines:
                return self._engines[wanted]
        engine = Guarded(engines.load(wanted, self._settings), wanted)
        with ExitStack() as unless_kept:
            unless_kept.callback(engine.close)
            # Without the lock: a model may have to come from the store first, and a description may take a minute.
            if self._ensure_model is not None:
                engine.prepare(self._ensure_model)
            turns = Turns(engine.describe().concurrency, self._settings.synth.queue)
            with self._lock:
                self._require_open()
                if wanted not in self._engines:  # else another thread was faster
                    self._turns[wanted], self._engines[wanted] = turns, engine
                    unless_kept.pop_all()
                return self._engines[wanted]

    def turns_of(self, name: str | None = None) -> Turns | None:
        """The turns of an engine; None while nobody has asked for it."""
        return self._turns.get(self._named(name))

    def turns(self) -> Mapping[str, Turns]:
        """The turns of each engine."""
        return dict(self._turns)

    def close(self) -> None:
        """Close all of them. Idempotent; none can be had afterwards."""
        with self._lock:
            self._closed = True
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()

    def _named(self, name: str | None) -> str:
        return name or self._settings.synth.engine

    def _require_open(self) -> None:
        if self._closed:
            raise Stopped("this studio is closed, with its ledger; open it again with voxledger.open()")
