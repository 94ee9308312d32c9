"""eSpeak NG's data folder: which languages and voices it has, and the voice file for a language, a voice and a prosody.

A voice file is lines of attributes, see https://github.com/espeak-ng/espeak-ng/blob/1.52.0/docs/voices.md. Loading
`LANGUAGE+VARIANT` by name means: reset, read the language's file, reset the tone, read the variant's file. `voice_file`
writes one file that has the same effect, and adds the prosody to it; with a neutral prosody the samples are equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from voxledger.synth.errors import UnsupportedLanguage
from voxledger.synth.prosody import NEUTRAL, Prosody
from voxledger.synth.text.language import normalize

# What a variant resets, whether it sets it or not (VoiceReset in voices.c). Not `speed`: it is reset too, but not put
# into effect, so that a language keeps its own pace under every variant.
_TONE = frozenset(
    [
        *("pitch", "formant", "echo", "flutter", "roughness", "clarity", "tone", "voicing", "breath", "breathw"),
        *("consonants", "klatt", "fast"),
    ]
)
_DESCRIPTION = frozenset(("language", "name", "gender"))

# Tags in the data that are not BCP 47, and what they mean.
_MISWRITTEN = {"chr-us-qaaa-x-west": "chr", "en-us-nyc": "en-US-x-nyc", "piqd": "tlh"}

# Files that decide the sound of every voice; the others are told apart by name and size, 18 MB need not be read.
_SOUND = ("phontab", "phondata", "phonindex", "intonations")

_FLUTTER = 2  # voice->flutter is 32 times the file's value, and 64 after a reset
_ROUGHNESS = 2
_TONE_POINTS = ((600, 170), (1200, 135), (2000, 110), (3000, 110))  # tone_points in voices.c
_VOICING = 100
# Noise around formants 1 to 6 at full breathiness: that of the `whisper` variant, which keeps a sixth of its voice.
_BREATH = (75, 75, 50, 40, 15, 10)
_BREATH_WIDTHS = (150, 150, 200, 200, 400, 400)


@dataclass(frozen=True, kw_only=True)
class Voices:
    """What one data folder holds. `languages`: file by canonical tag; `variants`: file by voice name."""

    languages: dict[str, Path]
    variants: dict[str, Path]


@cache
def voices(data: Path) -> Voices:
    """Read the data folder's lists. Where several files claim a tag, the lowest priority number wins, as in eSpeak."""
    claims: dict[str, tuple[int, str, Path]] = {}
    for path in sorted(path for path in (data / "lang").rglob("*") if path.is_file()):
        attributes = list(_attributes(path))
        if not (data / f"{_dictionary(attributes)}_dict").exists():
            continue  # announced, but not shipped (fo, kaa, xex in 1.52)
        for place, value in enumerate(value for key, value in attributes if key == "language"):
            written, _, priority = value.partition(" ")
            tag = normalize(_MISWRITTEN.get(written.lower(), written))
            # The second figure: a file's first language is its own, further ones it merely serves as well.
            claim = (int(priority or 5), f"{place}{path.name}", path)
            claims[tag] = min(claims.get(tag, claim), claim)
    variants = {path.name: path for path in sorted((data / "voices" / "!v").iterdir()) if path.is_file()}
    return Voices(languages={tag: claims[tag][2] for tag in sorted(claims)}, variants=variants)


@cache
def digest(data: Path) -> str:
    """Eight hex digits that change with the data that decides the sound. Takes a few milliseconds."""
    seen = hashlib.sha256()
    for path in sorted(path for path in data.rglob("*") if path.is_file()):
        seen.update(f"{path.relative_to(data).as_posix()}\0{path.stat().st_size}\0".encode())
        if path.name in _SOUND:
            seen.update(path.read_bytes())
    return seen.hexdigest()[:8]


def voice_file(data: Path, language: str, variant: str | None, prosody: Prosody) -> tuple[bytes, bool]:
    """The voice file to load, and whether its noise comes from C's own random numbers.

    `language` is a key of `Voices.languages`, `variant` one of `Voices.variants`. Raises UnsupportedLanguage.
    """
    known = voices(data)
    if language not in known.languages:
        raise UnsupportedLanguage(f"there is no eSpeak NG voice for the language {language!r}")
    lines = list(_attributes(known.languages[language]))
    if variant is not None:
        lines = [line for line in lines if line[0] not in _TONE]
        lines += [line for line in _attributes(known.variants[variant]) if line[0] not in _DESCRIPTION]
    if prosody != NEUTRAL:
        lines += _quality(lines, prosody)
    text = "".join(f"{key} {value}\n" for key, value in lines)
    return text.encode("latin-1"), any(key == "klatt" and value.split()[0] == "6" for key, value in lines)


def _quality(lines: list[tuple[str, str]], prosody: Prosody) -> Iterator[tuple[str, str]]:
    """The lines that give a voice the prosody's quality, relative to what the voice has of its own."""
    flutter = _last(lines, "flutter", (_FLUTTER,))[0]
    # 14 more is the wavering that the `whisper` and `grandma` kind of variants use for frailty.
    steadier, shakier = min(prosody.tremor, 0.0), max(prosody.tremor, 0.0)
    yield "flutter", str(max(0, round(flutter * (1 + steadier) + 14 * shakier)))
    roughness = _last(lines, "roughness", (_ROUGHNESS,))[0]
    yield "roughness", str(min(7, round(roughness + 3 * prosody.roughness)))
    yield from _tilt(lines, prosody.brightness)
    if prosody.breath > 0:
        own = _last(lines, "breath", (0,) * len(_BREATH))
        noise = [old + round(prosody.breath * new) for old, new in zip(_padded(own), _BREATH, strict=True)]
        yield "breath", " ".join(map(str, noise))
        if not any(key == "breathw" for key, _ in lines):
            yield "breathw", " ".join(map(str, _BREATH_WIDTHS))
        voicing = _last(lines, "voicing", (_VOICING,))[0]
        yield "voicing", str(round(voicing * (1 - 0.45 * prosody.breath)))


def _tilt(lines: list[tuple[str, str]], brightness: float) -> Iterator[tuple[str, str]]:
    """The tone curve, tilted by so many dB from 600 Hz to 2 kHz: half above, half below, within what 8 bits hold."""
    flat = [number for point in _TONE_POINTS for number in point]
    own = list(_last(lines, "tone", tuple(flat)))
    points = list(zip(own[::2], own[1::2], strict=False))[:4]
    tilted = []
    for frequency, amplitude in points:
        share = min(max((frequency - 600) / 1400, 0.0), 1.0) - 0.5
        tilted += [frequency, max(1, min(255, round(amplitude * 10 ** (brightness * share / 20))))]
    yield "tone", " ".join(map(str, tilted))


def _padded(values: tuple[int, ...]) -> tuple[int, ...]:
    return (values + (0,) * len(_BREATH))[: len(_BREATH)]


def _last(lines: list[tuple[str, str]], wanted: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers of the last such line: a later line overrides an earlier one."""
    for key, value in reversed(lines):
        if key == wanted:
            return tuple(int(part) for part in value.split())
    return default


def _dictionary(attributes: list[tuple[str, str]]) -> str:
    named = [value for key, value in attributes if key == "dictionary"]
    own = [value.split()[0].split("-")[0] for key, value in attributes if key == "language"]
    return (named or own or [""])[0]


@cache
def _attributes(path: Path) -> tuple[tuple[str, str], ...]:
    """A voice file's lines as (attribute, value), without comments. Latin-1: some comments are in old encodings."""
    found = []
    for line in path.read_text(encoding="latin-1").splitlines():
        if line.startswith("#"):
            continue
        key, _, value = line.partition("//")[0].rstrip().replace("\t", " ").partition(" ")
        if key:
            found.append((key, value.strip()))
    return tuple(found)
