"""Whether the sound of a clip can be what its text asks for, and why not.

A decision about measures alone: no text is recognized. How long a text takes is bounded by syllables. Read aloud,
languages have 5.2 (Mandarin) to 7.8 (Japanese) syllables a second: F. Pellegrino, C. Coupé and E. Marsico, "A
cross-language perspective on speech information rate", *Language* 87 (2011). `FASTEST` and `SLOWEST` lie far outside,
so that no manner of speaking is suspect, only sound that cannot be the text: cut off, looping, a hum. How many
syllables a character stands for is bounded by its script, widely enough for digits, spelled abbreviations and symbols.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from voxledger.synth.audio.measure import AudioMeasures

Reason = Literal["silent", "clipped", "too_short", "too_long", "mostly_silence"]
REASONS: tuple[Reason, ...] = get_args(Reason)

FASTEST, SLOWEST = 13.0, 2.6
"""Syllables a second: two thirds more than the fastest language's, and half of the slowest one's."""
SILENT_LUFS = -60.0
CLIPPED_PER_S, FEWEST_CLIPPED = 20.0, 8
"""About 0.1 % of the samples. Single peaks at full scale are no fault: some engines bring every clip up to them."""
SILENCE_SHARE = 0.6
PAUSE_S = 1.5
"""Silence that each mark of punctuation may bring: a paragraph's pause, spoken slowly."""
_SLACK_SHORT_S, _SLACK_LONG_S, _SLACK_SILENCE_S = 0.1, 2.0, 0.7


class _Syllables(NamedTuple):
    """How many syllables one character stands for."""

    least: float
    most: float


_ALPHABET = _Syllables(0.29, 0.6)
"""Vietnamese and German words have up to 3.5 letters a syllable, Italian and Finnish ones about 2."""
_CAPITAL = _Syllables(0.29, 2.0)
"""May be spelled out: "www" and "W" have three times the syllables of their neighbours."""
_CONSONANTS = _Syllables(0.35, 0.9)
"""Arabic and Hebrew leave most vowels out."""
_ABUGIDA = _Syllables(0.4, 1.2)
"""Vowel signs are marks, which are not counted; Thai and Lao write some vowels as letters."""
_SYLLABARY = _Syllables(0.9, 1.2)
_KANA = _Syllables(0.5, 1.2)
_HAN = _Syllables(0.9, 1.2)
_KANJI = _Syllables(0.5, 4.0)
"""承 in 承る has four."""
_DIGIT = _Syllables(0.25, 4.0)
""" "1000000" has three syllables, "7" in "77" up to three, and four in "siebenundsiebzig"."""
_SYMBOL = _Syllables(0.0, 4.0)
"""Read out or not: %, €, emoji."""
_PUNCTUATION = _Syllables(0.0, 2.0)
"""Silent in a sentence, read out in an address."""
_NOTHING = _Syllables(0.0, 0.0)

_SCRIPTS = {
    **dict.fromkeys(("ARABIC", "HEBREW", "SYRIAC", "MANDAIC", "SAMARITAN"), _CONSONANTS),
    **dict.fromkeys(
        (
            "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA",
            "THAI", "LAO", "TIBETAN", "MYANMAR", "KHMER", "JAVANESE", "BALINESE", "THAANA",
        ),
        _ABUGIDA,
    ),
    **dict.fromkeys(("HANGUL", "ETHIOPIC", "CHEROKEE", "VAI", "YI", "CANADIAN"), _SYLLABARY),
    **dict.fromkeys(("HIRAGANA", "KATAKANA"), _KANA),
    "CJK": _HAN,
}  # fmt: skip
"""By the first word of a letter's Unicode name; every other script is an alphabet."""


def suspects(
    measures: AudioMeasures, *, text: str, language: str, clipped_at_source: int = 0, speed: float = 1.0
) -> tuple[Reason, ...]:
    """Why a clip cannot be right, in the order of `REASONS`; empty when nothing is found.

    `silent`: nothing above -60 LUFS; then nothing else is asked. `clipped`: more than 20 samples at full scale in each
    second of sound, at the engine or in the file. `too_short`, `too_long`: more than 13 or fewer than 2.6 syllables a
    second, for the fewest and the most syllables that the text can have. `mostly_silence`: more than 60 % silence that
    the text's punctuation does not account for.

    `text` is what is spoken, without marks. `language`: a BCP 47 tag; it tells kanji from hanzi. `clipped_at_source`:
    samples at or beyond full scale that the engine returned. `speed`: the factor on the rate that was asked for.
    """
    if measures.loudness_lufs is None or measures.loudness_lufs <= SILENT_LUFS or measures.speech_s <= 0:
        return ("silent",)
    least, most = syllables(text, language)
    speech_s = measures.speech_s
    silence_s = measures.duration_s - speech_s
    found: dict[Reason, bool] = {
        "clipped": _is_clipped(max(clipped_at_source, measures.clipped_samples), speech_s),
        "too_short": speech_s + _SLACK_SHORT_S < least / (FASTEST * speed),
        "too_long": speech_s > most / (SLOWEST * speed) + _SLACK_LONG_S,
        "mostly_silence": measures.silence_share > SILENCE_SHARE and silence_s > _pauses_s(text) / min(1.0, speed),
    }
    return tuple(reason for reason, holds in found.items() if holds)


def speech_rate(text: str, measures: AudioMeasures) -> float | None:
    """Letters and digits (Unicode L and N; marks do not count) in each second of sound that is not silence.

    None for a clip without sound. Of languages that are written alike, 15 is usual in alphabets, 5 in Chinese.
    """
    if measures.speech_s <= 0:
        return None
    return round(
        sum(count for character, count in _characters(text).items() if _is_spoken(character)) / measures.speech_s, 3
    )


def syllables(text: str, language: str) -> tuple[float, float]:
    """The fewest and the most syllables that a text can have when it is read aloud."""
    counts = _characters(text)
    japanese = language.split("-")[0].lower() == "ja"
    bounds = [(_syllables(character, japanese), count) for character, count in counts.items()]
    return sum(each.least * count for each, count in bounds), sum(each.most * count for each, count in bounds)


def _is_clipped(samples: int, speech_s: float) -> bool:
    return samples >= FEWEST_CLIPPED and samples > CLIPPED_PER_S * speech_s


def _pauses_s(text: str) -> float:
    marks = sum(count for character, count in _characters(text).items() if _pauses(character))
    return _SLACK_SILENCE_S + PAUSE_S * marks


def _characters(text: str) -> Counter[str]:
    """How often each character occurs; ligatures, full-width forms and units taken apart (NFKC)."""
    return Counter(unicodedata.normalize("NFKC", text))


def _is_spoken(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN"


def _pauses(character: str) -> bool:
    return character in "\n\r\u2028\u2029" or unicodedata.category(character)[0] == "P"


@lru_cache(maxsize=8192)
def _syllables(character: str, japanese: bool) -> _Syllables:
    category = unicodedata.category(character)
    if category[0] in "SPN":
        return {"S": _SYMBOL, "P": _PUNCTUATION, "N": _DIGIT}[category[0]]
    if category[0] != "L":
        return _NOTHING
    script = _SCRIPTS.get(unicodedata.name(character, "").split(" ")[0], _ALPHABET)
    if script is _HAN and japanese:
        return _KANJI
    return _CAPITAL if script is _ALPHABET and category == "Lu" else script
