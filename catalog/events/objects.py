"""Objects: what a look at the store found, compared with the catalog."""

from __future__ import annotations

from typing import ClassVar, Literal

from voxledger.catalog.events.fact import About, Amount, Fact, Moment, Personal


class ObjectMissing(Fact, frozen=True, kw_only=True):
    """The store does not hold the clip's audio as it was stored: it is absent, or other bytes lie there."""

    bucket: str
    state: Literal["absent", "changed"]
    bytes: Amount
    found_bytes: Amount | None
    found_etag: str | None
    key: Personal


class ObjectOrphaned(Fact, frozen=True, kw_only=True):
    """The store holds an object that no clip accounts for. The subject is a keyed hash of bucket and key."""

    about: ClassVar[About] = "object"

    bucket: str
    reason: Literal["unknown", "purged", "erased"]
    clip: str | None
    bytes: Amount
    etag: str
    modified: Moment
    key: Personal


class ObjectVerified(Fact, frozen=True, kw_only=True):
    """The store holds the clip's audio as it was stored: by its size and ETag, or by reading every byte."""

    bucket: str
    method: Literal["listing", "head", "content"]
    bytes: Amount
    etag: str
    key: Personal
