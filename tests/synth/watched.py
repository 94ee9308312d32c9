"""The engine espeak as it is, watched: what it was asked, and when it may go on."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

from voxledger.synth.engines.base import EngineInfo, Segment, SynthesisRequest
from voxledger.synth.engines.espeak import EspeakEngine


class Watched:
    """Every request is noted. `before` is called with each segment's number before it is given away, and may wait or raise."""

    def __init__(
        self, before: Callable[[int, SynthesisRequest], None] = lambda number, request: None, **info: Any
    ) -> None:
        self.asked: list[str] = []
        self.requests: list[SynthesisRequest] = []
        self.closed = threading.Event()
        self._before = before
        self._inner = EspeakEngine()
        self._info = info
        self._given = 0

    def describe(self) -> EngineInfo:
        return dataclasses.replace(self._inner.describe(), **self._info)

    def effective(self, emotion: Any) -> Any:
        return self._inner.effective(emotion)

    def synthesize(self, request: SynthesisRequest) -> Iterator[Segment]:
        self.asked.append(request.text)
        self.requests.append(request)
        return self._segments(dataclasses.replace(request, voice_audio=None, emotion_audio=None, emotion_words=None))

    def _segments(self, request: SynthesisRequest) -> Iterator[Segment]:
        try:
            for segment in self._inner.synthesize(request):
                self._before(self._given, request)
                self._given += 1
                yield segment
        finally:
            self.closed.set()

    def close(self) -> None:
        self._inner.close()


Use = Callable[[Watched], Watched]
"""Makes an engine the one that is loaded, and gives it back."""
