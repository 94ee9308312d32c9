"""Offsets: a time of day with an offset becomes text, because Arrow has no type for it and would leave the offset off."""

from __future__ import annotations

import re
from collections.abc import Sequence

import duckdb

_NAME = "TIME WITH TIME ZONE"
_PARTS = re.compile(rf"""("(?:[^"]|"")*"|'(?:[^']|'')*')|\b{_NAME}\b""")


def with_offsets(relation: duckdb.DuckDBPyRelation, types: Sequence[str]) -> duckdb.DuckDBPyRelation:
    """The same rows, with text such as 12:00:00+05 for every TIMETZ, also within lists and structs. `types` are those of its columns."""
    as_text = [_PARTS.sub(lambda found: found[1] or "VARCHAR", kind) for kind in types]
    if as_text == list(types):
        return relation
    columns = zip(relation.columns, types, as_text, strict=True)
    return relation.project(
        ", ".join(
            f"{f'#{number}' if kind == text else f'CAST(#{number} AS {text})'} AS {_quoted(name)}"
            for number, (name, kind, text) in enumerate(columns, 1)
        )
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
