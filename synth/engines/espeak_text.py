"""What eSpeak NG is given to read: sentences, without what it would take for commands, and Japanese in kana."""

from __future__ import annotations

import importlib
import re
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from voxledger.synth.errors import NotSupported

LONGEST = 400
"""Characters in one sentence at most: longer ones are cut at a pause or a space, so that memory stays flat."""

_CLOSING = "\"'”’»›)\\]】』」）》〉"
# A stop of an unspaced script ends a sentence by itself, others only before a space; an empty line ends one always.
_END = re.compile(rf"[。！？｡]+[{_CLOSING}]*|[.!?…؟۔।॥։።፧]+[{_CLOSING}]*(?=\s|$)|\n[^\S\n]*(?=\n)")
_PAUSE = re.compile(r"[,;:،؛、，；：)\]]\s*|\s")

# A full stop after these, or after a single capital, ends an abbreviation and most likely no sentence.
_ABBREVIATIONS = frozenset(
    [
        *("mr", "mrs", "ms", "dr", "prof", "jr", "st", "mt", "vs", "no", "fig", "vol", "pp", "approx", "e.g", "i.e"),
        *("nr", "bzw", "usw", "ggf", "inkl", "evtl", "hr", "abs", "z.b", "d.h", "u.a", "ca"),
        *("sr", "sra", "srta", "pág", "núm", "p.ej", "mme", "mlle", "mgr", "art", "cf"),
    ]
)
_QUESTION = {"。": "？", "।": "?", "۔": "؟", "፡": "፧", "።": "፧", "։": "՞"}

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_PARTICLES = {"は": "ワ", "へ": "エ", "を": "オ"}  # written as ha, he, wo; said as wa, e, o
_JAPANESE = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A stretch of the text, without the space around it. `paragraph`: an empty line comes before it."""

    text: str
    paragraph: bool


def sentences(text: str) -> Iterator[Sentence]:
    """The text in sentences, for all scripts. Lazy; what is not white space comes out once and in order."""
    start, paragraph = 0, False
    for end in _ends(text):
        piece = text[start:end]
        for part in _parts(piece.strip()):
            yield Sentence(text=part, paragraph=paragraph)
            paragraph = False
        paragraph = paragraph or piece.endswith("\n") or "\n\n" in piece
        start = end


def _ends(text: str) -> Iterator[int]:
    for found in _END.finditer(text):
        if not _abbreviated(text, found):
            yield found.end()
    yield len(text)


def _abbreviated(text: str, found: re.Match[str]) -> bool:
    if found.group() != ".":
        return False
    before = re.search(r"[^\s(\"'“‘«]{1,12}\Z", text[max(0, found.start() - 12) : found.start()])
    if before is None:
        return False
    word = before.group()
    if (len(word) == 1 and word.isupper()) or word.lower() in _ABBREVIATIONS:
        return True
    after = re.match(r"\s*(\S)", text[found.end() : found.end() + 40])
    return after is not None and after.group(1).islower()


def _parts(piece: str) -> Iterator[str]:
    start = 0
    while len(piece) - start > LONGEST:
        latest = start + LONGEST
        cut = max((found.end() for found in _PAUSE.finditer(piece, start + LONGEST // 2, latest)), default=latest)
        if part := piece[start:cut].strip():
            yield part
        start = cut
    if part := piece[start:].strip():
        yield part


def speakable(text: str) -> bool:
    """Whether there is any letter, digit or symbol in it. Of bare punctuation eSpeak would name some marks, "!" say."""
    return any(character in "#%&@" or unicodedata.category(character)[0] in "LNS" for character in text)


def plain(text: str) -> str:
    """The text with nothing in it that eSpeak would not read as text.

    U+0001 begins an embedded command ("\\x01+50P" raises the pitch), so control characters become spaces; so do
    unassigned and private characters, which no voice can read. Enclosed letters (ⓜ) become the letters: some languages
    crash on them.
    """
    return "".join(map(_plain, text))


@lru_cache(4096)
def _plain(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Cn", "Co", "Cs"):
        return " "
    return unicodedata.normalize("NFKC", character) if "\u2460" <= character <= "\u24ff" else character


def questioning(text: str) -> str:
    """The same sentence with a question mark of its script for its full stop: eSpeak then ends it with a rise."""
    body = text.rstrip(_CLOSING + " ")
    closing = text[len(body) :]
    if body.endswith(("?", "？", "؟")):
        return text
    stripped = body.rstrip(".!。！…।۔።։")
    return f"{stripped}{_QUESTION.get(body[len(stripped) :][:1], '?')}{closing}"


def kana(text: str) -> str:
    """Japanese as it is said, in kana, with spaces after the particles.

    eSpeak says "Chinese letter", in English, for every kanji. The readings come from SudachiPy, from PyPI
    (https://github.com/WorksApplications/SudachiPy); which of several readings a name or a lone word has is its best
    guess. Raises NotSupported where there are kanji and SudachiPy is not installed; without kanji, and without it, the
    text comes back as it is.
    """
    tokenizer = _tokenizer()
    if tokenizer is None:
        if _HAN.search(text):
            raise NotSupported(
                "eSpeak NG cannot read kanji (it says 'Chinese letter' for each): pip install 'voxledger[synth]', write "
                "kana, or use another engine",
                feature="kanji",
            )
        return text
    said = []
    with _JAPANESE:  # a tokenizer has working memory of its own
        for word in tokenizer.tokenize(text):
            written = str(word.surface())
            particle = word.part_of_speech()[0] == "助詞"
            if particle:
                said.append(_PARTICLES.get(written, written) + " ")
            else:
                said.append(str(word.reading_form()) if _HAN.search(written) else written)
    return "".join(said)


@cache
def _tokenizer() -> Any | None:
    try:
        sudachi = importlib.import_module("sudachipy")
        return sudachi.Dictionary(dict="small").tokenizer()
    except ImportError:
        return None
