"""Upcasting: an old event is lifted to its type's present version when it is read, and never rewritten.

A step is a pure function from one version's fields to the next one's; steps are chained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from voxledger.catalog.errors import EventRejected
from voxledger.catalog.events.access import TokenIssued, TokenRevoked
from voxledger.catalog.events.audio import AudioAccessed, CacheEvicted
from voxledger.catalog.events.clip import ClipPinned
from voxledger.catalog.events.envelope import Event
from voxledger.catalog.events.fact import NEUTRAL, Fact
from voxledger.catalog.events.generation import GenerationCancelled, GenerationCompleted, GenerationFailed
from voxledger.catalog.events.operations import ReportPublished
from voxledger.catalog.events.parts import join
from voxledger.catalog.events.registry import REGISTRY
from voxledger.catalog.events.retention import ClipPurged, ClipUnmarked, RetentionPlanned

Data: TypeAlias = dict[str, Any]
Step: TypeAlias = Callable[[Data, Data | None], tuple[Data, Data | None]]
"""Takes the open and the personal fields (None when their key was destroyed) and gives those of the next version."""

_STEPS: dict[tuple[str, int], Step] = {}


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """An event that this version of Voxledger does not understand: of another type, or newer. It is kept as it is."""

    type: str
    version: int
    data: Any


def lifts(kind: type[Fact], version: int) -> Callable[[Step], Step]:
    """Register a step that lifts `version` of an event type to the next one."""

    def register(step: Step) -> Step:
        _STEPS[kind.__name__, version] = step
        return step

    return register


@lifts(ReportPublished, 1)
def _report_without_head(data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    return {**data, "head": None, "head_position": None}, personal


@lifts(ReportPublished, 2)
def _report_of_the_schedule(data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    """What for a report was written is known since version 3; before, each counted as the week's."""
    return {**data, "by": "schedule", "channels": []}, personal


@lifts(GenerationCompleted, 1)
def _completed_without_measures(data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    """Measures beyond loudness and peak, streaming and timings came with version 2: of older clips they are not known."""
    unknown = dict.fromkeys(
        ("emotion_sha256", "target_lufs", "silence_share", "clipped_samples", "speech_rate", "first_us")
    )
    added: Data = {**unknown, "chain": 0, "marks": False, "suspect": [], "streamed": False, "segments_cached": 0}
    return {**data, **added}, None if personal is None else {**personal, "emotion_words": None, "timing": None}


@lifts(GenerationCompleted, 2)
def _completed_with_loading_in_synthesis(data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    return {**data, "load_us": None}, personal


@lifts(GenerationCompleted, 3)
def _completed_without_passages(data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    return {**data, "passages": []}, personal


@lifts(GenerationFailed, 1)
def _failed_without_remedy(data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    return {**data, "remedy": "", "engine_version": "", "delivered_us": 0}, personal


@lifts(GenerationCancelled, 1)
def _cancelled_without_delivery(data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    return {**data, "language": None, "emotion": NEUTRAL, "segments": 0, "delivered_us": 0}, personal


@lifts(AudioAccessed, 1)
def _accessed_without_end(data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    return {**data, "expires": None}, personal


@lifts(CacheEvicted, 1)
def _evicted_for_room(data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    return {**data, "reason": "room"}, personal


@lifts(ClipPinned, 1)
def _pinned_without_end(data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    return {**data, "until": None}, personal


@lifts(RetentionPlanned, 1)
def _planned_by_hand(data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    return {**data, "run": None}, personal


@lifts(ClipUnmarked, 1)
def _unmarked_as_it_was(data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    """Version 2 knows one more reason."""
    return data, personal


@lifts(ClipPurged, 1)
def _purged_without_proof(data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    """The store's answers came with version 2; nothing was sealed before."""
    return {**data, "answer": "", "versions": [], "kept_bytes": 0}, personal or {"key": None}


@lifts(TokenIssued, 1)
def _issued_by_whom(data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    return {**data, "scope": None, "by": None}, personal


@lifts(TokenRevoked, 1)
def _revoked_by_whom(data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    return {**data, "by": None}, personal


def outdated() -> frozenset[tuple[str, int]]:
    """The pairs of type and version that are known and older than the present version."""
    return frozenset((name, version) for name, kind in REGISTRY.items() for version in range(1, kind.version))


def is_understood(type: str, version: int) -> bool:
    """False for an unknown type, and for a version newer than this code."""
    kind = REGISTRY.get(type)
    return kind is not None and 1 <= version <= kind.version


def upcast(type: str, version: int, data: Data, personal: Data | None) -> tuple[Data, Data | None]:
    """The fields of an event as its present version has them; an event that is not understood comes back as it is."""
    if is_understood(type, version):
        for step in range(version, REGISTRY[type].version):
            data, personal = _STEPS[type, step](data, personal)
    return data, personal


def decode_fact(event: Event, personal: Data | None) -> Fact | Unknown:
    """What an event says, in its type's present version; Unknown for what this code does not understand.

    `personal` is what `Recorder.unsealed` gave: None when the key was destroyed (then personal fields are blank), {}
    when nothing was sealed. Raises EventRejected naming the field that does not fit.
    """
    try:
        data = msgspec.json.decode(event.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EventRejected(f"the data of event {event.id} are not JSON: {error}", field="data") from error
    if not is_understood(event.type, event.version):
        return Unknown(type=event.type, version=event.version, data=data)
    if not isinstance(data, dict):
        raise EventRejected(f"the data of {event.type} are not a JSON object", field="data")
    return join(REGISTRY[event.type], *upcast(event.type, event.version, data, personal))
