"""What happened to a clip, in words: one sentence for each event type whose subject is a clip."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

from voxledger.catalog.events import (
    AudioAccessed,
    AudioAdopted,
    AudioStored,
    AudioUploadFailed,
    CacheEvicted,
    ClipMarked,
    ClipPinned,
    ClipPurged,
    ClipRated,
    ClipRestored,
    ClipTagged,
    ClipUnmarked,
    ClipUnpinned,
    ClipUntagged,
    Fact,
    GenerationCancelled,
    GenerationCompleted,
    GenerationFailed,
    GenerationReused,
    HoldPlaced,
    HoldReleased,
    ObjectMissing,
    ObjectVerified,
    PurgeFailed,
    PurgeStarted,
    Unknown,
)

_Kind = TypeVar("_Kind", bound=Fact)
_Wording: TypeAlias = Callable[[Any, str], str]
_WORDINGS: dict[type[Fact], _Wording] = {}


def wording(fact: Fact | Unknown, actor: str | None) -> str:
    """One sentence without its subject, which is the clip. It names the actor (None = erased) of what people do."""
    if isinstance(fact, Unknown):
        return f"unknown event {fact.type} v{fact.version}"
    return _WORDINGS[type(fact)](fact, f" by {actor or 'an erased actor'}")


def worded() -> frozenset[type[Fact]]:
    """The event types that have a sentence."""
    return frozenset(_WORDINGS)


def _of(kind: type[_Kind]) -> Callable[[Callable[[_Kind], str]], Callable[[_Kind], str]]:
    def register(wording: Callable[[_Kind], str]) -> Callable[[_Kind], str]:
        _WORDINGS[kind] = lambda fact, _: wording(fact)
        return wording

    return register


def _by_people(kind: type[_Kind]) -> Callable[[Callable[[_Kind, str], str]], Callable[[_Kind, str], str]]:
    def register(wording: Callable[[_Kind, str], str]) -> Callable[[_Kind, str], str]:
        _WORDINGS[kind] = wording
        return wording

    return register


def _seconds(microseconds: int) -> str:
    return f"{microseconds / 1e6:.1f} s" if microseconds >= 100_000 else f"{microseconds / 1e3:.1f} ms"


def _size(count: int) -> str:
    return f"{count:,} bytes"


def _moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _because(reason: str | None) -> str:
    return f" ({reason})" if reason else ""


def _attempts(count: int) -> str:
    return f"after {count} attempt{'' if count == 1 else 's'}"


@_of(GenerationCompleted)
def _completed(fact: GenerationCompleted) -> str:
    dropped = f", without {', '.join(name.replace('_', ' ') for name in fact.dropped)}" if fact.dropped else ""
    tags = f", tagged {', '.join(fact.tags)}" if fact.tags else ""
    return (
        f"made with {fact.engine} {fact.engine_version} in {_seconds(fact.synthesis_us)}: {_seconds(fact.duration_us)} of"
        f" {fact.language}, {fact.emotion}, {fact.format}, {_size(fact.bytes)}{dropped}{tags}"
    )


@_of(AudioAdopted)
def _adopted(fact: AudioAdopted) -> str:
    where = {
        "bucket": f"found in {fact.bucket}",
        "folder": "imported from a folder",
        "store": f"told again by {fact.bucket}",
    }
    tags = f", tagged {', '.join(fact.tags)}" if fact.tags else ""
    return f"adopted, {where[fact.source]}: {_seconds(fact.duration_us)}, {fact.format}, {_size(fact.bytes)}{tags}"


@_of(GenerationFailed)
def _failed(fact: GenerationFailed) -> str:
    remedy = f"; remedy: {fact.remedy.rstrip('. ')}" if fact.remedy else ""
    return (
        f"could not be made with {fact.engine}: {fact.failure} ({fact.stage}) after {_seconds(fact.elapsed_us)}{remedy}"
    )


@_of(GenerationCancelled)
def _cancelled(fact: GenerationCancelled) -> str:
    heard = f", when {_seconds(fact.delivered_us)} had been handed over" if fact.delivered_us else ""
    return f"was cancelled after {_seconds(fact.elapsed_us)} with {fact.engine}{heard}"


@_by_people(GenerationReused)
def _reused(fact: GenerationReused, by: str) -> str:
    return f"reused{by} through {fact.channel}, which saved {_seconds(fact.saved_us)}"


@_of(AudioStored)
def _stored(fact: AudioStored) -> str:
    return f"uploaded to {fact.bucket} {_attempts(fact.attempts)} in {_seconds(fact.transfer_us)}, {_size(fact.bytes)}"


@_of(AudioUploadFailed)
def _upload_failed(fact: AudioUploadFailed) -> str:
    return f"refused by {fact.bucket} {_attempts(fact.attempts)}: {fact.failure}"


@_by_people(AudioAccessed)
def _accessed(fact: AudioAccessed, by: str) -> str:
    what = {"play": "played", "fetch": "fetched", "link": "linked to"}[fact.purpose]
    until = f", until {_moment(fact.expires)}" if fact.expires else ""
    return f"{what}{by} through {fact.channel}{until}"


@_of(CacheEvicted)
def _evicted(fact: CacheEvicted) -> str:
    why = ", moved aside as damaged" if fact.reason == "damaged" else ""
    return f"left the cache{why}, {_size(fact.bytes)}; last used {_moment(fact.last_used)}"


@_by_people(ClipTagged)
def _tagged(fact: ClipTagged, by: str) -> str:
    return f"tagged {fact.tag or '(erased)'}{by}"


@_by_people(ClipUntagged)
def _untagged(fact: ClipUntagged, by: str) -> str:
    return f"lost the tag {fact.tag or '(erased)'}{by}"


@_by_people(ClipRated)
def _rated(fact: ClipRated, by: str) -> str:
    return f"rated {fact.rating} of 5{by}"


@_by_people(ClipPinned)
def _pinned(fact: ClipPinned, by: str) -> str:
    until = f", until {_moment(fact.until)}" if fact.until else ""
    return f"pinned{by}{_because(fact.reason)}{until}"


@_by_people(ClipUnpinned)
def _unpinned(_: ClipUnpinned, by: str) -> str:
    return f"unpinned{by}"


@_by_people(HoldPlaced)
def _held(fact: HoldPlaced, by: str) -> str:
    until = f", until {_moment(fact.until)}" if fact.until else ""
    review = f", to be looked at {_moment(fact.review)}" if fact.review else ""
    return f"put under {_hold(fact.kind)} {fact.hold}{by}{_because(fact.reason)}{until}{review}"


@_by_people(HoldReleased)
def _released(fact: HoldReleased, by: str) -> str:
    return f"released from {_hold(fact.kind)} {fact.hold}{by}{_because(fact.reason)}"


def _hold(kind: str) -> str:
    return "legal hold" if kind == "legal" else "hold"


@_of(ClipMarked)
def _marked(fact: ClipMarked) -> str:
    return f"marked by rule {fact.rule} of plan {fact.plan}, goes after {_moment(fact.delete_after)}"


@_of(ClipUnmarked)
def _unmarked(fact: ClipUnmarked) -> str:
    why = {
        "pinned": "it was pinned",
        "held": "a hold was placed on it",
        "used": "it was used",
        "undone": "the plan was undone",
        "policy": "the policy changed",
    }
    # Only an undo names the plan that had set the mark; else it is the one that takes it back.
    whose = (
        f"mark of plan {fact.plan} taken back" if fact.reason == "undone" else f"mark taken back by plan {fact.plan}"
    )
    return f"{whose}: {why[fact.reason]}"


@_of(PurgeStarted)
def _purge_started(fact: PurgeStarted) -> str:
    return f"purge from {fact.bucket} begun by rule {fact.rule} of plan {fact.plan}"


@_of(ClipPurged)
def _purged(fact: ClipPurged) -> str:
    return f"purged from {fact.bucket} by rule {fact.rule} of plan {fact.plan}, {_size(fact.bytes)}"


@_of(PurgeFailed)
def _purge_failed(fact: PurgeFailed) -> str:
    return f"could not be purged from {fact.bucket} for plan {fact.plan}: {fact.failure}"


@_of(ClipRestored)
def _restored(fact: ClipRestored) -> str:
    source = {
        "grace": "its mark was lifted", "store": "which still had it", "versioning": "from an older version in the store",
        "backup": "from a backup", "cache": "from the cache", "node": "from another node",
    }  # fmt: skip
    return f"restored to {fact.bucket}, {source[fact.source]}, {_size(fact.bytes)}"


@_of(ObjectMissing)
def _missing(fact: ObjectMissing) -> str:
    if fact.state == "absent":
        return f"found missing from {fact.bucket}"
    return f"found changed in {fact.bucket}: {_size(fact.found_bytes or 0)} instead of {_size(fact.bytes)}"


@_of(ObjectVerified)
def _verified(fact: ObjectVerified) -> str:
    how = {"listing": "by its size and ETag", "head": "by its size and ETag", "content": "by reading every byte"}
    return f"found whole in {fact.bucket} {how[fact.method]}"
