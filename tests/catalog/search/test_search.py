"""What a search finds, and in which order."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.building import Parts
from tests.catalog.search.conftest import destroy_key, documents, erase, ids
from voxledger.catalog.errors import SearchError
from voxledger.catalog.events import ClipPurged, ClipTagged, ClipUntagged, PurgeStarted
from voxledger.catalog.search import SearchIndex, endings, pages

_CASES = Path(__file__).resolve().parents[4] / "shared" / "data" / "indextts" / "cases.jsonl"
_NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)


def test_a_search_sees_what_was_just_written(parts: Parts, index: SearchIndex) -> None:
    clip = parts.clip(text="The tide is turning.", name="harbour", tags=("draft",))
    for query in ("TIDE", "harbour", "draft", '"is turning"', "harb*"):
        assert ids(index.search(query)) == [clip]
    assert index.search("calm").matches == 0
    assert index.waiting() == 0


def test_fresh_false_searches_what_is_there(parts: Parts, index: SearchIndex) -> None:
    parts.clip(text="first")
    index.advance()
    parts.clip(text="second")
    assert index.search("first", fresh=False).waiting == 1
    assert index.search("second", fresh=False).hits == ()
    assert index.search("second").matches == 1


def test_all_words_must_be_there_in_whatever_field(parts: Parts, index: SearchIndex) -> None:
    clip = parts.clip(text="The tide is turning.", name="harbour", tags=("draft",))
    parts.clip(text="The tide", name="open sea")
    assert ids(index.search("tide harbour draft")) == [clip]


@pytest.mark.parametrize("most", [256, 1])
def test_a_star_finds_whatever_begins_so(
    parts: Parts, index: SearchIndex, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(endings, "_MOST", most)  # with one, whatever begins so is left to FTS5
    texts = ("the tide", "high Tides", "a tideway", "untidy", "тихий прилив", "две приливные волны", "潮汐涨落", "tid")
    clips = {text: parts.clip(text=text, name="x", tags=()) for text in texts}

    def found(query: str) -> set[str]:
        return {text for text, clip in clips.items() if clip in ids(index.search(query))}

    assert found("tid*") == {"the tide", "high Tides", "a tideway", "tid"}
    assert found("tide*") == {"the tide", "high Tides", "a tideway"}
    assert found('"high ti"*') == {"high Tides"}
    assert found("high tide*") == {"high Tides"}
    assert found("при*") == {"тихий прилив", "две приливные волны"}
    assert found("潮*") == {"潮汐涨落"}
    assert found("tidex*") == set()


def test_a_phrase_does_not_reach_from_one_tag_into_the_next(parts: Parts, index: SearchIndex) -> None:
    parts.clip(tags=("chapter", "draft"))
    assert index.search('"chapter draft"').matches == 0
    assert index.search("chapter draft").matches == 1


def test_tags_are_found_as_they_are_now(parts: Parts, index: SearchIndex) -> None:
    clip = parts.clip(tags=("draft",))
    index.advance()
    parts.record(ClipTagged(tag="on air"), clip)
    assert ids(index.search('"on air"')) == [clip]
    parts.record(ClipUntagged(tag="draft"), clip)
    assert index.search("draft").matches == 0
    assert ids(index.search("air tide")) == [clip]


@pytest.mark.skipif(not _CASES.exists(), reason="the sentences are not part of the project")
def test_real_sentences_are_found_by_short_words(parts: Parts, index: SearchIndex) -> None:
    cases = [json.loads(line) for line in _CASES.read_text().splitlines()]
    clips = {parts.clip(text=case["text"], language=case["lang"].lower()): case["text"] for case in cases}
    for word in ("的", "纪念", "ツール", "surprise", "actualidad", "كشخص"):
        hits = index.search(word).hits
        assert hits
        for hit in hits:
            snippet = next(part for part in hit.snippets if part.field == "text")
            start, _end = snippet.ranges[0]
            assert snippet.text in clips[hit.clip]
            assert snippet.text[start : start + 1].casefold() == word[0]
    assert index.search("的", language="ja").matches == 0


def test_facets_narrow_a_search(parts: Parts, index: SearchIndex) -> None:
    sad = parts.clip(emotion="sad", language="en-GB")
    ann = parts.clip(emotion="happy", language="en", voice_name="Ann's voice", voice_sha256="ab" * 32)
    other = parts.clip(emotion="happy", language="de")
    assert ids(index.search("tide", emotion="sad")) == [sad]
    assert set(ids(index.search("tide", language="en"))) == {sad, ann}
    assert ids(index.search("tide", language="en-gb")) == [sad]
    assert ids(index.search("tide", voice="Ann's voice")) == ids(index.search("tide", voice="AB" * 32)) == [ann]
    assert ids(index.search("tide", emotion="happy", language="de")) == [other]
    assert index.search("sad").matches == 0  # a fact is no word of the text


def test_since_is_exact_even_where_times_went_back(parts: Parts, index: SearchIndex) -> None:
    hours = [0, 3, 1, 5, 2, 4]
    clips = {hour: parts.clip(time=_NOON + timedelta(hours=hour)) for hour in hours}
    for since in range(7):
        found = index.search("tide", since=_NOON + timedelta(hours=since))
        assert set(ids(found)) == {clips[hour] for hour in hours if hour >= since}
        assert found.matches == len(found.hits)
    assert index.search("tide", since=_NOON + timedelta(hours=4, microseconds=1)).matches == 1


def test_since_needs_a_time_zone(index: SearchIndex) -> None:
    with pytest.raises(SearchError, match="no time zone"):
        index.search("tide", since=datetime(2026, 1, 1))  # noqa: DTZ001  # a naive time is the point


def test_a_name_weighs_more_than_a_tag_and_a_tag_more_than_the_text(parts: Parts, index: SearchIndex) -> None:
    text = parts.clip(text="the tide comes in", name="one", tags=("x",))
    tag = parts.clip(text="the sea comes in", name="one", tags=("tide",))
    name = parts.clip(text="the sea comes in", name="tide", tags=("x",))
    for _ in range(5):
        parts.clip(text="nothing of it here", name="one", tags=("x",))
    found = index.search("tide")
    assert ids(found) == [name, tag, text]
    scores = [hit.score for hit in found.hits if hit.score is not None]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)


def test_newest_first_on_demand(parts: Parts, index: SearchIndex) -> None:
    clips = [parts.clip(text="tide " * times) for times in (1, 3, 2)]
    found = index.search("tide", newest=True)
    assert ids(found) == clips[::-1]
    assert not found.ranked
    assert all(hit.score is None for hit in found.hits)


def test_too_many_matches_come_newest_first_and_are_not_counted(
    parts: Parts, index: SearchIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST", 3)
    clips = [parts.clip() for _ in range(6)]
    found = index.search("tide", limit=2)
    assert (ids(found), found.ranked, found.matches, found.many) == (clips[:-3:-1], False, 4, True)


@pytest.mark.parametrize("newest", [True, False])
def test_pages_neither_overlap_nor_miss_while_new_clips_arrive(parts: Parts, index: SearchIndex, newest: bool) -> None:
    clips = [parts.clip(text="tide " * (number % 3 + 1)) for number in range(7)]
    whole = ids(index.search("tide", newest=newest))
    seen: list[str] = []
    after = None
    while True:
        found = index.search("tide", newest=newest, limit=2, after=after)
        seen += ids(found)
        after = found.next
        parts.clip(text="tide tide tide tide")
        if after is None:
            break
    assert seen == whole
    assert set(seen) == set(clips)


def test_a_place_of_another_search_is_refused(parts: Parts, index: SearchIndex) -> None:
    for _ in range(3):
        parts.clip()
    token = index.search("tide", limit=1).next
    assert token is not None
    told = msgspec.json.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    forged = base64.urlsafe_b64encode(msgspec.json.encode([*told[:2], 2**63, *told[3:]])).decode().rstrip("=")
    with pytest.raises(SearchError, match="no place to go on from"):
        index.search("tide", limit=1, after=forged)
    for query, wrong in (("turning", token), ("tide", "nonsense"), ("tide", "é"), ("tide", "")):
        with pytest.raises(SearchError, match="place"):
            index.search(query, limit=1, after=wrong)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_has_bounds(index: SearchIndex, limit: int) -> None:
    with pytest.raises(SearchError, match="between 1 and 1,000"):
        index.search("tide", limit=limit)


def test_purged_clips_are_found_with_their_state(parts: Parts, index: SearchIndex) -> None:
    clip = parts.clip()
    parts.record(PurgeStarted(plan="p", rule="r", bucket="b"), clip)
    parts.record(ClipPurged(plan="p", rule="r", bucket="b", bytes=1), clip)
    found = index.search("tide")
    assert ids(found) == [clip]
    assert index.clips(found)[clip]["state"] == "purged"


def test_texts_that_are_not_stored_are_not_found_but_names_and_tags_are(parts: Parts, index: SearchIndex) -> None:
    clip = parts.clip(text=None, name="harbour", tags=("draft",))
    assert ids(index.search("harbour draft")) == [clip]
    assert [part.field for part in index.search("harbour").hits[0].snippets] == ["name"]


def test_an_erased_actor_vanishes_without_a_trace_in_the_file(parts: Parts, index: SearchIndex) -> None:
    kept = parts.clip(text="a common word")
    for _ in range(30):
        parts.clip(actor="bob", text="zanzibarian common word", name="xylographer", tags=("quokkas",))
    index.advance()
    target = destroy_key(parts, "bob")
    erase(parts, target)
    index.advance()
    assert ids(index.search("common")) == [kept]
    assert index.search("common").matches == 1
    files = [found.read_bytes() for found in parts.home.path.glob("search.sqlite*")]
    for trace in (b"zanzibar", b"xylograph", b"quokka", target.encode()):
        assert not any(trace in content for content in files)


def test_an_erased_voice_takes_its_clips_along_and_later_ones_stay(parts: Parts, index: SearchIndex) -> None:
    parts.clip(voice_sha256="ab" * 32)
    other = parts.clip(voice_sha256="cd" * 32)
    erase(parts, "ab" * 32, "voice")
    again = parts.clip(voice_sha256="ab" * 32)
    assert set(ids(index.search("tide"))) == {other, again}


def test_an_actor_whose_key_is_gone_is_not_found_even_before_anybody_says_so(parts: Parts, index: SearchIndex) -> None:
    kept = [parts.clip() for _ in range(2)]
    parts.clip(actor="bob")
    assert index.search("tide").matches == 3
    destroy_key(parts, "bob")
    found = index.search("tide")
    assert set(ids(found)) == set(kept)
    assert found.matches == 2
    assert len(documents(index.path)) == 2


def test_the_tags_of_an_erased_actor_leave_the_clips_of_others(parts: Parts, index: SearchIndex) -> None:
    clip = parts.clip()
    parts.record(ClipTagged(tag="zanzibarian"), clip, actor="bob")
    assert ids(index.search("zanzibarian")) == [clip]
    erase(parts, destroy_key(parts, "bob"))
    assert index.search("zanzibarian").matches == 0
    assert ids(index.search("tide")) == [clip]
    index.advance()
    assert not any(b"zanzibar" in found.read_bytes() for found in parts.home.path.glob("search.sqlite*"))
