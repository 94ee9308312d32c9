"""Hints: what a name that is not known may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_FEW = 12
_SOME = 5


def near(word: str, known: Iterable[str]) -> str:
    """The few names there are, or those of many that look like the word, or some: `near: a, b`."""
    names = sorted(known, key=str.casefold)
    if close := get_close_matches(word, names, n=3):
        return f"near: {', '.join(close)}"
    if len(names) <= _FEW:
        return f"known are {', '.join(names)}" if names else "none is known"
    return f"{len(names)} others are known, such as {', '.join(names[:_SOME])}"
