"""Lines: an event's `data` as the properties that Mixpanel hears, without reading what is only copied.

Preparing an event costs some microseconds, because Mixpanel takes 30,000 a second and one core has to keep up. What a rule
passes on as it is, is cut out of one JSON text and put into the other; only what is converted is decoded. The test
`test_lines_are_what_the_library_would_write` holds every type against the library's own message.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import msgspec

from voxledger.analytics.mixpanel.vocabulary import VOCABULARY, plain, to_seconds
from voxledger.catalog.events import EMOTIONS

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_NULL = (b"", b"null")
_SHORT = 200
"""Bytes of JSON up to which a value without inner objects keeps all limits: 255 bytes a string, 100 items, 3 levels."""
_ARRAY = ord("[")
_INNER = frozenset(b"[{")


class Told(NamedTuple):
    """What Mixpanel hears of one event: the name, the properties of its `data` as JSON (`,"name":value…`), and the channel."""

    name: str
    properties: bytes
    channel: bytes


class Lines:
    """Writes the events of one type."""

    def __init__(self, type_: str) -> None:
        entry = VOCABULARY[type_]
        self._entry = entry
        copied = [rule for rule in entry.rules if rule.convert is plain]
        spans = [rule for rule in entry.rules if rule.convert is to_seconds]
        others = [rule for rule in entry.rules if rule.convert not in (plain, to_seconds)]
        rules = [*copied, *spans, *others]
        fields = [
            *(rule.field for rule in rules),
            *(name for name in (entry.weights, entry.variant_of, "channel") if name),
        ]
        names = list(dict.fromkeys(fields))
        # Of what no rule names the decoder makes nothing.
        shape = msgspec.defstruct("_Fields", [(name, msgspec.Raw, msgspec.Raw()) for name in names])
        self._decode = msgspec.json.Decoder(shape).decode
        prefixes = [b',"%s":' % rule.name.encode() for rule in rules]
        self._copied = prefixes[: len(copied)]
        self._spans = prefixes[len(copied) : len(copied) + len(spans)]
        self._others = [
            (names.index(rule.field), prefix, rule.convert)
            for rule, prefix in zip(others, prefixes[len(copied) + len(spans) :], strict=True)
        ]
        self._channel = names.index("channel")
        self._variant = names.index(entry.variant_of) if entry.variant_of else None
        self._weights = names.index(entry.weights) if entry.weights else None

    def told(self, data: bytes) -> Told:
        """Equal data give equal bytes."""
        values = list(map(bytes, msgspec.structs.astuple(self._decode(data))))
        parts = [
            prefix + (value if len(value) <= _SHORT and value[0] not in _INNER else _limited(value))
            for prefix, value in zip(self._copied, values, strict=False)
            if value and value != b"null"
        ]
        parts += [
            prefix + b"%d.%03d" % divmod((int(value) + 500) // 1000, 1000)
            for prefix, value in zip(self._spans, values[len(self._copied) :], strict=False)
            if value and value != b"null"
        ]
        for place, prefix, convert in self._others:
            if values[place] and (found := convert(_decode(values[place]))) is not None:
                parts.append(prefix + encode(found))
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


def _limited(value: bytes) -> bytes:
    """A value that may be beyond Mixpanel's limits, or has others inside."""
    if value[0] == _ARRAY and len(value) <= _SHORT and b"{" not in value and b"[" not in value[1:]:
        return value
    return encode(plain(_decode(value)))


def _emotions(value: bytes) -> list[bytes]:
    """A vector of weights as one property an emotion, because Mixpanel cannot filter by places in a list."""
    weights = value[1:-1].split(b",")
    if value in _NULL or len(weights) != len(EMOTIONS):
        return []
    return [
        # Four places are enough; what has no more is passed on as it is.
        prefix + (weight if len(weight) <= _PLACES and b"e" not in weight else encode(round(float(weight), 4)))
        for prefix, weight in zip(_EMOTIONS, weights, strict=True)
    ]


_EMOTIONS = tuple(b',"emotion_%s":' % emotion.encode() for emotion in EMOTIONS)
_PLACES = len("0.1234")
