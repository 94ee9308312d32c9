"""Estimates: about how long a text will be heard, before anybody has spoken it."""

from __future__ import annotations

import unicodedata

_A_SECOND = 15
"""Characters of ordinary writing that are spoken in a second."""
_DIGIT = 4
"""A digit is read as a word of so many."""
_WIDE = 3
"""A character of Chinese, Japanese or Korean is a syllable."""
_LEAST = 1.0
_SLOWEST, _FASTEST = 0.25, 4.0


def audio_us(text: str, speed: float | None = None) -> int:
    """About how much audio (µs) a text becomes; `speed` is a factor on how fast it is spoken."""
    size = len(text) + (_DIGIT - 1) * sum(map(str.isdigit, text))
    if not text.isascii():
        size += (_WIDE - 1) * sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    pace = speed if speed is not None and _SLOWEST <= speed <= _FASTEST else 1.0
    return round(max(_LEAST, size / _A_SECOND) / pace * 1e6)
