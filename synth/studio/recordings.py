"""Recordings: which registered voices a request speaks with, and whether it still may."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from voxledger.synth.emotion import Emotion
from voxledger.synth.engines.base import EngineInfo
from voxledger.synth.errors import NotSupported, SynthesisError
from voxledger.synth.studio.request import SpeakRequest
from voxledger.synth.voices import Recording, Voices


class Recordings:
    """The recordings that requests name. Voices are opened when the first one does."""

    def __init__(self, voices: Callable[[], Voices]) -> None:
        self._voices = voices

    def of(
        self, request: SpeakRequest, info: EngineInfo, emotions: Iterable[Emotion]
    ) -> tuple[Recording | None, Recording | None]:
        """What a request speaks with, and whose emotion it takes. `emotions` are those of its passages.

        A voice that the engine has itself needs no recording. Raises UnknownVoice, ConsentEnded, and NotSupported for
        what the engine cannot do.
        """
        weighed = any(emotion.mode == "vector" for emotion in emotions)
        for feature, what, asked, mode in (
            ("emotion", "an emotion as weights", weighed, "vector"),
            ("emotion_clip", "the emotion of a recording", request.emotion_reference is not None, "reference"),
            ("emotion_words", "an emotion in words", request.emotion_words is not None, "words"),
        ):
            if asked and mode not in info.emotion_modes:
                instead = info.hints.get(mode) or _instead(info)
                raise NotSupported(f"{what} is not supported by the engine {info.name}: {instead}", feature=feature)
        voice = None
        if request.voice is not None and request.voice not in info.voices:
            voice = self._speaker(request.voice, info)
        mood = self._voices().resolve(request.emotion_reference) if request.emotion_reference else None
        return voice, mood

    def _speaker(self, voice: str, info: EngineInfo) -> Recording | None:
        if info.reference_voices:
            return self._voices().resolve(voice)
        try:
            found = self._voices().resolve(voice)
        except SynthesisError:
            return None  # then it is a voice of the engine, or the engine says which ones it has
        raise NotSupported(
            f"voice {found.name} is a recording, and the engine {info.name} speaks with voices of its own only; choose an"
            " engine that speaks with recordings (`voxledger engines` shows which do)",
            feature="speaker_clip",
        )

    def named(self, voice: str | Path) -> Recording:
        """A registered recording. Raises UnknownVoice, ConsentEnded."""
        return self._voices().resolve(voice)

    def check(self, *recordings: Recording | None) -> None:
        """Raises ConsentEnded when one of them may not be used any more."""
        for recording in recordings:
            if recording is not None:
                self._voices().check(recording.sha256)


def _instead(info: EngineInfo) -> str:
    """How an engine takes an emotion, if it does."""
    ways = {"vector": "as weights", "reference": "as a recording", "words": "in words"}
    can = [how for mode, how in ways.items() if mode in info.emotion_modes]
    if can:
        return f"give the emotion {' or '.join(can)}"
    return "choose an engine that takes emotions (`voxledger engines` shows which do)"
