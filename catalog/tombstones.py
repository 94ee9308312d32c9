"""Tombstones: who was erased, as an object in the store, so that no backup and no rebuild ever brings them back.

`erased/REQUEST.json` lies in the bucket of events and in that of backups. It holds opaque ids and numbers, no words. Whatever makes a
HOME anew from a bucket applies them before it opens anything: keys that a saved vault still has are destroyed first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from voxledger.catalog.errors import EventRejected, StoreError
from voxledger.catalog.events import ClipPurged, Draft, Fact, PurgeStarted, SubjectErased
from voxledger.catalog.objects.policies import TOMBSTONES as PREFIX
from voxledger.catalog.parallel import in_batches
from voxledger.catalog.recorder import SYSTEM, Recorder

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.objects import Store

_FORMAT = 1
RULE = "erasure"
"""What stands as the rule where a clip went because somebody was erased."""
_BATCH = 1000
_CLIPS = """SELECT id::VARCHAR, bucket, bytes, purge_started IS NOT NULL FROM clips
WHERE purged IS NULL AND ($last::BIGINT IS NULL OR position <= $last) AND {condition} ORDER BY id"""
_LEFT = {
    "actor": _CLIPS.format(condition="actor_id = $target"),
    "voice": _CLIPS.format(condition="(voice_sha256 = $target OR emotion_sha256 = $target)"),
}
_TOLD = "SELECT data ->> 'request' FROM events WHERE type = 'SubjectErased'"


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """One erasure. `fact` is its SubjectErased as it stood when the words went, `event` the id under which a HOME records it that has
    not heard of it. `position` is how far the log of `node` had come then.
    """

    format: int = _FORMAT
    event: str
    node: str
    position: int
    fact: dict[str, Any]

    @property
    def erased(self) -> SubjectErased:
        """What happened."""
        return msgspec.convert(self.fact, SubjectErased)

    @property
    def key(self) -> str:
        """Where it lies."""
        return f"{PREFIX}{self.erased.request}.json"


def put(store: Store, bucket: str, stone: Tombstone) -> None:
    """Put it there, durably; one that is there already stays. Raises StoreError."""
    if not store.exists(bucket, stone.key):
        store.put(bucket, stone.key, msgspec.json.encode(stone), content_type="application/json")
        store.settle(bucket, stone.key)


def found(store: Store, bucket: str) -> list[Tombstone]:
    """All tombstones in a bucket. Raises StoreError; EventRejected for one that this version cannot read."""
    stones = []
    for info in store.list(bucket, PREFIX):
        try:
            stone = msgspec.json.decode(store.get(bucket, info.key), type=Tombstone)
            if stone.format != _FORMAT or stone.key != info.key:
                raise msgspec.ValidationError("it is of another version, or under another name")
        except msgspec.MsgspecError as error:
            raise EventRejected(
                f"{bucket}/{info.key} says that somebody was erased, and cannot be read: {error}; upgrade Voxledger. Nothing was"
                " brought back"
            ) from error
        stones.append(stone)
    return stones


def destroyed(stones: Iterable[Tombstone]) -> frozenset[str]:
    """The opaque ids of the actors among them, whose keys must not be used again."""
    return frozenset(stone.erased.target for stone in stones if stone.erased.key_destroyed)


def destroy(stones: Iterable[Tombstone], recorder: Recorder) -> int:
    """Destroy, in this vault, the keys of everybody among them; gives how many there were. Before anything is folded."""
    vault, gone = recorder.vault, 0
    for stone in stones:
        erased = stone.erased
        if erased.key_destroyed:
            gone += not vault.destroyed(erased.target) and vault.destroy(erased.target)
        elif erased.scope == "voice" and stone.node == recorder.journal.node:
            vault.forget_voice(erased.target, stone.position)
    return gone


def record(stones: Iterable[Tombstone], recorder: Recorder, keeper: Keeper) -> int:
    """Record those of which this log has not heard, with the purges of their clips, and forget their voices up to there; gives how
    many.
    """
    with keeper.reading() as reading:
        told = {request for (request,) in reading.tuples(_TOLD)}
    system, drafts = recorder.vault.actor(SYSTEM), list[Draft]()
    for stone in stones:
        erased = stone.erased
        if erased.request not in told:
            _purged(stone, recorder, keeper)  # first: killed in between, the next call finds what is left
            drafts.append(recorder.draft(erased, subject=erased.request, actor=system, event_id=stone.event))
    for event, draft in zip(recorder.journal.emit(*drafts) if drafts else (), drafts, strict=True):
        fact = msgspec.json.decode(draft.data)
        if fact["scope"] == "voice":
            recorder.vault.forget_voice(fact["target"], event.position)
    return len(drafts)


def _purged(stone: Tombstone, recorder: Recorder, keeper: Keeper) -> None:
    """Record that the audio of its clips is gone, of which this log may still say that it is stored."""
    erased, system = stone.erased, recorder.vault.actor(SYSTEM)
    # A voice may have been registered anew, and spoken with, since then.
    last = stone.position if erased.scope == "voice" and stone.node == recorder.journal.node else None
    with keeper.reading(fresh=False) as reading:
        clips = reading.tuples(_LEFT[erased.scope], {"target": erased.target, "last": last})
    for batch in in_batches(clips, _BATCH):
        facts: list[tuple[str, Fact]] = []
        for clip, bucket, size, started in batch:
            if not started:
                facts.append((clip, PurgeStarted(plan=erased.request, rule=RULE, bucket=bucket)))
            facts.append((clip, ClipPurged(plan=erased.request, rule=RULE, bucket=bucket, bytes=size)))
        recorder.journal.emit(*(recorder.draft(fact, subject=clip, actor=system) for clip, fact in facts))


def everywhere(*places: tuple[Store, str]) -> list[Tombstone]:
    """Those of several buckets, each once. A bucket that is not there has none. Raises StoreError."""
    stones: dict[str, Tombstone] = {}
    for store, bucket in places:
        try:
            stones |= {stone.key: stone for stone in found(store, bucket)}
        except StoreError as error:
            if error.code != "NoSuchBucket":
                raise
    return list(stones.values())
