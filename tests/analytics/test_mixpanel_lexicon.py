"""The lexicon that people upload."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.analytics.mixpanel_world import World, generated
from tests.analytics.test_mixpanel_messages import composer, raw
from tests.catalog.events.examples import EXAMPLES
from tests.mixpanel_server import invalid_lexicon
from voxledger.analytics.mixpanel import VOCABULARY
from voxledger.analytics.mixpanel.lexicon import lexicon
from voxledger.analytics.mixpanel.properties import EVENT, PROFILE

_OURS = {"token", "ip", "$source", "mp_lib", "$lib_version", "distinct_id", "time", "$insert_id"}
_TYPES = {"array": list, "boolean": bool, "integer": int, "number": (int, float), "string": str}


def _properties(name: str) -> dict[str, Any]:
    (found,) = [entry["schemaJson"]["properties"] for entry in lexicon()["entries"] if entry["name"] == name]
    return dict(found)


def test_mixpanel_takes_the_lexicon() -> None:
    found = lexicon()
    assert invalid_lexicon(found) == ""
    assert json.loads(json.dumps(found)) == found
    names = [entry["name"] for entry in found["entries"]]
    assert len(names) == len(set(names))
    assert set(names) == {name for entry in VOCABULARY.values() for name in entry.names()} | {"$user"}
    assert sum(len(entry["schemaJson"]["properties"]) + 1 for entry in found["entries"]) < 4000, "a minute's limit"


@pytest.mark.parametrize("kind", sorted(VOCABULARY))
def test_what_is_sent_is_in_the_lexicon_with_its_type(world: World, kind: str) -> None:
    for fact in [*EXAMPLES, generated(channel="batch")]:
        if type(fact).__name__ == kind:
            message = composer(world).compose(raw(fact, world.ann.id))
            assert message is not None
            told = json.loads(message.line)
            known = _properties(told["event"])
            for name, value in told["properties"].items():
                if name not in _OURS:
                    assert isinstance(value, _TYPES[known[name]["type"]]), name
                    assert not isinstance(value, bool) or known[name]["type"] == "boolean", name


def test_a_profile_is_in_the_lexicon(world: World) -> None:
    world.record(generated())
    world.mixpanel().update_profiles()
    (profile,) = world.server.profiles.values()
    known = _properties("$user")
    assert set(profile) == set(known)
    for name, value in profile.items():
        assert isinstance(value, _TYPES[known[name]["type"]]), name


def test_every_property_that_is_described_is_used() -> None:
    used = {name for entry in lexicon()["entries"] for name in entry["schemaJson"]["properties"]}
    assert set(EVENT) | set(PROFILE) <= used
    for entry in lexicon()["entries"]:
        assert all(each["description"].endswith(".") for each in entry["schemaJson"]["properties"].values())
