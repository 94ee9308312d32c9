"""Audio: where a clip's bytes went, and who fetched them."""

from __future__ import annotations

from typing import ClassVar, Literal

from voxledger.catalog.events.fact import (
    Amount,
    Channel,
    Count,
    Fact,
    Finite,
    Moment,
    Personal,
    Personals,
    Sha256,
)


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
    """The local copy of a clip left the cache; the store has the clip.

    `reason`: it made room for others (`room`), or it was not what the log says and was moved aside (`damaged`).
    """

    version: ClassVar[int] = 2

    bytes: Amount
    last_used: Moment
    path: Personal
    reason: Literal["room", "damaged"] = "room"


class AudioAdopted(Fact, frozen=True, kw_only=True):
    """Audio that was there before became a clip. The subject is the clip's id, which is new.

    It was found as an object of a bucket (`bucket`), as a file of a folder (`folder`), or told again by what stands beside
    an object (`store`). `made` is when the audio was made, as far as can be told. `stored`: it lies in the store under
    `key` already, with this `etag`; else it was copied into the cache and is uploaded. `origin` is where it was found.
    What only its maker could tell is None.
    """

    source: Literal["bucket", "folder", "store"]
    made: Moment
    format: str
    sample_rate: Count | None
    channels: Count | None
    duration_us: Amount
    bytes: Amount
    sha256: Sha256
    bucket: str
    stored: bool
    etag: str | None
    actor_label: Personal | None
    session: Personal | None
    name: Personal | None
    key: Personal
    origin: Personal | None
    tags: Personals
    language: str | None = None
    emotion: str | None = None
    engine: str | None = None
    engine_version: str | None = None
    model: str | None = None
    loudness_lufs: Finite | None = None
    true_peak_dbtp: Finite | None = None
    silence_share: Finite | None = None
