"""Steps: what takes time on the way of a clip, and of the events about it. Whoever counts hears of each when it has ended.

Floors above listen; the rooms where the time is spent only tell, in the thread that did the work, so that the request on whose
behalf it was done is still the one at hand (`contextvars`). Without a listener telling costs next to nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

StepName: TypeAlias = Literal["queue", "synthesis", "audio", "encode", "generation", "upload", "delivery", "drain"]
"""A wait for a turn at an engine, the engine's work in that turn, the audio chain, the encoder, the whole attempt; a transfer to the
store; events from when they happened until Mixpanel has taken them; a batch of events into the log."""
_log = logging.getLogger(__name__)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step that has ended just now. `clip` is its id; nothing here is personal."""

    name: StepName
    seconds: float
    outcome: str = "ok"
    """completed, reused, failed, cancelled of a generation; stored, retried, parked of an upload; else ok."""
    reason: str = ""
    """Why it failed: the category that the event has."""
    engine: str = ""
    format: str = ""
    clip: str = ""
    amount: int = 0
    """Bytes of an upload, µs of audio of a generation, events of a delivery or a drain."""
    ago: float = 0.0
    """Seconds since it ended, where it is not told at once."""
    waited: float | None = None
    """Seconds that an upload had waited before it began."""


OnStep: TypeAlias = Callable[[Step], None]


def unheard(step: Step) -> None:
    """Nobody counts."""


class Steps:
    """Passes steps on to whoever listens. Safe from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[OnStep, ...] = ()

    def listen(self, listener: OnStep) -> None:
        """From now on `listener` hears of each step; it must be quick."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def tell(self, step: Step) -> None:
        """A step has ended. What a listener does wrong is not the affair of whoever tells."""
        for listener in self._listeners:
            try:
                listener(step)
            except Exception as error:  # noqa: BLE001  # counting must not break what is counted
                _log.debug("a step %s was not counted: %s", step.name, type(error).__name__)
