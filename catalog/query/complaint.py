"""A complaint: what DuckDB says against a query, and about which part of it."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import duckdb

_BLANK = re.compile(r"\n\s*\n")
_TOLD = re.compile(r"([A-Z][\w ]*): (\{.*)", re.DOTALL)
STRUCTURED = {"errors_as_json": True}
"""The setting of a connection whose complaints have a place."""


class Complaint(NamedTuple):
    """Its words, and the characters of the query that it is about; without an `offset` it is about no part of it."""

    words: str
    offset: int | None = None
    length: int = 0

    @classmethod
    def of(cls, error: duckdb.Error | str, query: str) -> Complaint:
        """Of an error of DuckDB's about a query."""
        found = _TOLD.fullmatch(str(error))
        try:
            told = json.loads(found[2]) if found else None
        except ValueError:
            told = None
        if found is None or not isinstance(told, dict) or "exception_message" not in told:
            return cls(plain(error))
        words = plain(f"{found[1]}: {told['exception_message']}")
        try:
            begin, size = json.loads(told.get("location") or f"[{told['position']}, 1]")
        except (KeyError, ValueError, TypeError):
            return cls(words)
        content = query.encode(errors="replace")
        offset = len(content[:begin].decode(errors="ignore"))
        return cls(words, offset, max(1, len(content[begin : begin + size].decode(errors="ignore"))))


def plain(error: duckdb.Error | str) -> str:
    """DuckDB's message without the blank lines and the stack that may follow."""
    return _BLANK.split(str(error))[0].strip()
