"""Sentences of a text in any script, with their places in it.

The rules are few and need no language: a stop of the script, what follows it, and a list of abbreviations. Where a
text leaves it open whether a sentence ends, it goes on: a pause too few is heard less than one in the middle of a name.
Stops and pauses are those that Unicode lists as Sentence_Terminal and Terminal_Punctuation
(https://www.unicode.org/Public/UCD/latest/ucd/PropList.txt) in scripts that some engine speaks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 400
"""Characters in one sentence at most, when a caller does not say."""

# A stop of the first kind ends a sentence before white space only, one of the second wherever it stands.
_SPACED = ".!?…"
_ALONE = "。｡．！？‼⁇⁈⁉।॥۔؟։።፧፨။។៕༎།෴᠃᠉᙮"
_OPENING = "\"'“‘«‹„‚(\\[{「『【〈《（［¿¡*_—–-"
_CLOSING = "\"'”’»›“)\\]}」』】〉》）］*_"

_LINE_END = "(?>\r\n|[\n\r\x85\u2028])"
_BLANK = "[^\\S\n\r\x85\u2028\u2029]*+"
_EMPTY_LINE = re.compile(rf"\u2029|{_LINE_END}{_BLANK}{_LINE_END}")
# Each alternative takes a run of characters whole and gives nothing back: hostile text takes no more than linear time.
_STOP = re.compile(
    rf"(?P<run>[{_SPACED}{_ALONE}]++)\ufe0f?(?P<closing>[{_CLOSING}]*+)"
    r"|(?<=[\u0370-\u03ff\u1f00-\u1fff])[;\u037e](?=\s|\Z)"  # the Greek question mark
    rf"|\u2029|{_LINE_END}{_BLANK}(?={_LINE_END})"
)
_INK = re.compile(r"\S")
_FOLLOWING = re.compile(rf"[\s{_OPENING}]*+(\S)")
_BEFORE = re.compile(rf"[^\s{_OPENING}]{{1,12}}\Z")
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")
_LETTER = re.compile(r"\s+[^\W\d_]\.")  # z. B.
_MONTH = re.compile(r"\s+(?:Jan|Feb|Mär|Apr|Mai|Jun|Jul|Aug|Sep|Okt|Nov|Dez|Jahrhundert)")
_CLAUSE = re.compile(r"[、，；：၊፣፤፥፦]|[,;:،؛·)\]–—…](?=\s)")
_SPACE = re.compile("[\\s፡\u200b]")  # ፡ and U+200B divide words where no space does

_ABBREVIATIONS = frozenset((
    "mr", "mrs", "ms", "dr", "prof", "jr", "sr", "st", "mt", "vs", "approx", "e.g", "i.e", "cf", "ca", "hr", "fr", "bzw",
    "ggf", "inkl", "evtl", "z.b", "d.h", "u.a", "o.ä", "sra", "srta", "dra", "p.ej", "ee.uu", "mme", "mlle", "mgr", "av",
    "ул", "г-н", "им", "т.е", "т.д", "т.п",
))  # fmt: skip
_BEFORE_NUMBERS = frozenset((
    "no", "nr", "nos", "fig", "figs", "vol", "p", "pp", "ch", "sec", "art", "abs", "abb", "kap", "bd", "núm", "pág", "cap",
    "tab", "eq", "ed", "см", "рис", "стр",
    "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "mär", "okt", "dez", "janv", "févr",
    "avr", "juil", "déc", "ene", "abr", "ago", "dic",
))  # fmt: skip
_NOT_ALONE = ("Mn", "Mc", "Me")  # marks that belong to the character before them
_THAI_BEFORE = "เแโใไເແໂໃໄ"  # Thai and Lao vowels that are written before their consonant


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A stretch of a text without the white space around it: `text == whole[start:end]`.

    `paragraph`: an empty line lies between it and what comes before.
    """

    text: str
    start: int
    end: int
    paragraph: bool


def sentences(text: str, longest: int = LONGEST) -> Iterator[Sentence]:
    """The sentences of a text, in order: lazily, in linear time, with no more memory than one of them takes.

    What is not white space comes out exactly once. No sentence has more than `longest` characters: a longer one is cut
    at the last pause that fits, else at a space, else between two characters. Raises ValueError for `longest` < 1.
    """
    if longest < 1:
        raise ValueError(f"a sentence has at least one character, not {longest}")
    return _sentences(text, longest)


def _sentences(text: str, longest: int) -> Iterator[Sentence]:
    begun = behind = 0  # where the next sentence may begin, and where the one before it ended
    for end in _ends(text):
        while ink := _INK.search(text, begun, end):
            start = ink.start()
            begun = end if end - start <= longest else _cut(text, start, start + longest)
            part = text[start:begun].rstrip()
            paragraph = _EMPTY_LINE.search(text, behind, start) is not None
            behind = start + len(part)
            yield Sentence(text=part, start=start, end=behind, paragraph=paragraph)
        begun = end


def _ends(text: str) -> Iterator[int]:
    start = 0
    for found in _STOP.finditer(text):
        if not _goes_on(text, start, found):
            start = found.end("run") if _opens(text, start, found) else found.end()
            yield start
    yield len(text)


def _opens(text: str, start: int, found: re.Match[str]) -> bool:
    """Whether a quotation mark that looks the same on both sides begins the next sentence, where no space tells."""
    mark = (found["closing"] or "")[:1]
    follows = text[found.end() : found.end() + 1]
    alone = bool(mark and follows) and mark in "\"'" and not follows.isspace()
    return alone and text.count(mark, start, found.start()) % 2 == 0


def _goes_on(text: str, start: int, found: re.Match[str]) -> bool:
    """Whether the sentence that began at `start` does not end with this stop."""
    run = found["run"]
    if run is None:
        return False
    end, closing = found.end(), found["closing"]
    next_to_it = text[end : end + 1]
    if next_to_it and not next_to_it.isspace():
        return (run == "．" and next_to_it.isdigit()) or not any(mark in _ALONE for mark in run)
    following = _FOLLOWING.match(text, end, end + 40)
    lower = following is not None and following[1].islower()
    if lower and closing:  # “Why?” he asked.
        return True
    if run.strip(".…"):
        return False
    if lower and _begins_large(text, start, found.start()):
        return True
    return run == "." and _abbreviates(text, start, found.start(), following)


def _begins_large(text: str, start: int, end: int) -> bool:
    """Whether the sentence's first letter is a capital, as far as its script has any: else small ones say nothing."""
    for character in text[start : min(end, start + 60)]:
        if character.isupper() or character.islower():
            return character.isupper()
    return True


def _abbreviates(text: str, start: int, stop: int, following: re.Match[str] | None) -> bool:
    """Whether the full stop at `stop` belongs to the word before it."""
    before = _BEFORE.search(text[max(start, stop - 12) : stop])
    if before is None or following is None:
        return False
    word = before[0]
    if word.lower() in _BEFORE_NUMBERS and following[1].isdigit():
        return True
    if len(word) == 1 and not word.isdigit():
        return word.isupper() or _LETTER.match(text, stop + 1, stop + 9) is not None
    if word.isdigit() and len(word) <= 2:
        ink = _INK.search(text, start, stop)
        numbered = ink is not None and ink.start() == stop - len(word)  # "1. First …"
        return numbered or _MONTH.match(text, stop + 1, stop + 20) is not None
    return word.lower() in _ABBREVIATIONS or (word[0].isupper() and _INITIALS.fullmatch(word) is not None)


def _cut(text: str, start: int, latest: int) -> int:
    """Where to cut a stretch that is too long: after `start`, at `latest` or before."""
    half = (start + latest + 1) // 2
    for pause, earliest in ((_CLAUSE, half), (_SPACE, half), (_SPACE, start + 1)):
        # One character more is looked at, so that a pause before a space that no longer fits is seen.
        cuts = [found.end() for found in pause.finditer(text, earliest, latest + 1) if found.end() <= latest]
        if cuts:
            return cuts[-1]
    cut = latest
    while cut > half and (unicodedata.category(text[cut]) in _NOT_ALONE or "\u200d" in text[cut - 1 : cut + 1]):
        cut -= 1
    return cut - 1 if text[cut - 1] in _THAI_BEFORE and cut - 1 > start else cut
