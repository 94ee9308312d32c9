"""Marks: one emotion a line, written into the text. `[sad:0.6] I lost it.`

A mark stands at the beginning of a line: an emotion, or several joined by commas, each with a weight from 0 to 1 after
`:` or `=` or without one (then 1), or `neutral`. It holds for that line. A mark alone in its line holds for the lines
after it, up to the next mark or to the end of their paragraph. Lines without a mark have the emotion of the request.

Anything else in brackets is text like all other text, and so are XML, SSML and commands of engines: nothing of them is
interpreted. Only a bracket that is a mark but for a slip (`[sad:0,6]`, `[sad 0.6]`, `[sadd:0.6]`) is an error: it would be
spoken otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from voxledger.catalog.events import EMOTIONS, NEUTRAL
from voxledger.synth.emotion import Emotion
from voxledger.synth.errors import InvalidEmotion

_LINE_END = "\n\r\x85\u2028\u2029"
_LINE = re.compile(rf"[^{_LINE_END}]+|(?:\r\n|[{_LINE_END}])")
_MARK = re.compile(rf"[^\S{_LINE_END}]*+\[([^\[\]{_LINE_END}]{{1,200}})\]")
_NAMES = frozenset((*EMOTIONS, NEUTRAL))
_PART = re.compile(r"(?P<name>[^\W\d_]+)(?:\s*[:=]\s*(?P<weight>.*)|\s+(?P<beside>[01]|[01]?\.\d+))?")
_WEIGHT = re.compile(r"(?:0|1|[01]?\.\d+)", re.ASCII)
_NEAR = 0.75
"""How much of a word must be that of an emotion's name to be taken for one with a typing error."""
_ADVICE = "write it as [sad:0.6, calm:0.2], or speak the text as it stands with marks off (--no-marks)"
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
    return "[" in text and any(_is_mark(_parts(mark[1])) for _, _, mark in _lines(text) if mark)


def parse(text: str) -> tuple[Passage, ...]:
    """The text in passages, in order, without its marks; one passage where there are none, none where all is blank.

    Raises InvalidEmotion for a mark with a slip in it: a weight that is none or lies outside 0..1, an emotion that stands
    twice or is misspelt, another separator than a comma, or a second bracket.
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
        parts = _parts(bracket[1]) if bracket else []
        if bracket and _is_mark(parts):
            emotion = _emotion(bracket, parts)
            if (second := _MARK.match(text, bracket.end(), last)) and _is_mark(_parts(second[1])):
                raise InvalidEmotion(f"{bracket[0].strip()}{second[0].strip()} are two marks in one line: {_ADVICE}")
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


def _parts(content: str) -> list[str]:
    return [part.strip() for part in re.split("[,;]", content.translate(_PLAIN))]


def _is_mark(parts: list[str]) -> bool:
    """Whether the parts of a bracket are a mark, be it one with a slip in it.

    They are when each names an emotion, when one does and each has a weight, or when each has a good weight and a name that
    is nearly an emotion's: then the rest are typing errors that are better said than spoken. Where no name is right, one
    weight must have a decimal point: `[call:1]` is a call, and `[said:1]` a note.
    """
    filled = [part for part in parts if part]
    pairs = [_PART.fullmatch(part) for part in filled]
    if not pairs or pairs[0] is None:
        return False
    known = [pair is not None and pair["name"].lower() in _NAMES for pair in pairs]
    weighed = [pair is not None and (pair["weight"] is not None or pair["beside"] is not None) for pair in pairs]
    # A decimal comma leaves a number alone behind a whole weight.
    alone = [
        place > 0 and part.isdecimal() and (before := pairs[place - 1]) is not None and before["weight"] in ("0", "1")
        for place, part in enumerate(filled)
    ]
    if all(known) or (any(known) and all(map(any, zip(weighed, alone, strict=True)))):
        return True
    weights = [(pair["weight"] or "") if pair is not None else "" for pair in pairs]
    if not all(_WEIGHT.fullmatch(weight) for weight in weights) or not any("." in weight for weight in weights):
        return False
    return all(pair and get_close_matches(pair["name"].lower(), _NAMES, cutoff=_NEAR) for pair in pairs)


def _emotion(bracket: re.Match[str], parts: list[str]) -> Emotion:
    mark, read = bracket[0].strip(), [_PART.fullmatch(part) for part in parts]
    if any(found is None or found["beside"] is not None for found in read) or ";" in mark:
        raise InvalidEmotion(f"{mark} is nearly a mark: {_ADVICE}")
    names = [found["name"].lower() for found in read if found]
    if len(names) > 1 and NEUTRAL in names:
        raise InvalidEmotion(f"{mark} is {NEUTRAL} and something else at once: {_ADVICE}")
    try:
        return Emotion.of(",".join(parts).lower())
    except InvalidEmotion as error:
        raise InvalidEmotion(f"in the mark {mark}: {error}") from None
