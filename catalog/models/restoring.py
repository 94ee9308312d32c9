"""Restoring: a version that was deleted or damaged, in the store or here, is put back from whoever still has it.

The manifest is looked for in the store, among its copies, among the versions that the bucket keeps, and on this machine; the
contents among the bucket's versions and on this machine.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal, NamedTuple

from voxledger.catalog.errors import ModelError, ModelNotFound
from voxledger.catalog.models.bucket import COPIES, Bucket, blob_key, manifest_key
from voxledger.catalog.models.contents import lacking, present
from voxledger.catalog.models.folder import Source, md5_of, stamp
from voxledger.catalog.models.former import LARGEST_COPY, Former
from voxledger.catalog.models.local import Local
from voxledger.catalog.models.manifest import MOST_BYTES, Manifest, ModelFile, read_manifest
from voxledger.catalog.models.names import Reference
from voxledger.catalog.models.pushing import make_current, send
from voxledger.catalog.objects.hashing import hash_object
from voxledger.catalog.objects.patience import patiently
from voxledger.catalog.progress import Heard, Progress

From = Literal["store", "versioning", "objects", "node"]


class Manifested(NamedTuple):
    """A manifest, and where it was found: `store` = where it belongs."""

    manifest: Manifest
    source: From


class Mended(NamedTuple):
    """What was put back into the store: how many files and bytes, and from where the last of them came."""

    files: int
    bytes: int
    source: From | None
    made_current: bool
    elapsed_us: int


def find_manifest(bucket: Bucket, local: Local, reference: Reference, *, expected: str | None) -> Manifested:
    """The manifest of a version, wherever it still is. `expected` is the SHA-256 that the log has: only that one is
    taken then. Raises ModelNotFound.
    """
    looks: tuple[tuple[From, Callable[[], Iterator[Manifest]]], ...] = (
        ("store", lambda: _in_place(bucket, reference)),
        ("objects", lambda: _copies(bucket, reference)),
        ("versioning", lambda: _former(bucket, reference)),
        ("node", lambda: _here(local, reference)),
    )
    for source, look in looks:
        for manifest in look():
            if expected in (None, manifest.sha256):
                return Manifested(manifest, source)
    raise ModelNotFound(
        f"nothing is left of {reference} that tells what it was: no manifest in the store, no copy of one, none among the"
        " bucket's versions, none on this machine. Run this on a machine that has it, or push its folder again"
    )


def mend_store(
    bucket: Bucket, local: Local, found: Manifested, *, damaged: frozenset[str], threads: int, progress: Progress
) -> Mended:
    """Put back into the store what a version lacks there, or has in another size; `damaged` are contents (SHA-256) that
    are known to be wrong. Raises ModelError that names what nobody here has.
    """
    started = time.perf_counter()
    manifest, source = found.manifest, found.source if found.source != "store" else None
    files = size = 0
    lacks = [file for file in manifest.contents.values() if not _is_whole(bucket, file, damaged)]
    for file in list(lacks):
        if _from_versions(bucket, file, damaged):
            lacks.remove(file)
            files, size, source = files + 1, size + file.bytes, "versioning"
    if lacks:
        # Locked until they are sent, so that nobody removes here what is on its way.
        with local.locked(lambda: progress("waiting", 0, 0)):
            here, gone = present(local, made_of(manifest, lacks), progress)
            if gone:
                raise lacking(manifest.reference, [file.path for file in gone])
            send(bucket, [_source(local, file) for file in here], threads, progress, begun=local.begun, again=damaged)
        files, size, source = files + len(here), size + sum(file.bytes for file in here), "node"
    if found.source != "store":
        _replace_manifest(bucket, manifest)
        files += 1
    bucket.drop_kept("removed", manifest)
    made_current = False
    with contextlib.suppress(ModelError):  # a damaged pointer is another matter, with an error of its own
        if bucket.pointer(manifest.name) is None:
            make_current(bucket, manifest)
            made_current = True
    elapsed_us = round((time.perf_counter() - started) * 1e6)
    return Mended(files, size, source if files else None, made_current, elapsed_us)


def damaged_in_store(bucket: Bucket, manifest: Manifest, read: Heard) -> list[ModelFile]:
    """The files of a version that the store lacks or has damaged, every byte read."""
    found = []
    for file in manifest.contents.values():
        info = patiently(partial(bucket.blob, file.sha256))
        if info is None or info.bytes != file.bytes or not _reads_right(bucket, file, read):
            found.append(file)
    return found


def _reads_right(bucket: Bucket, file: ModelFile, read: Heard) -> bool:
    """Every byte read; again, if they are wrong: what is damaged on its way here is none of the store's damage."""
    for _ in range(2):
        found = hash_object(bucket.store, bucket.name, blob_key(file.sha256), heard=read)
        if found is None or found.sha256 == file.sha256:
            return found is not None
        read(-found.bytes)
    return False


def made_of(manifest: Manifest, files: list[ModelFile]) -> Manifest:
    """A manifest of some of its files, for asking only."""
    return Manifest(name=manifest.name, version=manifest.version, files=tuple(files))


def _in_place(bucket: Bucket, reference: Reference) -> Iterator[Manifest]:
    with contextlib.suppress(ModelError):
        if (manifest := bucket.manifest(reference)) is not None:
            yield manifest


def _copies(bucket: Bucket, reference: Reference) -> Iterator[Manifest]:
    for kind in COPIES:
        listed = sorted(bucket.listed(kind, f"{reference.name}/{reference.version}/"), key=lambda each: each.modified)
        for each in reversed(listed):
            with contextlib.suppress(ModelError):
                yield bucket.kept(each)


def _here(local: Local, reference: Reference) -> Iterator[Manifest]:
    if (manifest := local.manifest(reference)) is not None:
        yield manifest


def _former(bucket: Bucket, reference: Reference) -> Iterator[Manifest]:
    """Former versions of the manifest's object, the newest first."""
    former = Former(bucket.store, bucket.name, manifest_key(reference))
    for version in former.versions():
        if not version.is_deletion and version.bytes <= MOST_BYTES:
            with contextlib.suppress(ModelError):
                yield read_manifest(former.read(version), reference, where=f"{bucket.name}/{former.key}")


def _is_whole(bucket: Bucket, file: ModelFile, damaged: frozenset[str]) -> bool:
    info = bucket.blob(file.sha256)
    return info is not None and info.bytes == file.bytes and file.sha256 not in damaged


def _from_versions(bucket: Bucket, file: ModelFile, damaged: frozenset[str]) -> bool:
    """Bring a former version of a content back: undo its deletion, or copy it over what lies on top of it."""
    former = Former(bucket.store, bucket.name, blob_key(file.sha256))
    versions = former.versions()
    for place, version in enumerate(versions):
        if version.is_deletion or version.bytes != file.bytes or (place == 0 and file.sha256 in damaged):
            continue
        if hash_object(bucket.store, bucket.name, former.key, version=version.id) != (file.bytes, file.sha256):
            continue
        above = versions[:place]
        if all(each.is_deletion for each in above):
            for each in above:
                former.delete(each)
            return True
        if file.bytes <= LARGEST_COPY:
            former.copy(version)
            return True
    return False


def _source(local: Local, file: ModelFile) -> Source:
    path = local.blob(file.sha256)
    known = stamp(path)
    assert known is not None, "it was read a moment ago"
    return Source(file, path, known, md5_of(path))


def _replace_manifest(bucket: Bucket, manifest: Manifest) -> None:
    """Put a manifest where it belongs. What lies there, if anything, is damaged or was altered: it stays as a version
    where the bucket keeps those.
    """
    key = manifest_key(manifest.reference)
    if bucket.store.exists(bucket.name, key):
        bucket.store.delete(bucket.name, key)
    bucket.put_manifest(manifest)
