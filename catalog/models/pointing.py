"""Pointing: which version of a model is the current one, and which versions there are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from voxledger.catalog.errors import ModelError, ModelNotFound
from voxledger.catalog.models.bucket import Bucket, Pointer, Step, current_key, manifest_key
from voxledger.catalog.models.names import Reference, checked


class Moved(NamedTuple):
    """The current version before and now; `was` is None when nobody could say."""

    was: Reference | None
    now: Reference


def pointer(bucket: Bucket, name: str) -> Pointer:
    """Which version is the current one. Raises ModelNotFound when no version of the model is."""
    found = bucket.pointer(name)
    if found is None:
        versions = sorted(listed.reference.version for listed in bucket.listed("manifests", f"{name}/"))
        there = (
            f"name one of {', '.join(versions[-5:])}, or `voxledger models rollback {name} --to VERSION` makes one current"
            if versions
            else "`voxledger models push DIR NAME@VERSION` brings one there"
        )
        raise ModelNotFound(f"the store has no current version of {name}; {there}")
    return found.pointer


def rollback(bucket: Bucket, name: str, *, to: str | None) -> Moved:
    """Point to the version before the current one, or to the version `to`. Raises ModelNotFound, ModelError."""
    checked(name, "name")
    if to is not None:
        return _move_to(bucket, Reference(name, checked(to, "version")))
    before = bucket.pointer(name)
    current = pointer(bucket, name).history[-1].version
    history = list(before.pointer.history) if before else []
    while history and (history[-1].version == current or bucket.manifest(Reference(name, history[-1].version)) is None):
        history.pop()
    if not history:
        raise ModelNotFound(
            f"no version of {name} that the store still has was current before {current}; give one with --to"
        )
    if not bucket.point(name, history, before=before):
        raise ModelError(
            f"somebody else changed the current version of {name} at the same moment; look and do it again"
        )
    return Moved(Reference(name, current), Reference(name, history[-1].version))


def remove(bucket: Bucket, reference: Reference, *, force: bool) -> None:
    """Take a version out of the store: its manifest goes, its files stay until `gc` after the grace.

    Raises ModelNotFound, ModelError when it is the current version, unless `force`.
    """
    manifest = bucket.manifest(reference)
    if manifest is None:
        raise ModelNotFound(f"the store has no {reference}")
    before = bucket.pointer(reference.name)
    if before is not None and before.pointer.current == reference and not force:
        raise ModelError(
            f"{reference} is the current version; `voxledger models rollback {reference.name}` first, or use --force"
        )
    bucket.put_kept("removed", manifest)
    if before is not None:
        history = [step for step in before.pointer.history if step.version != reference.version]
        if not history:
            bucket.store.delete(bucket.name, current_key(reference.name))
        elif not bucket.point(reference.name, history, before=before):
            raise ModelError(
                f"somebody else changed the current version of {reference.name} at the same moment; do it again"
            )
    bucket.store.delete(bucket.name, manifest_key(reference))
    bucket.drop_kept("copies", manifest)


def _move_to(bucket: Bucket, reference: Reference) -> Moved:
    manifest = bucket.manifest(reference)
    if manifest is None:
        raise ModelNotFound(f"the store has no {reference}; `voxledger models list` shows what it has")
    try:
        before = bucket.pointer(reference.name)
    except ModelError:  # it is damaged: written anew
        bucket.store.delete(bucket.name, current_key(reference.name))
        before = None
    step = Step(version=reference.version, manifest=manifest.sha256, since=datetime.now(UTC))
    history = before.pointer.history if before else ()
    if not bucket.point(reference.name, (*history, step), before=before):
        raise ModelError(
            f"somebody else changed the current version of {reference.name} at the same moment; do it again"
        )
    return Moved(before.pointer.current if before else None, reference)
