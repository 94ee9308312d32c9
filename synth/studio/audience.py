"""An audience: somebody who hears a clip while it is made, in the thread that makes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from voxledger.synth.engines.base import Samples
from voxledger.synth.studio.production import at_level
from voxledger.synth.studio.speaking import Spoken

if TYPE_CHECKING:
    from voxledger.synth.audio import Preview

_FIRST_S, _FURTHER_S = 0.4, 1.0
"""Seconds of the first part of a chunk, and of all others."""
_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Audio to be heard now: mono float32 in [-1, 1], shape (n,), and its start (s).

    `text` is what is said from here on; "" for a silence, and for what goes on with the sentence before.
    """

    samples: Samples
    sample_rate: int
    text: str
    start: float

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


class Audience(Protocol):
    """Hears a clip from its first segment on. Each call comes from the thread that makes it, and must return soon."""

    def begins(self, clip: str) -> None:
        """The clip with this id is made now. Never called for one that is there."""

    def rate(self, sample_rate: int) -> int:
        """At which rate (Hz) it hears speech that comes at `sample_rate`."""

    def hears(self, chunk: Chunk) -> None:
        """What comes next, levelled."""

    def heard_us(self) -> int:
        """How much of it (µs) really came to somebody, for the record of a clip that was broken off."""


class Levelling:
    """Stretches of speech as chunks, at a level that is held from the first one on."""

    def __init__(self, previewed: Callable[[int], Preview], level_offset: float) -> None:
        """`previewed` gives what levels speech of a sample rate (Hz)."""
        self._previewed = previewed
        self._level = level_offset
        self._preview: Preview | None = None
        self.given_us = 0
        """How much was given so far."""
        self._asked = time.monotonic()
        self._began: float | None = None

    @property
    def due(self) -> float:
        """When the next chunk is due, on the monotonic clock: when a listener who began at once has heard what was given; the first
        one since it was asked for. So nobody waits for a beginning while others get what they only hear later.
        """
        return self.due_at(self.given_us / 1e6)

    def due_at(self, start: float) -> float:
        """The same of what begins at `start` (s)."""
        return self._asked if self._began is None else self._began + start

    def chunk(self, spoken: Spoken) -> Chunk:
        """What can be heard after one more stretch; its samples may be none."""
        self._preview = self._preview or self._previewed(spoken.sample_rate)
        sound = at_level(spoken, self._level)
        if spoken.silence:
            sound = np.concatenate([np.zeros(round(spoken.silence * spoken.sample_rate), dtype=np.float32), sound])
        text = spoken.piece.text[spoken.start - spoken.piece.start : spoken.end - spoken.piece.start]
        return self._chunk(self._preview, _on_one_core(partial(self._preview.push, sound), due=self.due), text)

    def rest(self) -> Chunk | None:
        """What was held back; None where nothing was ever said."""
        if self._preview is None:
            return None
        return self._chunk(self._preview, _on_one_core(self._preview.flush, due=self.due), "")

    def _chunk(self, preview: Preview, samples: Samples, text: str) -> Chunk:
        chunk = Chunk(samples=samples, sample_rate=preview.sample_rate, text=text, start=self.given_us / 1e6)
        self.given_us += round(chunk.duration * 1e6)
        if self._began is None and len(samples):
            self._began = time.monotonic()
        return chunk


def _on_one_core(step: Callable[[], _T], *, due: float) -> _T:
    from voxledger.synth.audio import on_one_core

    return on_one_core(step, due=due)


def _parts(chunk: Chunk) -> Iterator[Chunk]:
    """A chunk as several, its text with the first of them; at least one."""
    first, size = 0, round(_FIRST_S * chunk.sample_rate)
    while True:
        samples = chunk.samples[first : first + size]
        yield replace(
            chunk, samples=samples, text="" if first else chunk.text, start=chunk.start + first / chunk.sample_rate
        )
        first, size = first + size, round(_FURTHER_S * chunk.sample_rate)
        if first >= len(chunk.samples):
            return


class Hearing:
    """The listener that tells an audience."""

    def __init__(self, audience: Audience, levelling: Levelling) -> None:
        self._audience = audience
        self._levelling = levelling

    def heard(self, spoken: Spoken) -> None:
        """Of `Listener`: at once, whoever is slow to listen."""
        _on_one_core(lambda: self._give(self._levelling.chunk(spoken)), due=self._levelling.due)

    def ended(self) -> None:
        """The clip is made: what was held back is heard."""
        _on_one_core(lambda: self._give(self._levelling.rest()), due=self._levelling.due)

    def _give(self, chunk: Chunk | None) -> None:
        """A sentence takes as long to encode as ten beginnings: it is given in parts, and between them others begin."""
        from voxledger.synth.audio import give_way

        if chunk is None:
            return
        for part in _parts(chunk):
            if part.start > chunk.start:
                give_way(self._levelling.due_at(part.start))
            self._audience.hears(part)

    def delivered_us(self, *, failed: bool) -> int:  # noqa: ARG002  # the protocol's
        """Of `Listener`: what really came to somebody."""
        return self._audience.heard_us()
