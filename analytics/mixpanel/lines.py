"""Lines: an event's `data` as the properties that Mixpanel hears, without reading what is only copied.

Preparing an event costs some microseconds, because Mixpanel takes 30,000 a second and one core has to keep up. What a rule
passes on as it is, is cut out of one JSON text and put into the other; only what is converted is decoded. The test
`test_lines_are_what_the_library_would_write` holds every type against the library's own message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec

from voxledger.analytics.mixpanel.vocabulary import VOCABULARY, plain
from voxledger.catalog.events import EMOTIONS

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_NULL = (b"", b"null")
_SHORT = 200
"""Bytes of JSON up to which a value without inner objects keeps all limits: 255 bytes a string, 100 items, 3 levels."""
_ARRAY, _OBJECT = ord("["), ord("{")


class Told(NamedTuple):
    """What Mixpanel hears of one event: the name, the properties of its `data` as JSON (`,"name":value…`), and the channel."""

    name: str
    properties: bytes
    channel: bytes


class Lines:
    """Writes the events of one type."""

    def __init__(self, type_: str) -> None:
        entry = VOCABULARY[type_]
        fields = [rule.field for rule in entry.rules]
        extra = [name for name in (entry.weights, entry.variant_of, "channel") if name and name not in fields]
        names = [*dict.fromkeys(fields), *extra]
        # defstruct, because the fields are those of the rules and of nothing else: the decoder skips all others.
        shape = msgspec.defstruct("_Fields", [(name, msgspec.Raw, msgspec.Raw()) for name in names])
        self._decode = msgspec.json.Decoder(shape).decode
        self._entry = entry
        self._steps = [
            (names.index(rule.field), b',"%s":' % rule.name.encode(), None if rule.convert is plain else rule.convert)
            for rule in entry.rules
        ]
        self._channel = names.index("channel")
        self._variant = names.index(entry.variant_of) if entry.variant_of else None
        self._weights = names.index(entry.weights) if entry.weights else None

    def told(self, data: bytes) -> Told:
        """Equal data give equal bytes."""
        values = [bytes(raw) for raw in msgspec.structs.astuple(self._decode(data))]
        parts: list[bytes] = []
        for place, prefix, convert in self._steps:
            value = values[place]
            if not value:
                continue
            if convert is None:
                if value == b"null":
                    continue
                parts.append(prefix + (value if _fits(value) else encode(plain(_decode(value)))))
            elif (found := _converted(convert, value)) is not None:
                parts.append(prefix + found)
        if self._weights is not None:
            parts += _emotions(values[self._weights])
        return Told(self._name(values), b"".join(parts), values[self._channel])

    def _name(self, values: Sequence[bytes]) -> str:
        if self._variant is None or values[self._variant] in _NULL:
            return self._entry.name
        variant = self._entry.variants.get(_decode(values[self._variant]))
        return variant.name if variant else self._entry.name


@cache
def lines(type_: str) -> Lines:
    """The writer for a type that Mixpanel hears of."""
    return Lines(type_)


def _fits(value: bytes) -> bool:
    """Whether a value keeps Mixpanel's limits as it stands."""
    return (
        len(value) <= _SHORT
        and value[0] != _OBJECT
        and not (value[0] == _ARRAY and (b"{" in value or b"[" in value[1:]))
    )


def _converted(convert: Callable[[Any], Any], value: bytes) -> bytes | None:
    found = convert(_decode(value))
    return None if found is None else encode(found)


def _emotions(value: bytes) -> list[bytes]:
    """A vector of weights as one property an emotion, because Mixpanel cannot filter by places in a list."""
    weights = _decode(value) if value not in _NULL else None
    if not isinstance(weights, list) or len(weights) != len(EMOTIONS):
        return []
    return [prefix + encode(round(weight, 4)) for prefix, weight in zip(_EMOTIONS, weights, strict=True)]


_EMOTIONS = tuple(b',"emotion_%s":' % emotion.encode() for emotion in EMOTIONS)
