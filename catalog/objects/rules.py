"""Lifecycle rules in one spelling: stores give them back in others than they were written in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CONDITIONS = ("Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan")


def canonical(rule: Mapping[str, Any]) -> dict[str, Any]:
    """The same rule as AWS writes it: one `Filter`, with `And` around several conditions, tags in order.

    Before 2016 a rule had a `Prefix` in place of a filter, and Ceph puts the conditions of an `And` beside it.
    """
    found = {name: value for name, value in rule.items() if name not in ("Filter", "Prefix")}
    given = {**rule.get("Filter", {})}
    both = {**given, **given.get("And", {})}
    if "Prefix" in rule:
        both.setdefault("Prefix", rule["Prefix"])
    tags = [*given.get("And", {}).get("Tags", []), *([given["Tag"]] if "Tag" in given else [])]
    tags = sorted(({"Key": tag["Key"], "Value": tag["Value"]} for tag in tags), key=lambda tag: tag["Key"])
    conditions = {name: both[name] for name in _CONDITIONS if both.get(name) not in (None, "")}
    if len(conditions) + len(tags) > 1:
        found["Filter"] = {"And": {**conditions, **({"Tags": tags} if tags else {})}}
    elif tags:
        found["Filter"] = {"Tag": tags[0]}
    else:
        found["Filter"] = conditions or {"Prefix": ""}
    return found


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rules say the same; one without a status is on."""
    return {"Status": "Enabled", **canonical(one)} == {"Status": "Enabled", **canonical(other)}
