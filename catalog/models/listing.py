"""Listing: every version that is known, in the store and here."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

from voxledger.catalog.errors import ModelError
from voxledger.catalog.models.bucket import Bucket, Found, Kept
from voxledger.catalog.models.local import Local
from voxledger.catalog.models.manifest import Manifest
from voxledger.catalog.models.names import Reference
from voxledger.catalog.parallel import in_parallel

InStore: TypeAlias = Literal["yes", "deleted", "removed", "damaged", "no"]
Here: TypeAlias = Literal["yes", "incomplete", "no"]


_LAST = datetime.max.replace(tzinfo=UTC)


class ModelVersion(NamedTuple):
    """One version. `own_bytes` no other version in the list has; `pushed` is when its manifest came into the store.

    `in_store`: `deleted` = its manifest is gone and a copy tells what it was, `removed` = on purpose, until `gc` takes it.
    """

    reference: Reference
    files: int
    bytes: int
    own_bytes: int
    manifest: str
    pushed: datetime | None
    in_store: InStore
    here: Here
    is_current: bool


def listed(bucket: Bucket, local: Local) -> tuple[ModelVersion, ...]:
    """By name, then in the order they were pushed."""
    there = {each.reference: each for each in bucket.listed("manifests")}
    manifests = dict(in_parallel(partial(_manifest, bucket), there, threads=8, name="models"))
    in_store: dict[Reference, InStore] = {
        reference: "yes" if manifest else "damaged" for reference, manifest in manifests.items()
    }
    pushed: dict[Reference, datetime | None] = {reference: each.modified for reference, each in there.items()}
    rest: tuple[tuple[Kept, InStore], ...] = (("copies", "deleted"), ("removed", "removed"))
    for kind, name in rest:
        for kept in bucket.listed(kind):
            if kept.reference not in in_store:
                in_store[kept.reference] = name
                pushed[kept.reference] = kept.modified if kind == "copies" else None
                try:
                    manifests[kept.reference] = bucket.kept(kept)
                except ModelError:
                    manifests[kept.reference] = None
    here: dict[Reference, Here] = {}
    for reference in local.versions():
        here[reference] = "yes" if local.complete(reference) else "incomplete"
        if manifests.get(reference) is None:
            manifests[reference] = local.manifest(reference)
    current = {found.pointer.current for name in {each.name for each in there} if (found := _pointer(bucket, name))}
    times: dict[str, int] = {}
    for manifest in manifests.values():
        for sha256 in manifest.contents if manifest else ():
            times[sha256] = times.get(sha256, 0) + 1
    found_versions = [
        ModelVersion(
            reference=reference,
            files=len(manifest.files) if manifest else 0,
            bytes=manifest.size if manifest else 0,
            own_bytes=sum(file.bytes for sha256, file in manifest.contents.items() if times[sha256] == 1)
            if manifest
            else 0,
            manifest=manifest.sha256 if manifest else "",
            pushed=pushed.get(reference),
            in_store=in_store.get(reference, "no"),
            here=here.get(reference, "no"),
            is_current=reference in current,
        )
        for reference, manifest in manifests.items()
    ]
    return tuple(
        sorted(found_versions, key=lambda each: (each.reference.name, each.pushed or _LAST, each.reference.version))
    )


def _manifest(bucket: Bucket, reference: Reference) -> Manifest | None:
    try:
        return bucket.manifest(reference)
    except ModelError:
        return None


def _pointer(bucket: Bucket, name: str) -> Found | None:
    try:
        return bucket.pointer(name)
    except ModelError:
        return None
