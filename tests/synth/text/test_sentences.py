"""Sentences: where they end in each script, where they stand in the text, and what long and hostile texts cost."""

from __future__ import annotations

import itertools
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxledger.synth.text import LONGEST, sentences

PIECES = st.sampled_from(
    [
        *".!?…。！？।۔።։;,، \n\t\r\u2029\u0085\u3000\u200b\u200d", "...", "\r\n", "\n\n", "Dr.", "3.5", "e.g.", "”", "“",
        "word", "เมือง", "你好", "नमस्ते", "https://a.b/c?d=1", "🙂", "e\u0301",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=120).map("".join))


def split(text: str, longest: int = LONGEST) -> list[str]:
    return [sentence.text for sentence in sentences(text, longest)]


@given(TEXTS, st.integers(1, 60))
def test_all_of_the_text_comes_out_once_and_where_it_stands(text: str, longest: int) -> None:
    found = list(sentences(text, longest))
    assert "".join("".join(one.text for one in found).split()) == "".join(text.split())
    assert all(text[one.start : one.end] == one.text == one.text.strip() != "" for one in found)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    assert all(len(one.text) <= longest for one in found)


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("English", "One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("quotes", "“Is it you?” she asked. “Yes.” He left.", ["“Is it you?” she asked.", "“Yes.”", "He left."]),
        (
            "French",
            "Tu viens ? Oui, dit-il. «\u00a0Enfin !\u00a0»",
            ["Tu viens ?", "Oui, dit-il.", "«\u00a0Enfin !", "»"],
        ),
        ("Spanish", "¿Qué tal? ¡Bien! El Sr. Ruiz espera.", ["¿Qué tal?", "¡Bien!", "El Sr. Ruiz espera."]),
        (
            "English dates",
            "It ended at 4.30 a.m. on Jan. 5. It cost $3.50.",
            ["It ended at 4.30 a.m. on Jan. 5.", "It cost $3.50."],
        ),
        ("German", "Am 3. Oktober, z. B. um 9 Uhr. Dann nicht.", ["Am 3. Oktober, z. B. um 9 Uhr.", "Dann nicht."]),
        ("Chinese", "你好。他说：“明天会下雨。”是吗？！好", ["你好。", "他说：“明天会下雨。”", "是吗？！", "好"]),
        ("straight quotes", '他说。"明天会下雨。"是吗？"好。"', ["他说。", '"明天会下雨。"', "是吗？", '"好。"']),
        ("Japanese", "行きます。「本当？」はい｡", ["行きます。", "「本当？」", "はい｡"]),
        ("Korean", "배가 돌아왔다. 정말? 네.", ["배가 돌아왔다.", "정말?", "네."]),
        ("Arabic", "هل عادت القوارب؟ نعم، عادت. حسنا!", ["هل عادت القوارب؟", "نعم، عادت.", "حسنا!"]),
        ("Urdu", "یہ کتاب ہے۔ وہ آیا۔", ["یہ کتاب ہے۔", "وہ آیا۔"]),
        ("Hindi", "नावें लौट आईं।क्या सच में? हाँ॥", ["नावें लौट आईं।", "क्या सच में?", "हाँ॥"]),
        ("Amharic", "ሰላም ነው። እንዴት ነህ፧ ደህና", ["ሰላም ነው።", "እንዴት ነህ፧", "ደህና"]),
        ("Armenian", "Նավակները վերադարձան։ Լավ։", ["Նավակները վերադարձան։", "Լավ։"]),
        ("Greek", "Τι κάνεις; Καλά, εσύ; Κι εγώ.", ["Τι κάνεις;", "Καλά, εσύ;", "Κι εγώ."]),
        ("Burmese", "ကျေးဇူးတင်ပါတယ်။ မင်္ဂလာပါ။", ["ကျေးဇူးတင်ပါတယ်။", "မင်္ဂလာပါ။"]),
        ("Khmer", "សួស្តី។ អរគុណ។", ["សួស្តី។", "អរគុណ។"]),
        ("Thai", "เรือกลับมาก่อนฝน แล้วเราก็กลับบ้าน", ["เรือกลับมาก่อนฝน แล้วเราก็กลับบ้าน"]),
        ("Russian", "Он жил на ул. Мира. Да, т.е. нет…", ["Он жил на ул. Мира.", "Да, т.е. нет…"]),
    ],
)
def test_sentences_end_at_the_stops_of_their_script(language: str, text: str, expected: list[str]) -> None:
    assert split(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Ames met J. R. R. Tolkien in the U.S. Army.",
        "It costs 3.50, i.e. about 4 approx. as before.",
        "See fig. 3 on p. 12 and No. 5.",
        "Visit https://example.com/a.b?c=1!d today.",
        "I was... thinking of version 2.0.1 again.",
        "1. First things come first.",
        "He said “Stop!” and left.",
        "数値は３．５です。",
        "Not an end :. here",
    ],
)
def test_a_stop_within_a_sentence_does_not_end_it(text: str) -> None:
    assert split(text) == [text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Did you? No. Never.", ["Did you?", "No.", "Never."]),
        ("we walked on. it rained. we stopped", ["we walked on.", "it rained.", "we stopped"]),
        ("Visit www.example.com. Then rest.", ["Visit www.example.com.", "Then rest."]),
        ("He paid 100. Then he left.", ["He paid 100.", "Then he left."]),
        ("Wait… What?", ["Wait…", "What?"]),
        ("Wow!!! Really?!", ["Wow!!!", "Really?!"]),
        ("Title\n\nThe text\ngoes on.", ["Title", "The text\ngoes on."]),
    ],
)
def test_a_stop_before_a_new_beginning_ends_it(text: str, expected: list[str]) -> None:
    assert split(text) == expected


@pytest.mark.parametrize("gap", ["\n\n", "\r\n\r\n", "\n \t\n", "\r\r", "\u2029", "\n\n\n\n", "\u2028\u2028"])
def test_an_empty_line_begins_a_paragraph(gap: str) -> None:
    found = list(sentences(f"One{gap}Two. Three.\nFour."))
    assert [(one.text, one.paragraph) for one in found] == [
        ("One", False), ("Two.", True), ("Three.", False), ("Four.", False),
    ]  # fmt: skip


@pytest.mark.parametrize("gap", ["\n", "\r\n", " \n "])
def test_a_mere_line_end_does_not(gap: str) -> None:
    assert [(one.text, one.paragraph) for one in sentences(f"One.{gap}Two.")] == [("One.", False), ("Two.", False)]


def test_long_sentences_are_cut_at_a_pause_rather_than_at_a_space() -> None:
    text = "a fairly long beginning, and then it went on without any stop"
    assert split(text, 40) == ["a fairly long beginning,", "and then it went on without any stop"]
    assert split("word " * 4 + "end", 12) == ["word word", "word word", "end"]
    assert split("长" * 8 + "，" + "句" * 8, 12) == ["长" * 8 + "，", "句" * 8]
    assert split("https://example.com/" + "x" * 30 + " end", 20)[-1] == "x" * 10 + " end"


def test_a_cut_between_two_characters_leaves_neither_without_its_marks() -> None:
    assert all(not one.startswith("\u0301") for one in split("e\u0301" * 50, 7))
    assert all(one[-1] not in "เแโใไ" for one in split("เมืองแม่ไกล" * 30, 15))
    assert split("👩\u200d🚀" * 4, 4) == ["👩\u200d🚀"] * 4


def test_no_longest_below_one() -> None:
    with pytest.raises(ValueError, match="at least one character"):
        sentences("x", 0)


def test_a_book_comes_lazily_and_in_flat_memory() -> None:
    text = "This goes on and on, for ever. " * 30_000 + "word " * 100_000 + "x" * 300_000 + " " * 300_000
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        count = sum(1 for _ in sentences(text))
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert count > 30_000
    assert peak < 200_000


@pytest.mark.parametrize(
    "hostile",
    [
        "." * 200_000 + "x", ".\"" * 100_000, "\n" + " " * 200_000 + "x", "\r\n" * 100_000, "a." * 100_000, '。"a' * 60_000, "(" * 200_000,
        ". " * 100_000, "\"'" * 100_000 + ".", "!" + "”" * 200_000 + "x", "。" * 200_000, "\u0301" * 200_000,
    ],
)  # fmt: skip
def test_hostile_text_takes_linear_time(hostile: str) -> None:
    begun = time.process_time()
    assert sum(len(one.text) for one in sentences(hostile)) <= len(hostile)
    assert time.process_time() - begun < 5
