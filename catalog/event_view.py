"""An event as people and programs read it: its envelope, its fields opened, and what is not understood named so."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from voxledger.catalog.errors import EventRejected
from voxledger.catalog.events import REGISTRY, Event, Unknown, decode_fact, personal_fields


def told(event: Event, personal: dict[str, Any] | None) -> dict[str, Any]:
    """An event in words that JSON has. `known` is false for what this code does not understand, and then `why` is there.

    `erased` is true when the key of what was sealed is not here.
    """
    envelope: dict[str, Any] = {
        "position": event.position,
        "id": event.id,
        "type": event.type,
        "version": event.version,
        "subject": event.subject,
        "time": event.time.isoformat(),
        "recorded": event.recorded.isoformat(),
        "actor": event.actor,
        "source": event.source,
        "known": True,
        "erased": personal is None,
    }
    try:
        fact = decode_fact(event, personal)
    except EventRejected as error:
        why, data = str(error), msgspec.json.decode(event.data)
    else:
        if not isinstance(fact, Unknown):
            return envelope | _fields(event.type, msgspec.to_builtins(fact), erased=personal is None)
        why, data = "this version of Voxledger does not know this type, or this version of it", fact.data
    return envelope | {"known": False, "why": why, "data": data, "sealed": personal or {}}


def _fields(type: str, fields: dict[str, Any], *, erased: bool) -> dict[str, Any]:
    hidden = personal_fields(REGISTRY[type])
    return {
        "data": {name: value for name, value in fields.items() if name not in hidden},
        "sealed": {name: value for name, value in fields.items() if name in hidden and not erased},
    }


def types(held: dict[tuple[str, int], int]) -> list[dict[str, Any]]:
    """Every type and version that the code knows or the log holds; `held` says how many events the log holds of each.

    `about` is what an event of the type says, None where the code does not understand it.
    """
    known = {(name, kind.version) for name, kind in REGISTRY.items()}
    order = {name: place for place, name in enumerate(REGISTRY)}
    rows = []
    for name, version in sorted({*held, *known}, key=lambda pair: (order.get(pair[0], len(order)), pair)):
        kind = REGISTRY.get(name)
        about = None
        if kind and version <= kind.version:
            about = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")
        rows.append({"type": name, "version": version, "events": held.get((name, version), 0), "about": about})
    return rows
