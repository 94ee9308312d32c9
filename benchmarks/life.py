"""A seeded life of a studio: the facts that benchmarks of the log record, the same for the same seed and size."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from voxledger.catalog.events import (
    EMOTIONS,
    AudioAccessed,
    AudioStored,
    ClipPinned,
    ClipTagged,
    Draft,
    Fact,
    GenerationCompleted,
    GenerationFailed,
    GenerationReused,
)
from voxledger.catalog.recorder import Recorder

ACTORS = tuple(f"actor-{number:02d}" for number in range(40))
TAGS = ("draft", "final", "chapter-1", "chapter-2", "on-air", "retake")
_TEXT = """
the tide is turning and nobody in the harbour has seen it yet because lamps burn low along water while ships wait for morning
under slow rain that fell all night over roofs chimneys and quiet gardens where children sleep without fear of storms or voices
calling from far away across fields rivers bridges towns
"""
_WORDS = _TEXT.split()
_LANGUAGES = ("en-US", "en-GB", "de", "zh", "ja", "es", "fr", "ar")
_FORMATS = ("wav", "flac", "opus", "mp3")
_MODES = ("none", "vector", "vector", "words")


class Life:
    """Facts with their subjects and actors, at a steady pace. `full` makes nothing but whole generation events."""

    def __init__(self, *, seed: int = 1, start: datetime, step: timedelta, full: bool = False) -> None:
        self._draw = random.Random(seed)
        self._now = start
        self._step = step
        self._full = full
        self._clips: list[str] = []
        self._due: list[str] = []

    def facts(self, count: int) -> Iterator[tuple[Fact, str, str, datetime, str]]:
        """`count` times fact, subject, actor, time and the event's id."""
        for _ in range(count):
            self._now += self._step
            fact, subject = self._next()
            yield fact, subject, self._draw.choice(ACTORS), self._now, self._id()

    def _id(self) -> str:
        """A UUIDv7 of the life's own time, so that the same seed gives the same ids."""
        high = int(self._now.timestamp() * 1000) << 16 | 7 << 12 | self._draw.getrandbits(12)
        return str(uuid.UUID(int=high << 64 | 2 << 62 | self._draw.getrandbits(62)))

    def _next(self) -> tuple[Fact, str]:
        draw = self._draw
        chance = draw.random()
        if self._full or not self._clips or (chance < 0.45 and len(self._due) < 1000):
            clip = self._id()
            # Later events are about some clip of the last million: memory stays flat however long the life is.
            if len(self._clips) < 1_000_000:
                self._clips.append(clip)
            else:
                self._clips[draw.randrange(1_000_000)] = clip
            self._due.append(clip)
            if self._full:
                self._due.clear()
            return completed(draw, clip), clip
        if chance < 0.88 and self._due:
            stored = AudioStored(
                bucket="indextts-audio", bytes=draw.randrange(20_000, 400_000), etag=draw.randbytes(16).hex(), attempts=1,
                transfer_us=draw.randrange(2_000, 90_000), waited_us=draw.randrange(1_000, 900_000), key="ann/default/tide.wav",
            )  # fmt: skip
            return stored, self._due.pop()
        clip = (
            self._clips[int(len(self._clips) * (1 - draw.random() ** 2))]
            if draw.random() < 0.5
            else draw.choice(self._clips)
        )
        return self._small(chance), clip

    def _small(self, chance: float) -> Fact:
        draw = self._draw
        if chance < 0.93:
            return AudioAccessed(channel="web", purpose="play")
        if chance < 0.97:
            return GenerationReused(
                channel="api", features=("emotion",), engine="espeak", language=draw.choice(_LANGUAGES), emotion=draw.choice(EMOTIONS),
                text_length=draw.randrange(10, 300), duration_us=draw.randrange(800_000, 20_000_000),
                saved_us=draw.randrange(10_000, 900_000), actor_label="ann",
            )  # fmt: skip
        if chance < 0.98:
            return GenerationFailed(
                channel="api", engine="espeak", language="en", failure="engine_failed", stage="engine", emotion="sad",
                text_length=30, elapsed_us=draw.randrange(1000, 100_000), actor_label="ann",
            )  # fmt: skip
        return ClipPinned(reason="good") if chance < 0.985 else ClipTagged(tag=draw.choice(TAGS))


def completed(draw: random.Random, clip: str) -> GenerationCompleted:
    """One whole generation event, about 1.5 kB as acknowledged bytes, with everything that varies in real life varying."""
    words = draw.randrange(4, 30)
    text = " ".join(draw.choice(_WORDS) for _ in range(words)).capitalize() + "."
    mode = draw.choice(_MODES)
    weights = [0.0] * 8
    dominant = draw.randrange(8)
    if mode != "none":
        weights[dominant] = round(draw.uniform(0.3, 0.8), 2)
        weights[draw.randrange(8)] = round(draw.uniform(0, 0.2), 2)
    effective = [round(weight * 0.8, 4) for weight in weights]
    language, session = draw.choice(_LANGUAGES), f"session-{draw.randrange(2000):04d}"
    format_, actor = draw.choice(_FORMATS), "ann"
    name = f"line-{draw.randrange(10_000):04d}"
    key = f"{actor}/{session}/{name}-{clip}.{format_}"
    facts: dict[str, Any] = {
        "channel": draw.choice(("python", "batch", "api", "web")), "features": ("emotion", "session") if mode != "none" else ("session",),
        "engine": "espeak", "engine_version": "1.52.0", "model": "espeak-ng", "model_revision": "4ee56a43-48a7996a", "device": "cpu",
        "determinism": "bytes", "language": language, "language_detected": draw.random() < 0.5, "voice_sha256": None,
        "emotion_mode": mode, "emotion": EMOTIONS[dominant] if mode != "none" else "neutral", "emotion_asked": tuple(weights),
        "emotion_effective": tuple(effective), "emotion_strength": 1.0, "dropped": (), "text_length": len(text),
        "text_hash": hashlib.md5(text.encode()).hexdigest(), "seed": draw.randrange(2**31), "take": 1, "sampling": {},
        "format": format_, "sample_rate": 22050, "channels": 1, "duration_us": draw.randrange(800_000, 20_000_000),
        "bytes": draw.randrange(20_000, 400_000), "sha256": draw.randbytes(32).hex(), "loudness_lufs": round(draw.uniform(-18, -14), 2),
        "true_peak_dbtp": round(draw.uniform(-6, -1), 2), "queue_us": draw.randrange(10, 5000),
        "synthesis_us": draw.randrange(9_000, 90_000),
        "audio_us": draw.randrange(2_000, 20_000), "encode_us": draw.randrange(500, 9_000), "segments": draw.randrange(1, 5),
        "bucket": "indextts-audio", "fingerprint": draw.randbytes(16).hex(), "actor_label": actor, "session": session, "name": name,
        "key": key, "path": f"cache/{key}", "text": text, "voice_name": None, "tags": (), "target_lufs": -16.0, "chain": 1,
        "silence_share": round(draw.uniform(0, 0.3), 3), "clipped_samples": 0, "speech_rate": round(draw.uniform(9, 17), 2),
        "suspect": ("too_short",) if draw.random() < 0.01 else (), "first_us": draw.randrange(4_000, 40_000),
        "timing": f"[[0,{len(text)},0,{draw.randrange(800, 20_000)}]]",
    }  # fmt: skip
    return GenerationCompleted(**facts)


def drafts(recorder: Recorder, life: Life, count: int) -> Iterator[Draft]:
    """The same as events ready for the journal."""
    for fact, subject, actor, time, identity in life.facts(count):
        yield recorder.draft(fact, subject=subject, actor=recorder.vault.actor(actor), time=time, event_id=identity)
