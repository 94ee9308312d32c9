"""Parameters as people write them: `language=en`, once for each `$name` that a query leaves open."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from voxledger.catalog.errors import QueryError

Value: TypeAlias = bool | int | float | str | None


def parameters_of(pairs: Iterable[str], *, option: str = "--param") -> dict[str, Value]:
    """Values by name. Raises QueryError, naming the option, for what is no pair, or a name that comes twice."""
    found: dict[str, Value] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        name = name.strip().removeprefix("$")
        if not equals or not name:
            raise QueryError(f"{option} {pair[:80]!r} is no parameter: write name=value, such as language=en")
        if name in found:
            raise QueryError(f"the parameter {name} is given twice; give it once")
        found[name] = value_of(value)
    return found


def value_of(text: str) -> Value:
    """A number, true, false or null where the text reads as one in JSON; else the text. Quotes keep it text: `"1"`."""
    try:
        found = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError):
        return text
    return found if found is None or isinstance(found, (bool, int, float, str)) else text
