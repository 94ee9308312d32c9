"""Marks: one emotion a line, written into the text. `[sad:0.6] I lost it.`

A mark stands at the beginning of a line: an emotion, or several joined by commas, each with a weight from 0 to 1 after
`:` or `=` or without one (then 1), or `neutral`. It holds for that line. A mark alone in its line holds for the lines
after it, up to the next mark or to the end of their paragraph. Lines without a mark have the emotion of the request.

Anything else in brackets is text like all other text, and so are XML, SSML and commands of engines: nothing of them is
interpreted. Only a bracket that names an emotion and spoils its weight is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from voxledger.catalog.events import EMOTIONS, NEUTRAL
from voxledger.synth.emotion import Emotion

_LINE_END = "\n\r\x85\u2028\u2029"
_LINE = re.compile(rf"[^{_LINE_END}]+|(?:\r\n|[{_LINE_END}])")
_MARK = re.compile(rf"[^\S{_LINE_END}]*+\[([^\[\]{_LINE_END}]{{1,200}})\]")
_NAMES = frozenset((*EMOTIONS, NEUTRAL))
_PLAIN = str.maketrans("：＝，、", ":=,,")  # as Chinese and Japanese keyboards write them


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A stretch of a text under one emotion, without the white space around it: `text == whole[start:end]`.

    `emotion` is None where no mark says anything: there the request's own holds.
    """

    text: str
    start: int
    end: int
    emotion: Emotion | None


def has_marks(text: str) -> bool:
    """Whether any line of the text begins with a mark, be its weights right or not."""
    return "[" in text and any(_parts(mark[1]) for _, _, mark in _lines(text) if mark)


def parse(text: str) -> tuple[Passage, ...]:
    """The text in passages, in order, without its marks; one passage where there are none, none where all is blank.

    Raises InvalidEmotion for a mark with a weight that is none, or that lies outside 0..1.
    """
    found = [(0, len(text), None)] if not has_marks(text) else _stretches(text)
    passages = []
    for first, last, emotion in found:
        piece = text[first:last]
        if stripped := piece.strip():
            start = first + len(piece) - len(piece.lstrip())
            passages.append(Passage(text=stripped, start=start, end=start + len(stripped), emotion=emotion))
    return tuple(passages)


def _stretches(text: str) -> list[tuple[int, int, Emotion | None]]:
    found: list[tuple[int, int, Emotion | None]] = []
    block: Emotion | None = None  # what a mark alone in its line has begun,
    begun = False  # and whether its paragraph has
    joins = False  # whether the next line goes on with the last stretch
    for first, last, bracket in _lines(text):
        parts = _parts(bracket[1]) if bracket else None
        if bracket and parts:
            emotion = Emotion.of(",".join(parts))
            own = not text[bracket.end() : last].strip()
            block, begun, joins = (emotion if own else None), False, False
            if not own:
                found.append((bracket.end(), last, emotion))
        elif not text[first:last].strip():
            if begun:
                block, begun, joins = None, False, False
        else:
            if joins:
                found[-1] = (found[-1][0], last, block)
            else:
                found.append((first, last, block))
            begun, joins = block is not None, True
    return found


def _lines(text: str) -> Iterator[tuple[int, int, re.Match[str] | None]]:
    """Each line's place, without its end, and the bracket that it begins with. An empty line comes as such."""
    ended = True  # nothing of the present line was seen yet
    for found in _LINE.finditer(text):
        is_end = found[0][0] in _LINE_END
        if not is_end:
            yield found.start(), found.end(), _MARK.match(text, found.start(), found.end())
        elif ended:
            yield found.start(), found.start(), None
        ended = is_end


def _parts(content: str) -> list[str] | None:
    """The emotions in a bracket as `name=weight`; None when it is no mark.

    It is one when each part names an emotion, or when one does and each part has a weight: then the others are typing
    errors that are better said than spoken.
    """
    parts = [part.strip() for part in content.translate(_PLAIN).split(",")]
    pairs = [re.split(r"\s*[:=]\s*", part, maxsplit=1) for part in parts]
    known = [pair[0].lower() in _NAMES for pair in pairs]
    if all(known) or (any(known) and all(len(pair) == 2 for pair in pairs)):
        return ["=".join(pair) for pair in pairs]
    return None
