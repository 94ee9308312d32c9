"""How texts are cut into words, and how queries are read."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from voxledger.catalog.errors import SearchError
from voxledger.catalog.search.words import SEPARATOR, Term, expression, facet, fold, indexed, located, parse, words

_CASES = Path(__file__).resolve().parents[4] / "shared" / "data" / "indextts" / "cases.jsonl"
_CJK = st.text(
    st.sampled_from(
        "翻訳ツールのおかげで外国サイトもよく見るようになった这个呀就是我们精心制作准备的纪念品한국어를배웠습니다학교がぱ々〇𠀀"
    ),
    min_size=1,
    max_size=30,
)
_LATIN = st.text(st.characters(categories=["Lu", "Ll", "Nd"], max_codepoint=0x24F), min_size=2, max_size=12)


class Searched:
    """Texts in an index of SQLite's own, as the real one is made."""

    def __init__(self, *texts: str) -> None:
        self.connection = sqlite3.connect(":memory:")
        self.connection.execute(
            "CREATE VIRTUAL TABLE words USING fts5 (name, tags, text, facets, content = '', tokenize = 'ascii')"
        )
        for rowid, text in enumerate(texts):
            self.connection.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (rowid, indexed(text)))

    def find(self, query: str) -> list[int]:
        asked = expression(parse(query))
        found = self.connection.execute("SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid", (asked,))
        return [rowid for (rowid,) in found]


@given(before=_CJK, middle=_CJK, after=_CJK)
def test_any_part_of_a_text_without_spaces_is_found(before: str, middle: str, after: str) -> None:
    assert Searched(before + middle + after).find(middle) == [0]


@given(word=_LATIN, before=_CJK, after=_CJK)
def test_a_foreign_word_within_a_text_without_spaces_is_found(word: str, before: str, after: str) -> None:
    assert Searched(before + word + after).find(word) == [0]


@given(word=_LATIN)
def test_case_and_accents_make_no_difference(word: str) -> None:
    assume(words(word))
    for other in (word.upper(), word.lower(), fold(word)):
        assume(fold(other) == fold(word))  # `ŉ` in capitals are two letters, and a few more are like it
        assert Searched(word).find(other) == [0]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("Łódź und Straße", "lodz STRASSE"),
        ("En la actualidad se continúa", "continua"),
        ("Đây là tiếng Việt", "day la tieng viet"),
        ("فكلُّها خياراتٌ اتَّخذتَها", "فكلها خيارات"),
        ("שָׁלוֹם", "שלום"),
        ("नमस्ते दुनिया", "नमस्ते"),
        ("สวัสดีครับ", "ดี"),
        ("ភាសាខ្មែរ", "ខ្មែរ"),
        ("ΟΔΥΣΣΕΎΣ", "οδυσσευς"),
        ("Ёлка", "елка"),
        ("ＡＢＣ ｶﾞｷﾞ", "abc ガギ"),
        ("한국어를 배웠습니다", "한국어"),
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8", "한국"),  # taken apart, as macOS names files
        ("fine 😀 day", "😀"),
        ("don’t", "don’t"),
        ("chapter_01-tide.wav", "chapter 01"),
    ],
)
def test_words_of_many_scripts_are_found(text: str, query: str) -> None:
    assert Searched(text, "").find(query) == [0]


@pytest.mark.parametrize(("text", "query"), [("がく", "かく"), ("ใหม่", "ใหม้"), ("हिंदी", "हद")])
def test_signs_that_make_another_word_count(text: str, query: str) -> None:
    assert Searched(text).find(query) == []


@pytest.mark.skipif(not _CASES.exists(), reason="the sentences are not part of the project")
def test_real_sentences_are_found_by_each_of_their_words() -> None:
    texts = [json.loads(line)["text"] for line in _CASES.read_text().splitlines()]
    searched = Searched(*texts)
    for number, text in enumerate(texts):
        assert number in searched.find(f'"{text}"')
        for word in words(text):
            assert number in searched.find(word)
        found = located(text)
        assert found.words == words(text)
        assert all(words(text[start:end])[0] in found.words for start, end in found.ranges)
    assert [texts[number][:2] for number in searched.find("纪念")] == ["这个"]


@given(query=st.text(max_size=60))
def test_no_query_is_a_syntax_error(query: str) -> None:
    try:
        asked = parse(query)
    except SearchError:
        return
    Searched("one text").connection.execute(
        "SELECT rowid FROM words WHERE words MATCH ?", (expression(asked),)
    ).fetchall()


@given(
    text=st.text(
        st.characters(categories=["L", "N", "P", "Zs"], max_codepoint=0x2FFF, exclude_characters="\u1100\u3131"),
        max_size=60,
    )
)
def test_the_index_sees_the_words_that_python_sees(text: str) -> None:
    searched = Searched(text)
    searched.connection.execute("CREATE VIRTUAL TABLE seen USING fts5vocab (words, instance)")
    seen = searched.connection.execute("SELECT term FROM seen ORDER BY offset").fetchall()
    assert [term for (term,) in seen] == words(text)


@pytest.mark.parametrize(
    "query",
    [
        "tide AND",
        "NEAR(tide, 2)",
        "name:tide",
        "-tide",
        "tide OR calm",
        '"tide',
        "{tide}",
        "^tide",
        "(tide",
        "*tide",
        "tide\0",
    ],
)
def test_operators_are_words(query: str) -> None:
    others = " ".join(words(query))
    assert Searched("tide", f"x {others} y").find(query)[-1:] == [1]


def test_words_in_quotes_follow_one_another() -> None:
    searched = Searched("the tide is turning", "turning is the tide")
    assert searched.find("tide turning") == [0, 1]
    assert searched.find('"tide is turning"') == [0]
    assert searched.find("“tide is turning”") == [0]


def test_a_star_finds_what_begins_so() -> None:
    searched = Searched("chapter one", "chapters two", "chop")
    assert searched.find("chap*") == [0, 1]
    assert searched.find('"chapter on"*') == [0]
    assert searched.find("chap") == []
    assert parse("纪*") == (Term(("纪",), prefix=False),)


@pytest.mark.parametrize("query", ["", "   ", "...", "\0", "*", '""', "¡¿", "\ud800", SEPARATOR])
def test_a_query_without_words_says_so(query: str) -> None:
    with pytest.raises(SearchError, match="no word"):
        parse(query)


@pytest.mark.parametrize(
    ("query", "why"), [("word " * 2000, "2,000 characters"), ("纪" * 201, "200 words"), ("a*", "two letters")]
)
def test_a_query_that_asks_too_much_says_so(query: str, why: str) -> None:
    with pytest.raises(SearchError, match=why):
        parse(query)


def test_a_word_said_twice_is_looked_for_once() -> None:
    assert parse("Tide tide TIDE") == (Term(("tide",), prefix=False),)


def test_facets_are_one_word_each() -> None:
    for value in ("sad", "zh-CN", "Ann's voice", "", "\ud800", "x" * 100):
        assert facet("v", value).isalnum()
    assert facet("l", "EN") == facet("l", "en")
    assert facet("v", "ann b") != facet("v", "ann c")
