"""Generations: one attempt to make a clip, and how it ended."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from voxledger.catalog.events.fact import (
    NEUTRAL,
    Amount,
    Channel,
    Count,
    Fact,
    Finite,
    Personal,
    Personals,
    Seed,
    Sha256,
    Vector,
)


class SpokenPassage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of a clip under one emotion: from where to where in the delivered audio, and what was asked for and applied."""

    start_us: Amount
    end_us: Amount
    emotion: str
    strength: Finite
    asked: Vector
    effective: Vector


class GenerationCompleted(Fact, frozen=True, kw_only=True):
    """An attempt ended in a clip. The subject is the clip's id, which is new.

    `timing` is the JSON of a list with one [first character, end, start, end] a segment: where it stands in the text, and in the
    delivered audio (ms). `chain` is the version of the audio chain, `marks` whether emotions written into the text were heeded.
    `load_us` is the time in which the engine loaded a model; None where it was counted in `synthesis_us`. `passages`: the
    stretches of a clip whose text has emotion marks, each with `start_us`, `end_us`, `emotion`, `strength`, `asked` and
    `effective`; empty where one emotion holds for all.
    """

    version: ClassVar[int] = 4

    channel: Channel
    features: tuple[str, ...]
    engine: str
    engine_version: str
    model: str
    model_revision: str
    device: str
    determinism: str
    language: str
    language_detected: bool
    voice_sha256: str | None
    emotion_mode: str
    emotion: str
    emotion_asked: Vector
    emotion_effective: Vector
    emotion_strength: Finite
    dropped: tuple[str, ...]
    text_length: Count
    text_hash: str
    seed: Seed | None
    take: Count
    sampling: dict[str, Finite]
    format: str
    sample_rate: Count
    channels: Count
    duration_us: Amount
    bytes: Amount
    sha256: str
    loudness_lufs: Finite | None
    true_peak_dbtp: Finite | None
    queue_us: Amount
    synthesis_us: Amount
    audio_us: Amount
    encode_us: Amount
    segments: Count
    bucket: str
    fingerprint: str
    actor_label: Personal
    session: Personal
    name: Personal
    key: Personal
    path: Personal
    text: Personal | None
    voice_name: Personal | None
    tags: Personals
    emotion_sha256: Sha256 | None = None
    target_lufs: Finite | None = None
    chain: Count = 0
    marks: bool = False
    silence_share: Finite | None = None
    clipped_samples: Count | None = None
    speech_rate: Finite | None = None
    suspect: tuple[str, ...] = ()
    streamed: bool = False
    first_us: Amount | None = None
    segments_cached: Count = 0
    emotion_words: Personal | None = None
    timing: Personal | None = None
    load_us: Amount | None = None
    passages: tuple[SpokenPassage, ...] = ()


class GenerationFailed(Fact, frozen=True, kw_only=True):
    """An attempt ended without a clip. The subject is the id the clip would have had."""

    version: ClassVar[int] = 2

    channel: Channel
    engine: str
    language: str | None
    failure: str
    stage: str
    emotion: str
    text_length: Count
    elapsed_us: Amount
    actor_label: Personal
    remedy: str = ""
    engine_version: str = ""
    delivered_us: Amount = 0


class GenerationCancelled(Fact, frozen=True, kw_only=True):
    """The caller went away before the clip was there; `delivered_us` of audio had been handed over by then."""

    version: ClassVar[int] = 2

    channel: Channel
    engine: str
    text_length: Count
    elapsed_us: Amount
    actor_label: Personal
    language: str | None = None
    emotion: str = NEUTRAL
    segments: Count = 0
    delivered_us: Amount = 0


class GenerationReused(Fact, frozen=True, kw_only=True):
    """A request was answered by a clip that was already there. The subject is that clip's id."""

    channel: Channel
    features: tuple[str, ...]
    engine: str
    language: str
    emotion: str
    text_length: Count
    duration_us: Amount
    saved_us: Amount
    actor_label: Personal
