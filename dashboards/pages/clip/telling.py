"""Telling: what happened to a clip, one plain sentence an event, in the language of whoever looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

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
)
from voxledger.dashboards.pages import moments
from voxledger.dashboards.pages.words import say

if TYPE_CHECKING:
    from voxledger.catalog.query.history import Told

_Kind = TypeVar("_Kind", bound=Fact)
_Telling = Callable[[Any], tuple[str, dict[str, object]]]
_TELLINGS: dict[type[Fact], tuple[str, _Telling]] = {}


def tellable() -> frozenset[type[Fact]]:
    """The event types that have a sentence here."""
    return frozenset(_TELLINGS)


def sentence(told: Told) -> str:
    """What an event says."""
    found = _found(told)
    if found is None:
        return say("%(type)s, which cannot be read any more.") % {"type": told.event.type}
    words, values = found[1](told.fact)
    return words % {"who": told.actor or say("Somebody who was erased"), **values}


def drawing(told: Told) -> str:
    """The icon that goes with an event."""
    found = _found(told)
    return found[0] if found else "circle-help"


def _found(told: Told) -> tuple[str, _Telling] | None:
    return _TELLINGS.get(type(told.fact)) if isinstance(told.fact, Fact) else None


def _of(kind: type[_Kind], icon: str) -> Callable[[Callable[[_Kind], Any]], Callable[[_Kind], Any]]:
    def register(telling: Callable[[_Kind], Any]) -> Callable[[_Kind], Any]:
        def told(fact: Any) -> tuple[str, dict[str, object]]:
            found = telling(fact)
            return (found, {}) if isinstance(found, str) else found

        _TELLINGS[kind] = icon, told
        return telling

    return register


def _day(moment: Any) -> str:
    return moments.written(moment)


@_of(GenerationCompleted, "sparkles")
def _completed(fact: GenerationCompleted) -> Any:
    values = {"engine": f"{fact.engine} {fact.engine_version}".strip(), "time": moments.duration(fact.synthesis_us)}
    return say("%(who)s had it made with %(engine)s, which took %(time)s."), values


@_of(AudioAdopted, "download")
def _adopted(fact: AudioAdopted) -> Any:
    if fact.source == "folder":
        return say("%(who)s imported it from a folder.")
    return say("It was found in %(bucket)s and adopted."), {"bucket": fact.bucket}


@_of(GenerationFailed, "circle-alert")
def _failed(fact: GenerationFailed) -> Any:
    why = fact.failure.replace("_", " ")
    return say("It could not be made with %(engine)s: %(why)s."), {"engine": fact.engine, "why": why}


@_of(GenerationCancelled, "ban")
def _cancelled(fact: GenerationCancelled) -> Any:
    return say("%(who)s called it off after %(time)s."), {"time": moments.duration(fact.elapsed_us)}


@_of(GenerationReused, "refresh-cw")
def _reused(fact: GenerationReused) -> Any:
    values = {"time": moments.duration(fact.saved_us)}
    return say("%(who)s asked for the same again and got this clip, which saved %(time)s."), values


@_of(AudioStored, "cloud-upload")
def _stored(fact: AudioStored) -> Any:
    values = {"bucket": fact.bucket, "size": moments.size(fact.bytes), "time": moments.duration(fact.transfer_us)}
    return say("It was uploaded to %(bucket)s: %(size)s in %(time)s."), values


@_of(AudioUploadFailed, "circle-alert")
def _upload_failed(fact: AudioUploadFailed) -> Any:
    return say("%(bucket)s refused it: %(why)s."), {"bucket": fact.bucket, "why": fact.failure}


@_of(AudioAccessed, "volume-2")
def _accessed(fact: AudioAccessed) -> Any:
    if fact.purpose == "link":
        ends = _day(fact.expires) if fact.expires else moments.NOTHING
        return say("%(who)s made a link to it, which works until %(until)s."), {"until": ends}
    return say("%(who)s played it.") if fact.purpose == "play" else say("%(who)s fetched it.")


@_of(CacheEvicted, "hard-drive")
def _evicted(fact: CacheEvicted) -> Any:
    if fact.reason == "damaged":
        return say("Its file on this machine was damaged and moved aside.")
    return say("Its file on this machine made room; the store has it.")


@_of(ClipTagged, "tag")
def _tagged(fact: ClipTagged) -> Any:
    return say("%(who)s tagged it “%(tag)s”."), {"tag": fact.tag or say("(erased)")}


@_of(ClipUntagged, "tag")
def _untagged(fact: ClipUntagged) -> Any:
    return say("%(who)s took the tag “%(tag)s” off."), {"tag": fact.tag or say("(erased)")}


@_of(ClipRated, "star")
def _rated(fact: ClipRated) -> Any:
    return say("%(who)s rated it %(rating)s of 5."), {"rating": fact.rating}


@_of(ClipPinned, "pin")
def _pinned(fact: ClipPinned) -> Any:
    if fact.until:
        return say("%(who)s pinned it until %(until)s%(why)s."), {"until": _day(fact.until), "why": _why(fact.reason)}
    return say("%(who)s pinned it%(why)s."), {"why": _why(fact.reason)}


@_of(ClipUnpinned, "pin-off")
def _unpinned(_: ClipUnpinned) -> Any:
    return say("%(who)s took the pin off.")


@_of(HoldPlaced, "lock")
def _held(fact: HoldPlaced) -> Any:
    values = {"why": _why(fact.reason), "until": _day(fact.until) if fact.until else ""}
    if fact.kind == "legal":
        return say("%(who)s put it under a legal hold%(why)s."), values
    return (
        say("%(who)s holds it until %(until)s%(why)s.") if fact.until else say("%(who)s holds it%(why)s."),
        values,
    )


@_of(HoldReleased, "lock")
def _released(fact: HoldReleased) -> Any:
    return say("%(who)s released it from the hold %(hold)s%(why)s."), {"hold": fact.hold, "why": _why(fact.reason)}


@_of(ClipMarked, "hourglass")
def _marked(fact: ClipMarked) -> Any:
    values = {"rule": fact.rule or moments.NOTHING, "date": _day(fact.delete_after)}
    return say("The rule “%(rule)s” marked it: it goes after %(date)s."), values


@_of(ClipUnmarked, "undo-2")
def _unmarked(fact: ClipUnmarked) -> Any:
    return {
        "pinned": say("Its mark was taken back, because it was pinned."),
        "held": say("Its mark was taken back, because a hold was placed on it."),
        "used": say("Its mark was taken back, because it was used."),
        "undone": say("Its mark was taken back, because the plan was undone."),
        "policy": say("Its mark was taken back, because the policy has changed."),
    }[fact.reason]


@_of(PurgeStarted, "trash-2")
def _purge_started(fact: PurgeStarted) -> Any:
    return say("Its deletion began, because of the rule “%(rule)s”."), {"rule": fact.rule or moments.NOTHING}


@_of(ClipPurged, "trash-2")
def _purged(fact: ClipPurged) -> Any:
    values = {"bucket": fact.bucket, "rule": fact.rule or moments.NOTHING, "size": moments.size(fact.bytes)}
    return say("Its audio was deleted from %(bucket)s, because of the rule “%(rule)s”: %(size)s."), values


@_of(PurgeFailed, "circle-alert")
def _purge_failed(fact: PurgeFailed) -> Any:
    return say("It could not be deleted from %(bucket)s: %(why)s."), {"bucket": fact.bucket, "why": fact.failure}


@_of(ClipRestored, "rotate-ccw")
def _restored(fact: ClipRestored) -> Any:
    return {
        "grace": say("It was brought back: its mark was lifted."),
        "store": say("It was brought back: the store still had it."),
        "versioning": say("It was brought back from an older version in the store."),
        "backup": say("It was brought back from a backup."),
        "cache": say("It was brought back from this machine's cache."),
        "node": say("It was brought back from another node."),
    }[fact.source]


@_of(ObjectMissing, "circle-alert")
def _missing(fact: ObjectMissing) -> Any:
    if fact.state == "absent":
        return say("It was found missing from %(bucket)s."), {"bucket": fact.bucket}
    return say("It was found changed in %(bucket)s."), {"bucket": fact.bucket}


@_of(ObjectVerified, "shield-check")
def _verified(fact: ObjectVerified) -> Any:
    if fact.method == "content":
        return say("Every byte of it was read in %(bucket)s, and all is well."), {"bucket": fact.bucket}
    return say("It was found whole in %(bucket)s."), {"bucket": fact.bucket}


def _why(reason: str | None) -> str:
    return f" ({reason})" if reason else ""
