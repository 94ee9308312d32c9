"""Conditions: one boolean expression over the columns of `clips`, as `where=` takes it."""

from __future__ import annotations

import re

from voxledger.catalog.errors import QueryError
from voxledger.catalog.query import guard

_ALONE = frozenset({"type", "modifiers", "cte_map", "select_list", "from_table", "aggregate_handling"})
"""What the tree of `SELECT expression` holds besides empty clauses."""
_ELSEWHERE = {
    "SUBQUERY": "another SELECT",
    "WINDOW": "windows",
    "STAR": "stars",
    "POSITIONAL_REFERENCE": "positions",
    "PARAMETER": "parameters",
}
_UNKNOWN = re.compile(r'(?:column "(?P<a>[^"]*)" not found|have a column named "(?P<b>[^"]*)")')
_CANDIDATES = re.compile(r"Candidate bindings: :?\s*(?P<names>.*)")


def check_condition(expression: str) -> str:
    """The expression in parentheses, ready for a WHERE clause. Raises QueryError unless it is one plain expression.

    It may not hold a query, an aggregate or a window; whether its columns exist is known only when it runs.
    """
    # On its own first: `a) OR (b` fits between parentheses, and would leave the clause that it stands in.
    alone = guard.parse(f"SELECT {expression}\n")
    if not is_alone(alone):
        raise QueryError(
            f"{expression!r} is no condition: write one expression, such as \"plays = 0 AND emotion = 'sad'\""
        )
    guarded = f"(\n{expression}\n)"
    query = f"SELECT 1 FROM clips WHERE {guarded}"  # noqa: S608  # parsed, not run
    guard.check(query)
    for piece in guard.pieces(guard.parse(query)["where_clause"]):
        if piece.get("class") in _ELSEWHERE:
            raise QueryError(
                f"a condition looks at the columns of one clip, without {_ELSEWHERE[piece['class']]}; `voxledger sql` can do more"
            )
    return guarded


def is_alone(tree: guard.Tree) -> bool:
    """Whether `SELECT expression` holds one expression and no clause besides."""
    return (
        tree["type"] == "SELECT_NODE"
        and len(tree["select_list"]) == 1
        and tree["from_table"]["type"] == "EMPTY"
        and not any(tree[clause] for clause in tree.keys() - _ALONE)
        and not tree["modifiers"]
        and not tree["cte_map"]["map"]
        and not tree["select_list"][0]["alias"]
    )


def explain(message: str) -> str:
    """DuckDB's complaint about a condition, in words that help."""
    unknown = _UNKNOWN.search(message)
    if not unknown:
        return f"DuckDB refused the condition: {message}"
    name = unknown["a"] or unknown["b"] or ""
    found = _CANDIDATES.search(message)
    near = re.findall(r'"([^"]*)"', found["names"]) if found else []
    hint = f"; did you mean {' or '.join(near[:2])}?" if near else ""
    return f"clips have no column {name}{hint} (text stands between single quotes: '{name}')"
