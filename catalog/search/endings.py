"""Endings: the words of the index that begin as somebody has typed.

For `tid*` FTS5 merges the places of all words that begin so before it gives the first: a second, where a word stands in millions of
texts. Asked for these words by name, it goes along them, and stops when a page is full.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from voxledger.catalog.search.database import SQL
from voxledger.catalog.search.words import Term

_MOST = 256
"""Words that are told apart. More of them are rare, each for itself, and merging them is quick."""
_AFTER = "\U0010ffff"
"""Greater than whatever a word goes on with."""


def endings(connection: sqlite3.Connection, terms: tuple[Term, ...]) -> Mapping[str, tuple[str, ...]]:
    """By the beginning: every word that there is. A beginning of too many words, or of none, is left out."""
    found = {
        beginning: _words(connection, beginning) for beginning in {term.words[-1] for term in terms if term.prefix}
    }
    return {beginning: words for beginning, words in found.items() if 0 < len(words) <= _MOST}


def _words(connection: sqlite3.Connection, beginning: str) -> tuple[str, ...]:
    found: list[str] = []
    since = beginning
    while len(found) <= _MOST:
        row = connection.execute(SQL["next_word"], (since, beginning + _AFTER)).fetchone()
        if row is None:
            break
        found.append(row[0])
        since = row[0] + "\0"  # the least that is greater
    return tuple(found)
