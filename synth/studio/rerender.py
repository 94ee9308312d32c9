"""Rendering a clip again from its record alone: the same bytes, or what is different and how far one hears it."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.events import GenerationCompleted
from voxledger.synth.emotion import Emotion
from voxledger.synth.engines.base import EngineInfo
from voxledger.synth.errors import InvalidRequest
from voxledger.synth.prosody import level_offset
from voxledger.synth.studio.request import CHAIN, SpeakRequest

if TYPE_CHECKING:
    from voxledger.catalog.settings import Settings
    from voxledger.synth.studio.production import Made

_COMPARED_S = 600
"""Seconds from the beginning that are compared, so that a book takes no more memory than a chapter."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Something that decides the audio and is not what it was."""

    what: str
    recorded: str
    now: str


@dataclass(frozen=True, kw_only=True)
class Rerendered:
    """What came of it. `equal`: the files have the same bytes; else `distance_db` is how far the sounds are apart, as the
    mean difference of their log-mel spectra (dB, over the first ten minutes), None when the old audio cannot be had.
    """

    clip: Clip
    equal: bool
    sha256: str
    duration_us: int
    determinism: str
    differences: tuple[Difference, ...]
    distance_db: float | None

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {
            "clip": self.clip.id, "equal": self.equal, "sha256": self.sha256, "recorded_sha256": self.clip.sha256,
            "duration": self.duration_us / 1e6, "recorded_duration": self.clip.duration, "determinism": self.determinism,
            "differences": [asdict(one) for one in self.differences], "distance_db": self.distance_db,
        }  # fmt: skip


def request_of(record: GenerationCompleted, settings: Settings, *, voice: str | None, mood: str | None) -> SpeakRequest:
    """The request that a record stands for; `voice` and `mood` name the recordings by their hashes.

    Raises InvalidRequest when the record does not hold the text.
    """
    if record.text is None:
        raise InvalidRequest(
            "this clip cannot be rendered again: its text was not kept (general.store_text), or its actor was erased"
        )
    return SpeakRequest.of(
        record.text,
        settings=settings,
        actor=record.actor_label or "unknown",
        voice=voice or record.voice_name,
        emotion=Emotion(weights=record.emotion_asked, strength=record.emotion_strength),
        emotion_reference=mood,
        emotion_words=record.emotion_words,
        language=record.language,
        session=record.session or None,
        format=record.format,
        seed=record.seed,
        take=record.take,
        dropped=record.dropped,
        sampling=record.sampling,
        marks=record.marks,
    )


def settings_of(record: GenerationCompleted, settings: Settings) -> Settings:
    """The settings with the loudness and the sample rate that the record says, where it says them, and room for its text."""
    synth = msgspec.structs.replace(
        settings.synth,
        sample_rate=record.sample_rate,
        max_text=max(settings.synth.max_text, record.text_length),
    )
    if record.target_lufs is not None:
        usual = round(record.target_lufs - level_offset(record.emotion_effective), 6)
        synth = msgspec.structs.replace(synth, loudness=usual)
    return msgspec.structs.replace(settings, synth=synth)


def _differences(record: GenerationCompleted, info: EngineInfo) -> tuple[Difference, ...]:
    """What of engine, model, device and audio chain is not what it was when the clip was recorded."""
    pairs = (
        ("engine", record.engine, info.name),
        ("engine version", record.engine_version, info.version),
        ("model", record.model, info.model),
        ("model revision", record.model_revision, info.model_revision),
        ("device", record.device, info.device),
        ("audio chain", str(record.chain), str(CHAIN)),
    )
    return tuple(Difference(what=what, recorded=then, now=now) for what, then, now in pairs if then != now)


def compared(clip: Clip, record: GenerationCompleted, made: Made, info: EngineInfo) -> Rerendered:
    """What was made now beside what is on record."""
    equal = made.sha256 == record.sha256
    old = None if equal else _audio(clip)
    return Rerendered(
        clip=clip,
        equal=equal,
        sha256=made.sha256,
        duration_us=made.duration_us,
        determinism=info.determinism,
        differences=_differences(record, info),
        distance_db=_distance_db(made, clip, old) if old is not None else None,
    )


def _audio(clip: Clip) -> Path | None:
    try:
        return clip.local()
    except VoxledgerError:
        return None


def _distance_db(made: Made, old: Clip, path: Path) -> float:
    """How far what was made now sounds from the old file, dB; of long clips, their first minutes."""
    from voxledger.synth.audio import log_mel_distance, reading

    new = io.BytesIO(made.content) if isinstance(made.content, bytes) else made.content
    with (
        reading(new, format_name=made.format.name, sample_rate=made.sample_rate) as first,
        reading(path, format_name=old.format, sample_rate=old.sample_rate) as second,
    ):
        return log_mel_distance(
            first.read(_COMPARED_S * first.samplerate, dtype="float32"),
            first.samplerate,
            second.read(_COMPARED_S * second.samplerate, dtype="float32"),
            second.samplerate,
        )
