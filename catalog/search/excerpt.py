"""Excerpts: the part of a text where a query's words stand, as it was written, with the places to mark. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from voxledger.catalog.search.words import Term, located

WIDTH = 140
"""Characters of an excerpt."""
_BEFORE = 40
_STEP = 4000
"""Long texts are looked through in parts of this size."""
_OVERLAP = 500


class Snippet(msgspec.Struct, frozen=True, kw_only=True):
    """What to show of one field. `ranges` are places in `text` (code points, end excluded); `cut_before` and `cut_after`
    say that the field goes on; `start` is where in the field `text` begins.
    """

    field: str
    text: str
    ranges: tuple[tuple[int, int], ...]
    start: int = 0
    cut_before: bool = False
    cut_after: bool = False


def excerpt(field: str, text: str, terms: Sequence[Term], *, width: int = WIDTH) -> Snippet | None:
    """The part of a field where most words stand together; None when none of them is in it."""
    for offset in range(0, max(1, len(text)), _STEP):
        part = text[offset : offset + _STEP + _OVERLAP]
        ranges = [(start + offset, end + offset) for start, end in marked(part, terms)]
        if ranges:
            return _cut(field, text, ranges, width)
    return None


def beginning(field: str, text: str, *, width: int = WIDTH) -> Snippet:
    """The first words of a field, for hits whose words stand elsewhere."""
    return _cut(field, text, [], width)


def marked(text: str, terms: Sequence[Term]) -> list[tuple[int, int]]:
    """Where the terms stand in a text, in order; what overlaps or touches is one."""
    words, ranges = located(text)
    places: dict[str, list[int]] = {}
    for index, word in enumerate(words):
        places.setdefault(word, []).append(index)
    found = sorted((ranges[first][0], ranges[last][1]) for term in terms for first, last in _spans(term, words, places))
    joined: list[tuple[int, int]] = []
    for start, end in found:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _spans(term: Term, words: list[str], places: dict[str, list[int]]) -> Iterator[tuple[int, int]]:
    """First and last word of each place where a term stands."""
    size = len(term.words)
    alone = size == 1 and term.prefix
    for first in range(len(words)) if alone else places.get(term.words[0], ()):
        part = tuple(words[first : first + size])
        if part == term.words or (
            term.prefix and len(part) == size and part[:-1] == term.words[:-1] and part[-1].startswith(term.words[-1])
        ):
            yield first, first + size - 1


def _cut(field: str, text: str, ranges: list[tuple[int, int]], width: int) -> Snippet:
    begin = 0
    if ranges and len(text) > width:
        best = max(
            ranges, key=lambda chosen: sum(chosen[0] <= start < chosen[0] + width - _BEFORE for start, _ in ranges)
        )
        begin = max(0, min(best[0] - _BEFORE, len(text) - width))
        space = text.find(" ", begin, best[0])
        if begin and space >= 0:
            begin = space + 1
    end = min(len(text), begin + width)
    space = text.rfind(" ", begin + width // 2, end)
    if end < len(text) and space > max((stop for start, stop in ranges if start < end), default=0):
        end = space
    return Snippet(
        field=field,
        text=text[begin:end],
        ranges=tuple(
            (max(start, begin) - begin, min(stop, end) - begin)
            for start, stop in ranges
            if start < end and stop > begin
        ),
        start=begin,
        cut_before=begin > 0,
        cut_after=end < len(text),
    )
