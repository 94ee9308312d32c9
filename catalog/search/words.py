"""Words: how a text is cut into what the index holds, and how a query is read. Pure functions.

Scripts that set no spaces between words (Han, Kana, Thai, Lao, Khmer, Burmese) are cut into single characters, and a
word of a query is looked for as a phrase of them, so that words of one and two characters are found. Hangul too: Korean
hangs particles onto its words.

Case, accents, and the points of Arabic and Hebrew make no difference; nor do full-width forms and ligatures. All of
this is done here: the index's own tokenizer only splits at what is no letter or digit in ASCII, and knows no Unicode
table that might differ from Python's.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Mapping
from functools import cache, lru_cache
from hashlib import blake2b
from types import MappingProxyType
from typing import NamedTuple

from voxledger.catalog.errors import SearchError

LONGEST = 2000
"""Characters of a query."""
MOST_WORDS = 200
"""Words of a query, where each character of a script without spaces is one."""
SEPARATOR = "\u00a6"
"""Stands between tags in the index, so that no phrase reaches from one into the next; `fold` leaves none in a query."""

_SINGLE = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecf\u0edc-\u0edf"  # Thai, Lao
    "\u1000-\u103f\u1050-\u108f\u109a-\u109f\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f\u1780-\u17d3\u17dc\u17dd"  # Burmese, Khmer
    "\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\U0001b000-\U0001b16f"  # Kana
    "\u3105-\u312f\u31a0-\u31bf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Bopomofo, Han
    "\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7ff"  # Hangul
    "\u2600-\u27bf\U0001f300-\U0001faff"  # pictures
)
"""Each of these characters is a word of its own."""
_IGNORED = re.compile(
    "[\u00ad\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc"
    "\u06df-\u06e8\u06ea-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u200d\u2060\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\U000e0100-\U000e01ef]+"
)
"""Accents of alphabets and points of Arabic and Hebrew, and what is invisible. The signs of other scripts are letters."""
_STROKED = str.maketrans("\u0111\u00f8\u0142\u0127\u0167\u0131", "dolhti")
"""Letters with a stroke, which Unicode does not take apart."""
_HAS_STROKED = re.compile("[\u0111\u00f8\u0142\u0127\u0167\u0131]")
_ASCII_WORD = re.compile(r"[0-9a-z]+")
_PIECE = re.compile(
    r'(["\u201c\u201d])(?P<phrase>[^"\u201c\u201d]*)(?:["\u201c\u201d](?P<star>\*?)|\Z)|(?P<word>[^\s"\u201c\u201d]+)'
)
_PLAIN = re.compile(r"[0-9a-z]{1,32}")


class Term(NamedTuple):
    """Words that follow one another; with `prefix` the last one may go on."""

    words: tuple[str, ...]
    prefix: bool


class Located(NamedTuple):
    """The words of a text and where each of them stands in it: `text[start:end]`."""

    words: list[str]
    ranges: list[tuple[int, int]]


def fold(text: str) -> str:
    """A text with what makes no difference taken out: case, accents, compatibility forms."""
    if text.isascii():
        return text.lower()
    bare = _IGNORED.sub("", unicodedata.normalize("NFKD", text)).casefold()
    if _HAS_STROKED.search(bare):
        bare = bare.translate(_STROKED)
    return unicodedata.normalize("NFKC", bare)


def words(text: str) -> list[str]:
    """The words of a text, folded and in order."""
    folded = fold(text)
    found: list[str] = (_ASCII_WORD if folded.isascii() else _word()).findall(folded)
    return found


def indexed(text: str) -> str:
    """What the index is given of a text: its words between spaces. ASCII stays as it is, its tokenizer sees the same."""
    return text if text.isascii() else " ".join(words(text))


def located(text: str) -> Located:
    """The words of a text with their places, for marking what was found. Slower than `words`."""
    if text.isascii():
        matches = list(_ASCII_WORD.finditer(text.lower()))
        return Located([match[0] for match in matches], [match.span() for match in matches])
    folded, offsets, starts, ends = [], [], [], []
    size = 0
    for cluster in _cluster().finditer(text):
        part = _fold_cluster(cluster[0])
        if part:
            folded.append(part)
            offsets.append(size)
            starts.append(cluster.start())
            ends.append(cluster.end())
            size += len(part)
    found, ranges = [], []
    for match in _word().finditer("".join(folded)):
        found.append(match[0])
        ranges.append(
            (starts[bisect_right(offsets, match.start()) - 1], ends[bisect_right(offsets, match.end() - 1) - 1])
        )
    return Located(found, ranges)


def parse(query: str) -> tuple[Term, ...]:
    """What a query asks for: all of these terms, anywhere.

    Words stand for themselves, whatever signs are around them; `"several words"` follow one another; `begin*` finds
    what begins so. Raises SearchError when there is no word in it, or too much.
    """
    if len(query) > LONGEST:
        raise SearchError(f"a search has at most {LONGEST:,} characters, this one {len(query):,}")
    terms: dict[Term, None] = {}  # a word said twice is looked for once
    for piece in _PIECE.finditer(query):
        text = piece["word"] if piece["phrase"] is None else piece["phrase"]
        found = tuple(words(text))
        if found:
            star = bool(piece["star"]) if piece["word"] is None else text.endswith("*")
            terms[Term(found, prefix=star and _can_go_on(found[-1]))] = None
    if not terms:
        raise SearchError(f"there is no word to look for in {query[:40]!r}; a word has letters or digits")
    count = sum(len(term.words) for term in terms)
    if count > MOST_WORDS:
        raise SearchError(f"a search has at most {MOST_WORDS} words, this one {count:,}")
    return tuple(terms)


def expression(
    terms: tuple[Term, ...], facets: tuple[str, ...] = (), endings: Mapping[str, tuple[str, ...]] = MappingProxyType({})
) -> str:
    """The query in FTS5's language: every word quoted, so that none is an operator. `endings` are the words that begin like the last
    one of a term that may go on, where they are known.
    """
    asked = " AND ".join(_asked(term, endings.get(term.words[-1], ()) if term.prefix else ()) for term in terms)
    told = "".join(f' AND facets : "{token}"' for token in facets)
    return f"{{name tags text}} : ({asked}){told}"


def _asked(term: Term, endings: tuple[str, ...]) -> str:
    if not endings:
        return f'"{" ".join(term.words)}"{" *" if term.prefix else ""}'
    before = " ".join((*term.words[:-1], ""))
    return "(" + " OR ".join(f'"{before}{word}"' for word in endings) + ")"


def facet(kind: str, value: str) -> str:
    """One word for a fact about a clip, such as its emotion. `kind` is one letter; what is no plain word is hashed."""
    value = value.casefold()
    if _PLAIN.fullmatch(value):
        return f"{kind}{value}"
    return kind + blake2b(value.encode(errors="replace"), digest_size=8).hexdigest()


def _can_go_on(word: str) -> bool:
    """Whether a star after this word means anything. Raises SearchError for a single letter: too many words begin so."""
    if len(word) > 1:
        return True
    if re.match(f"[{_SINGLE}]", word):
        return False  # a word of its own already
    raise SearchError(f"{word}* begins too many words; write at least two letters before the star")


@lru_cache(maxsize=8192)
def _fold_cluster(cluster: str) -> str:
    return fold(cluster)


@cache
def _marks() -> str:
    """All combining marks, as ranges of a character class; with them the half-width marks of Katakana, letters by name."""
    marks = [code for code in range(0x300, 0x20000) if unicodedata.category(chr(code))[0] == "M"]
    return _ranges([*marks, 0xFF9E, 0xFF9F, *range(0xE0100, 0xE01F0)])


@cache
def _word() -> re.Pattern[str]:
    """One word of a folded text."""
    single = re.compile(f"[{_SINGLE}]")
    letters = [
        code
        for code in range(0x30, 0x20000)
        if unicodedata.category(chr(code))[0] in "LNM" and not single.match(chr(code))
    ]
    return re.compile(f"[{_SINGLE}]|[{_ranges(letters)}]+")


@cache
def _cluster() -> re.Pattern[str]:
    """A character with the marks on it, or the parts of one Hangul syllable."""
    return re.compile(f"[\u1100-\u115f]+[\u1160-\u11a7]*[\u11a8-\u11ff]*[{_marks()}]*|.[{_marks()}]*", re.DOTALL)


def _ranges(codes: list[int]) -> str:
    """Character codes, sorted, as the inside of a character class."""
    runs: list[list[int]] = []
    for code in codes:
        if runs and code == runs[-1][1] + 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in runs)
