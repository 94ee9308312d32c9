"""Subtitles: what other people's parsers read from them is what was written, on time and in pieces that fit."""

from __future__ import annotations

import io
import itertools
from datetime import timedelta

import pytest
import srt as subrip
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from voxledger.synth.text.subtitles import LINES, WIDTH, Cue, fitted, srt, vtt

LONG = (
    "We walked along the river until the lamps were lit, and nobody said a word about tomorrow; when it began to rain,"
    " we turned back and found the door open, the fire out, and the letter gone."
)
CHINESE = (
    "我们沿着河一直走到灯亮起来，谁也没有提起明天的事；下雨的时候我们就往回走，发现门开着，火灭了，那封信也不见了。"
)
MARKUP = "a < b & c > d <i>not slanted</i> {\\an8}up --> here &amp; there"
TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(st.sampled_from([*LONG.split(), CHINESE, "-->", "\n\n", "<b>", "&", "x" * 90, "เมือง"]), max_size=60).map(
        " ".join
    ),
)


def cue(text: str, start_s: float = 1.0, end_s: float = 3.0) -> Cue:
    return Cue(start_us=round(start_s * 1e6), end_us=round(end_s * 1e6), text=text)


def columns(line: str) -> int:
    return sum(2 if "\u2e80" < character < "\uffe0" else 1 for character in line)


def spoken(text: str) -> str:
    return "".join(text.replace("\u2060", "").split())


def test_files_look_as_the_formats_say() -> None:
    cues = [cue("The tide is turning.", 0, 1.5), cue("Why?", 3661.25, 3662)]
    assert srt(cues) == (
        "1\n00:00:00,000 --> 00:00:01,500\nThe tide is turning.\n\n2\n01:01:01,250 --> 01:01:02,000\nWhy?\n"
    )
    assert vtt(cues) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nThe tide is turning.\n\n01:01:01.250 --> 01:01:02.000\nWhy?\n"
    )
    assert (srt([]), vtt([])) == ("", "WEBVTT\n")


@pytest.mark.parametrize(
    "text", [LONG, CHINESE, MARKUP, "one\n\ntwo\r\nthree", "-->", "<v Bob>hi</v>", "  spaced   out  "]
)
def test_parsers_read_back_what_was_spoken(text: str) -> None:
    read = list(subrip.parse(srt([cue(text)]), ignore_errors=False))
    assert spoken("".join(one.content for one in read)) == spoken(text)
    assert [one.index for one in read] == list(range(1, len(read) + 1))
    escaped = webvtt.from_string(vtt([cue(text)]))
    unescaped = "".join(one.raw_text for one in escaped).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert spoken(unescaped) == spoken(text)


def test_markup_is_shown_and_not_obeyed() -> None:
    assert "&lt;i&gt;" in vtt([cue(MARKUP)])
    assert vtt([cue(MARKUP)]).count("-->") == len(list(fitted([cue(MARKUP)])))
    assert "<i>" not in srt([cue(MARKUP)])
    assert "{\\" not in srt([cue(MARKUP)])


def test_hours_over_a_hundred_are_written_out() -> None:
    late = cue("Still here.", 360_000.5, 360_001)
    assert vtt([late]).splitlines()[2] == "100:00:00.500 --> 100:00:01.000"
    assert next(subrip.parse(srt([late]))).start == timedelta(hours=100, milliseconds=500)


def test_a_long_cue_is_cut_at_pauses_and_its_time_is_shared_out() -> None:
    shown = list(fitted([cue(LONG, 0, 10)]))
    assert [one.text.replace("\n", " ").split()[-1] for one in shown] == ["lit,", "rain,", "gone."]
    assert (shown[0].start_us, shown[-1].end_us) == (0, 10_000_000)
    assert all(one.end_us == other.start_us for one, other in itertools.pairwise(shown))
    rates = [len(spoken(one.text)) / (one.end_us - one.start_us) for one in shown]
    assert max(rates) < 1.01 * min(rates)


def test_lines_of_wide_letters_are_half_as_long_and_break_between_letters() -> None:
    shown = list(fitted([cue(CHINESE)]))
    lines = [line for one in shown for line in one.text.splitlines()]
    assert max(map(len, lines)) <= WIDTH // 2
    assert not any(line[0] in "，；。" for line in lines)


def test_two_lines_are_about_equally_long() -> None:
    (one,) = fitted([cue("Nobody said a word about tomorrow, and the rain went on.")])
    assert one.text == "Nobody said a word about tomorrow,\nand the rain went on."


def test_overlapping_cues_follow_each_other_and_none_is_empty() -> None:
    shown = list(
        fitted(
            [
                cue("a", 0, 2),
                cue(" \n", 2.5, 3),
                cue("b", 1, 3),
                cue("c", 3, 3),
                cue("d", 3, 2.9),
                cue("\x00\x07", 5, 6),
            ]
        )
    )
    assert [one.text for one in shown] == ["a", "b", "c", "d"]
    assert [(one.start_us, one.end_us) for one in shown] == [
        (0, 2_000_000), (2_000_000, 3_000_000), (3_000_000, 3_001_000), (3_001_000, 3_002_000),
    ]  # fmt: skip


def test_stretches_without_text_belong_to_the_speech_before_them() -> None:
    stretches = [cue("", 0, 1), cue("Once.", 1, 1.2), cue("", 1.2, 2), cue("", 2, 3), cue("", 4, 5), cue("More.", 5, 6)]
    assert [(one.text, one.start_us, one.end_us) for one in fitted(stretches)] == [
        ("Once.", 1_000_000, 3_000_000), ("More.", 5_000_000, 6_000_000),
    ]  # fmt: skip


@given(st.lists(st.tuples(TEXTS, st.integers(0, 10**10), st.integers(0, 10**7)), max_size=5))
def test_any_cues_give_files_that_parse_in_order(drawn: list[tuple[str, int, int]]) -> None:
    cues = [Cue(start_us=start, end_us=start + length, text=text) for text, start, length in drawn]
    shown = list(fitted(cues))
    for one in shown:
        rows = one.text.split("\n")
        assert 1 <= len(rows) <= LINES
        assert all(row.strip() for row in rows)
    assert all(one.start_us < one.end_us for one in shown)
    assert all(one.end_us <= other.start_us for one, other in itertools.pairwise(shown))
    assert len(webvtt.from_buffer(io.StringIO(vtt(cues)))) == len(shown)
    assert len(list(subrip.parse(srt(cues)))) == len(shown)
