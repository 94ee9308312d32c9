"""An engine as the studio holds it: whatever somebody else's code gives or raises, what comes out keeps the contract."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np

from voxledger.catalog.errors import VoxledgerError
from voxledger.synth.emotion import Emotion, EmotionMode, Weights
from voxledger.synth.engines.base import Determinism, Engine, EngineInfo, NeedsModel, Segment, SynthesisRequest
from voxledger.synth.errors import EngineFailed, EngineUnavailable

RATES = range(4_000, 768_001)
"""Sample rates (Hz) that the audio chain works at."""
_log = logging.getLogger(__name__)
_TEXTS = ("name", "version", "model", "model_revision", "device")
_TUPLES = ("languages", "voices", "sampling")


class Guarded:
    """The engine `inner`, called `name` here. Its own errors become ours, with the stage; a SystemExit ends nobody."""

    def __init__(self, inner: Engine, name: str) -> None:
        self.inner = inner
        self._name = name
        self._examined: EngineInfo | None = None
        self._remedy = f"Update the package that brings the engine {name}, or choose another engine."

    def prepare(self, ensure: Callable[[str], Path]) -> None:
        """Bring the engine's files here, if it is one that needs some. Raises EngineUnavailable."""
        try:
            if isinstance(self.inner, NeedsModel):
                self.inner.prepare(ensure)
        except VoxledgerError:
            raise
        except (Exception, SystemExit) as error:
            raise self._unavailable(f"it cannot bring its files here: {_told(error)}") from error

    def describe(self) -> EngineInfo:
        """What the engine says of itself. Raises EngineUnavailable, also when that is not what it should be."""
        try:
            info = self.inner.describe()
        except VoxledgerError:
            raise
        except (Exception, SystemExit) as error:
            raise self._unavailable(f"it cannot say what it is: {_told(error)}") from error
        if info is not self._examined:
            if wrong := flaw(info):
                raise self._unavailable(f"{wrong}, against the contract of engines")
            self._examined = info
        return info

    def effective(self, emotion: Emotion) -> Weights:
        """The vector that the engine applies. Raises EngineUnavailable when it gives none."""
        try:
            weights = tuple(float(weight) for weight in self.inner.effective(emotion))
        except VoxledgerError:
            raise
        except (Exception, SystemExit) as error:
            raise self._unavailable(f"it cannot say how it applies an emotion: {_told(error)}") from error
        if len(weights) != len(emotion.weights) or not all(math.isfinite(weight) for weight in weights):
            raise self._unavailable("the vector that it applies for an emotion is not one of 8 finite weights")
        return weights  # type: ignore[return-value]  # eight

    def synthesize(self, request: SynthesisRequest) -> Generator[Segment, None, None]:
        """Speak. Raises InvalidRequest, EngineUnavailable and EngineFailed only, while iterating; closing the iterator closes
        the engine's own.
        """
        segments: Iterator[Any] | None = None
        try:
            segments = iter(self.inner.synthesize(request))
            for segment in segments:
                self._check(segment)
                yield segment
        except (VoxledgerError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            raise EngineFailed(f"the engine failed: {_told(error)}") from error
        finally:
            with self._quietly("breaking off"):
                getattr(segments, "close", lambda: None)()

    def close(self) -> None:
        """Close the engine; what goes wrong in that is logged, for there is nobody to act on it."""
        with self._quietly("closing"):
            self.inner.close()

    def _check(self, segment: object) -> None:
        if not isinstance(segment, Segment):
            raise self._failed(f"something that is no segment of speech, but {type(segment).__name__}")
        samples = segment.samples
        if not isinstance(samples, np.ndarray) or samples.dtype != np.float32 or samples.ndim != 1:
            what = (
                f"samples of {samples.dtype} in the shape {samples.shape}"
                if isinstance(samples, np.ndarray)
                else f"samples of the type {type(samples).__name__}"
            )
            raise self._failed(
                f"{what}, where numpy's float32 of shape (n,), one channel from -1 to 1, is the contract"
            )
        if not _is_whole(segment.sample_rate) or segment.sample_rate not in RATES:
            raise self._failed(
                f"sound of {segment.sample_rate!r} Hz; {RATES[0]:,} to {RATES[-1]:,} Hz can be worked on"
            )
        if not isinstance(segment.load_s, (int, float)) or not 0 <= segment.load_s < math.inf:
            raise self._failed(f"a segment with a loading time of {segment.load_s!r}")
        if not isinstance(segment.text, str):
            raise self._failed("a segment whose text is none")

    def _failed(self, what: str) -> EngineFailed:
        return EngineFailed(f"the engine {self._name} gave {what}", remedy=self._remedy)

    def _unavailable(self, what: str) -> EngineUnavailable:
        return EngineUnavailable(f"the engine {self._name} cannot be used: {what}", remedy=self._remedy)

    @contextlib.contextmanager
    def _quietly(self, what: str) -> Iterator[None]:
        try:
            yield
        except (Exception, SystemExit) as error:  # noqa: BLE001  # an engine is anybody's code
            _log.warning("%s the engine %s failed with %s", what, self._name, type(error).__name__)


def flaw(info: object) -> str:
    """What is wrong with a description, "" when nothing is: it may be anybody's."""
    if not isinstance(info, EngineInfo):
        return f"its description is no EngineInfo, but {type(info).__name__}"
    for name in _TEXTS:
        if not isinstance(getattr(info, name), str):
            return f"its {name} is no text"
    for name in _TUPLES:
        values = getattr(info, name)
        if not isinstance(values, tuple) or not all(isinstance(value, str) for value in values):
            return f"its {name} are no tuple of texts"
    if not info.name:
        return "it has no name"
    if not info.languages:
        return "it speaks no language"
    modes = info.emotion_modes
    if not isinstance(modes, frozenset) or not modes <= set(get_args(EmotionMode)):
        return "its emotion modes are not a frozenset of those there are"
    if not isinstance(info.hints, Mapping) or not all(isinstance(hint, str) for hint in info.hints.values()):
        return "its hints are no mapping to texts"
    if info.determinism not in get_args(Determinism):
        return f"its determinism is {info.determinism!r}"
    if not _is_truth(info.takes_seed):
        return f"it takes a seed: {info.takes_seed!r}"
    if not _is_whole(info.sample_rate) or info.sample_rate not in RATES:
        return f"its sample rate is {info.sample_rate!r} Hz"
    if not _is_whole(info.concurrency) or info.concurrency < 1:
        return f"its concurrency is {info.concurrency!r}"
    return ""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_truth(value: object) -> bool:
    return isinstance(value, bool)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
