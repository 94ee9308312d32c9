"""What eSpeak NG is given to read: nothing that it would take for a command, and Japanese in kana."""

from __future__ import annotations

import importlib
import re
import threading
import unicodedata
from functools import cache, lru_cache
from typing import Any

from voxledger.synth.errors import NotSupported

_CLOSING = "\"'”’»›)\\]】』」）》〉"
_QUESTION = {"。": "？", "।": "?", "۔": "؟", "፡": "፧", "።": "፧", "։": "՞"}

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_PARTICLES = {"は": "ワ", "へ": "エ", "を": "オ"}  # written as ha, he, wo; said as wa, e, o
_JAPANESE = threading.Lock()


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
