"""Holding: whether the store has, at this moment, the bytes of a file that is here."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from voxledger.catalog.hashing import unnoticed_opener
from voxledger.catalog.objects.object_info import ObjectInfo

if TYPE_CHECKING:
    from voxledger.catalog.objects.store import Store


class Held(NamedTuple):
    """What the store says of an object, None when it has none; and whether it has the same bytes, None when nothing tells."""

    found: ObjectInfo | None
    same: bool | None


def held(store: Store, bucket: str, key: str, path: Path, *, bytes: int, sha256: str) -> Held:
    """Compare an object with a local file of `bytes` bytes, by one HEAD. Raises StoreError, also when the store refuses to say.

    Where the store tells the MD5 of what it holds, that of the file must be the same; else the SHA-256 in its metadata, which
    whoever replaces an object may copy, must be. Any other object of the right size proves nothing.
    """
    found = store.head(bucket, key)
    if found is None or found.bytes != bytes:
        return Held(found, same=False)
    told = found.metadata.get("sha256")
    if told and told != sha256:
        return Held(found, same=False)
    if found.md5 is not None:
        # The file may be the one that is damaged: nothing is known then, but that they differ.
        return Held(found, same=True if found.md5 == _md5(path) else None)
    return Held(found, same=True if told else None)


def _md5(path: Path) -> str:
    """In hex; empty when the file cannot be read."""
    try:
        with open(path, "rb", opener=unnoticed_opener) as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError:
        return ""
