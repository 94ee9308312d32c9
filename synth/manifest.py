"""Batch manifests: one JSON object a line, in our own words or in those of IndexTTS's `batch` command and demo
cases.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from voxledger.catalog.events import EMOTIONS
from voxledger.synth.emotion import Emotion
from voxledger.synth.errors import InvalidEmotion, ManifestError
from voxledger.synth.hints import near

_VECTOR = tuple(f"emo_vec_{place}" for place in range(1, len(EMOTIONS) + 1))
FIELDS = frozenset({
    "text", "text_file", "voice", "prompt_audio", "language", "lang", "emotion", "emotion_strength", "emo_mode", "emo_audio",
    "emo_weight", "emo_text", "emotion_vector", "emotion_audio", "emotion_text", "emotion_weight", "output",
    "silence_after_ms", "actor", "session", "name", "tags", "format", "seed", "take", "preset", "speed", "sampling", "marks",
    *_VECTOR,
})  # fmt: skip
"""Every field a line may have."""
_LONGEST_LINE = 8_000_000
_OWN, _REFERENCE, _WEIGHTS, _WORDS = range(4)
_AUDIO_FORMATS = {
    ".wav": "wav",
    ".flac": "flac",
    ".opus": "opus",
    ".ogg": "opus",
    ".mp3": "mp3",
    ".aac": "aac",
    ".pcm": "pcm",
}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Something a line asks for that an engine may not be able to do: what, and the file or words that say how."""

    feature: str
    value: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line, read: what to say and how. `wishes` are reference clips and emotions in words."""

    number: int
    text: str
    voice: str | None = None
    language: str | None = None
    emotion: Emotion | None = None
    """None where the line says nothing of one; a preset's then holds."""
    strength: float = 1.0
    """Scales the emotion, be it the line's or a preset's."""
    wishes: tuple[Wish, ...] = ()
    actor: str | None = None
    session: str | None = None
    name: str | None = None
    tags: tuple[str, ...] = ()
    format: str | None = None
    seed: int | None = None
    take: int = 1
    preset: str | None = None
    speed: float | None = None
    sampling: Mapping[str, float] | None = None
    marks: bool = True
    output: PurePosixPath | None = None
    silence_after: float = 0.0


def count(path: Path) -> int:
    """How many lines a manifest has that are not empty. Raises ManifestError when it cannot be read."""
    return sum(1 for _ in _raw(path))


def read(path: Path, *, after: int = 0, files: bool = True) -> Iterator[Line | ManifestError]:
    """The lines of a manifest that follow a line, one at a time; a bad line comes as the error that says what is wrong with it.

    Without `files` none may name one of this machine.
    """
    for number, content in _raw(path):
        if number <= after:
            continue
        try:
            yield _line(number, content, path.parent if files else None)
        except (ManifestError, InvalidEmotion) as error:
            yield error if isinstance(error, ManifestError) else ManifestError(str(error), line=number)


def _raw(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            number = 0
            while content := file.readline(_LONGEST_LINE + 1):
                number += 1
                if content.strip(b"\xef\xbb\xbf \t\r\n"):
                    yield number, content
    except OSError as error:
        raise ManifestError(f"the manifest {path} cannot be read: {error.strerror}") from error


def _line(number: int, content: bytes, folder: Path | None) -> Line:
    fields = _fields(number, content)
    emotion, strength, wishes = _emotion(fields, number)
    if fields.get("prompt_audio"):
        wishes = (Wish(feature="speaker_clip", value=_string(fields, "prompt_audio", number)), *wishes)
    output = _output(fields, number)
    chosen = _string(fields, "format", number) or (_AUDIO_FORMATS.get(output.suffix.lower(), "") if output else "")
    return Line(
        number=number,
        text=_text(fields, number, folder),
        voice=_string(fields, "voice", number) or None,
        language=_string(fields, "language", number) or _string(fields, "lang", number) or None,
        emotion=emotion,
        strength=strength,
        wishes=wishes,
        actor=_string(fields, "actor", number) or None,
        session=_string(fields, "session", number) or None,
        name=_string(fields, "name", number) or (output.stem if output else None),
        tags=_tags(fields, number),
        format=chosen or None,
        seed=_whole(fields, "seed", number) if fields.get("seed") is not None else None,
        take=_whole(fields, "take", number) if fields.get("take") is not None else 1,
        preset=_string(fields, "preset", number) or None,
        speed=_number(fields, "speed", number) if fields.get("speed") is not None else None,
        sampling=_sampling(fields, number),
        marks=_marks(fields, number),
        output=output,
        silence_after=_number(fields, "silence_after_ms", number, 0) / 1000,
    )


def _fields(number: int, content: bytes) -> Mapping[str, Any]:
    if len(content) > _LONGEST_LINE:
        raise ManifestError(
            f"the line is longer than {_LONGEST_LINE:,} bytes; put the text into a text_file", line=number
        )
    try:
        fields = json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"the line is not UTF-8 (byte {error.start + 1}); save the manifest as UTF-8", line=number
        ) from None
    except json.JSONDecodeError as error:
        raise ManifestError(f"the line is not JSON: {error.msg} at column {error.colno}", line=number) from None
    except (RecursionError, ValueError) as error:
        raise ManifestError(f"the line is not usable JSON: {error}", line=number) from None
    if not isinstance(fields, dict):
        raise ManifestError('the line must be a JSON object, such as {"text": "…"}', line=number)
    for name, value in fields.items():
        if not _is_unicode(value):
            raise ManifestError(
                f"{name} holds half of a surrogate pair, which is no character; write it anew", line=number
            )
        if name not in FIELDS:
            raise ManifestError(f"unknown field {name!r}; {near(name, FIELDS)}", line=number)
    return fields


def _text(fields: Mapping[str, Any], number: int, folder: Path | None) -> str:
    if ("text" in fields) == ("text_file" in fields):
        raise ManifestError("a line has either text or text_file", line=number)
    if "text" in fields:
        return _string(fields, "text", number)
    if folder is None:
        raise ManifestError(
            "text_file names a file of this machine, which nobody reads here; give the text", line=number
        )
    wanted = Path(_string(fields, "text_file", number))
    if wanted.is_absolute() or ".." in wanted.parts:
        # Manifests come from others, too: a line must not make any file of this machine heard.
        raise ManifestError(f"text_file {str(wanted)!r} must be a relative path that does not climb", line=number)
    # Manifests are copied about without their folders; a file of that name beside the manifest is meant as well.
    for path in (folder / wanted, folder / wanted.name):
        try:
            return path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            continue
        except UnicodeDecodeError:
            raise ManifestError(f"text_file {wanted} is not UTF-8", line=number) from None
        except (OSError, ValueError) as error:
            raise ManifestError(f"text_file {wanted} cannot be read: {error}", line=number) from None
    raise ManifestError(f"text_file {wanted} is neither at {folder / wanted} nor beside the manifest", line=number)


def _emotion(fields: Mapping[str, Any], number: int) -> tuple[Emotion | None, float, tuple[Wish, ...]]:
    """The emotion of a line, and its strength; IndexTTS's `emo_mode` says which of its fields count, without it those that
    are there.
    """
    audio = _string(fields, "emo_audio", number) or _string(fields, "emotion_audio", number)
    words = _string(fields, "emo_text", number) or _string(fields, "emotion_text", number)
    vector = _vector(fields, number)
    mode = fields.get("emo_mode")
    if mode not in (None, _OWN, _REFERENCE, _WEIGHTS, _WORDS):
        raise ManifestError(f"emo_mode must be 0, 1, 2 or 3, not {mode!r}", line=number)
    for needed, value, name in (
        (_REFERENCE, audio, "emo_audio"),
        (_WEIGHTS, vector, "emo_vec_1 to emo_vec_8"),
        (_WORDS, words, "emo_text"),
    ):
        if mode == needed and not value:
            raise ManifestError(f"emo_mode {mode} needs {name}", line=number)
    strength = 1.0
    for name in ("emo_weight", "emotion_weight", "emotion_strength"):
        strength = _number(fields, name, number, strength)
    asked = vector if mode in (None, _WEIGHTS) else None
    wishes = []
    if audio and mode in (None, _REFERENCE):
        wishes.append(Wish(feature="emotion_clip", value=audio))
    if words and mode in (None, _WORDS):
        wishes.append(Wish(feature="emotion_words", value=words))
    # A recording's or a description's emotion takes the place of weights, a preset's too; mode 0 is the speaker's own.
    says = asked is not None or wishes or mode == _OWN
    return Emotion.of(asked) if says else None, strength, tuple(wishes)


def _vector(fields: Mapping[str, Any], number: int) -> Any:
    given = [name for name in ("emotion", "emotion_vector") if fields.get(name) is not None]
    single = any(name in fields for name in _VECTOR)
    if len(given) + single > 1:
        raise ManifestError(
            "a line gives its emotion once: as emotion, emotion_vector or emo_vec_1 to emo_vec_8", line=number
        )
    if given:
        return fields[given[0]]
    return [_number(fields, name, number, 0) for name in _VECTOR] if single else None


def _sampling(fields: Mapping[str, Any], number: int) -> dict[str, float] | None:
    given = fields.get("sampling")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise ManifestError(f'sampling must be an object such as {{"temperature": 0.8}}, not {given!r}', line=number)
    return {name: _number(given, name, number) for name in given}


def _tags(fields: Mapping[str, Any], number: int) -> tuple[str, ...]:
    given = fields.get("tags") or []
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, list) or not all(isinstance(tag, str) for tag in given):
        raise ManifestError(f"tags must be a list of strings, not {given!r}", line=number)
    return tuple(given)


def _marks(fields: Mapping[str, Any], number: int) -> bool:
    given = fields.get("marks", True)
    if not isinstance(given, bool):
        raise ManifestError(f"marks must be true or false, not {given!r}", line=number)
    return given


def _output(fields: Mapping[str, Any], number: int) -> PurePosixPath | None:
    written = _string(fields, "output", number)
    if not written:
        return None
    output = PurePosixPath(written.replace("\\", "/"))
    if output.is_absolute() or ".." in output.parts or "\0" in written or not output.name:
        raise ManifestError(f"output {written!r} must be a relative path that does not climb", line=number)
    return output


def _string(fields: Mapping[str, Any], name: str, number: int) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ManifestError(f"{name} must be a string, not {value!r}", line=number)
    return value


def _number(fields: Mapping[str, Any], name: str, number: int, default: float = 0.0) -> float:
    value = fields.get(name)
    if value is None:
        return default
    try:
        found = float("no" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        raise ManifestError(f"{name} must be a number of this world, not {str(value)[:40]!r}", line=number) from None
    if not -1e18 < found < 1e18:
        raise ManifestError(f"{name} = {found:g} is out of bounds", line=number)
    if name == "silence_after_ms" and not 0 <= found <= 600_000:
        raise ManifestError(f"silence_after_ms must lie between 0 and 600,000, not {found:g}", line=number)
    return found


def _whole(fields: Mapping[str, Any], name: str, number: int) -> int:
    """As it stands: a float in between would change large seeds."""
    value = fields[name]
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ManifestError(f"{name} must be a whole number from 0 to 2^63 - 1, not {str(value)[:40]!r}", line=number)
    return value


def _is_unicode(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
