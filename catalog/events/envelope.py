"""The envelope every event travels in: CloudEvents 1.0 plus what the log needs."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import msgspec
import uuid_utils

from voxledger.catalog.errors import EventRejected

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LARGEST = 1_000_000
"""Most bytes of one event's data and sealed part together."""
_AHEAD = timedelta(hours=1)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A past-tense fact with its place in the log. `encode` gives the acknowledged bytes.

    `data` is the JSON of what may leave the house, `sealed` the personal fields under the actor's key. `subject` is the
    id of what the event is about, most often a clip's.
    """

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    position: int
    recorded: datetime
    actor: str
    version: int
    data: msgspec.Raw
    sealed: bytes | None = None


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is not yet recorded: all but source, position and the time of recording."""

    id: str
    type: str
    subject: str
    time: datetime
    actor: str
    version: int
    data: bytes
    sealed: bytes | None = None

    def __post_init__(self) -> None:
        if self.time.tzinfo is None:
            raise EventRejected(
                f"{self.type}: the time {self.time.isoformat()} has no time zone; use UTC", field="time"
            )
        if self.time.tzinfo is not UTC:
            # The log's columns know moments, not zones, and must give the acknowledged bytes again.
            msgspec.structs.force_setattr(self, "time", self.time.astimezone(UTC))
        if not EARLIEST <= self.time <= now() + _AHEAD:
            raise EventRejected(
                f"{self.type}: the time {self.time.isoformat()} lies outside 2000 .. an hour ahead; check the clock",
                field="time",
            )
        if not self.subject.isascii() and not _is_unicode(self.subject):
            raise EventRejected(f"{self.type}: the subject is not valid Unicode", field="subject")
        check_size(self.type, len(self.data) + len(self.sealed or b""))


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def check_size(type: str, size: int) -> None:
    """Raises EventRejected when an event of so many bytes is too large."""
    if size > LARGEST:
        raise EventRejected(f"{type}: {size:,} bytes are more than an event may have ({LARGEST:,})", field="data")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def now() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """A UUIDv7: ordered by time, so that neighbours in time are neighbours on disk."""
    return str(uuid_utils.uuid7())


def encode(event: Event) -> bytes:
    """The acknowledged bytes: JSON in the order of declaration, so that equal events have equal bytes."""
    return _encoder.encode(event)


def decode(body: bytes) -> Event:
    """Read acknowledged bytes. Raises EventRejected when they are not an event."""
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError as error:
        raise EventRejected(f"these bytes are not an event: {error}") from error


def digest(body: bytes) -> bytes:
    """SHA-256 of acknowledged bytes, 32 bytes."""
    return hashlib.sha256(body).digest()
