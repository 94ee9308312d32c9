"""Locating: on which line and in which column of a TOML file a value stands.

tomllib gives values without their places. This reads only as much of TOML as it takes to follow tables, arrays of tables and the
keys of single lines; a value that it cannot follow has no place, and the error is told without one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\"' -]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')\s*=\s*")
_QUOTES = re.compile(r"'''|\"\"\"")


def locate(text: str, place: Sequence[str | int], offset: int | None = None) -> tuple[int, int] | None:
    """Line and column, both from 1, of what `place` leads to, such as `("retention", "rules", 1, "match")`.

    `offset` goes that far into a string's content. Where the last part of a place is not there, its table is meant.
    """
    table: tuple[str | int, ...] = ()
    counted: dict[tuple[str, ...], int] = {}
    closing: str | None = None
    fallback: tuple[int, int] | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if closing:
            closing = None if closing in line else closing
            continue
        if header := _HEADER.match(line):
            names = tuple(part.strip(" \"'") for part in header[2].split("."))
            table = names
            if header[1] == "[[":
                counted[names] = counted.get(names, -1) + 1
                table = (*names, counted[names])
            if table == tuple(place) or table == tuple(place[:-1]):
                fallback = (number, len(line) - len(line.lstrip()) + 1)
            continue
        key = _KEY.match(line)
        if key is None:
            continue
        rest = line[key.end() :]
        opening = _QUOTES.match(rest)
        if (*table, key[1].strip("\"'")) == tuple(place):
            return _within(text, number, key.end(), rest, opening[0] if opening else None, offset)
        if opening and opening[0] not in rest[3:]:
            closing = opening[0]
    return fallback


def _within(text: str, number: int, start: int, rest: str, opening: str | None, offset: int | None) -> tuple[int, int]:
    """The place of a value, or of a character in it."""
    if offset is None or not rest.startswith(("'", '"')):
        return number, start + 1
    if opening is None:
        return number, start + 2 + _escaped(rest[1:], offset) if rest[0] == '"' else start + 2 + offset
    content = "\n".join(text.split("\n")[number - 1 :])[start + 3 :]
    skipped = 1 if content.startswith("\n") else 0
    before = content[: skipped + offset]
    down = before.count("\n")
    return number + down, (len(before) - before.rfind("\n") if down else start + 4 + offset)


def _escaped(raw: str, offset: int) -> int:
    """How many characters of the file the first ones of a basic string take up."""
    at = 0
    for _ in range(offset):
        found = re.match(r"\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}|\\.|.", raw[at:])
        if found is None:
            break
        at += found.end()
    return at
