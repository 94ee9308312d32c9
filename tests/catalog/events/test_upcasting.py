"""Old versions are lifted on read, newer and unknown ones are kept, and what is altered is named."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.building import completed
from tests.catalog.events.examples import EXAMPLES, subject_of
from voxledger.catalog import EventRejected
from voxledger.catalog.events import (
    REGISTRY,
    AudioAccessed,
    CacheEvicted,
    ClipPinned,
    ClipPurged,
    ClipUnmarked,
    Event,
    Fact,
    GenerationCancelled,
    GenerationFailed,
    ReportPublished,
    RetentionPlanned,
    TokenIssued,
    TokenRevoked,
    Unknown,
    decode_fact,
    is_understood,
    new_id,
    now,
    outdated,
    split,
    upcast,
)

GOLDEN = Path(__file__).with_name("golden")
VERSIONS = [(name, version) for name, kind in REGISTRY.items() for version in range(1, kind.version + 1)]
OLD: dict[tuple[str, int], Fact] = {
    ("ReportPublished", 1): ReportPublished(week="2026-W46", revision=2, closed=True, through=900),
    ("ReportPublished", 2): ReportPublished(
        week="2026-W47", revision=1, closed=True, through=1200, head="5f" * 32, head_position=1200
    ),
    ("GenerationCompleted", 1): completed(tags=("on-air",), sampling={"top_p": 0.8}, seed=7),
    ("GenerationCompleted", 2): completed(
        tags=("on-air",),
        sampling={"top_p": 0.8},
        seed=7,
        emotion_sha256="5f" * 32,
        target_lufs=-12.5,
        chain=1,
        marks=True,
        silence_share=0.08,
        clipped_samples=2,
        speech_rate=14.5,
        suspect=("clipped",),
        streamed=True,
        first_us=9_000,
        segments_cached=1,
        emotion_words="as if out of breath",
        timing="[[0,20,0,1500]]",
    ),
    ("GenerationCompleted", 3): completed(
        tags=("on-air",),
        sampling={"top_p": 0.8},
        seed=7,
        emotion_sha256="5f" * 32,
        target_lufs=-12.5,
        chain=1,
        marks=True,
        silence_share=0.08,
        clipped_samples=2,
        speech_rate=14.5,
        suspect=("clipped",),
        streamed=True,
        first_us=9_000,
        segments_cached=1,
        emotion_words="as if out of breath",
        timing="[[0,20,0,1500]]",
        load_us=9_500_000,
    ),
    ("GenerationFailed", 1): GenerationFailed(
        channel="cli",
        engine="indextts",
        language="zh",
        failure="OutOfMemory",
        stage="synthesis",
        emotion="sad",
        text_length=40,
        elapsed_us=90_000,
        actor_label="ann",
    ),
    ("ClipPurged", 1): ClipPurged(plan="3f9c2e10aa51b7d4", rule="scratch", bucket="indextts-audio", bytes=66_194),
    ("TokenIssued", 1): TokenIssued(
        token="01936f2e-1111-7d53-9b0e-5b1f8f3a91c2",
        role="creator",
        expires=datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
        name="the radio's player",
    ),
    ("TokenRevoked", 1): TokenRevoked(
        token="01936f2e-1111-7d53-9b0e-5b1f8f3a91c2", role="creator", name="the radio's player", reason=None
    ),
    ("ClipPinned", 1): ClipPinned(reason="the take that went on air"),
    ("ClipUnmarked", 1): ClipUnmarked(plan="3f9c2e10aa51b7d4", reason="used"),
    ("RetentionPlanned", 1): RetentionPlanned(
        plan="3f9c2e10aa51b7d4",
        policy="9c1e",
        through=1200,
        considered=900,
        clips=12,
        bytes=790_000,
        held=1,
        cost_micro=17,
        elapsed_us=31_000,
    ),
    ("AudioAccessed", 1): AudioAccessed(channel="web", purpose="play"),
    ("CacheEvicted", 1): CacheEvicted(
        bytes=66_194, last_used=datetime(2026, 11, 23, 9, 30, tzinfo=UTC), path="cache/tide.wav"
    ),
    ("GenerationCancelled", 1): GenerationCancelled(
        channel="api", engine="espeak", text_length=40, elapsed_us=90_000, actor_label="ann"
    ),
}


class Golden(msgspec.Struct):
    """A file with the bytes of an event's two parts as a past version wrote them; never changed once released."""

    data: msgspec.Raw
    personal: msgspec.Raw

    @classmethod
    def of(cls, name: str, version: int) -> Golden:
        return msgspec.json.decode((GOLDEN / f"{name}.v{version}.json").read_bytes(), type=cls)


def event_of(name: str, version: int, data: bytes | dict[str, Any]) -> Event:
    raw = data if isinstance(data, bytes) else msgspec.json.encode(data)
    kind = REGISTRY.get(name, ReportPublished)
    return Event(
        id=new_id(), source="s", type=name, subject=subject_of(kind), time=now(), position=1, recorded=now(), actor=new_id(),
        version=version, data=msgspec.Raw(raw),
    )  # fmt: skip


def test_every_version_of_every_type_has_a_golden_file() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.v{version}.json" for name, version in VERSIONS}


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_golden_events_are_read_as_they_were_meant(name: str, version: int) -> None:
    golden = Golden.of(name, version)
    expected = OLD.get((name, version)) or next(fact for fact in EXAMPLES if type(fact).__name__ == name)
    personal = msgspec.json.decode(golden.personal) or {}
    assert decode_fact(event_of(name, version, bytes(golden.data)), personal) == expected


@pytest.mark.parametrize(("name", "kind"), REGISTRY.items())
def test_the_present_version_writes_the_bytes_of_its_golden_file(name: str, kind: type[Fact]) -> None:
    golden = Golden.of(name, kind.version)
    fact = next(fact for fact in EXAMPLES if type(fact) is kind)
    assert split(fact) == (bytes(golden.data), None if bytes(golden.personal) == b"null" else bytes(golden.personal))


def test_a_report_of_version_1_has_no_head() -> None:
    old = {"week": "2026-W46", "revision": 2, "closed": True, "through": 900}
    lifted, personal = upcast("ReportPublished", 1, old, {})
    assert lifted == {**old, "head": None, "head_position": None, "by": "schedule", "channels": []}
    assert personal == {}
    assert set(old) == {"week", "revision", "closed", "through"}
    assert outdated() == set(OLD)


def test_what_is_not_understood_is_kept_as_it_is() -> None:
    assert is_understood("ReportPublished", 3)
    assert is_understood("ReportPublished", 1)
    for name, version in (("ReportPublished", 4), ("ReportPublished", 0), ("com.example.Sung", 1)):
        assert not is_understood(name, version)
        assert upcast(name, version, {"a": 1}, None) == ({"a": 1}, None)
        assert decode_fact(event_of(name, version, {"a": 1}), None) == Unknown(
            type=name, version=version, data={"a": 1}
        )


def test_a_fact_whose_key_was_destroyed_has_blanks() -> None:
    fact = completed(text="secret", tags=("a",))
    assert decode_fact(event_of("GenerationCompleted", 1, split(fact)[0]), None) == completed(
        actor_label="", session="", name="", key="", path="", text=None, voice_name=None, tags=()
    )
    assert decode_fact(event_of("ClipPinned", 1, b"{}"), None) == ClipPinned(reason=None)


@pytest.mark.parametrize(
    ("name", "data", "personal", "field"),
    [
        ("ClipRated", {"rating": 9}, {}, "rating"),
        ("ClipRated", {}, {}, "rating"),
        ("ClipRated", {"rating": 3, "stars": 5}, {}, "stars"),
        ("ClipRated", {"rating": 3}, {"text": "x"}, "sealed"),
        ("ClipTagged", {"tag": "x"}, {}, "tag"),
        ("ClipTagged", {}, {}, "tag"),
        ("ClipTagged", {}, {"tag": 3}, "tag"),
        ("ClipMarked", {"plan": "p", "rule": "r", "delete_after": "2026-01-01T00:00:00"}, {}, "delete_after"),
        ("SubjectErased", {"outcomes": {"store": "maybe"}}, {}, "outcomes"),
        ("ClipRated", [3], {}, "data"),
    ],
)
def test_data_that_do_not_fit_are_refused_by_their_field(name: str, data: Any, personal: Any, field: str) -> None:
    with pytest.raises(EventRejected) as caught:
        decode_fact(event_of(name, 1, data), personal)
    assert caught.value.field == field
    assert field in str(caught.value) or field in ("data", "sealed")


def test_data_that_are_not_json_are_refused() -> None:
    with pytest.raises(EventRejected, match="not JSON"):
        decode_fact(event_of("ClipRated", 1, b"{"), {})
