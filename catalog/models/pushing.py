"""Pushing: a folder becomes a model version in the store. Contents first, then the manifest, then the pointer."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from voxledger.catalog.errors import ModelError, StoreError
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.models.bucket import USED, Bucket, Step, blob_key
from voxledger.catalog.models.contents import LARGE
from voxledger.catalog.models.folder import Source, read_folder, require_unchanged, total_bytes
from voxledger.catalog.models.manifest import Manifest
from voxledger.catalog.models.names import Reference
from voxledger.catalog.models.progress import Meter
from voxledger.catalog.objects.begun import Uploads, uploads
from voxledger.catalog.objects.patience import patiently
from voxledger.catalog.objects.sending import Sending
from voxledger.catalog.parallel import in_parallel
from voxledger.catalog.progress import Progress, silent

_TRIES = 5


class Pushed(NamedTuple):
    """What a push did. `sent_bytes` had to travel; the rest was there already. `hidden` files were left out."""

    manifest: Manifest
    sent_files: int
    sent_bytes: int
    hidden: int
    is_new: bool
    was_current: Reference | None
    elapsed_us: int


def push(
    bucket: Bucket,
    folder: Path,
    reference: Reference,
    *,
    begun: Path,
    follow: bool,
    current: bool,
    threads: int,
    progress: Progress,
) -> Pushed:
    """Put a folder into the store as a version, and make it the current one. Doing it again sends only what lacks;
    `begun` is the folder that remembers which parts of large files are there.

    Raises ModelError when the version is there already with other files, or the folder cannot be pushed as it is.
    """
    started = time.perf_counter()
    meter = Meter("hashing", total_bytes(folder, follow=follow), progress)
    read = read_folder(folder, reference, follow=follow, hashed=meter.add)
    _require_unused(bucket, read.manifest)
    is_new = bucket.manifest(reference) is None
    sources = [read.sources[file.path] for file in read.manifest.contents.values()]
    sent = send(bucket, sources, threads, progress, begun=begun)
    for source in read.sources.values():
        require_unchanged(source)
    failpoint("models.before_manifest")
    bucket.put_manifest(read.manifest)
    # What was there already may have been swept away by a `gc` that did not know of this version yet.
    sent += send(bucket, sources, threads, silent, begun=begun)
    failpoint("models.after_manifest")
    was = make_current(bucket, read.manifest) if current else None
    return Pushed(
        manifest=read.manifest,
        sent_files=len(sent),
        sent_bytes=sum(source.file.bytes for source in sent),
        hidden=read.hidden,
        is_new=is_new,
        was_current=was,
        elapsed_us=round((time.perf_counter() - started) * 1e6),
    )


def send(
    bucket: Bucket,
    sources: list[Source],
    threads: int,
    progress: Progress,
    *,
    begun: Path,
    again: frozenset[str] = frozenset(),
) -> list[Source]:
    """Put contents that the store lacks, has in another size, or are to be sent `again` (SHA-256); gives those."""
    bucket.store.ensure_bucket(bucket.name)
    there = in_parallel(lambda source: bucket.blob(source.file.sha256), sources, threads=threads, name="push")
    lacking = [
        source
        for source, found in there
        if found is None or found.bytes != source.file.bytes or source.file.sha256 in again
    ]
    meter = Meter("pushing", sum(source.file.bytes for source in lacking), progress)
    small = [source for source in lacking if source.file.bytes < LARGE]
    large = [source for source in lacking if source.file.bytes >= LARGE]
    with uploads(begun) as known:
        # As in `contents.fetch`: large ones are sent in parts, by several connections each.
        for source in sorted(large, key=lambda each: -each.file.bytes):
            _send(bucket, source, meter, known)
            failpoint("models.after_pushed_file")
        for _ in in_parallel(lambda source: _send(bucket, source, meter, known), small, threads=threads, name="push"):
            failpoint("models.after_pushed_file")
    return lacking


def make_current(bucket: Bucket, manifest: Manifest) -> Reference | None:
    """Let the pointer lead to a version; gives where it led before, None when it led nowhere."""
    reference = manifest.reference
    for _ in range(_TRIES):
        before = bucket.pointer(reference.name)
        history = before.pointer.history if before else ()
        if history and (history[-1].version, history[-1].manifest) == (reference.version, manifest.sha256):
            return reference
        step = Step(version=reference.version, manifest=manifest.sha256, since=datetime.now(UTC))
        if bucket.point(reference.name, (*history, step), before=before):
            return before.pointer.current if before else None
    raise ModelError(f"others change the current version of {reference.name} all the time; try again")


def _send(bucket: Bucket, source: Source, meter: Meter, known: Uploads) -> None:
    key, file = blob_key(source.file.sha256), source.file
    sending = Sending(sent=meter.add, sha256=file.sha256, memory=known.of(bucket.store, bucket.name, key))
    try:
        # What else was sent of a model is worth a little patience.
        patiently(
            lambda: bucket.store.put(
                bucket.name, key, source.path, metadata={"sha256": file.sha256}, md5=source.md5, sending=sending
            )
        )
    except OSError as error:
        raise ModelError(f"{source.path} cannot be read: {error.strerror}", files=[file.path]) from error
    try:
        require_unchanged(source)
    except ModelError:
        # What was sent may be neither the one nor the other, and must not lie under the name of the one.
        bucket.store.delete(bucket.name, key)
        raise
    found = bucket.blob(file.sha256)
    if found is None or found.bytes != file.bytes:
        raise StoreError(
            f"the store accepted {bucket.name}/{key}, but does not have it as it was sent", code="NotConfirmed"
        )
    bucket.settle(key)


def _require_unused(bucket: Bucket, manifest: Manifest) -> None:
    """A version never changes, not even after it was removed: somebody may have it."""
    reference = manifest.reference
    for kind in USED:
        for listed in bucket.listed(kind, f"{reference.name}/{reference.version}/"):
            if listed.reference == reference and listed.sha256 != manifest.sha256:
                has = "has" if kind == "copies" else "had once"
                raise ModelError(
                    f"{reference} {has} other files (manifest {listed.sha256[:12]}…, not {manifest.sha256[:12]}…): a version"
                    " never changes. Choose another version"
                )
