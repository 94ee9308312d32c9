"""Deleting: many keys of a bucket, a thousand a request, the answer about each of them read, and their absence seen.

Where a bucket keeps versions, all versions and delete markers of a key are deleted by their ids: only then its bytes are gone.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.objects import client as seam
from voxledger.catalog.objects.absence import Version, left_of, versions_of
from voxledger.catalog.objects.patience import patiently
from voxledger.catalog.parallel import in_batches, in_parallel

if TYPE_CHECKING:
    from voxledger.catalog.objects.store import Store

LARGEST = 1000
"""Most keys of one DeleteObjects request."""
DELETED, LOCKED, KEPT, STILL_THERE, NO_ANSWER = "Deleted", "ObjectLocked", "VersionsKept", "StillThere", "NoAnswer"
"""Our own words among the codes of answers: gone; old versions that a lock protects; those that the access key may not delete or
see; an object that is there although its deletion was accepted; a key that the answer does not mention."""
_GONE = frozenset({DELETED, "NoSuchKey", "NoSuchVersion"})
_NO_BUCKET = "NoSuchBucket"
_AWAY = "StoreUnavailable"
_AGAIN = seam.TRANSIENT | {NO_ANSWER, _AWAY}
_TRIES = 4
_FIRST = 0.2
"""Seconds before the second try; each further one waits twice as long."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one key. `code` is `Deleted`, another word of ours, or the store's own code of refusal.

    `versions` are those deleted by id. `kept_bytes`: what old versions still hold; None when nobody may look.
    """

    key: str
    code: str = DELETED
    reason: str = ""
    versions: tuple[str, ...] = ()
    kept_bytes: int | None = 0

    @property
    def gone(self) -> bool:
        """Whether its absence, and that of all its versions, was seen."""
        return self.code in _GONE

    @property
    def nowhere(self) -> bool:
        """Whether there is no such bucket. What was never stored is gone then; what was may lie untouched at another endpoint."""
        return self.code == _NO_BUCKET

    @property
    def hidden(self) -> bool:
        """Whether nobody can read it any more, but old versions keep its bytes."""
        return self.code in (LOCKED, KEPT)

    @property
    def away(self) -> bool:
        """Whether the store had gone away."""
        return self.code == _AWAY


class _Target(NamedTuple):
    """What one line of a request names: an object, or one version of it."""

    key: str
    version: str = ""


class _Said(NamedTuple):
    """What the store said about a target. `marker`: a delete marker took its place, so the bucket keeps versions."""

    code: str
    reason: str = ""
    marker: bool = False


class Deleter:
    """Deletes from one store. Deleting what is gone is fine. Never raises StoreError: answers tell."""

    def __init__(self, store: Store, *, threads: int = 4, wait: Callable[[float], None] = time.sleep) -> None:
        self._store = store
        self._threads = threads
        self._wait = wait
        self._versioned: dict[str, bool | None] = {}

    def delete(self, bucket: str, keys: Iterable[str], *, perhaps: Iterable[str] = ()) -> dict[str, Answer]:
        """Delete objects with all their versions, and see that they are gone; gives the answer about each key.

        Keys that the store refuses for a reason that passes, and exactly those, are tried again a few times. `perhaps` are
        keys under which hardly anything lies: they are deleted only where something is seen.
        """
        once = dict.fromkeys(keys)
        wanted, more = list(once), [key for key in dict.fromkeys(perhaps) if key not in once]
        try:
            if self.keeps_versions(bucket):
                return self._with_versions(bucket, wanted, more)
            return self._plainly(bucket, wanted, more)
        except StoreError as error:
            code = _AWAY if isinstance(error, StoreUnavailable) else error.code or "StoreError"
            return {key: Answer(key=key, code=code, reason=str(error)) for key in (*wanted, *more)}

    def keeps_versions(self, bucket: str) -> bool | None:
        """Whether the bucket keeps versions, or once did; None when the access key may not ask. Raises StoreError."""
        if self._store.is_embedded:
            return False
        if bucket not in self._versioned:
            self._versioned[bucket] = patiently(lambda: _keeps_versions(self._store, bucket))
        return self._versioned[bucket]

    def _plainly(self, bucket: str, keys: Sequence[str], perhaps: Sequence[str]) -> dict[str, Answer]:
        said = self._deleted(bucket, [_Target(key) for key in keys])
        versioned = [target.key for target, word in said.items() if word.marker]
        answers = {
            target.key: Answer(
                key=target.key,
                code=word.code,
                reason=self._elsewhere(bucket) if word.code == _NO_BUCKET else word.reason,
            )
            for target, word in said.items()
        }
        if versioned:
            answers |= self._with_versions(bucket, versioned, perhaps)
            perhaps = ()
        looked = [key for key, answer in answers.items() if answer.gone and not answer.versions]
        left = left_of(self._store, bucket, [*looked, *perhaps], threads=self._threads)
        answers |= {key: _still_there(bucket, key) for key in looked if key in left}
        beside = [key for key in perhaps if key in left]
        answers |= {key: Answer(key=key) for key in perhaps}
        return {**answers, **self._plainly(bucket, beside, ())} if beside else answers

    def _elsewhere(self, bucket: str) -> str:
        where = "in the embedded store" if self._store.is_embedded else f"at {self._store.endpoint}"
        return (
            f"bucket {bucket} is not {where}; did the endpoint or the bucket's name change? If it was deleted on purpose, make it again,"
            " empty"
        )

    def _with_versions(self, bucket: str, wanted: Sequence[str], perhaps: Sequence[str]) -> dict[str, Answer]:
        keys = [*wanted, *perhaps]
        try:
            found = versions_of(self._store, bucket, keys, threads=self._threads)
        except StoreError as error:
            if error.code not in seam.REFUSED | seam.NOT_KNOWN:
                raise
            there = left_of(self._store, bucket, perhaps, threads=self._threads)
            none = {key: Answer(key=key) for key in perhaps}
            return none | self._hidden(bucket, [*wanted, *there], str(error))
        every = [version for versions in found.values() for version in versions]
        said = self._deleted(bucket, [_Target(version.key, version.id) for version in every if not version.is_marker])
        kept = {target.key for target, word in said.items() if word.code not in _GONE}
        # A marker goes last: without it, what stays could be read again.
        markers = [
            _Target(version.key, version.id) for version in every if version.is_marker and version.key not in kept
        ]
        said |= self._deleted(bucket, markers)
        left = versions_of(self._store, bucket, found, threads=self._threads) if every else {}
        self._hide(bucket, left)
        answers = {}
        for key in keys:
            gone = tuple(
                version.id
                for version in found.get(key, ())
                if (word := said.get(_Target(key, version.id))) is not None and word.code in _GONE
            )
            answer = self._remaining(bucket, key, left[key], said) if key in left else Answer(key=key)
            answers[key] = msgspec.structs.replace(answer, versions=gone)
        return answers

    def _remaining(self, bucket: str, key: str, left: Sequence[Version], said: Mapping[_Target, _Said]) -> Answer:
        """The answer about a key of which something is left: the first refusal, in words that say whether it is a lock."""
        kept = sum(version.bytes for version in left)
        target = next(
            (
                target
                for version in left
                if said.get(target := _Target(key, version.id), _Said(DELETED)).code not in _GONE
            ),
            None,
        )
        if target is None:
            return msgspec.structs.replace(_still_there(bucket, key), kept_bytes=kept)
        word = said[target]
        if word.code in seam.REFUSED:
            # In the answer about many keys Ceph does not say that it is a lock.
            word = self._one(bucket, target)
        locked = "lock" in f"{word.code} {word.reason}".lower() or "worm" in word.reason.lower()
        code = LOCKED if locked else KEPT if word.code in seam.REFUSED else word.code
        return Answer(key=key, code=code, reason=word.reason or word.code, kept_bytes=kept)

    def _hidden(self, bucket: str, keys: Sequence[str], reason: str) -> dict[str, Answer]:
        """The access key may not see versions: a delete marker is all that can be had."""
        said = self._deleted(bucket, [_Target(key) for key in keys])
        left = left_of(self._store, bucket, keys, threads=self._threads)
        return {
            target.key: _still_there(bucket, target.key) if target.key in left
            else Answer(key=target.key, code=KEPT, reason=reason, kept_bytes=None) if word.code in _GONE
            else Answer(key=target.key, code=word.code, reason=word.reason)
            for target, word in said.items()
        }  # fmt: skip

    def _hide(self, bucket: str, left: Mapping[str, Sequence[Version]]) -> None:
        """What could not be deleted shall at least not be read: a delete marker goes on top."""
        seen = [
            key for key, versions in left.items() if any(found.is_latest and not found.is_marker for found in versions)
        ]
        if seen:
            self._deleted(bucket, [_Target(key) for key in seen])

    def _deleted(self, bucket: str, targets: Sequence[_Target]) -> dict[_Target, _Said]:
        """What the store says about each target in the end."""
        said: dict[_Target, _Said] = {}
        waiting = list(targets)
        for number in range(_TRIES):
            if number:
                self._wait(_FIRST * 2.0 ** (number - 1) * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, not a secret
            for _, words in in_parallel(
                lambda some: self._request(bucket, some),
                in_batches(waiting, LARGEST),
                threads=self._threads,
                name="delete",
            ):
                said |= words
            waiting = [target for target in waiting if said[target].code in _AGAIN]
            if not waiting:
                break
        return said

    def _request(self, bucket: str, targets: Sequence[_Target]) -> dict[_Target, _Said]:
        """One request for all of them; one each where the store does not know that, or allows only that.

        Under an IAM policy Ceph 16.2 allows to delete one object, and refuses the same for several at once.
        """
        named: Any = [_named(target) for target in targets]
        try:
            with self._store.deleting:
                answer = self._store.request(
                    f"DELETE {len(targets)} objects of {bucket}",
                    lambda s3: s3.delete_objects(Bucket=bucket, Delete={"Objects": named}),
                )
        except StoreError as error:
            if error.code in seam.REFUSED | seam.NOT_KNOWN:
                return {target: self._one(bucket, target) for target in targets}
            return dict.fromkeys(targets, _refusal(error))
        told = {
            _Target(found["Key"], found.get("VersionId", "")): _Said(
                DELETED, marker=bool(found.get("DeleteMarker")) and "VersionId" not in found
            )
            for found in answer.get("Deleted", [])
        }
        told |= {
            _Target(found["Key"], found.get("VersionId", "")): _Said(found.get("Code", ""), found.get("Message", ""))
            for found in answer.get("Errors", [])
        }
        silence = _Said(NO_ANSWER, "the store's answer does not mention it")
        return {target: told.get(target, silence) for target in targets}

    def _one(self, bucket: str, target: _Target) -> _Said:
        named: Any = {"Key": target.key, **({"VersionId": target.version} if target.version else {})}
        try:
            answer = self._store.request(f"DELETE in {bucket}", lambda s3: s3.delete_object(Bucket=bucket, **named))
        except StoreError as error:
            return _refusal(error)
        return _Said(DELETED, marker=bool(answer.get("DeleteMarker")) and not target.version)


def _keeps_versions(store: Store, bucket: str) -> bool | None:
    try:
        found = store.request(f"VERSIONING of {bucket}", lambda s3: s3.get_bucket_versioning(Bucket=bucket))
    except StoreError as error:
        if error.code in seam.REFUSED:
            return None
        if error.code in seam.MISSING | seam.NOT_KNOWN:
            return False
        raise
    return "Status" in found


def _named(target: _Target) -> dict[str, str]:
    return {"Key": target.key, "VersionId": target.version} if target.version else {"Key": target.key}


def _refusal(error: StoreError) -> _Said:
    return _Said(_AWAY if isinstance(error, StoreUnavailable) else error.code or "StoreError", str(error))


def _still_there(bucket: str, key: str) -> Answer:
    return Answer(
        key=key,
        code=STILL_THERE,
        reason=f"the store accepted the deletion, but still has {bucket}/{key}",
        kept_bytes=None,
    )
