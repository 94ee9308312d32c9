"""A snapshot: what the planner reads from the catalog, at one position of the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import polars as pl

from voxledger.catalog.log import Keeper, Reading
from voxledger.catalog.queries import load
from voxledger.catalog.retention.policy import CONDITIONS, Policy, title

SQL = load("retention.sql", "voxledger.catalog.retention")
_TIME = pl.Datetime("us", "UTC")
COLUMNS = pl.Schema(
    {
        "id": pl.String(),
        "created": _TIME,
        "last_used": _TIME,
        "linked_until": _TIME,
        "actor": pl.String(),
        "session": pl.String(),
        "emotion": pl.String(),
        "bucket": pl.String(),
        "tags": pl.List(pl.String()),
        "pinned": pl.Boolean(),
        "pin_reason": pl.String(),
        "bytes": pl.Int64(),
        "duration_us": pl.Int64(),
        "mark_rule": pl.String(),
        "delete_after": _TIME,
        "purging": pl.Boolean(),
        "used_since_mark": pl.Boolean(),
    }
)
"""What the planner must know of a clip, with its Polars type."""
_NEAR = 10_000
"""Among how many words, the most frequent ones, a similar one is looked for."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The clips that are not purged (columns of `COLUMNS`), as of `position`.

    `words` holds for each condition that the policy uses all values that any clip ever had, the most frequent first.
    """

    position: int
    clips: pl.DataFrame
    words: Mapping[str, pl.Series] = field(default_factory=dict)


def read(keeper: Keeper, policy: Policy) -> Snapshot:
    """The present state, the journal drained to its head. Raises CatalogBusy when another process keeps the log."""
    asked = [name for name in CONDITIONS if any(getattr(rule, name) for rule in policy.rules)]
    with keeper.reading() as reading:
        return Snapshot(
            position=int(reading.tuples(SQL["position"])[0][0]),
            clips=frame(reading, "clips", {"id": None}).cast(COLUMNS),
            words={name: frame(reading, f"words_{name}")["word"] for name in asked},
        )


def frame(reading: Reading, query: str, values: Any = None) -> pl.DataFrame:
    """The answer to a named query as a Polars frame."""
    return reading.frame(SQL[query], values)


def warnings(snapshot: Snapshot, policy: Policy) -> tuple[str, ...]:
    """What a person should look at before applying: no rules, a rule for every clip, names that no clip ever had."""
    if not policy.rules:
        return ("there are no rules: nothing can expire; write [[retention.rules]] into voxledger.toml",)
    found = []
    for rule in policy.rules:
        if not any(getattr(rule, name) for name in CONDITIONS):
            found.append(f"{title(rule)} has no condition: it matches every clip")
        for name in CONDITIONS:
            value, known = getattr(rule, name), snapshot.words.get(name)
            if value and known is not None and value not in known:
                near = get_close_matches(value, known.head(_NEAR).to_list(), n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                found.append(f"rule {rule.name!r} names {name} {value!r}, which no clip has{hint}")
    return tuple(found)
