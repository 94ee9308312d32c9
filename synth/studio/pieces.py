"""Pieces: a text divided into what the engine is asked for one at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voxledger.synth import prosody
from voxledger.synth.emotion import Emotion, Weights
from voxledger.synth.engines.base import Engine
from voxledger.synth.text import Passage, sentences

SHORT = 400
"""Characters up to which a text of one emotion is one piece, so that the engine itself sees what belongs together."""
LONGEST = 300
"""Most characters of a sentence that is spoken alone; longer ones are cut at a pause."""
_SPEAKABLE = re.compile(r"\w")


@dataclass(frozen=True, kw_only=True)
class Mood:
    """How a passage is spoken: the emotion asked for, and what the engine makes of it."""

    emotion: Emotion
    effective: Weights
    marked: bool = False
    """Whether a mark in the text says so: it takes the place of all that the request says of an emotion."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """The characters `start` to `end` of a text, how they are spoken, and the silence (s) before them."""

    text: str
    start: int
    end: int
    emotion: Emotion
    effective: Weights
    marked: bool = False
    """Whether its emotion is that of a mark: then no recording's and no description's counts."""
    silence: float = 0.0
    alone: bool = False
    """Whether it is the whole text: then there is nothing that a later text could share with it."""


def moods(passages: Sequence[Passage], emotion: Emotion, engine: Engine) -> tuple[Mood, ...]:
    """The mood of each passage; `emotion` where no mark says anything. The engine is asked once for each emotion."""
    asked = [passage.emotion or emotion for passage in passages]
    effective = {one: engine.effective(one) for one in dict.fromkeys(asked)}
    return tuple(
        Mood(emotion=one, effective=effective[one], marked=passage.emotion is not None)
        for one, passage in zip(asked, passages, strict=True)
    )


def pieces(passages: Sequence[Passage], spoken: Sequence[Mood], *, speed: float = 1.0) -> Iterator[Piece]:
    """The passages in pieces, lazily: as a whole when the text is short and of one emotion, else sentence by sentence.

    A sentence is a piece of its own, whatever stands beside it: that is what makes changing one cost one. `spoken` has the
    mood of each passage; `speed` is the factor on the rate, which the silences between them follow.
    """
    if len(passages) == 1 and len(passages[0].text) <= SHORT:
        yield _piece(passages[0].text, passages[0].start, spoken[0], alone=True)
        return
    begun = False
    for passage, mood in zip(passages, spoken, strict=True):
        how = prosody.blend(mood.effective)
        opens = True
        for sentence in sentences(passage.text, LONGEST):
            if not _SPEAKABLE.search(sentence.text):
                continue
            pause = prosody.pause(how, paragraph=sentence.paragraph or opens, speed=speed)
            yield _piece(sentence.text, passage.start + sentence.start, mood, silence=round(pause, 3) if begun else 0.0)
            begun, opens = True, False


def _piece(text: str, start: int, mood: Mood, *, silence: float = 0.0, alone: bool = False) -> Piece:
    return Piece(
        text=text,
        start=start,
        end=start + len(text),
        emotion=mood.emotion,
        effective=mood.effective,
        marked=mood.marked,
        silence=silence,
        alone=alone,
    )


def overall(passages: Sequence[Passage], spoken: Sequence[Mood]) -> tuple[Emotion, Weights]:
    """One emotion for a text of several: the mean by characters, and the mean of what the engine applies."""
    if all(mood.emotion == spoken[0].emotion for mood in spoken):
        return spoken[0].emotion, spoken[0].effective
    lengths = [len(passage.text) for passage in passages]
    asked = _mean([mood.emotion.scaled for mood in spoken], lengths)
    return Emotion(weights=asked), _mean([mood.effective for mood in spoken], lengths)


def _mean(vectors: Sequence[Weights], lengths: Sequence[int]) -> Weights:
    total = sum(lengths) or 1
    sums = [
        sum(vector[place] * length for vector, length in zip(vectors, lengths, strict=True)) / total
        for place in range(len(vectors[0]))
    ]
    return tuple(round(min(1.0, value), 6) for value in sums)  # type: ignore[return-value]  # as long as a vector
