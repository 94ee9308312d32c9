"""What a clip may be asked for, by name: the keyword arguments that all doors share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypedDict

from voxledger.catalog.events import Channel
from voxledger.synth.emotion import EmotionLike
from voxledger.synth.studio.turns import Priority


class SpeakOptions(TypedDict, total=False):
    """The keyword arguments of `Studio.speak`, which says what each means."""

    voice: str | Path | None
    emotion: EmotionLike
    emotion_strength: float
    emotion_reference: str | Path | None
    emotion_words: str | None
    language: str | None
    actor: str | None
    session: str | None
    name: str | None
    tags: Iterable[str]
    format: str
    seed: int | None
    take: int
    speed: float | None
    sampling: Mapping[str, float] | None
    marks: bool
    preset: str | None
    reuse: bool
    engine: str | None
    channel: Channel | None
    priority: Priority | None
