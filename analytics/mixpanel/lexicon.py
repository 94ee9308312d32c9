"""The lexicon: names, types and meanings of everything that Mixpanel sees, as its Lexicon Schemas API takes them.

Source: https://developer.mixpanel.com/reference/upload-schemas-for-project
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from voxledger.analytics.mixpanel.messages import SOURCE
from voxledger.analytics.mixpanel.properties import ACTOR, ALWAYS, CLIP, EVENT, PROFILE, Property
from voxledger.analytics.mixpanel.vocabulary import VOCABULARY, Entry
from voxledger.catalog.events import EMOTIONS

_DRAFT = "http://json-schema.org/draft-07/schema"


def lexicon() -> dict[str, Any]:
    """The body of one request to `/projects/…/schemas`. It replaces what it names and leaves everything else alone."""
    entries = [_entry("event", name, text, properties) for name, text, properties in sorted(_events())]
    entries.append(_entry("profile", "$user", "Somebody who makes or uses clips, by an opaque id.", PROFILE))
    return {"entries": entries, "truncate": False}


def _events() -> Iterator[tuple[str, str, Mapping[str, Property]]]:
    for entry in VOCABULARY.values():
        for name, text in entry.texts().items():
            yield name, text, {**dict(sorted(properties_of(entry).items())), **ALWAYS}


def properties_of(entry: Entry) -> dict[str, Property]:
    """What the events of a type may have beside what all have."""
    found = {rule.name: EVENT[rule.name] for rule in entry.rules}
    if entry.weights:
        found |= {f"emotion_{name}": EVENT[f"emotion_{name}"] for name in EMOTIONS}
    if entry.about_clip:
        found["clip"] = CLIP
    if not entry.by_user or any(rule.field == "channel" for rule in entry.rules):
        found["actor"] = ACTOR
    return found


def _entry(kind: str, name: str, text: str, properties: Mapping[str, Property]) -> dict[str, Any]:
    return {
        "entityType": kind,
        "name": name,
        "schemaJson": {
            "$schema": _DRAFT,
            "description": text,
            "additionalProperties": True,
            "properties": {
                called: {"type": given.type, "description": given.text} for called, given in properties.items()
            },
            "metadata": {"com.mixpanel": {"$source": SOURCE, "tags": [SOURCE], "hidden": False, "dropped": False}},
        },
    }
