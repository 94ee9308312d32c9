"""What happens to a clip, and what the table says then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.building import completed
from tests.catalog.projections.folded import START, Folded, History
from voxledger.catalog.events import (
    AudioAccessed,
    AudioStored,
    CacheEvicted,
    ClipMarked,
    ClipPinned,
    ClipPurged,
    ClipRated,
    ClipRestored,
    ClipTagged,
    ClipUnpinned,
    ClipUntagged,
    Fact,
    HoldPlaced,
    HoldReleased,
    ObjectMissing,
    ObjectVerified,
    PurgeStarted,
    new_id,
)

_OBJECT = {"bucket": "b", "bytes": 9, "key": "k"}
STORED = AudioStored(etag="e", attempts=1, transfer_us=1, waited_us=1, **_OBJECT)
MISSING = ObjectMissing(state="absent", found_bytes=None, found_etag=None, **_OBJECT)
VERIFIED = ObjectVerified(method="head", etag="e", **_OBJECT)
EVICTED = CacheEvicted(bytes=9, last_used=START, path="x")
MARKED = ClipMarked(plan="p", rule="r", delete_after=START)
STARTED = PurgeStarted(plan="p", rule="r", bucket="b")
PURGED = ClipPurged(plan="p", rule="r", bucket="b", bytes=9)


def restored(source: Any) -> ClipRestored:
    return ClipRestored(source=source, plan=None, **_OBJECT)


def clip_after(*facts: Fact, sizes: tuple[int, ...] = (100,), **changes: Any) -> dict[str, Any]:
    clip, history = new_id(), History()
    history.add(completed(**changes), clip)
    for fact in facts:
        history.add(fact, clip)
    return Folded(history, sizes=sizes).clip(clip)


def test_a_key_comes_back_whole_and_is_where_the_audio_lies() -> None:
    clip, history = new_id(), History()
    history.add(completed(key=f"ann/default/tide-{clip}.wav", sha256="0a" * 32, text_hash="1b" * 16), clip)
    row = Folded(history).clip(clip)
    assert row["key"] == row["path"] == f"ann/default/tide-{clip}.wav"
    assert (row["sha256"], row["text_hash"]) == ("0a" * 32, "1b" * 16)
    assert (row["short"], row["tail"]) == (clip[-8:], int(clip[-8:], 16))


@pytest.mark.parametrize("sizes", [(1,), (100,)])
@pytest.mark.parametrize(
    ("facts", "state", "cached"),
    [
        ((), "local", True),
        ((STORED,), "stored", True),
        ((STORED, EVICTED), "stored", False),
        ((STORED, MISSING), "missing", True),
        ((STORED, MISSING, VERIFIED), "stored", True),
        ((STORED, MISSING, restored("cache")), "stored", True),
        ((STORED, MARKED), "marked", True),
        ((STORED, MARKED, restored("grace")), "stored", True),
        ((STORED, MARKED, STARTED), "purging", True),
        ((STORED, MARKED, STARTED, PURGED, PURGED), "purged", False),
        ((STORED, MARKED, STARTED, PURGED, restored("versioning")), "stored", False),
        ((STARTED, PURGED, restored("backup"), STARTED), "purging", False),
        ((STARTED, PURGED, restored("backup"), STARTED, PURGED), "purged", False),
    ],
)
def test_states_follow_what_happened(facts: tuple[Fact, ...], state: str, cached: bool, sizes: tuple[int, ...]) -> None:
    row = clip_after(*facts, sizes=sizes)
    assert (row["state"], row["cached"], row["path"] is not None) == (state, cached, cached)


@pytest.mark.parametrize("sizes", [(1,), (100,)])
def test_a_purge_told_twice_keeps_its_first_time_and_a_restore_ends_it(sizes: tuple[int, ...]) -> None:
    row = clip_after(MARKED, STARTED, PURGED, PURGED, sizes=sizes)
    assert (row["purge_started"], row["purged"]) == (START + timedelta(seconds=3), START + timedelta(seconds=4))
    assert (row["mark_plan"], row["mark_rule"]) == ("p", "r")
    row = clip_after(MARKED, STARTED, PURGED, restored("versioning"), sizes=sizes)
    gone = ("purge_started", "purged", "mark_plan", "mark_rule", "delete_after")
    assert {name: row[name] for name in gone} == dict.fromkeys(gone)
    assert row["restored"] == row["stored"] == START + timedelta(seconds=5)


def test_the_newest_rating_counts_and_all_are_kept() -> None:
    clip, history = new_id(), History()
    history.add(completed(), clip)
    for actor, rating in (("ann", 2), ("bob", 5), ("ann", 3)):
        history.add(ClipRated(rating=rating), clip, actor=actor)
    folded = Folded(history)
    assert [folded.clip(clip)[name] for name in ("rating", "ratings")] == [3, 3]
    assert [row["rating"] for row in folded.rows("FROM ratings ORDER BY position")] == [2, 5, 3]


def test_holds_count_until_they_are_released_or_over() -> None:
    def place(hold: str, kind: Any, hours: float | None) -> HoldPlaced:
        until = None if hours is None else START + timedelta(hours=hours)
        return HoldPlaced(hold=hold, kind=kind, until=until, review=None, reason="why")

    far = 24 * 365 * 500
    row = clip_after(place("a", "ordinary", far), place("b", "ordinary", 1))
    assert (row["holds"], row["legal_holds"], row["held"]) == (2, 0, True)
    assert row["held_until"] == START + timedelta(hours=far)
    row = clip_after(place("a", "ordinary", 1))
    assert (row["holds"], row["held"]) == (1, False), "it ended by itself"
    row = clip_after(
        place("a", "legal", None), place("b", "ordinary", 1), HoldReleased(hold="b", kind="ordinary", reason=None)
    )
    assert (row["holds"], row["legal_holds"], row["held_until"], row["held"]) == (1, 1, None, True)
    row = clip_after(place("a", "legal", None), HoldReleased(hold="a", kind="legal", reason=None))
    assert (row["holds"], row["legal_holds"], row["held"]) == (0, 0, False)


@pytest.mark.parametrize("sizes", [(1,), (100,)])
def test_a_pin_keeps_until_its_end_and_a_later_one_takes_its_place(sizes: tuple[int, ...]) -> None:
    over, far = START + timedelta(hours=1), START + timedelta(days=365 * 500)
    names = ("pinned", "pin_reason", "pinned_until", "pinned_by")

    def after(*facts: Fact) -> list[Any]:
        row = clip_after(*facts, sizes=sizes)
        return [row[name] for name in names]

    assert after(ClipPinned(reason="a", until=far)) == [True, "a", far, "ann"]
    assert after(ClipPinned(reason="a", until=over)) == [False, "a", over, "ann"], "it ended by itself"
    assert after(ClipPinned(reason="a", until=over), ClipPinned()) == [True, None, None, "ann"]
    assert after(ClipPinned(reason="a", until=far), ClipUnpinned()) == [False, None, None, None]


@pytest.mark.parametrize("sizes", [(1,), (2,), (100,)])
def test_events_before_their_clip_wait_for_it(sizes: tuple[int, ...]) -> None:
    clip, history = new_id(), History()
    for fact in (
        STORED,
        ClipTagged(tag="early"),
        ClipUntagged(tag="born"),
        ClipPinned(reason="soon"),
        AudioAccessed(channel="cli", purpose="play"),
        HoldPlaced(hold="h", kind="legal", until=None, review=None, reason="case"),
    ):
        history.add(fact, clip)
    history.add(completed(tags=("born", "kept")), clip)
    folded = Folded(history, sizes=sizes)
    row = folded.clip(clip)
    assert (row["state"], row["tags"], row["pin_reason"], row["plays"]) == ("stored", ["early", "kept"], "soon", 1)
    assert (row["legal_holds"], row["changed"]) == (1, 7)
    assert folded.rows("FROM changes") == []
    assert folded.rows("FROM folded.early") == []
    folded.as_of(6)
    assert folded.rows("FROM clips") == []


def test_tags_of_the_past_are_those_that_were_there() -> None:
    clip, history = new_id(), History()
    history.add(completed(tags=("a",)), clip)
    for fact in (
        ClipTagged(tag="b"),
        ClipUntagged(tag="a"),
        ClipTagged(tag="a"),
        ClipTagged(tag="a"),
        ClipUntagged(tag="b"),
    ):
        history.add(fact, clip)
    folded = Folded(history)
    seen = []
    for position in range(1, 7):
        folded.as_of(position)
        seen.append(folded.clip(clip)["tags"])
    assert seen == [["a"], ["a", "b"], ["b"], ["a", "b"], ["a", "b"], ["a"]]
    assert [row["tag"] for row in folded.rows("FROM changes ORDER BY position")] == ["b", "a", "a", None, "b"]
