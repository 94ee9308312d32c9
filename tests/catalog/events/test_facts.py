"""Facts: what each type holds, how it is split, and what is refused when one is recorded."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given

from tests.building import Parts, completed
from tests.catalog.events.examples import EXAMPLES, facts
from voxledger.catalog import EventRejected
from voxledger.catalog.events import (
    REGISTRY,
    AccessDenied,
    ClipMarked,
    ClipRated,
    ClipTagged,
    Fact,
    ReportPublished,
    decode_fact,
    new_id,
    personal_fields,
    split,
)


def test_every_type_has_an_example() -> None:
    assert [type(fact) for fact in EXAMPLES] == list(REGISTRY.values())


@pytest.mark.parametrize("fact", EXAMPLES, ids=lambda fact: type(fact).__name__)
def test_the_parts_hold_every_field_once_in_the_order_of_declaration(fact: Fact) -> None:
    data, sealed = split(fact)
    here, hidden = list(msgspec.json.decode(data)), list(msgspec.json.decode(sealed or b"{}"))
    personal = personal_fields(type(fact))
    assert here == [name for name in fact.__struct_fields__ if name not in personal]
    assert hidden == [name for name in fact.__struct_fields__ if name in personal]
    assert (sealed is None) == (not personal)


@given(facts())
def test_any_fact_is_read_as_it_was_recorded(fact: Fact) -> None:
    data, sealed = split(fact)
    again = msgspec.convert({**msgspec.json.decode(data), **msgspec.json.decode(sealed or b"{}")}, type(fact))
    assert again == fact
    assert split(again) == (data, sealed)


@pytest.mark.parametrize("fact", EXAMPLES, ids=lambda fact: type(fact).__name__)
def test_a_recorded_fact_comes_back(parts: Parts, fact: Fact) -> None:
    event = parts.record(fact, new_id())
    assert decode_fact(event, parts.recorder.unsealed(event)) == fact


@pytest.mark.parametrize(
    ("fact", "field", "message"),
    [
        (ClipRated(rating=6), "rating", r"ClipRated\.rating cannot be recorded: expected `int` <= 5"),
        (ClipRated(rating=0), "rating", "expected `int` >= 1"),
        (ClipRated(rating="5"), "rating", "expected `int`, got `str`"),  # type: ignore[arg-type]  # the point
        (completed(emotion_strength=math.inf), "emotion_strength", "emotion_strength is inf"),
        (completed(emotion_asked=(0.0,) * 7 + (math.nan,)), "emotion_asked", "emotion_asked is .*nan"),
        (completed(sampling={"top_p": math.nan}), "sampling", "sampling is .*nan"),
        (completed(emotion_asked=(0.5,)), "emotion_asked", "length 8"),
        (completed(bytes=-1), "bytes", "expected `int` >= 0"),
        (completed(duration_us=2**53), "duration_us", "expected `int` <= "),
        (completed(seed=2**63), "seed", "seed cannot be recorded"),
        (completed(loudness_lufs=1e300), "loudness_lufs", "expected `float` <= 3.4e"),
        (completed(text=3), "text", r"expected `str \| null`"),
        (completed(channel="fax"), "channel", "invalid enum value 'fax'"),
        (completed(name="\udc80"), "name", "GenerationCompleted.name holds text that is not valid Unicode"),
        (completed(tags=("a", "\ud800")), "tags", "not valid Unicode"),
        (completed(engine="\ud800"), "engine", "not valid Unicode"),
        (
            ClipMarked(plan="p", rule="r", delete_after=datetime(2026, 1, 1)),  # noqa: DTZ001  # the naive time is the point
            "delete_after",
            "timezone",
        ),
        (AccessDenied(principal="p", reason="role", minute=datetime.now(UTC), count=0), "count", ">= 1"),
        (ReportPublished(week="2026-W47", revision=1, closed=True, through=1, head="ab"), "head", "regex"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isidentifier() else "",
)
def test_a_value_that_does_not_fit_is_refused_by_its_field(parts: Parts, fact: Fact, field: str, message: str) -> None:
    with pytest.raises(EventRejected, match=message) as caught:
        parts.record(fact, new_id())
    assert caught.value.field == field
    assert parts.journal.head() == 0


def test_a_subject_that_is_not_unicode_is_refused(parts: Parts) -> None:
    with pytest.raises(EventRejected, match="subject is not valid Unicode") as caught:
        parts.record(ClipTagged(tag="x"), "\ud800")
    assert caught.value.field == "subject"
