"""Marks: what is one, how far it holds, and that nothing else in a text is touched."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxledger.synth import Emotion, InvalidEmotion
from voxledger.synth.text import has_marks, parse

HARMLESS = [
    "[laughs] Oh no.", "[1] Footnote.", "see [appendix]", "I was [sad] about it.", "[happy birthday] to you", "[]", "[ ]",
    "[sad", "sad] x", "[[sad]] x", "[sad and calm] x", "[sad, 3] x", "<speak>[sad] <break time='3s'/></speak>", "{sad} x",
    "<emotion name='sad'>x</emotion>", "[h@l'oU]", "[sa\nd] x", "(sad) x", "[s3:0,0,3] x", "[00:01.000] x", "[a=b] x",
    "[0.1, 0, 0, 0, 0, 0, 0, 0] x", "[note:0.5] x", "[verse:1] x", "[sad;but true] x", "[happy 5] x",
    "[call:1] x", "[said:1] x", "[calls:0, said:1] x", "[call] x", "[said: no] x", "[scale:0.5] x", "[page:0.75] x",
]  # fmt: skip


def passages(text: str) -> list[tuple[str, dict[str, float] | None]]:
    return [(one.text, None if one.emotion is None else one.emotion.as_dict()) for one in parse(text)]


def test_a_mark_holds_for_its_line() -> None:
    text = "He came in.\n[sad:0.6] I lost it.\nNobody spoke.\nThen:\n  [happy=0.5, calm=0.2]Found!\n[neutral] Good."
    assert passages(text) == [
        ("He came in.", None), ("I lost it.", {"sad": 0.6}), ("Nobody spoke.\nThen:", None),
        ("Found!", {"happy": 0.5, "calm": 0.2}), ("Good.", {}),
    ]  # fmt: skip


def test_a_mark_alone_in_its_line_holds_for_the_paragraph_that_follows() -> None:
    text = "[calm]\nThe tide turned,\nand it rained.\n\nThen not.\n[angry:0.3]\n\nStop\nit.\n[sad] No.\nWhy?"
    assert passages(text) == [
        ("The tide turned,\nand it rained.", {"calm": 1.0}), ("Then not.", None), ("Stop\nit.", {"angry": 0.3}),
        ("No.", {"sad": 1.0}), ("Why?", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ("[Sad]", {"sad": 1.0}), ("[ SAD : 0.25 ]", {"sad": 0.25}), ("[sad=1]", {"sad": 1.0}), ("[neutral]", {}),
        ("[happy,calm]", {"happy": 1.0, "calm": 1.0}), ("[sad：0.5，calm：0.1]", {"sad": 0.5, "calm": 0.1}),
        ("\t [surprised:0.0]", {}),
    ],
)  # fmt: skip
def test_ways_to_write_a_mark(mark: str, expected: dict[str, float]) -> None:
    assert has_marks(f"{mark} Text.")
    assert passages(f"{mark} Text.") == [("Text.", expected)]


def test_neutral_is_an_emotion_of_its_own_and_no_mark_is_none() -> None:
    neutral, plain = parse("[neutral] a\nb")
    assert neutral.emotion == Emotion()
    assert plain.emotion is None


@pytest.mark.parametrize("text", HARMLESS)
def test_other_brackets_are_text(text: str) -> None:
    assert not has_marks(text)
    assert passages(text) == [(text, None)]
    before, after = parse(f"[sad] x\n{text.replace(chr(10), ' ')}")
    assert (before.text, after.text, after.emotion) == ("x", text.replace("\n", " "), None)


@pytest.mark.parametrize(
    "mark",
    [
        "[sad:1.6]", "[sad:-1]", "[sad:]", "[calm=very]", "[sad:nan]", "[sad:0.2, hapy:0.3]",
        "[sad:0,6]", "[sad:0.5,]", "[sad 0.6]", "[sad;happy]", "[sadd:0.6]", "[sad:1_0]", "[hapy=.5]", "[clam:0.5, sadd:1]",
        "[sad:0.5, sad:0.6]",
        "[neutral, sad]", "[sad:0.6][happy:0.3]", "[，sad]",
    ],
)  # fmt: skip
def test_an_emotion_with_a_spoiled_weight_is_one_clear_error(mark: str) -> None:
    assert has_marks(f"a\n{mark} b")
    with pytest.raises(InvalidEmotion, match=r"sad|calm|happy|hapy"):
        parse(f"a\n{mark} b")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\u2029", "\x85"])
def test_lines_end_as_unicode_says(end: str) -> None:
    assert passages(f"a{end}[sad] b{end}c{end}{end}[calm]{end}d{end}{end}e") == [
        ("a", None), ("b", {"sad": 1.0}), ("c", None), ("d", {"calm": 1.0}), ("e", None),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", " \n ", "[sad]", "[sad]\n\n[calm]  "])
def test_where_nothing_is_said_there_is_no_passage(text: str) -> None:
    assert parse(text) == ()


LINES = st.sampled_from(
    [
        "[sad]",
        "[sad] x",
        "[calm:0.5]  y z",
        "",
        "  ",
        "plain text",
        "[1] z",
        "a [sad] b",
        "<b>[sad]</b>",
        "你好。[calm]",
    ]
)


@given(st.one_of(st.lists(LINES, max_size=12).map("\n".join), st.text(max_size=200)))
def test_all_that_is_no_mark_comes_out_once_and_where_it_stands(text: str) -> None:
    found = parse(text)
    assert all(text[one.start : one.end] == one.text == one.text.strip() != "" for one in found)
    assert all(one.end <= other.start for one, other in itertools.pairwise(found))
    left = list(text)
    for one in reversed(found):
        left[one.start : one.end] = []
    between = "".join("".join(left).split())
    assert between == "" or set(between.replace("[sad]", "").replace("[calm:0.5]", "")) == set()
