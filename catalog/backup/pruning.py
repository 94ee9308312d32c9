"""Pruning: backups that no rule keeps go, and then what no other backup needs. First the manifest, then its pieces: killed
in between, a piece too many is left, never one too few.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from voxledger.catalog.backup.audio import listed as listed_audio
from voxledger.catalog.backup.bucket import Bucket, Listed
from voxledger.catalog.backup.contents import Manifest
from voxledger.catalog.backup.damage import PREFIX as DAMAGED
from voxledger.catalog.backup.keeping import Candidate, Decision, Rules, decide
from voxledger.catalog.backup.locks import Lock, held
from voxledger.catalog.backup.passphrase import Seal
from voxledger.catalog.errors import BackupDamaged, BackupError
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.progress import Progress

_T = TypeVar("_T")
_BATCH = 1000


class Pruned(NamedTuple):
    """What was decided, and what lies there that no backup that stays needs: `objects` of `bytes` in all.

    `dropped` backups go because they were named. `applied` says whether it was done, or only looked at.
    """

    decisions: tuple[Decision, ...]
    dropped: tuple[Listed, ...]
    objects: int
    bytes: int
    applied: bool


def prune(
    bucket: Bucket,
    rules: Rules,
    zone: ZoneInfo,
    *,
    drop: Sequence[str] = (),
    apply: bool,
    progress: Progress,
) -> Pruned:
    """Decide which backups go, and delete them if `apply`; `drop` names some that go in any case, damaged ones too.

    With `drop` the rules are not asked. Raises BackupError when a backup that would stay cannot be read, because nobody
    knows what it needs; when there are pieces and not one backup that could need them, unless `drop` named the last one;
    when backups are being made; and for rules that keep nothing.
    """
    if rules.keep_nothing and not drop:
        raise BackupError(
            "these rules keep nothing; give at least one of backup.keep_last, _daily, _weekly and _monthly"
        )
    dropped = tuple(bucket.find(reference) for reference in drop)
    if not apply:
        return _Prune(bucket, dropped, progress, lock=None).run(rules, zone)
    with held(bucket.store, bucket.name, "prune") as lock:
        return _Prune(bucket, dropped, progress, lock=lock).run(rules, zone)


def unneeded(bucket: Bucket, lock: Lock, progress: Progress) -> list[str]:
    """The keys of what none of the backups that are there needs. Raises BackupError as `prune` does."""
    found = _Prune(bucket, (), progress, lock=lock)
    return found.left_over()


class _Prune:
    """Looks at every backup; deletes only under a lock."""

    def __init__(
        self,
        bucket: Bucket,
        dropped: tuple[Listed, ...],
        progress: Progress,
        *,
        lock: Lock | None,
    ) -> None:
        self._bucket = bucket
        self._dropped = dropped
        self._progress = progress
        self._lock = lock

    def run(self, rules: Rules, zone: ZoneInfo) -> Pruned:
        going = {listed.key for listed in self._dropped}
        listed = self._bucket.listed()
        if not listed:
            self._require_nothing()
        found = self._manifests([each for each in listed if each.key not in going])
        decisions: list[Decision] = []
        if not self._dropped:
            candidates = [Candidate(listed.id, manifest.node, listed.created) for listed, manifest, _ in found]
            decisions = decide(candidates, rules, zone)
        condemned = {decision.backup.id for decision in decisions if not decision.keep}
        staying = [each for each in found if each[0].id not in condemned]
        unneeded, size = self._unneeded(staying)
        if self._lock is not None:
            gone = [listed.key for listed, _, _ in found if listed.id in condemned] + sorted(going)
            self._delete("forgetting", gone, self._lock)
            failpoint("backup.after_forgotten")
            self._delete("deleting", unneeded, self._lock)
        return Pruned(tuple(decisions), self._dropped, len(unneeded), size, self._lock is not None)

    def left_over(self) -> list[str]:
        """What no backup needs, where all of them stay."""
        return self._unneeded(self._manifests(self._bucket.listed()))[0]

    def _manifests(self, listed: Sequence[Listed]) -> list[tuple[Listed, Manifest, Seal]]:
        found = []
        for number, each in enumerate(self._renewing(listed), 1):
            try:
                manifest, seal = self._bucket.manifest(each)
            except BackupDamaged as error:
                raise BackupError(
                    f"{error}. Nothing was deleted, because nobody can tell what that backup needs; `voxledger backup prune --drop"
                    f" {each.id[-8:]}` gives it up"
                ) from error
            found.append((each, manifest, seal))
            self._progress("reading backups", number, len(listed))
        return found

    def _require_nothing(self) -> None:
        """Without any backup there must be no piece either: manifests are lost before anybody means to lose all of them."""
        name = self._bucket.name
        for prefix in ("data/", "audio/"):
            if any(True for _ in self._bucket.store.list(name, prefix)):
                raise BackupError(
                    f"there is not one backup in {name}, but {prefix} holds pieces of some. Nothing was deleted: bring {name}/backups/"
                    " back if it was lost, as a bucket with versions can. If all backups are meant to be gone, make a new one (it"
                    " takes over what it needs) and prune then, or delete the bucket"
                )

    def _unneeded(self, staying: Sequence[tuple[Listed, Manifest, Seal]]) -> tuple[list[str], int]:
        """The keys of what none of these backups needs, and its size."""
        pieces: set[str] = set()
        copies: set[str] = set()
        for _, manifest, seal in staying:
            pieces.update(piece.name for file in manifest.files for piece in file.pieces)
            if manifest.audio is not None:
                pieces.update(piece.name for piece in manifest.audio.listing.pieces)
                for saved in self._renewing(listed_audio(self._bucket, seal, manifest.audio)):
                    pieces.update(piece.name for piece in saved.pieces)
                    if not saved.pieces and not saved.erased:
                        copies.add(saved.id)
        return self._apart_from(pieces, copies)

    def _apart_from(self, pieces: Collection[str], copies: Collection[str]) -> tuple[list[str], int]:
        keys, size = [], 0
        for info in self._renewing(self._bucket.pieces()):
            if info.key.rpartition("/")[2] not in pieces:
                keys.append(info.key)
                size += info.bytes
        for info in self._renewing(self._bucket.store.list(self._bucket.name, "audio/")):
            if info.key.removeprefix("audio/") not in copies:
                keys.append(info.key)
                size += info.bytes
        for info in self._renewing(self._bucket.store.list(self._bucket.name, DAMAGED)):
            key = info.key.removeprefix(DAMAGED)
            if key.rpartition("/")[2] not in pieces and key.removeprefix("audio/") not in copies:
                keys.append(info.key)
        return keys, size

    def _renewing(self, things: Iterable[_T]) -> Iterator[_T]:
        """The same things, and the lock is kept while they are gone through. Whoever only looks has none."""
        return iter(things) if self._lock is None else self._lock.renewing(things)

    def _delete(self, what: str, keys: Sequence[str], lock: Lock) -> None:
        for start in range(0, len(keys), _BATCH):
            lock.renew()
            lock.require()
            refused = self._bucket.store.delete_many(self._bucket.name, keys[start : start + _BATCH])
            if refused:
                key, code = next(iter(refused.items()))
                raise BackupError(
                    f"the store did not delete {len(refused)} objects ({self._bucket.name}/{key}: {code}); run it again with a key that may"
                )
            self._progress(what, min(start + _BATCH, len(keys)), len(keys))
