"""Pieces: a text divided into what the engine is asked for one at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
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
class Piece:
    """The characters `start` to `end` of a text, how they are spoken, and the silence (s) before them."""

    text: str
    start: int
    end: int
    emotion: Emotion
    effective: Weights
    silence: float = 0.0
    alone: bool = False
    """Whether it is the whole text: then there is nothing that a later text could share with it."""


def pieces(passages: Sequence[Passage], emotion: Emotion, engine: Engine, *, speed: float = 1.0) -> Iterator[Piece]:
    """The passages in pieces, lazily: as a whole when the text is short and of one emotion, else sentence by sentence.

    A sentence is a piece of its own, whatever stands beside it: that is what makes changing one cost one. `speed` is the
    factor on the rate, which the silences between them follow.
    """
    if len(passages) == 1 and len(passages[0].text) <= SHORT:
        only = passages[0]
        mood = only.emotion or emotion
        yield Piece(
            text=only.text, start=only.start, end=only.end, emotion=mood, effective=engine.effective(mood), alone=True
        )
        return
    begun = False
    for passage in passages:
        mood = passage.emotion or emotion
        effective = engine.effective(mood)
        how = prosody.blend(effective)
        opens = True
        for sentence in sentences(passage.text, LONGEST):
            if not _SPEAKABLE.search(sentence.text):
                continue
            pause = prosody.pause(how, paragraph=sentence.paragraph or opens, speed=speed)
            yield Piece(
                text=sentence.text,
                start=passage.start + sentence.start,
                end=passage.start + sentence.end,
                emotion=mood,
                effective=effective,
                silence=round(pause, 3) if begun else 0.0,
            )
            begun, opens = True, False


def overall(passages: Iterable[Passage], emotion: Emotion, engine: Engine) -> tuple[Emotion, Weights]:
    """One emotion for a text of several: the mean by characters, and the mean of what the engine applies."""
    weighed = [(passage.emotion or emotion, len(passage.text)) for passage in passages]
    if all(mood == weighed[0][0] for mood, _ in weighed):
        return weighed[0][0], engine.effective(weighed[0][0])
    total = sum(length for _, length in weighed) or 1
    asked = _mean([(mood.scaled, length) for mood, length in weighed], total)
    effective = _mean([(engine.effective(mood), length) for mood, length in weighed], total)
    return Emotion(weights=asked), effective


def _mean(vectors: Sequence[tuple[Weights, int]], total: int) -> Weights:
    sums = [sum(vector[place] * length for vector, length in vectors) / total for place in range(len(vectors[0][0]))]
    return tuple(round(min(1.0, value), 6) for value in sums)  # type: ignore[return-value]  # as long as a vector
