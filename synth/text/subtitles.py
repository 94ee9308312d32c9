"""Subtitles: timings as SubRip (SRT) and WebVTT.

WebVTT: https://www.w3.org/TR/webvtt1/ (sections are cited below). SRT has no standard; what is written here is what
https://en.wikipedia.org/wiki/SubRip describes and players read.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from voxledger.synth.errors import InvalidRequest

WIDTH = 42
"""Columns of a line at most; letters of East Asian scripts take two."""

LINES = 2
"""Lines shown at once at most."""

_JOINER = "\u2060"  # WORD JOINER: unseen, and keeps what stands on both sides of it from being read as markup
_PAUSE = tuple(",;:.!?…،؛؟۔।॥։።፧፣፤၊။។、，；：。！？｡")
_CLINGING = frozenset("、，；：。！？｡,.;:!?…)]}」』】〉》）］”’»›ーぁぃぅぇぉっゃゅょァィゥェォッャュョ々")
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, kw_only=True)
class Cue:
    """A text and when it is heard, in microseconds from the beginning."""

    start_us: int
    end_us: int
    text: str


def written(text: str | None, timing: str | None, format: Literal["srt", "vtt"]) -> str:
    """The subtitles of a clip on record: its text, and the places of what is said in text (characters) and sound (ms).

    Raises InvalidRequest when they were not kept.
    """
    if text is None or timing is None:
        raise InvalidRequest(
            "this clip has no subtitles: its text was not kept (general.store_text), its actor was erased, or it was"
            " made before times were recorded"
        )
    cues = [
        Cue(start_us=begins * 1000, end_us=ends * 1000, text=text[start:end])
        for start, end, begins, ends in json.loads(timing)
    ]
    return vtt(cues) if format == "vtt" else srt(cues)


def srt(cues: Iterable[Cue]) -> str:
    """The cues as SubRip, cut to fit the screen.

    SRT cannot escape anything: where a text has what players take for tags or for timings, a WORD JOINER breaks it.
    """
    blocks = []
    for number, cue in enumerate(fitted(cues), 1):
        text = re.sub(r"<(?=[/A-Za-z])|\{(?=[\\A-Za-z])|--(?=>)", lambda found: found[0] + _JOINER, cue.text)
        blocks.append(f"{number}\n{_clock(cue.start_us, ',')} --> {_clock(cue.end_us, ',')}\n{text}\n")
    return "\n".join(blocks)


def vtt(cues: Iterable[Cue]) -> str:
    """The cues as WebVTT, cut to fit the screen: section 4.1 for the file, 4.2.2 for what is escaped in a text."""
    blocks = ["WEBVTT\n"]
    for cue in fitted(cues):
        text = cue.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{_clock(cue.start_us, '.')} --> {_clock(cue.end_us, '.')}\n{text}\n")
    return "\n".join(blocks)


def fitted(cues: Iterable[Cue], *, width: int = WIDTH, lines: int = LINES) -> Iterator[Cue]:
    """The cues as they are shown: at most so many lines of so many columns, none overlapping, none without text.

    A longer one is cut at a pause where there is one and its time is shared out by characters. Times are whole
    milliseconds, and each cue ends after it starts, as section 4.1 of WebVTT demands; where two overlap, the later one
    begins when the earlier one ends. A cue without text that follows at once makes the one before it longer: it is more
    of the same speech.
    """
    behind = 0
    for cue in _joined(cues):
        shown = list(_screens(_tokens(cue.text, width), width, lines))
        letters = [max(1, sum(not letter.isspace() for letter in screen)) for screen in shown]
        whole, spoken = sum(letters), 0
        for screen, count in zip(shown, letters, strict=True):
            start = cue.start_us + (cue.end_us - cue.start_us) * spoken // whole
            spoken += count
            end = cue.start_us + (cue.end_us - cue.start_us) * spoken // whole
            first = max(start // 1000, behind)
            behind = max(end // 1000, first + 1)
            yield Cue(start_us=first * 1000, end_us=behind * 1000, text=screen)


def _joined(cues: Iterable[Cue]) -> Iterator[Cue]:
    waiting: Cue | None = None
    for cue in cues:
        if waiting and not cue.text.strip() and cue.start_us == waiting.end_us:
            waiting = replace(waiting, end_us=cue.end_us)
            continue
        if waiting:
            yield waiting
        waiting = cue
    if waiting:
        yield waiting


def _clock(moment_us: int, mark: str) -> str:
    """`HH:MM:SS.mmm`; the hours may have more than two digits (WebVTT, section 4.1: "two or more")."""
    seconds, milliseconds = divmod(max(0, moment_us) // 1000, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{mark}{milliseconds:03d}"


@lru_cache(4096)
def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


@dataclass(frozen=True)
class _Token:
    """What no line end may come into: a word, or one letter of a script without spaces. `space`: one comes before."""

    text: str
    columns: int
    space: bool

    @property
    def pauses(self) -> bool:
        return self.text.rstrip("\"'”’»›)]」』】》）").endswith(_PAUSE)


def _tokens(text: str, width: int) -> Iterator[_Token]:
    visible = "".join(
        character if character.isspace() or unicodedata.category(character) not in ("Cc", "Cs") else " "
        for character in text
    )
    for word in _WORD.finditer(visible):
        space = True
        for piece, columns in _pieces(word[0], width):
            yield _Token(piece, columns, space)
            space = False


def _pieces(word: str, width: int) -> Iterator[tuple[str, int]]:
    """A word whole; in scripts without spaces letter by letter, each with the marks that cling to it."""
    piece, taken, wide = "", 0, False
    for character in word:
        columns = _columns(character)
        clings = columns == 0 or character in _CLINGING
        if piece and (taken + columns > width or (not clings and (wide or columns == 2))):
            yield piece, taken
            piece, taken = "", 0
        piece += character
        taken += columns
        wide = columns == 2 or (wide and clings)
    if piece:
        yield piece, taken


def _screens(tokens: Iterable[_Token], width: int, lines: int) -> Iterator[str]:
    """Texts of at most so many lines each. What no longer fits is carried over from the last pause on."""
    waiting: list[_Token] = []
    for token in tokens:
        waiting.append(token)
        while len(_rows(waiting, width)) > lines:
            cut = _best_cut(waiting[:-1])
            yield _laid_out(waiting[:cut], width)
            waiting = waiting[cut:]
    if waiting:
        yield _laid_out(waiting, width)


def _best_cut(tokens: Sequence[_Token]) -> int:
    """How many of these tokens make a screen: up to the last pause in their second half, else all."""
    for place in range(len(tokens), len(tokens) // 2, -1):
        if tokens[place - 1].pauses:
            return place
    return len(tokens)


def _rows(tokens: Sequence[_Token], width: int) -> list[list[_Token]]:
    rows: list[list[_Token]] = []
    taken = 0
    for token in tokens:
        if rows and taken + token.space + token.columns <= width:
            rows[-1].append(token)
            taken += token.space + token.columns
        else:
            rows.append([token])
            taken = token.columns
    return rows


def _laid_out(tokens: Sequence[_Token], width: int) -> str:
    """The tokens in lines: two of about the same length, better after a pause than elsewhere."""
    rows = _rows(tokens, width)
    if len(rows) == 2:
        whole, above = sum(token.space + token.columns for token in tokens), 0
        least = float("inf")
        for place, token in enumerate(tokens[:-1], 1):
            above += token.space + token.columns
            uneven = abs(whole - 2 * above) - (width // 4 if token.pauses else 0)
            if max(above, whole - above) <= width and uneven < least:
                rows, least = [list(tokens[:place]), list(tokens[place:])], uneven
    return "\n".join(map(_row, rows))


def _row(tokens: Sequence[_Token]) -> str:
    return "".join((" " if token.space else "") + token.text for token in tokens).strip()
