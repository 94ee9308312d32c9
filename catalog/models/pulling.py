"""Pulling: a model version from the store onto this machine, complete or not at all."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from voxledger.catalog.errors import ModelError, ModelNotFound
from voxledger.catalog.models.bucket import Bucket
from voxledger.catalog.models.contents import fetch, present
from voxledger.catalog.models.local import Damage, Local
from voxledger.catalog.models.manifest import Manifest
from voxledger.catalog.models.names import Reference
from voxledger.catalog.models.progress import Meter
from voxledger.catalog.progress import Progress


class Pulled(NamedTuple):
    """What a pull did. `damaged` are the files that were here, but not as they should be, and were fetched again;
    `was_here` says that nothing had to be done.
    """

    manifest: Manifest
    path: Path
    fetched_files: int
    fetched_bytes: int
    damaged: tuple[Damage, ...]
    was_here: bool
    elapsed_us: int


def pull(
    bucket: Bucket,
    local: Local,
    manifest: Manifest,
    *,
    room: int,
    threads: int,
    progress: Progress,
    deep: bool = False,
) -> Pulled:
    """Bring a version here, unless it is. `deep` reads every byte of one that is; else sizes decide.

    Raises ModelError when the store lacks a content, DiskFull, and what the store raises.
    """
    started = time.perf_counter()
    reference = manifest.reference
    with local.locked(lambda: progress("waiting", 0, 0)):
        known = local.manifest(reference)
        damaged: list[Damage] = []
        if known == manifest:
            is_there = local.path(reference).exists()
            if deep and is_there:
                meter = Meter("checking", manifest.size, progress)
                damaged = local.damages(manifest, meter.add)
            else:
                damaged = list(local.gaps(manifest))
            if not damaged:
                return _done(local, manifest, started, was_here=True)
            if not is_there:
                damaged = []  # it was taken away as a whole
        _, missing = present(local, manifest, progress)
        came = fetch(bucket, local, reference, missing, room=room, threads=threads, progress=progress)
        path = local.build(manifest)
        bad = {file.sha256 for file in manifest.files if file.path in {damage.path for damage in damaged}}
        for other in local.versions():
            # Versions share files, so also damage: what has come anew is theirs too.
            if other != reference and (theirs := local.manifest(other)) and not bad.isdisjoint(theirs.contents):
                _rebuild(local, theirs)
    return _done(
        local,
        manifest,
        started,
        path=path,
        damaged=tuple(damaged),
        files=len(missing),
        size=came,
    )


def _rebuild(local: Local, manifest: Manifest) -> None:
    """Build a version again of what is here; one that lacks more than was mended is left as it is."""
    if not local.path(manifest.reference).exists():
        return
    linked = local.linked(manifest.contents)
    if all(local.has(file, linked) for file in manifest.contents.values()):
        local.build(manifest)


def _done(
    local: Local,
    manifest: Manifest,
    started: float,
    *,
    path: Path | None = None,
    damaged: tuple[Damage, ...] = (),
    files: int = 0,
    size: int = 0,
    was_here: bool = False,
) -> Pulled:
    return Pulled(
        manifest=manifest,
        path=path or local.path(manifest.reference),
        fetched_files=files,
        fetched_bytes=size,
        damaged=damaged,
        was_here=was_here,
        elapsed_us=round((time.perf_counter() - started) * 1e6),
    )


def manifest_in(bucket: Bucket, reference: Reference, *, expected: str | None) -> Manifest:
    """The manifest of a version in the store, held against the SHA-256 that was recorded, if it was.

    Raises ModelNotFound when there is none, ModelError when it is another one.
    """
    manifest = bucket.manifest(reference)
    if manifest is None:
        others = [listed.reference.version for listed in bucket.listed("manifests", f"{reference.name}/")]
        there = f"it has {', '.join(sorted(others)[-5:])}" if others else f"it has no version of {reference.name}"
        raise ModelNotFound(
            f"the store has no {reference}; {there}. `voxledger models list` shows all; one that was deleted comes back with"
            f" `voxledger models restore {reference}`"
        )
    if expected is not None and manifest.sha256 != expected:
        raise ModelError(
            f"{reference} was altered in the store: the log has its manifest as {expected[:12]}…, and what lies there is"
            f" {manifest.sha256[:12]}…. `voxledger models restore {reference}` puts back what was recorded; if the new one is"
            " wanted, push it as a version of its own"
        )
    return manifest
