"""The seam between Voxledger and whatever turns text into a waveform."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from voxledger.synth.emotion import Emotion, EmotionMode, Weights

Determinism = Literal["bytes", "seeded", "none"]
Samples = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class EngineInfo:
    """What an engine is and can do.

    `determinism`: `bytes` = the same request always gives the same samples, `seeded` = it does with a seed on the same
    device, `none` = it never promises to. `takes_seed`: whether a seed does something where nothing is promised.
    `concurrency`: requests it works on at once. `sampling`: names of the sampling parameters that it takes. `hints`: for
    emotion modes that it does not have now, and for `seed`, what would give it them.
    """

    name: str
    version: str
    model: str
    model_revision: str
    device: str
    languages: tuple[str, ...]
    voices: tuple[str, ...]
    emotion_modes: frozenset[EmotionMode]
    reference_voices: bool
    sample_rate: int
    streaming: bool
    determinism: Determinism
    concurrency: int = 1
    sampling: tuple[str, ...] = ()
    hints: Mapping[str, str] = field(default_factory=dict)
    takes_seed: bool = False

    @property
    def heeds_seed(self) -> bool:
        """Whether another seed may sound different."""
        return self.determinism == "seeded" or (self.determinism == "none" and self.takes_seed)


@dataclass(frozen=True, kw_only=True)
class SynthesisRequest:
    """What one engine is asked to speak, already validated: text is clean, `language` is one of the engine's tags."""

    text: str
    language: str
    voice: str | None = None
    voice_audio: Path | None = None
    emotion: Emotion = field(default_factory=Emotion)
    emotion_audio: Path | None = None
    emotion_words: str | None = None
    seed: int | None = None
    sampling: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A stretch of speech: mono float32 samples in [-1, 1], shape (n,), the text it says, and where it starts (s).

    `load_s`: the seconds before it that went into loading a model, which are not booked as synthesis.
    """

    samples: Samples
    sample_rate: int
    text: str
    start: float
    load_s: float = 0.0

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


@runtime_checkable
class Engine(Protocol):
    """Turns text into a waveform. One instance may be called from many threads; it serializes what it must."""

    def describe(self) -> EngineInfo:
        """What this engine is and can do. Cheap, never loads a model, raises EngineUnavailable if it cannot run here."""

    def effective(self, emotion: Emotion) -> Weights:
        """The vector that will really be applied for `emotion`: after strength, bias and limits of this engine."""

    def synthesize(self, request: SynthesisRequest) -> Iterator[Segment]:
        """Speak. Yields segments in order, the first as soon as it is there; closing the iterator stops the engine.

        Raises InvalidRequest for what it cannot do, EngineFailed for what went wrong. Whoever asked may ask again then, but
        not after an EngineFailed whose `may_pass` is False: asking again is useless, or the engine has done so itself.
        """

    def close(self) -> None:
        """Give back memory and processes. Idempotent; a later call of `synthesize` may load again."""


@runtime_checkable
class NeedsModel(Protocol):
    """An engine whose files may lie in the store; an engine that is one has this method besides."""

    def prepare(self, ensure: Callable[[str], Path]) -> None:
        """Bring the engine's files here. Called once by who loads it, before anything else; it may take minutes.

        `ensure` gives the folder of a model version (`NAME@VERSION`, or `NAME` for the current one), pulled if it is not
        here. Raises EngineUnavailable. An engine that nobody prepares uses what is here.
        """
