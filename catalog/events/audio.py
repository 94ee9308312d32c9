"""Audio: where a clip's bytes went, and who fetched them."""

from __future__ import annotations

from typing import ClassVar, Literal

from voxledger.catalog.events.fact import Amount, Channel, Count, Fact, Moment, Personal


class AudioStored(Fact, frozen=True, kw_only=True):
    """The clip's audio lies in the store, and the store confirmed its size and checksum."""

    bucket: str
    bytes: Amount
    etag: str
    attempts: Count
    transfer_us: Amount
    waited_us: Amount
    key: Personal


class AudioUploadFailed(Fact, frozen=True, kw_only=True):
    """The store refused the clip's audio for good; the task is parked until someone retries it."""

    bucket: str
    failure: str
    attempts: Count
    key: Personal


class AudioAccessed(Fact, frozen=True, kw_only=True):
    """Somebody played or fetched a clip, or was given a link to it; `expires` is until when the link works."""

    version: ClassVar[int] = 2

    channel: Channel
    purpose: Literal["play", "fetch", "link"]
    expires: Moment | None = None


class CacheEvicted(Fact, frozen=True, kw_only=True):
    """The local copy of a clip made room for others; the store has the clip."""

    bytes: Amount
    last_used: Moment
    path: Personal
