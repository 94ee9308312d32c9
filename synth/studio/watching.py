"""Watching: how far a clip has come while it is made, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from voxledger.synth.studio.pieces import Piece
from voxledger.synth.studio.speaking import Spoken

Watch: TypeAlias = Callable[[int, int, float], None]
"""Called with how many pieces of the text are spoken, how many there are, and the seconds of sound so far.

A piece is a sentence of a long text, or a short text as a whole.
"""


class Watching:
    """The listener that tells a `Watch`."""

    def __init__(self, watch: Watch, total: int) -> None:
        self._watch = watch
        self._total = total
        self._done = 0
        self._seconds = 0.0
        self._last: Piece | None = None
        watch(0, total, 0.0)

    def heard(self, spoken: Spoken) -> None:
        """Of `Listener`: a sentence among others comes when all of it is spoken."""
        if spoken.piece is not self._last:
            self._last, self._done = spoken.piece, self._done + 1
        self._seconds += spoken.silence + spoken.duration
        self._watch(self._done, self._total, self._seconds)

    def delivered_us(self, *, failed: bool) -> int:  # noqa: ARG002  # the protocol's
        """Of `Listener`: nothing was handed over."""
        return 0
