"""Recordings: which registered voices a request speaks with, and whether it still may."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from voxledger.synth.engines.base import EngineInfo
from voxledger.synth.errors import NotSupported
from voxledger.synth.request import SpeakRequest
from voxledger.synth.voices import Recording, Voices


class Recordings:
    """The recordings that requests name. Voices are opened when the first one does."""

    def __init__(self, voices: Callable[[], Voices]) -> None:
        self._voices = voices

    def of(self, request: SpeakRequest, info: EngineInfo) -> tuple[Recording | None, Recording | None]:
        """What a request speaks with, and whose emotion it takes.

        A voice that the engine has itself needs no recording. Raises UnknownVoice, ConsentEnded, and NotSupported for
        what the engine cannot do.
        """
        for feature, asked, mode, instead in (
            ("emotion_clip", request.emotion_reference, "reference", "give the emotion as weights"),
            ("emotion_words", request.emotion_words, "words", "give the emotion as weights"),
        ):
            if asked is not None and mode not in info.emotion_modes:
                what = "an emotion in words" if mode == "words" else "the emotion of a recording"
                raise NotSupported(f"{what} is not supported by the engine {info.name}: {instead}", feature=feature)
        own = request.voice is None or request.voice in info.voices or not info.reference_voices
        voice = None if own else self._voices().resolve(str(request.voice))
        mood = self._voices().resolve(request.emotion_reference) if request.emotion_reference else None
        return voice, mood

    def named(self, voice: str | Path) -> Recording:
        """A registered recording. Raises UnknownVoice, ConsentEnded."""
        return self._voices().resolve(voice)

    def check(self, *recordings: Recording | None) -> None:
        """Raises ConsentEnded when one of them may not be used any more."""
        for recording in recordings:
            if recording is not None:
                self._voices().check(recording.sha256)
