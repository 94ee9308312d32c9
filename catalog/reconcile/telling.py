"""Telling: what stands beside an object says which clip it is, in its record or in its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec

from voxledger.catalog.clip import CONTENT_TYPES
from voxledger.catalog.errors import EventRejected, StoreError, StoreUnavailable
from voxledger.catalog.events import AudioAdopted, Event, GenerationCompleted, decode, decode_fact
from voxledger.catalog.objects import Store, record_key
from voxledger.catalog.objects.client import MISSING
from voxledger.catalog.objects.description import Description, node_of, read_description

_LARGEST_RECORD = 2_000_000
"""Bytes; an event has a million at most, and its sealed part is in base64."""


class Found(NamedTuple):
    """An object, as a listing shows it. `record_bytes` is the size of the record beside it, None where there is none."""

    bucket: str
    key: str
    bytes: int
    etag: str
    modified: datetime
    record_bytes: int | None = None


class Told(NamedTuple):
    """What an object says of itself. `event` is the one that began its clip, where there is a record."""

    description: Description
    event: Event | None


def tell(store: Store, found: Found) -> Told | None:
    """Ask an object what it is: its record first, then its metadata. None when neither says it, or speaks of another object.

    Raises StoreError.
    """
    if found.record_bytes is not None and found.record_bytes <= _LARGEST_RECORD:
        told = _from_record(store, found)
        if told is not None:
            return told
    head = store.head(found.bucket, found.key)
    description = None if head is None or head.bytes != found.bytes else read_description(head.metadata)
    if description is None or form(found.key, description.format) is None:
        return None
    return Told(description, None)


def form(key: str, told: str = "") -> str | None:
    """The format of a clip: as its metadata tell, else by the ending of its key; None for one that no clip has."""
    name = told or PurePosixPath(key).suffix.lower().lstrip(".")
    return name if name in CONTENT_TYPES else None


def _from_record(store: Store, found: Found) -> Told | None:
    try:
        event = decode(store.get(found.bucket, record_key(found.key)))
        fact = decode_fact(event, None)
    except StoreUnavailable:
        raise
    except StoreError as error:
        if error.code in MISSING:
            return None
        raise
    except EventRejected:
        return None
    if not isinstance(fact, GenerationCompleted | AudioAdopted) or fact.bytes != found.bytes:
        return None
    try:
        description = msgspec.convert(_described(fact, event), Description)
    except msgspec.ValidationError:
        return None
    return Told(description, event) if form(found.key, fact.format) else None


def _described(fact: GenerationCompleted | AudioAdopted, event: Event) -> Mapping[str, Any]:
    return {
        "clip": event.subject,
        "sha256": fact.sha256,
        "created": fact.made if isinstance(fact, AudioAdopted) else event.time,
        "duration-us": fact.duration_us,
        "emotion": fact.emotion or "",
        "language": fact.language or "",
        "engine": fact.engine or "",
        "format": fact.format,
        "sample-rate": fact.sample_rate,
        "channels": fact.channels,
        "actor": event.actor,
        "node": node_of(event),
    }
