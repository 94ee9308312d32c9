"""Messages: events in Mixpanel's own form, one JSON line each, and the parcels they travel in."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import NamedTuple

from voxledger.analytics.mixpanel.audience import Audience
from voxledger.analytics.mixpanel.lines import encode, lines
from voxledger.analytics.mixpanel.vocabulary import VOCABULARY, cut
from voxledger.catalog.subscriptions import RawEvent

MOST_EVENTS = 2000
"""Most events of one request (https://developer.mixpanel.com/reference/import-events)."""
MOST_BYTES = 1_900_000
"""Most uncompressed bytes of one request: under the 2,097,152 that its 413 answer names."""
SOURCE = "voxledger"
_LEVEL = 1
"""gzip level: on these lines 3 saves a tenth of the bytes for half as much time again."""


class Message(NamedTuple):
    """One event as Mixpanel reads it."""

    position: int
    id: str
    type: str
    line: bytes
    time_us: int
    """When it happened, in microseconds since 1970."""


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """The messages of one request. Once they are in, everything up to `through` is dealt with."""

    messages: Sequence[Message]
    through: int

    def halves(self) -> tuple[Parcel, Parcel]:
        """Two parcels with the same messages in the same order; there must be two messages at least."""
        middle = len(self.messages) // 2
        first, second = self.messages[:middle], self.messages[middle:]
        return Parcel(messages=first, through=second[0].position - 1), Parcel(messages=second, through=self.through)

    def body(self) -> bytes:
        """NDJSON under gzip; equal parcels give equal bytes."""
        return gzip.compress(b"\n".join([message.line for message in self.messages]), _LEVEL, mtime=0)


class Composer:
    """Writes the messages that the Mixpanel library would write, ten times as fast. Not thread-safe."""

    def __init__(self, token: str, audience: Audience, *, node: str) -> None:
        """`node` is the group that every event belongs to: the opaque id of this installation."""
        self._audience = audience
        self._start = b'","properties":{"token":%s,"ip":0,"$source":"%s","mp_lib":"%s","$lib_version":%s,"node":%s' % (
            encode(token), SOURCE.encode(), SOURCE.encode(), encode(version("voxledger")), encode(node),
        )  # fmt: skip

    def compose(self, event: RawEvent) -> Message | None:
        """An event as a message; None when Mixpanel does not hear of its type, or of its actor.

        Event name, `time` (ms), `distinct_id` and `$insert_id` follow from the event and the settings alone: Mixpanel
        recognizes a repeat by these four (https://developer.mixpanel.com/reference/event-deduplication).
        """
        entry = VOCABULARY.get(event.type)
        who = self._audience.name(event.actor)
        if entry is None or event.data is None or who is None:
            return None
        told = lines(event.type).told(event.data)
        if not entry.by_user or told.channel == b'"batch"':
            ids = b',"distinct_id":"","actor":' + who if who != b'""' else b',"distinct_id":""'
        else:
            ids = b',"distinct_id":' + who
        clip = b',"clip":' + encode(cut(event.subject)) if entry.about_clip else b""
        line = b'{"event":"%s%s%s,"time":%d,"$insert_id":%s,"event_version":%d%s%s}}' % (
            told.name.encode(), self._start, ids, event.time_us // 1000, encode(event.id), event.version, clip, told.properties,
        )  # fmt: skip
        return Message(event.position, event.id, event.type, line, event.time_us)


def parcels(messages: Sequence[Message], through: int) -> Iterator[Parcel]:
    """Messages in parcels that Mixpanel takes; the last one reaches `through`."""
    start = size = 0
    for place, message in enumerate(messages):
        size += len(message.line) + 1
        if place > start and (place - start == MOST_EVENTS or size > MOST_BYTES):
            yield Parcel(messages=messages[start:place], through=message.position - 1)
            start, size = place, len(message.line) + 1
    if start < len(messages):
        yield Parcel(messages=messages[start:], through=through)
