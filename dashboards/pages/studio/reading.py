"""Reading: what will become of a text and an emotion before anybody has spoken it, told by the code that speaks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from voxledger.catalog.access.estimate import audio_us
from voxledger.catalog.errors import VoxledgerError
from voxledger.dashboards.faults import meaning
from voxledger.synth.emotion import Emotion, Weights
from voxledger.synth.errors import InvalidEmotion
from voxledger.synth.studio.pieces import Mood, overall
from voxledger.synth.text import Passage, parse
from voxledger.synth.text.language import detect, match, normalize

if TYPE_CHECKING:
    from voxledger.dashboards.api.making import Making

SHOWN = 50
"""Passages that are told one by one."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why it cannot be spoken like this, and what to do; `about` is the part of the page that it stands at."""

    about: str
    message: str
    remedy: str


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A passage under a mark: the line (from 1) where the mark stands, and its weights, asked and applied."""

    line: int
    asked: dict[str, float]
    applied: Weights | None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A text as it will be spoken. `asked` are the weights times the strength, `applied` what the engine makes of them."""

    seconds: float
    guessed: str
    spoken: str | None
    asked: Weights
    applied: Weights | None
    marks: Sequence[Told] = ()
    more_marks: int = 0
    whole: Weights | None = None
    """The mean that is recorded for the clip, where marks make it another one than `applied`."""
    faults: Sequence[Fault] = ()


def read(wanted: Making, languages: Sequence[str], effective: Callable[[Emotion], Weights]) -> Reading:
    """What will become of what is asked for. `languages` are the engine's, `effective` is what it makes of an emotion.

    Raises InvalidEmotion for weights that cannot be; what is wrong with the text is among the faults.
    """
    faults: list[Fault] = []
    emotion = Emotion.of(wanted.emotion, strength=wanted.emotion_strength)
    passages: Sequence[Passage] = [Passage(text=wanted.text, start=0, end=len(wanted.text), emotion=None)]
    if wanted.marks and wanted.text.strip():
        try:
            passages = parse(wanted.text)
        except InvalidEmotion as error:
            faults.append(fault("text", error))
    applied: dict[Emotion, Weights | None] = {}
    for one in dict.fromkeys((emotion, *(passage.emotion or emotion for passage in passages))):
        try:
            applied[one] = effective(one)
        except VoxledgerError as error:
            applied[one] = None
            faults.append(fault("engine", error))
            break
    guessed = detect(wanted.text)
    spoken = _spoken(wanted.language or guessed, languages, faults)
    said = "\n".join(passage.text for passage in passages)
    marked = [passage for passage in passages if passage.emotion is not None]
    moods = [_mood(passage, emotion, applied) for passage in passages]
    return Reading(
        seconds=audio_us(said, wanted.speed) / 1e6 if said.strip() else 0.0,
        guessed=guessed,
        spoken=spoken,
        asked=emotion.scaled,
        applied=applied.get(emotion),
        marks=[_told(passage, wanted.text, applied) for passage in marked[:SHOWN]],
        more_marks=max(0, len(marked) - SHOWN),
        whole=overall(passages, moods)[1] if marked and all(applied.get(mood.emotion) for mood in moods) else None,
        faults=faults,
    )


def _mood(passage: Passage, emotion: Emotion, applied: dict[Emotion, Weights | None]) -> Mood:
    one = passage.emotion or emotion
    return Mood(emotion=one, effective=applied.get(one) or one.scaled, marked=passage.emotion is not None)


def _told(passage: Passage, text: str, applied: dict[Emotion, Weights | None]) -> Told:
    assert passage.emotion is not None
    return Told(
        line=text.count("\n", 0, passage.start) + 1,
        asked=passage.emotion.as_dict(),
        applied=applied.get(passage.emotion),
    )


def _spoken(language: str, languages: Sequence[str], faults: list[Fault]) -> str | None:
    """The engine's tag for a language; None where it has none, and then that is among the faults."""
    try:
        return match(normalize(language), languages) if languages else None
    except VoxledgerError as error:
        faults.append(fault("language", error))
        return None


def fault(about: str, error: VoxledgerError) -> Fault:
    """An error as the page tells it."""
    told = meaning(error)
    return Fault(about=about, message=str(told), remedy=told.remedy)
