"""The errors of synthesis.

SynthesisError
├── InvalidRequest        the request cannot be spoken as asked; nothing was made
│   ├── InvalidText           empty, unspeakable, too long, control characters
│   ├── InvalidEmotion        an unknown name, or a weight outside 0..1
│   ├── UnsupportedLanguage   no such BCP 47 tag for this engine
│   ├── UnsupportedFormat     no such container or codec
│   ├── UnknownVoice          no such voice: neither registered nor the engine's own
│   ├── UnknownEngine         no engine of this name is installed
│   ├── ConsentEnded          the voice was withdrawn, has expired or was erased
│   ├── RecordingRefused      a recording, or the consent to it, cannot be registered
│   └── NotSupported          the engine cannot do what was asked (reference clip, emotion in words, …)
├── VoiceMissing          the recording of a registered voice is neither here nor in the store
├── EngineUnavailable     the engine cannot start: what is missing and how to get it
├── EngineFailed          the engine started and failed; `stage` says where
├── AudioFailed           the audio chain or the encoder failed
├── StudioBusy            too many requests wait for the engine, or none of its turns came in time
├── Stopped               the caller went away, or the studio was closed
├── GenerationTimeout     another caller was making this clip and did not finish in time
└── ManifestError         a batch manifest, or one of its lines, cannot be read
"""

from __future__ import annotations

from typing import Literal

from voxledger.catalog.errors import VoxledgerError

Stage = Literal[
    "request", "voice", "load", "queue", "connect", "busy", "answer", "worker", "engine", "audio", "storage"
]
"""Where an attempt failed. `docs/synthesis.md` says what each means."""


class SynthesisError(VoxledgerError):
    """Anything that ends a generation without a clip. The message says what to do next.

    `failure_class`, `stage` and `remedy` are what is recorded of it: they hold no text, name, path or key. Where the
    stage is None, it is the one that the attempt had come to.
    """

    failure_class = "synthesis"
    stage: Stage | None = None
    remedy = "Read the message; it says what to do."

    def __init__(self, message: str, *, stage: Stage | None = None, remedy: str | None = None) -> None:
        super().__init__(message)
        if stage is not None:
            self.stage = stage
        if remedy is not None:
            self.remedy = remedy


class InvalidRequest(SynthesisError):
    """The request cannot be spoken as asked."""

    failure_class = "invalid_request"
    stage: Stage | None = "request"
    remedy = "Change the request as the message says."


class InvalidText(InvalidRequest):
    """The text is empty, unspeakable, too long or holds control characters."""

    failure_class = "invalid_text"
    remedy = "Change the text: it must hold something that can be spoken, and no control characters."


class InvalidEmotion(InvalidRequest):
    """An unknown emotion, or a weight or strength outside 0..1."""

    failure_class = "invalid_emotion"
    remedy = "Write emotions by their names, with weights from 0 to 1."


class UnsupportedLanguage(InvalidRequest):
    """The engine has no voice for this language tag."""

    failure_class = "unsupported_language"
    remedy = "Choose a language that the engine speaks."


class UnsupportedFormat(InvalidRequest):
    """No such audio format."""

    failure_class = "unsupported_format"
    remedy = "Choose one of the audio formats."


class UnknownVoice(InvalidRequest):
    """Neither a registered voice nor one of the engine has this name."""

    failure_class = "unknown_voice"
    remedy = "Choose a voice that is registered or that the engine has."


class UnknownEngine(InvalidRequest):
    """No engine of this name is installed."""

    failure_class = "unknown_engine"
    remedy = "Choose an engine that is installed."


class ConsentEnded(InvalidRequest):
    """Nobody consents any more: the voice was withdrawn, its consent has expired, or who registered it was erased."""

    failure_class = "voice_withdrawn"
    remedy = "Choose another voice, or register this one again with new consent."


class RecordingRefused(InvalidRequest):
    """A recording, its name or the consent to it cannot be registered as they are; nothing was."""

    failure_class = "recording_refused"
    remedy = "Change the recording, or what was said about it, as the message says."


class UnknownPreset(InvalidRequest):
    """There is no preset of this name."""

    failure_class = "unknown_preset"
    remedy = "Choose one of the presets, or add this one."


class NotSupported(InvalidRequest):
    """The engine cannot do what was asked; `feature` names it."""

    failure_class = "not_supported"
    remedy = "Ask for it without, or choose an engine that can do it."

    def __init__(self, message: str, *, feature: str) -> None:
        super().__init__(message)
        self.feature = feature


class VoiceMissing(SynthesisError):
    """The recording of a registered voice is not here and cannot be had from the store."""

    failure_class = "voice_missing"
    stage: Stage | None = "voice"
    remedy = "Register the recording again, or see that the store answers."


class EngineUnavailable(SynthesisError):
    """The engine cannot start; the message names what is missing and the remedy."""

    failure_class = "engine_unavailable"
    stage: Stage | None = "load"
    remedy = "Install what the engine lacks."


class EngineFailed(SynthesisError):
    """The engine failed while speaking; `stage` says where.

    `may_pass`: asking once more at once may help. False where it is useless, or the engine has asked again itself, as long as
    that made sense.
    """

    failure_class = "engine_failed"
    stage: Stage | None = "engine"
    remedy = "Try again; if it fails again, try another seed or a shorter text."
    may_pass = True


class AudioFailed(SynthesisError):
    """The audio chain or the encoder failed."""

    failure_class = "audio_failed"
    stage: Stage | None = "audio"
    remedy = "Try another text, voice or seed."


class StudioBusy(SynthesisError):
    """Too many requests wait for the engine, or its turn did not come in time."""

    failure_class = "busy"
    stage: Stage | None = "queue"
    remedy = "Try again later, or raise synth.queue."


class Stopped(SynthesisError):
    """The clip was called off before it was there: its caller went away, or the studio was closed. No failure."""

    failure_class = "stopped"
    remedy = "Ask for it again."

    def __init__(
        self, message: str = "the clip was called off: its caller went away, or the studio was closed"
    ) -> None:
        super().__init__(message)


class GenerationTimeout(SynthesisError):
    """Another caller was making this clip and did not finish in time."""

    failure_class = "timeout"
    stage: Stage | None = "queue"
    remedy = "Try again, or make a take of your own."


class ManifestError(SynthesisError):
    """A batch manifest, or one of its lines, cannot be read; `line` counts from 1, None for the whole file."""

    failure_class = "manifest"
    remedy = "Mend the line of the manifest."

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line
