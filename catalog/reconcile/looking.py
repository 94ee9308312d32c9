"""Looking: one object at a time, closer than a listing shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from voxledger.catalog.objects import ObjectInfo, Store
from voxledger.catalog.objects.hashing import hash_object


class Seen(NamedTuple):
    """What a closer look says of a clip's object: there as it was stored, absent, or other bytes in its place."""

    state: Literal["there", "absent", "changed"]
    method: Literal["listing", "head", "content"]
    bytes: int | None = None
    etag: str | None = None


def look(store: Store, row: Mapping[str, Any]) -> Seen:
    """Look at the object of a row of `compared`. Where its size is right and its ETag is not, or nobody ever confirmed it, every
    byte is read: ETags change when a store is moved, bytes do not. Raises StoreError.
    """
    if row["class"] == "back":
        return Seen("there", "listing", row["found_bytes"], row["found_etag"])
    head = store.head(row["bucket"], row["key"])
    if head is None:
        return Seen("absent", "head")
    if head.bytes != row["bytes"]:
        return Seen("changed", "head", head.bytes, head.etag)
    return _read(store, row, head)


def _read(store: Store, row: Mapping[str, Any], head: ObjectInfo) -> Seen:
    found = hash_object(store, row["bucket"], row["key"])
    if found is None:
        return Seen("absent", "head")
    same = found == (row["bytes"], row["sha256"])
    return Seen("there" if same else "changed", "content", found.bytes, head.etag)
