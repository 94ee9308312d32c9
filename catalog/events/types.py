"""The event types: frozen records of what happened.

A field marked personal goes into the sealed part; everything else is `data`: numbers, categories and opaque ids that
may leave the house. Amounts that anyone sums are integers: microseconds (`_us`) and bytes.
"""

from __future__ import annotations

import math
from datetime import datetime
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_type_hints

import msgspec

from voxledger.catalog.errors import EventRejected

_PERSONAL = msgspec.Meta(extra={"personal": True})
Personal: TypeAlias = Annotated[str, _PERSONAL]
Personals: TypeAlias = Annotated[tuple[str, ...], _PERSONAL]
Channel: TypeAlias = Literal["python", "cli", "api", "web", "batch"]
EMOTIONS = ("happy", "angry", "sad", "afraid", "disgusted", "melancholic", "surprised", "calm")
"""The emotions in the order of every vector, which is that of IndexTTS's `emo_vector`."""
NEUTRAL = "neutral"
"""The dominant emotion of a clip without any."""
Vector: TypeAlias = tuple[float, float, float, float, float, float, float, float]

REGISTRY: dict[str, type[Fact]] = {}


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """The root of all event types; a class's name is its events' `type`."""

    version: ClassVar[int] = 1

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        REGISTRY[cls.__name__] = cls


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
    emotion_strength: float
    dropped: tuple[str, ...]
    text_length: int
    text_hash: str
    seed: int | None
    take: int
    sampling: dict[str, float]
    format: str
    sample_rate: int
    channels: int
    duration_us: int
    bytes: int
    sha256: str
    loudness_lufs: float | None
    true_peak_dbtp: float | None
    queue_us: int
    synthesis_us: int
    audio_us: int
    encode_us: int
    segments: int
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
    text_length: int
    elapsed_us: int
    actor_label: Personal


class GenerationCancelled(Fact, frozen=True, kw_only=True):
    """The caller went away before the clip was there."""

    channel: Channel
    engine: str
    text_length: int
    elapsed_us: int
    actor_label: Personal


class GenerationReused(Fact, frozen=True, kw_only=True):
    """A request was answered by a clip that was already there. The subject is that clip's id."""

    channel: Channel
    features: tuple[str, ...]
    engine: str
    language: str
    emotion: str
    text_length: int
    duration_us: int
    saved_us: int
    actor_label: Personal


class AudioStored(Fact, frozen=True, kw_only=True):
    """The clip's audio lies in the store, and the store confirmed its size and checksum."""

    bucket: str
    bytes: int
    etag: str
    attempts: int
    transfer_us: int
    waited_us: int
    key: Personal


class AudioUploadFailed(Fact, frozen=True, kw_only=True):
    """The store refused the clip's audio for good; the task is parked until someone retries it."""

    bucket: str
    failure: str
    attempts: int
    key: Personal


class AudioAccessed(Fact, frozen=True, kw_only=True):
    """Somebody played or fetched a clip."""

    channel: Channel
    purpose: Literal["play", "fetch", "link"]


class ClipTagged(Fact, frozen=True, kw_only=True):
    """A tag was put on a clip."""

    tag: Personal


class ClipUntagged(Fact, frozen=True, kw_only=True):
    """A tag was taken off a clip."""

    tag: Personal


class ClipPinned(Fact, frozen=True, kw_only=True):
    """A clip was pinned: no rule expires it."""

    reason: Personal | None = None


class ClipUnpinned(Fact, frozen=True, kw_only=True):
    """A pin was taken off."""


class ClipMarked(Fact, frozen=True, kw_only=True):
    """A plan condemned the clip; it goes after `delete_after` unless something speaks for it until then."""

    plan: str
    rule: str
    delete_after: datetime


class ClipUnmarked(Fact, frozen=True, kw_only=True):
    """A mark was taken back."""

    plan: str
    reason: Literal["pinned", "used", "undone", "policy"]


class PurgeStarted(Fact, frozen=True, kw_only=True):
    """The clip's audio is being deleted; from here on it is never uploaded again."""

    plan: str
    rule: str
    bucket: str


class ClipPurged(Fact, frozen=True, kw_only=True):
    """The clip's audio is gone from the store and the cache, and its absence was seen."""

    plan: str
    rule: str
    bucket: str
    bytes: int


class PurgeFailed(Fact, frozen=True, kw_only=True):
    """The store would not delete the clip's audio; the next run tries again."""

    plan: str
    bucket: str
    failure: str


class ReportPublished(Fact, frozen=True, kw_only=True):
    """A weekly report was written. The subject is the week, `2026-W47`."""

    week: str
    revision: int
    closed: bool
    through: int


class DeliveryQuarantined(Fact, frozen=True, kw_only=True):
    """The other side refused one event for good. The subject is the refused event's id."""

    subscription: str
    refused_type: str
    field: str
    reason: str


@cache
def personal_fields(kind: type[Fact]) -> frozenset[str]:
    """The names of the fields that are sealed."""
    hints = get_type_hints(kind, include_extras=True)
    return frozenset(name for name in kind.__struct_fields__ if _is_personal(hints[name]))


def _is_personal(hint: Any) -> bool:
    if _PERSONAL in getattr(hint, "__metadata__", ()):
        return True
    return any(_PERSONAL in getattr(part, "__metadata__", ()) for part in getattr(hint, "__args__", ()))


def split(fact: Fact) -> tuple[dict[str, Any], dict[str, Any]]:
    """What may leave the house, and what is sealed. Raises EventRejected for NaN and infinities, which JSON lacks."""
    personal = personal_fields(type(fact))
    data: dict[str, Any] = {}
    sealed: dict[str, Any] = {}
    for name in fact.__struct_fields__:
        value = getattr(fact, name)
        if not _finite(value):
            raise EventRejected(f"{type(fact).__name__}.{name} is {value}, which cannot be recorded", field=name)
        (sealed if name in personal else data)[name] = value
    return data, sealed


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    return not isinstance(value, tuple) or all(map(_finite, value))
