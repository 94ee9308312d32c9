"""The history of a clip: every event about it, in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args, get_type_hints

import msgspec
import pytest

from tests.building import Parts
from tests.catalog.events.examples import EXAMPLES
from tests.catalog.query.test_pages import catalog_of
from voxledger.catalog import ClipNotFound
from voxledger.catalog.events import (
    REGISTRY,
    AudioAccessed,
    AudioAdopted,
    AudioStored,
    ClipMarked,
    ClipPinned,
    ClipRestored,
    ClipTagged,
    ClipUnmarked,
    Draft,
    Fact,
    GenerationCancelled,
    GenerationFailed,
    new_id,
    now,
)
from voxledger.catalog.query.wording import worded, wording

_ABOUT_CLIPS = [fact for fact in EXAMPLES if type(fact).about == "clip"]


def _told(parts: Parts, clip: str) -> list[str]:
    return [happening.sentence for happening in catalog_of(parts).history(clip)]


def test_everything_about_a_clip_is_told_in_order(parts: Parts) -> None:
    clip = parts.clip()
    parts.clip()
    parts.record(
        AudioStored(
            bucket="indextts-audio", bytes=66_194, etag="e", attempts=2, transfer_us=300_000, waited_us=1, key="k"
        ),
        clip,
    )
    parts.record(ClipTagged(tag="draft"), clip, actor="bob")
    parts.record(ClipPinned(reason="went on air"), clip)
    after = datetime(2026, 12, 1, 8, tzinfo=UTC)
    parts.record(ClipMarked(plan="3f9c", rule="scratch", delete_after=after), clip)
    found = catalog_of(parts).history(clip)
    assert [happening.sentence for happening in found] == [
        "made with espeak 1.52.0 in 20.0 ms: 1.5 s of en, happy, wav, 66,194 bytes",
        "uploaded to indextts-audio after 2 attempts in 0.3 s, 66,194 bytes",
        "tagged draft by bob",
        "pinned by ann (went on air)",
        "marked by rule scratch of plan 3f9c, goes after 2026-12-01 08:00 UTC",
    ]
    assert [(happening.position, happening.type, happening.actor) for happening in found][:3] == [
        (1, "GenerationCompleted", "ann"),
        (3, "AudioStored", "ann"),
        (4, "ClipTagged", "bob"),
    ]
    assert found[0].time.tzinfo is UTC
    assert found[2].as_dict()["sentence"] == "tagged draft by bob"
    assert catalog_of(parts).history(clip[-8:]) == found


@pytest.mark.parametrize("fact", _ABOUT_CLIPS, ids=lambda fact: type(fact).__name__)
def test_every_event_about_a_clip_has_a_sentence(parts: Parts, fact: Fact) -> None:
    clip = new_id()
    parts.record(fact, clip)
    (sentence,) = _told(parts, clip)
    assert sentence == wording(fact, "ann")
    assert len(sentence) > 5
    assert not sentence.endswith((" ", ".", ":", ","))
    assert "None" not in sentence


@pytest.mark.parametrize(
    ("kind", "field"), [(ClipRestored, "source"), (ClipUnmarked, "reason"), (AudioAccessed, "purpose"), (AudioAdopted, "source")]
)  # fmt: skip
def test_every_word_that_an_event_may_hold_has_a_sentence(kind: type[Fact], field: str) -> None:
    example = next(fact for fact in EXAMPLES if type(fact) is kind)
    for word in get_args(get_type_hints(kind)[field]):
        assert wording(msgspec.structs.replace(example, **{field: word}), "ann")


def test_a_mark_that_a_later_plan_takes_back_is_not_called_that_plans_mark() -> None:
    assert wording(ClipUnmarked(plan="p", reason="held"), "ann") == "mark taken back by plan p: a hold was placed on it"
    assert wording(ClipUnmarked(plan="p", reason="undone"), "ann") == "mark of plan p taken back: the plan was undone"


def test_no_event_about_clips_is_left_without_words() -> None:
    about_clips = {kind for kind in REGISTRY.values() if kind.about == "clip"}
    assert worded() == about_clips == {type(fact) for fact in _ABOUT_CLIPS}


def test_an_event_of_tomorrow_is_shown_as_unknown(parts: Parts) -> None:
    clip = parts.clip()
    actor = parts.vault.actor("ann")
    for kind, version in (("FooHappened", 3), ("ClipTagged", 9)):
        draft = Draft(
            id=new_id(), type=kind, subject=clip, time=now(), actor=actor.id, version=version, data=b'{"a":1}'
        )
        parts.journal.emit(draft)
    assert _told(parts, clip)[1:] == ["unknown event FooHappened v3", "unknown event ClipTagged v9"]


def test_who_was_erased_is_not_named(parts: Parts) -> None:
    clip = parts.clip()
    parts.record(ClipTagged(tag="secret"), clip, actor="bob")
    parts.vault._connection.execute("UPDATE actors SET key = NULL, label = NULL WHERE label = 'bob'")
    parts.vault._by_id.clear()
    parts.vault._by_label.clear()
    last = catalog_of(parts).history(clip)[-1]
    assert (last.sentence, last.actor) == ("tagged (erased) by an erased actor", None)


def test_an_attempt_that_was_cancelled_tells_what_had_been_heard_of_it(parts: Parts) -> None:
    clip = new_id()
    cancelled = GenerationCancelled(
        channel="api", engine="espeak", text_length=40, elapsed_us=900_000, actor_label="ann"
    )
    parts.record(cancelled, clip)
    parts.record(msgspec.structs.replace(cancelled, delivered_us=2_400_000), clip)
    assert _told(parts, clip) == [
        "was cancelled after 0.9 s with espeak",
        "was cancelled after 0.9 s with espeak, when 2.4 s had been handed over",
    ]


def test_an_attempt_that_failed_has_a_history_and_an_unknown_id_has_none(parts: Parts) -> None:
    clip = new_id()
    failed = GenerationFailed(
        channel="cli", engine="espeak", language=None, failure="timeout", stage="engine", emotion="sad", text_length=3,
        elapsed_us=9, actor_label="bob",
    )  # fmt: skip
    parts.record(failed, clip)
    assert _told(parts, clip.upper()) == ["could not be made with espeak: timeout (engine) after 0.0 ms"]
    parts.record(msgspec.structs.replace(failed, remedy="Free memory. Or try again."), clip)
    assert _told(parts, clip)[1:] == [
        "could not be made with espeak: timeout (engine) after 0.0 ms; remedy: Free memory. Or try again"
    ]
    with pytest.raises(ClipNotFound, match="nothing was ever recorded"):
        catalog_of(parts).history(new_id())
    with pytest.raises(ClipNotFound, match="there is no clip"):
        catalog_of(parts).history("00000000")
