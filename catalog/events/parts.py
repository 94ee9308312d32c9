"""The two parts of a fact: what may leave the house, and what is sealed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple, NoReturn, get_type_hints

import msgspec

from voxledger.catalog.errors import EventRejected
from voxledger.catalog.events.fact import Fact, is_personal

_encode = msgspec.json.Encoder().encode
_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED = re.compile(r"(?:missing required|contains unknown) field `(?P<field>[^`]*)`")


class Views(NamedTuple):
    """Records with some fields of a fact. `personal` is None when the type has no personal field."""

    data: type[msgspec.Struct]
    personal: type[msgspec.Struct] | None


@cache
def views(kind: type[Fact]) -> Views:
    """The records that the two parts of a fact are encoded from and decoded into, made once for a type."""
    hints = get_type_hints(kind, include_extras=True)
    sealed = personal_fields(kind)

    def view(name: str, fields: list[str]) -> type[msgspec.Struct]:
        return msgspec.defstruct(
            name, [(field, hints[field]) for field in fields], frozen=True, forbid_unknown_fields=True, gc=False
        )

    open_fields = [field for field in kind.__struct_fields__ if field not in sealed]
    sealed_fields = [field for field in kind.__struct_fields__ if field in sealed]
    return Views(
        view(f"{kind.__name__}Data", open_fields),
        view(f"{kind.__name__}Personal", sealed_fields) if sealed_fields else None,
    )


@cache
def personal_fields(kind: type[Fact]) -> frozenset[str]:
    """The names of the fields that are sealed."""
    hints = get_type_hints(kind, include_extras=True)
    return frozenset(name for name in kind.__struct_fields__ if is_personal(hints[name]))


def split(fact: Fact) -> tuple[bytes, bytes | None]:
    """The JSON of what may leave the house, and of what is sealed (None when the type has no personal field).

    Fields stand in the order of declaration. Raises EventRejected for values that do not fit the field's type, and for
    what JSON lacks: NaN, infinities and text that is not Unicode.
    """
    kind = type(fact)
    data, personal = views(kind)
    try:
        # One walk in C checks types and bounds, which construction does not.
        return (
            _encode(msgspec.convert(fact, data, from_attributes=True)),
            None if personal is None else _encode(msgspec.convert(fact, personal, from_attributes=True)),
        )
    except msgspec.ValidationError as error:
        _reject(kind, error, fact)
    except UnicodeEncodeError as error:
        field = next((name for name in kind.__struct_fields__ if not _is_unicode(getattr(fact, name))), None)
        raise EventRejected(
            f"{kind.__name__}.{field} holds text that is not valid Unicode: {error.reason}", field=field
        ) from None


def join(kind: type[Fact], data: Mapping[str, Any], personal: Mapping[str, Any] | None) -> Fact:
    """The fact whose parts these are. Raises EventRejected naming the field that does not fit.

    Without the personal part, because its key was destroyed, personal fields are blank: None where that is allowed,
    else an empty text or no texts.
    """
    fields = check_data(kind, data)
    return kind(**fields, **check_personal(kind, personal))


def check_data(kind: type[Fact], data: Mapping[str, Any]) -> dict[str, Any]:
    """The open fields, each of its own type. Raises EventRejected naming the field that does not fit."""
    return _fields(kind, views(kind).data, data)


def check_personal(kind: type[Fact], personal: Mapping[str, Any] | None) -> dict[str, Any]:
    """The personal fields likewise, blank when there are none to be had."""
    view = views(kind).personal
    if view is None:
        if personal:
            raise EventRejected(f"{kind.__name__} has no personal fields, but some came with it", field="sealed")
        return {}
    return dict(_blank(view)) if personal is None else _fields(kind, view, personal)


def _fields(kind: type[Fact], view: type[msgspec.Struct], values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return msgspec.structs.asdict(msgspec.convert(values, view))
    except msgspec.ValidationError as error:
        _reject(kind, error)


@cache
def _blank(personal: type[msgspec.Struct]) -> dict[str, Any]:
    blanks: dict[str, Any] = {}
    for field in msgspec.structs.fields(personal):
        for value in (None, "", ()):
            try:
                blanks[field.name] = msgspec.convert(value, field.type)
                break
            except msgspec.ValidationError:
                continue
    return blanks


def _reject(kind: type[Fact], error: msgspec.ValidationError, fact: Fact | None = None) -> NoReturn:
    found = _AT.match(str(error))
    what, path = (found["what"], found["path"] or "") if found else (str(error), "")
    named = _NAMED.search(what)
    field = named["field"] if named and not path else re.split(r"[.\[]", path)[0] or None
    value = getattr(fact, field, None) if fact is not None and field else None
    if not _is_finite(value):
        raise EventRejected(f"{kind.__name__}.{field} is {value}, which cannot be recorded", field=field) from None
    place = f"{kind.__name__}.{path}" if path else kind.__name__
    raise EventRejected(f"{place} cannot be recorded: {what[:1].lower()}{what[1:]}", field=field) from None


def _is_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, tuple | list) or all(map(_is_finite, value))


def _is_unicode(value: Any) -> bool:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return False
    if isinstance(value, Mapping):
        return all(map(_is_unicode, (*value.keys(), *value.values())))
    return not isinstance(value, tuple | list) or all(map(_is_unicode, value))
