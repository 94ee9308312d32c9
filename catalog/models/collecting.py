"""Collecting: contents that no version needs any more, in the store and here. Looks first; deletes when it is asked again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from voxledger.catalog.errors import ModelError
from voxledger.catalog.models.bucket import Bucket, Listed
from voxledger.catalog.objects import ObjectInfo

_PREFIX = "blobs/sha256/"


class Waste(NamedTuple):
    """What may go from the store: contents, and the memory of versions that were removed. `young` contents are named by
    nothing either, but came within the grace: a push may be about to name them.
    """

    contents: tuple[ObjectInfo, ...]
    removed: tuple[Listed, ...]
    young: int
    named: int

    @property
    def bytes(self) -> int:
        """What would become free."""
        return sum(content.bytes for content in self.contents)


def waste(bucket: Bucket, *, now: datetime, grace: float) -> Waste:
    """What nothing in the store names, and is older than `grace` (s). Changes nothing.

    Raises ModelError when a manifest cannot be read, or there is none at all: then nobody can tell what is needed.
    """
    # Contents first: what a push names in the meantime is then among the manifests.
    contents = [content for content in bucket.blobs() if _sha256(content)]
    needed, old, seen = set[str](), list[Listed](), 0
    for listed in bucket.listed("manifests"):
        manifest = bucket.manifest(listed.reference)
        seen += 1
        needed |= set(manifest.contents) if manifest else set()
    for kept in bucket.listed("copies"):
        seen += 1
        needed |= set(bucket.kept(kept).contents)
    for gone in bucket.listed("removed"):
        seen += 1
        if _is_old(gone.modified, now, grace):
            old.append(gone)
        else:
            needed |= set(bucket.kept(gone).contents)
    if contents and not seen:
        raise ModelError(
            f"the bucket {bucket.name} has {len(contents):,} files and not one manifest: nobody can tell which are needed, and"
            " none is deleted. Restore the versions, or empty the bucket by hand if nothing in it is wanted"
        )
    unnamed = [content for content in contents if _sha256(content) not in needed]
    condemned = tuple(content for content in unnamed if _is_old(content.modified, now, grace))
    return Waste(condemned, tuple(old), len(unnamed) - len(condemned), len(contents) - len(unnamed))


def collect(bucket: Bucket, *, now: datetime, grace: float) -> Waste:
    """Delete what `waste` finds; gives what is deleted. Raises ModelError as it does, when versions come or go meanwhile, and
    with the names of versions that came too late to be seen and lack what was deleted.
    """
    # Before `waste` reads what is needed: whatever comes after that is then a change.
    before = _state(bucket)
    found = waste(bucket, now=now, grace=grace)
    doomed = []
    for content in found.contents:
        again = bucket.blob(_sha256(content))
        if again is not None and _is_old(again.modified, now, grace):
            doomed.append(content)
    if _state(bucket) != before:
        raise ModelError("versions were pushed or removed at the same moment, and nothing was deleted; do it again")
    refused = bucket.store.delete_many(bucket.name, [content.key for content in doomed])
    if refused:
        key, code = next(iter(refused.items()))
        raise ModelError(
            f"{len(refused):,} of {len(doomed):,} files could not be deleted, such as {bucket.name}/{key} ({code})"
        )
    _require_unhurt(bucket, before, {_sha256(content) for content in doomed})
    # Last, so that a run that was interrupted finds the same again.
    for listed in found.removed:
        bucket.forget(listed)
    return found._replace(contents=tuple(doomed))


def _state(bucket: Bucket) -> list[Listed]:
    return [*bucket.listed("manifests"), *bucket.listed("copies")]


def _require_unhurt(bucket: Bucket, before: list[Listed], deleted: set[str]) -> None:
    """Name the versions that came while contents were deleted, and lack some of them: a push that had found them there."""
    hurt: dict[str, list[str]] = {}
    for listed in set(_state(bucket)).difference(before) if deleted else ():
        manifest = bucket.kept(listed) if listed.sha256 else bucket.manifest(listed.reference)
        needed = manifest.contents.items() if manifest else ()
        if lost := [file.path for sha256, file in needed if sha256 in deleted and bucket.blob(sha256) is None]:
            hurt[str(listed.reference)] = lost
    if hurt:
        raise ModelError(
            f"{', '.join(sorted(hurt))} came at the same moment, and may lack files that were deleted, such as"
            f" {next(iter(hurt.values()))[0]}; `voxledger models verify` tells, and pushing again sends them",
            files=[path for lost in hurt.values() for path in lost],
        )


def _sha256(content: ObjectInfo) -> str:
    """The hash in a content's key, empty for a key that is none of ours."""
    sha256 = content.key.rpartition("/")[2]
    return sha256 if content.key == f"{_PREFIX}{sha256[:2]}/{sha256}" and len(sha256) == 64 else ""


def _is_old(modified: datetime, now: datetime, grace: float) -> bool:
    return modified <= now - timedelta(seconds=grace)
