"""Rendering a clip again from its record alone: the same bytes, or what is different and how far one hears it."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import numpy.typing as npt
import soundfile

from voxledger.catalog.clip import Clip
from voxledger.catalog.events import GenerationCompleted
from voxledger.synth.emotion import Emotion
from voxledger.synth.engines.base import EngineInfo
from voxledger.synth.errors import InvalidRequest
from voxledger.synth.prosody import level_offset
from voxledger.synth.request import CHAIN, SpeakRequest

if TYPE_CHECKING:
    from voxledger.catalog.settings import Settings
    from voxledger.synth.production import Made


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Something that decides the audio and is not what it was."""

    what: str
    recorded: str
    now: str


@dataclass(frozen=True, kw_only=True)
class Rerendered:
    """What came of it. `equal`: the files have the same bytes; else `distance_db` is how far the sounds are apart, as the
    mean difference of their log-mel spectra (dB), None when the old audio cannot be had.
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
    """The settings with the loudness and the sample rate that the record says; clips older than that keep today's."""
    synth = msgspec.structs.replace(settings.synth, sample_rate=record.sample_rate)
    if record.target_lufs is not None:
        usual = round(record.target_lufs - level_offset(record.emotion_effective), 6)
        synth = msgspec.structs.replace(synth, loudness=usual)
    return msgspec.structs.replace(settings, synth=synth)


def differences(record: GenerationCompleted, info: EngineInfo) -> tuple[Difference, ...]:
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


def distance_db(made: Made, old: Path) -> float:
    """How far two files sound apart: the mean difference of their log-mel spectra, dB."""
    from voxledger.synth.audio import log_mel_distance

    new = io.BytesIO(made.content) if isinstance(made.content, bytes) else made.content
    (first, rate), (second, other) = _samples(new, made), _samples(old, made)
    return log_mel_distance(first, rate, second, other)


def _samples(source: io.BytesIO | Path, made: Made) -> tuple[npt.NDArray[np.float32], int]:
    if made.format.name == "pcm":
        raw = source.read_bytes() if isinstance(source, Path) else source.getvalue()
        return np.frombuffer(raw, dtype="<i2").astype(np.float32) / np.float32(32768), made.sample_rate
    samples, rate = soundfile.read(str(source) if isinstance(source, Path) else source, dtype="float32")
    return samples, rate
