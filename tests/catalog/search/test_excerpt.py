"""Excerpts and what is marked in them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voxledger.catalog.search.excerpt import beginning, excerpt, marked
from voxledger.catalog.search.words import parse


def _shown(text: str, query: str) -> str:
    """A text with its matches in brackets."""
    shown = text
    for start, end in reversed(marked(text, parse(query))):
        shown = f"{shown[:start]}[{shown[start:end]}]{shown[end:]}"
    return shown


def test_matches_are_marked_as_they_were_written() -> None:
    assert _shown("The Tide is turning; TIDES!", "tide") == "The [Tide] is turning; TIDES!"
    assert _shown("The tide, tides", "tid*") == "The [tide], [tides]"
    assert _shown("我们精心制作准备的纪念品", "纪念 准备") == "我们精心制作[准备]的[纪念]品"
    assert _shown("se continúa; co\u0301rona", "continua corona") == "se [continúa]; [co\u0301rona]"
    assert _shown("فكلُّها خياراتٌ", "خيارات") == "فكلُّها [خياراتٌ]"
    assert _shown("tide is turning, tide is", '"tide is turning"') == "[tide is turning], tide is"
    assert _shown("ﬁne ｶﾞ½", "fine ガ") == "[ﬁne] [ｶﾞ]½"


def test_a_short_text_is_shown_whole() -> None:
    found = excerpt("text", "The tide is turning.", parse("tide"))
    assert found is not None
    assert (found.text, found.cut_before, found.cut_after, found.start) == ("The tide is turning.", False, False, 0)


def test_a_field_without_a_match_has_no_excerpt() -> None:
    assert excerpt("name", "calm", parse("tide")) is None
    assert excerpt("name", "", parse("tide")) is None


def test_a_match_deep_in_a_long_text_is_shown() -> None:
    text = "So many words. " * 5000 + "Here turns the tide at last. " + "And more. " * 5000
    found = excerpt("text", text, parse("tide"))
    assert found is not None
    assert found.cut_before
    assert found.cut_after
    start, end = found.ranges[0]
    assert found.text[start:end] == "tide"
    assert text[found.start : found.start + len(found.text)] == found.text


@given(
    text=st.text(st.sampled_from("ab tide 纪念ñÑ\u0301.\n"), max_size=400),
    query=st.sampled_from(["tide", "纪", "纪念", "a*b ti*", "ñ", '"a b"']),
    width=st.integers(60, 200),
)
def test_ranges_lie_within_the_excerpt_and_in_order(text: str, query: str, width: int) -> None:
    found = excerpt("text", text, parse(query), width=width)
    if found is None:
        return
    assert text[found.start : found.start + len(found.text)] == found.text
    assert len(found.text) <= width
    assert found.ranges
    last = 0
    for start, end in found.ranges:
        assert last <= start < end <= len(found.text)
        last = end


def test_the_beginning_marks_nothing() -> None:
    found = beginning("text", "x" * 300)
    assert found.ranges == ()
    assert found.cut_after
