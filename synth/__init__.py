"""Synthesis: engines, emotion, the audio chain, the studio and batch. Light to import: engines and torch come when needed."""

from __future__ import annotations

from voxledger.catalog.events import EMOTIONS, NEUTRAL
from voxledger.synth.emotion import Emotion, EmotionLike
from voxledger.synth.errors import (
    AudioFailed,
    ConsentEnded,
    EngineFailed,
    EngineUnavailable,
    GenerationTimeout,
    InvalidEmotion,
    InvalidRequest,
    InvalidText,
    ManifestError,
    NotSupported,
    RecordingRefused,
    Stopped,
    StudioBusy,
    SynthesisError,
    UnknownEngine,
    UnknownPreset,
    UnknownVoice,
    UnsupportedFormat,
    UnsupportedLanguage,
    VoiceMissing,
)

__all__ = [
    "EMOTIONS",
    "NEUTRAL",
    "AudioFailed",
    "ConsentEnded",
    "Emotion",
    "EmotionLike",
    "EngineFailed",
    "EngineUnavailable",
    "GenerationTimeout",
    "InvalidEmotion",
    "InvalidRequest",
    "InvalidText",
    "ManifestError",
    "NotSupported",
    "RecordingRefused",
    "Stopped",
    "StudioBusy",
    "SynthesisError",
    "UnknownEngine",
    "UnknownPreset",
    "UnknownVoice",
    "UnsupportedFormat",
    "UnsupportedLanguage",
    "VoiceMissing",
]
