"""What a caller asks for, checked before anything is done about it."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from voxledger.catalog.lazy import lazy
from voxledger.catalog.settings import Settings
from voxledger.synth.emotion import Emotion, EmotionLike
from voxledger.synth.engines.base import EngineInfo
from voxledger.synth.errors import InvalidEmotion, InvalidRequest, InvalidText, NotSupported
from voxledger.synth.formats import format_named
from voxledger.synth.labels import UNWRITABLE, clean_label
from voxledger.synth.text import has_marks
from voxledger.synth.text.language import detect, normalize

DEFAULT_SESSION = "default"
CHAIN = 1
"""Version of the audio chain: raise it with every change that makes another file of the same speech."""
_LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True, kw_only=True)
class SpeakRequest:
    """One clip as asked for, every field checked. `language` is None until it is known; `resolve` settles that."""

    text: str
    voice: str | None
    emotion: Emotion
    language: str | None
    actor: str
    session: str
    name: str | None
    tags: tuple[str, ...]
    format: str
    seed: int | None
    take: int
    dropped: tuple[str, ...] = ()
    sampling: Mapping[str, float] = field(default_factory=dict)
    emotion_reference: str | None = None
    """A recording whose emotion is taken: a registered voice, or a file with the bytes of one."""
    emotion_words: str | None = None
    marks: bool = True
    """Whether emotions written into the text, such as [sad], are heeded."""
    preset: str | None = None

    @classmethod
    def of(
        cls,
        text: str,
        *,
        settings: Settings,
        actor: str,
        voice: str | Path | None = None,
        emotion: EmotionLike = None,
        emotion_strength: float = 1.0,
        language: str | None = None,
        session: str | None = None,
        name: str | None = None,
        tags: Iterable[str] = (),
        format: str = "wav",  # the name people know
        seed: int | None = None,
        take: int = 1,
        dropped: Iterable[str] = (),
        emotion_reference: str | Path | None = None,
        emotion_words: str | None = None,
        sampling: Mapping[str, float] | None = None,
        speed: float | None = None,
        marks: bool = True,
        preset: str | None = None,
    ) -> SpeakRequest:
        """Check what a caller wrote. Raises InvalidRequest, or one of its children, that says what is wrong with it."""
        tags = _listed(tags)
        session, name = _text("session", session), _text("name", name)
        language, emotion_words = _text("language", language), _text("emotion in words", emotion_words)
        asked = Emotion.of(emotion, strength=emotion_strength)
        ways = {
            "weights": asked.mode == "vector", "a recording": emotion_reference is not None, "words": emotion_words is not None,
        }  # fmt: skip
        if len(given := [way for way, is_given in ways.items() if is_given]) > 1:
            raise InvalidRequest(f"an emotion comes from one place, not from {' and '.join(given)}; leave one out")
        if not isinstance(marks, bool):
            raise InvalidRequest(f"marks must be True or False, not {marks!r}")
        if emotion_strength != 1 and emotion is None and emotion_reference is None and emotion_words is None:
            raise InvalidEmotion(
                f"the emotion strength {emotion_strength} has nothing to scale: give an emotion as well"
            )
        clean = clean_text(text, settings.synth.max_text)
        return cls(
            text=clean,
            voice=_recording("voice", voice),
            emotion=asked,
            language=normalize(language) if language else None,
            actor=clean_label("actor", actor),
            session=clean_label("session", session or DEFAULT_SESSION),
            name=clean_label("name", name) if name else None,
            tags=tuple(sorted({clean_label("tag", tag) for tag in tags})),
            format=format_named(format).name,
            seed=_whole("seed", seed, 0, _LARGEST_SEED) if seed is not None else None,
            take=_whole("take", take, 1, 1_000_000),
            dropped=tuple(dropped),
            emotion_reference=_recording("emotion reference", emotion_reference),
            emotion_words=clean_label("emotion in words", emotion_words) if emotion_words else None,
            sampling=_sampling(sampling, speed),
            marks=marks and has_marks(clean),
            preset=preset,
        )

    @property
    def speed(self) -> float:
        """The factor on the rate; 1 unless it was asked for."""
        return self.sampling.get("speed", 1.0)

    @lazy
    def _guessed(self) -> str:
        return detect(self.text)

    def spoken_language(self) -> str:
        """The language asked for, or else the one that the script suggests."""
        return self.language or self._guessed

    def heeded_by(self, info: EngineInfo) -> SpeakRequest:
        """The request without a seed that the engine has no use for, since it gives the same bytes with any.

        Raises NotSupported for a seed where nothing would be repeatable by it.
        """
        if self.seed is None or info.heeds_seed:
            return self
        if info.determinism == "bytes":
            return replace(self, seed=None)
        instead = info.hints.get("seed") or "leave it out, or choose an engine that heeds one (`voxledger engines`)"
        raise NotSupported(f"a seed is not supported by the engine {info.name}: {instead}", feature="seed")

    def decisive(
        self,
        engine: EngineInfo,
        effective: Iterable[Iterable[float]],
        settings: Settings,
        *,
        voice_sha256: str | None = None,
        emotion_sha256: str | None = None,
    ) -> bytes:
        """Everything that decides the audio, who asked and which take, in one canonical form: what a fingerprint
        hashes. `effective` has the vector of each passage.
        """
        facts: dict[str, Any] = {
            "text": self.text,
            "language": self.spoken_language(),
            "voice": voice_sha256 or self.voice,
            "emotion": [[round(weight, 6) for weight in vector] for vector in effective],
            "emotion_reference": [emotion_sha256, self.emotion.strength] if emotion_sha256 else None,
            "emotion_words": [self.emotion_words, self.emotion.strength] if self.emotion_words else None,
            "marks": self.marks,
            "engine": [engine.name, engine.version, engine.model, engine.model_revision, engine.device],
            "seed": self.seed,
            "sampling": dict(sorted(self.sampling.items())),
            "format": self.format,
            "loudness": settings.synth.loudness,
            "sample_rate": settings.synth.sample_rate,
            "chain": CHAIN,
            # Does not decide the audio, but a clip says what it had to do without: one that dropped nothing is another.
            "dropped": self.dropped,
            "actor": self.actor,
            "take": self.take,
        }
        return json.dumps(facts, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()

    def features(self) -> tuple[str, ...]:
        """What the request used beyond plain text, for usage figures."""
        used = {
            "emotion": self.emotion.mode != "none",
            "emotion_mix": sum(weight > 0 for weight in self.emotion.scaled) > 1,
            "emotion_reference": self.emotion_reference is not None,
            "emotion_words": self.emotion_words is not None,
            "marks": self.marks,
            "preset": self.preset is not None,
            "speed": "speed" in self.sampling,
            "sampling": bool(set(self.sampling) - {"speed"}),
            "voice": self.voice is not None,
            "language_detected": self.language is None,
            "session": self.session != DEFAULT_SESSION,
            "name": self.name is not None,
            "tags": bool(self.tags),
            "seed": self.seed is not None,
            "take": self.take > 1,
            f"format_{self.format}": self.format != "wav",
            "degraded": bool(self.dropped),
        }
        return tuple(name for name, is_used in used.items() if is_used)


def clean_text(text: str, longest: int) -> str:
    """The text as it is spoken: Unicode NFC, line and page ends as newlines, no white space around it. Raises InvalidText."""
    if not isinstance(text, str):
        raise InvalidText(f"the text must be a string, not {type(text).__name__}")
    if len(text) > longest:
        raise InvalidText(
            f"the text has {len(text):,} characters, more than synth.max_text = {longest:,};"
            " divide it, one clip a paragraph, or raise the setting"
        )
    clean = unicodedata.normalize("NFC", re.sub("\r\n|[\r\f\v]", "\n", text)).strip().lstrip("\ufeff")
    for place, character in enumerate(clean):
        if "\udc80" <= character <= "\udcff":  # what Python makes of a byte that is no UTF-8
            raise InvalidText(
                f"the text is not UTF-8: byte 0x{ord(character) - 0xDC00:02X} at character {place + 1}; convert it first"
            )
        if character not in "\n\t" and unicodedata.category(character) in UNWRITABLE:
            raise InvalidText(
                f"the text holds U+{ord(character):04X} at character {place + 1}, a control character that"
                " cannot be spoken; remove it"
            )
    if not clean:
        raise InvalidText("the text is empty; give at least one word")
    if not any(unicodedata.category(character)[0] in "LN" for character in clean):
        raise InvalidText("nothing in this text can be spoken: it has neither a letter nor a digit")
    return clean


def _recording(what: str, value: str | Path | None) -> str | None:
    """A name, a hash, or a file: it leads to something that is there, and never becomes a path of ours."""
    if value is not None and not isinstance(value, (str, Path)):
        raise InvalidRequest(f"the {what} must be a name or a path, not {value!r}")
    clean = unicodedata.normalize("NFC", str(value)).strip() if value else ""
    if any(unicodedata.category(character) in UNWRITABLE for character in clean):
        raise InvalidRequest(f"the {what} holds a control character; remove it")
    return clean or None


def _text(what: str, value: str | None) -> str | None:
    """What is no text is no label either, not even an empty one."""
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"the {what} must be a string, not {value!r}")
    return value


def _listed(tags: Iterable[str]) -> tuple[str, ...]:
    if isinstance(tags, str):
        return (tags,)
    if isinstance(tags, (bytes, Mapping)) or not isinstance(tags, Iterable):
        raise InvalidRequest(f"the tags must be a list of strings, not {tags!r}")
    return tuple(tags)


def _sampling(sampling: Mapping[str, float] | None, speed: float | None) -> dict[str, float]:
    if sampling is not None and not isinstance(sampling, Mapping):
        raise InvalidRequest(f"the sampling must be a mapping of parameters to numbers, not {sampling!r}")
    given = dict(sampling or {})
    if speed is not None:
        if "speed" in given:
            raise InvalidRequest(
                f"the speed is given twice, as speed = {speed!r} and in the sampling as {given['speed']!r}; leave one out"
            )
        given["speed"] = speed
    for name, value in given.items():
        if not isinstance(name, str):
            raise InvalidRequest(f"a sampling parameter has a name, not {name!r}")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise InvalidRequest(f"the sampling parameter {name} must be a number, not {value!r}")
    if given.get("speed", 1) <= 0:
        raise InvalidRequest(f"the speed is a factor on the rate and must be more than 0, not {given['speed']:g}")
    return {str(name): float(value) for name, value in sorted(given.items())}


def _whole(what: str, value: int, lowest: int, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise InvalidRequest(f"the {what} must be a whole number from {lowest} to {highest}, not {value!r}")
    return value
