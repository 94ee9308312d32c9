"""What IndexTTS is given to speak in one go: a paragraph, or as many of its sentences as make a segment."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from voxledger.synth.text import sentences

LONGEST = 240
"""Units of text in one segment at most, where a letter counts one and a character of the Chinese script four."""
_HEAVY = 4
_MARKUP = re.compile(r"<(?=[^>]*\|[^>]*>)")
_PAUSE_S, _PARAGRAPH_PAUSE_S = 0.2, 0.5


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is spoken in one go, and the silence (s) after it."""

    text: str
    pause_s: float = 0.0


def divided(text: str) -> Iterator[Part]:
    """Sentences of a paragraph together, as many as make a segment; what cannot be spoken goes with what comes before."""
    start = end = weight = 0
    spoken = False
    for sentence in sentences(text, LONGEST if _weight(text) < 2 * len(text) else LONGEST // _HEAVY):
        heavy = _weight(sentence.text)
        if spoken and (sentence.paragraph or weight + heavy > LONGEST) and _speakable(sentence.text):
            yield Part(text=text[start:end], pause_s=_PARAGRAPH_PAUSE_S if sentence.paragraph else _PAUSE_S)
            start, weight, spoken = sentence.start, 0, False
        elif not end:
            start = sentence.start
        end, weight, spoken = sentence.end, weight + heavy, spoken or _speakable(sentence.text)
    if spoken:
        yield Part(text=text[start:end])


def _weight(text: str) -> int:
    return sum(_HEAVY if unicodedata.category(character) == "Lo" else 1 for character in text)


def _speakable(text: str) -> bool:
    return any(character.isalnum() for character in text)


def plain(text: str) -> str:
    """The text without the beginnings of what the package would take for a command: `<|token|>` and `<word|sounds>`."""
    return _MARKUP.sub("", text)
