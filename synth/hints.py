"""Hints: what a name that is not known may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_FEW = 12
_SOME = 5


def near(word: str, known: Iterable[str]) -> str:
    """The names that look like the word; else the few that there are, or some of many."""
    names = sorted(known, key=str.casefold)
    if hint := meant(word, names):
        return hint
    if len(names) <= _FEW:
        return f"known are {', '.join(names)}" if names else "none is known"
    return f"{len(names)} others are known, such as {', '.join(names[:_SOME])}"


def meant(word: str, known: Iterable[str]) -> str:
    """The names that look like the word, be their letters large or small: `did you mean 'a' or 'b'?`; "" when none does."""
    by_look: dict[str, str] = {}
    for name in known:
        by_look.setdefault(name.casefold(), name)
    close = get_close_matches(word.casefold(), by_look, n=3)
    return f"did you mean {' or '.join(repr(by_look[look]) for look in close)}?" if close else ""
