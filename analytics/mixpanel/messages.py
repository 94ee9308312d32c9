"""Messages: events in Mixpanel's own form, one JSON line each, and the parcels they travel in."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import mixpanel

from voxledger.analytics.mixpanel.vocabulary import translate
from voxledger.catalog.subscriptions import LoggedEvent

MOST_EVENTS = 2000
"""Most events of one request (https://developer.mixpanel.com/reference/import-events)."""
MOST_BYTES = 1_900_000
"""Most uncompressed bytes of one request: under the 2,097,152 that its 413 answer names."""
SOURCE = "voxledger"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_LEVEL = 3
"""gzip level: on these lines 6 saves a seventh of the bytes for twice the time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One event as Mixpanel reads it."""

    position: int
    id: str
    type: str
    line: bytes


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """The messages of one request. Once they are in, everything up to `through` is dealt with."""

    messages: tuple[Message, ...]
    through: int

    def halves(self) -> tuple[Parcel, Parcel]:
        """Two parcels with the same messages in the same order; there must be two messages at least."""
        middle = len(self.messages) // 2
        first, second = self.messages[:middle], self.messages[middle:]
        return Parcel(messages=first, through=second[0].position - 1), Parcel(messages=second, through=self.through)

    def body(self) -> bytes:
        """NDJSON under gzip; equal parcels give equal bytes."""
        return gzip.compress(b"\n".join(message.line for message in self.messages), _LEVEL, mtime=0)


class _Collector:
    """A consumer that keeps the last message instead of sending it."""

    line = ""

    def send(self, endpoint: str, json_message: str, api_key: object = None, api_secret: object = None) -> None:  # noqa: ARG002  # the library's consumer protocol
        self.line = json_message


class Composer:
    """Writes messages with the Mixpanel library's own vocabulary. Not thread-safe.

    `nobody` is the actor whose events belong to no user: they carry an empty `distinct_id`, which Mixpanel counts but
    ties to no profile, and which no hot shard comes of
    (https://docs.mixpanel.com/troubleshooting/errors/server-side-events-without-a-user).
    """

    def __init__(self, token: str, *, nobody: str) -> None:
        self._collector = _Collector()
        self._library = mixpanel.Mixpanel(token, consumer=self._collector)
        self._nobody = nobody
        self._version = version("voxledger")

    def compose(self, event: LoggedEvent) -> Message | None:
        """An event as a message; None when Mixpanel does not hear of its type.

        Event name, `time` (ms), `distinct_id` and `$insert_id` follow from the event alone: Mixpanel recognizes a
        repeat by these four (https://developer.mixpanel.com/reference/event-deduplication).
        """
        translated = translate(event)
        if translated is None:
            return None
        name, properties = translated
        properties |= {
            "$insert_id": event.id,
            "ip": 0,
            "$source": SOURCE,
            "mp_lib": SOURCE,
            "$lib_version": self._version,
        }
        distinct_id = "" if event.actor == self._nobody else event.actor
        self._library.import_data(None, distinct_id, name, (event.time - _EPOCH) // _MILLISECOND, properties)
        return Message(position=event.position, id=event.id, type=event.type, line=self._collector.line.encode("ascii"))


def parcels(messages: Sequence[Message], through: int) -> Iterator[Parcel]:
    """Messages in parcels that Mixpanel takes; the last one reaches `through`."""
    start = size = 0
    for place, message in enumerate(messages):
        size += len(message.line) + 1
        if place > start and (place - start == MOST_EVENTS or size > MOST_BYTES):
            yield Parcel(messages=tuple(messages[start:place]), through=message.position - 1)
            start, size = place, len(message.line) + 1
    if start < len(messages):
        yield Parcel(messages=tuple(messages[start:]), through=through)
