"""Generations: one attempt to make a clip, and how it ended."""

from __future__ import annotations

from voxledger.catalog.events.fact import Amount, Channel, Count, Fact, Finite, Personal, Personals, Seed, Vector


class GenerationCompleted(Fact, frozen=True, kw_only=True):
    """An attempt ended in a clip. The subject is the clip's id, which is new."""

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


class GenerationFailed(Fact, frozen=True, kw_only=True):
    """An attempt ended without a clip. The subject is the id the clip would have had."""

    channel: Channel
    engine: str
    language: str | None
    failure: str
    stage: str
    emotion: str
    text_length: Count
    elapsed_us: Amount
    actor_label: Personal


class GenerationCancelled(Fact, frozen=True, kw_only=True):
    """The caller went away before the clip was there."""

    channel: Channel
    engine: str
    text_length: Count
    elapsed_us: Amount
    actor_label: Personal


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
