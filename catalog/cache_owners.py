"""Owners: which clip a file of the cache is a copy of."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from voxledger.catalog.queries import load

if TYPE_CHECKING:
    from voxledger.catalog.log.reading import Reading

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_SQL = load("cache.sql")


def owners(reading: Reading, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The clips (a row of `clips` in cache.sql each) by path below the cache; what is no clip's is left out."""
    named, foreign = list[str](), list[str]()
    for path in paths:
        found = _ID.findall(path.rpartition("/")[2])
        if found:
            named.append(found[-1])
        else:
            foreign.append(path)
    rows = reading.rows(_SQL["clips"], {"ids": named}) if named else []
    rows += reading.rows(_SQL["adopted"], {"keys": foreign}) if foreign else []
    return {row["key"]: row for row in rows if row["key"]}
