"""CloudEvents 1.0 in structured mode: an event as the JSON that other systems read, and theirs as ours.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

from voxledger.catalog.errors import EventRejected
from voxledger.catalog.events.envelope import LARGEST, Draft, Event, now
from voxledger.catalog.events.fact import About, Fact, Moment
from voxledger.catalog.events.parts import check_data, views
from voxledger.catalog.events.registry import REGISTRY
from voxledger.catalog.events.upcasting import is_understood, upcast

MEDIA_TYPE = "application/cloudevents+json"
BATCH_MEDIA_TYPE = "application/cloudevents-batch+json"
LARGEST_CLOUDEVENT = 2 * LARGEST
"""Most bytes of one CloudEvent: sealed bytes grow by a third in base64, and there is the envelope."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_JSON_TYPE = re.compile(r"[\w.+-]+/([\w.-]+\+)?json\s*(;.*)?", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"[a-z0-9]+")
_ANY = re.compile(r".+", re.DOTALL)
_SUBJECTS: dict[About, re.Pattern[str]] = {
    "clip": _UUID,
    "event": _UUID,
    "voice": re.compile(r"[0-9a-f]{64}"),
    "week": re.compile(r"\d{4}-W\d\d"),
}
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_REQUIRED = ("specversion", "id", "source", "type")
_NOT_EMPTY = (*_REQUIRED, "subject", "dataschema", "datacontenttype", "actor")


class _Structured(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is written. Positions are text because a CloudEvents integer ends at 2³¹-1."""

    specversion: Any
    id: str
    source: str
    type: str
    subject: str = ""
    time: datetime
    datacontenttype: Any
    position: str
    recorded: datetime
    actor: str = ""
    dataversion: int
    sealed: bytes | None = None
    data: msgspec.Raw


_encode = msgspec.json.Encoder().encode


def to_cloudevent(event: Event) -> bytes:
    """One CloudEvent on one line. `position`, `recorded`, `actor`, `dataversion` and `sealed` are extensions."""
    return _encode(
        _Structured(
            specversion="1.0",
            id=event.id,
            source=event.source,
            type=event.type,
            subject=event.subject,
            time=event.time,
            datacontenttype="application/json",
            position=str(event.position),
            recorded=event.recorded,
            actor=event.actor,
            dataversion=event.version,
            sealed=event.sealed,
            data=event.data,
        )
    )


def from_cloudevent(body: bytes, *, actor: str = "") -> Draft:
    """A CloudEvent as a draft for this journal, which gives it a position and a source of its own.

    `actor` is the opaque id put on events that name none; what is not an opaque id may be somebody's name and is not
    taken over. An id that is no UUID becomes one that the same source and id always give. Other extension attributes
    are not kept. An event of a type and version that this code knows must be whole: its data are checked field by
    field, and its subject by what the type is about. Raises EventRejected naming the attribute that breaks a rule.
    """
    found = _parsed(body)
    _check_attributes(found)
    raw = _data(body, found)
    sealed = _sealed(found)
    type_, subject = found["type"], found.get("subject") or ""
    version = found.get("dataversion", 1)
    if not 1 <= version <= 2**15 - 1:
        raise _refused("dataversion", f"{version} lies outside 1 .. 32767")
    if is_understood(type_, version):
        _check_known(REGISTRY[type_], version, subject, raw, sealed)
    named = found.get("actor") or ""
    return Draft(
        id=_id(found),
        type=type_,
        subject=subject,
        time=_time(found),
        actor=named if _UUID.fullmatch(named) else actor,
        version=version,
        data=raw,
        sealed=sealed,
    )


def _refused(attribute: str, why: str) -> EventRejected:
    return EventRejected(f"not a CloudEvent that can be taken over: {attribute}: {why}", field=attribute)


def _parsed(body: bytes) -> dict[str, Any]:
    if len(body) > LARGEST_CLOUDEVENT:
        raise _refused("data", f"{len(body):,} bytes are more than an event may have ({LARGEST:,})")
    try:
        found = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
        msgspec.json.decode(body)  # also refuses halves of surrogate pairs and numbers beyond a double
    except UnicodeDecodeError as error:
        raise _refused("data", f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise _refused("data", "nested too deeply") from error
    except (ValueError, msgspec.DecodeError) as error:
        raise _refused("data", f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise _refused("specversion", "the event is not a JSON object")
    return {name: value for name, value in found.items() if value is not None or name == "data"}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _refused(twice[:100], "stands there twice")
    return made


def _no_constant(word: str) -> Any:
    raise _refused("data", f"{word} is not JSON")


def _check_attributes(found: dict[str, Any]) -> None:
    if "data_base64" in found:
        raise _refused("data_base64", "binary data cannot be taken over; send JSON as data")
    for name in _REQUIRED:
        if name not in found:
            raise _refused(name, "is missing")
    if found["specversion"] != "1.0":
        raise _refused("specversion", f'{json.dumps(found["specversion"])[:40]} is not "1.0"')
    for name, value in found.items():
        if name == "data":
            continue
        if not _ATTRIBUTE.fullmatch(name):
            raise _refused(name[:100], "attribute names are lower-case letters and digits")
        if not isinstance(value, str | bool | int) or (isinstance(value, int) and not -(2**31) <= value < 2**31):
            raise _refused(name, "attributes are texts, booleans or integers of 32 bits")
        if isinstance(value, str) and _FORBIDDEN.search(value):
            raise _refused(name, "holds a control character")
        if name in _NOT_EMPTY and (not isinstance(value, str) or not value):
            raise _refused(name, "must be a text that is not empty")
    if re.search(r"\s", found["source"]):
        raise _refused("source", "is not a URI reference: it holds a space")
    if not _JSON_TYPE.fullmatch(found.get("datacontenttype", "application/json")):
        raise _refused("datacontenttype", f"{found['datacontenttype'][:100]!r} is not JSON")
    if type(found.get("dataversion", 1)) is not int:
        raise _refused("dataversion", "is not an integer")


def _check_known(kind: type[Fact], version: int, subject: str, raw: bytes, sealed: bytes | None) -> None:
    """What a fold would stumble over later is refused now."""
    data = msgspec.json.decode(raw)
    if not isinstance(data, dict):
        raise _refused("data", f"{kind.__name__} needs a JSON object")
    check_data(kind, upcast(kind.__name__, version, data, None)[0])
    if (sealed is None) != (views(kind).personal is None):
        raise _refused("sealed", f"{kind.__name__} comes {'with' if sealed is None else 'without'} a sealed part")
    if not _SUBJECTS.get(kind.about, _ANY).fullmatch(subject):
        raise _refused("subject", f"{subject[:100]!r} is not the id of a {kind.about}")


def _data(body: bytes, found: dict[str, Any]) -> bytes:
    """The data as they were written, but without white space: the journal keeps an event on one line."""
    if "data" not in found:
        return b"{}"
    return bytes(msgspec.json.format(msgspec.json.decode(body, type=dict[str, msgspec.Raw])["data"], indent=-1))


def _sealed(found: dict[str, Any]) -> bytes | None:
    if "sealed" not in found:
        return None
    try:
        return base64.b64decode(found["sealed"], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise _refused("sealed", "is not base64") from error


def _time(found: dict[str, Any]) -> datetime:
    if "time" not in found:
        return now()
    if not isinstance(found["time"], str) or not _RFC3339.fullmatch(found["time"]):
        raise _refused("time", f"{str(found['time'])[:40]!r} is not a time of RFC 3339 with a time zone")
    try:
        time: datetime = msgspec.convert(found["time"], Moment)
        return time.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError) as error:
        raise _refused("time", f"{found['time'][:40]!r} is not a time of RFC 3339: {error}") from error


def _id(found: dict[str, Any]) -> str:
    given: str = found["id"]
    if _UUID.fullmatch(given.lower()):
        return given.lower()
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{found['source']}\n{given}"))
