"""Conditions: `where=` from elsewhere, which may cost the node neither its memory nor its time, and tell nothing of other people's clips.

In one's own process a condition may do whatever DuckDB can. Here it is made of comparisons and of functions whose answers are no
larger than what they are given; for who sees only the own clips it never even looks at others.
"""

from __future__ import annotations

from voxledger.catalog.errors import ExpressionError, QueryError
from voxledger.catalog.query import guard
from voxledger.catalog.query.condition import check_condition
from voxledger.catalog.retention.policy.expressions import with_parameter

LONGEST = 4000
"""Characters of a condition."""
FUNCTIONS = frozenset({
    "+", "-", "*", "/", "//", "%", "~~", "!~~", "~~*", "!~~*", "abs", "round", "floor", "ceil", "least", "greatest",
    "lower", "upper", "trim", "length", "contains", "starts_with", "prefix", "ends_with", "suffix", "list_contains", "list_has",
    "list_has_any", "list_has_all", "len", "list_value", "now", "today", "date_trunc", "date_part", "year", "month", "week", "day",
    "isodow", "hour", "minute", "to_years", "to_months", "to_weeks", "to_days", "to_hours", "to_minutes", "to_seconds", "trunc", "epoch",
    "epoch_ms", "epoch_us", "isnan", "nullif",
})  # fmt: skip
"""The functions and operators that a condition may use."""
TYPES = frozenset({
    "boolean", "tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint", "float", "double", "varchar",
    "text", "date", "time", "timestamp", "timestamptz", "timestamp with time zone", "interval", "uuid", "int", "real",
})  # fmt: skip
_CLASSES = frozenset({
    "CONSTANT", "COLUMN_REF", "FUNCTION", "OPERATOR", "COMPARISON", "CONJUNCTION", "BETWEEN", "CASE", "CAST", "TYPE",
})  # fmt: skip
_LIKE = frozenset({"~~", "!~~", "~~*", "!~~*"})
_CALLS = 20
"""Most functions and casts: each keeps what it made of two thousand texts until all is answered."""
_WILD = 2
"""Most `%` of a pattern: each one more multiplies what a long text costs."""


def condition(where: str | None, *, sees: str | None) -> str | None:
    """A condition ready for `page.request`. Raises QueryError for one that is none, or that could cost too much."""
    if where is None:
        return None
    if len(where) > LONGEST:
        raise QueryError(f"a condition has at most {LONGEST:,} characters here, not {len(where):,}")
    checked = check_condition(where)
    _check_all(guard.parse(f"SELECT {checked}")["select_list"][0])
    if sees is None:
        return where
    # A filter beside it would not do: DuckDB may look at both in any order, and an error tells what it stumbled over.
    own = "'" + sees.replace("'", "''") + "'"
    return f"CASE WHEN actor = {own} THEN {checked} ELSE false END"


def check_policy(expression: str) -> None:
    """An expression, or an order, of a policy that somebody tries out. Raises QueryError for one that could cost too much.

    What is no expression at all is for the compiler to tell, which evaluates nothing.
    """
    try:
        tree = guard.parse(f"SELECT 1 ORDER BY {with_parameter(expression)}\n")
    except (QueryError, ExpressionError):
        return
    _check_all(tree)


def _check_all(tree: guard.Tree) -> None:
    pieces = list(guard.pieces(tree))
    for piece in pieces:
        _check(piece)
    if sum(piece.get("class") in ("FUNCTION", "CAST") for piece in pieces) > _CALLS:
        raise QueryError(f"a condition here has at most {_CALLS} functions, operators of arithmetic and casts")


def _check(piece: guard.Tree) -> None:
    kind = piece.get("class")
    if kind is None or _is_now(piece):
        return
    if kind not in _CLASSES:
        raise QueryError(
            f"a condition here is made of comparisons, without {str(kind).lower()}; POST /api/sql can do more"
        )
    if kind == "TYPE" and str(piece["type_name"]).lower() not in TYPES:
        raise QueryError(f"a condition here knows no {piece['type_name']}; its types are {', '.join(sorted(TYPES))}")
    if kind == "FUNCTION":
        name = str(piece["function_name"]).lower()
        if name not in FUNCTIONS:
            raise QueryError(f"a condition here knows no {name}(); its functions are {', '.join(sorted(FUNCTIONS))}")
        if name in _LIKE:
            _check_pattern(piece)
        if name == "list_value" and any(each["expression"]["class"] != "CONSTANT" for each in piece["arguments"]):
            raise QueryError("a list in a condition here is written out: ['a', 'b']")


def _is_now(piece: guard.Tree) -> bool:
    """The one parameter that a policy may name; `check_condition` refuses all."""
    return piece.get("class") == "PARAMETER"


def _check_pattern(like: guard.Tree) -> None:
    pattern = like["arguments"][-1]["expression"]
    if pattern["class"] != "CONSTANT" or str(pattern["literal"]["text"]).count("%") > _WILD:
        raise QueryError(
            f"a pattern is written out and holds at most {_WILD} percent signs; contains(text, 'word') finds what stands anywhere"
        )
