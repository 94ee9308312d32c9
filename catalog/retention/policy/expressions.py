"""Expressions: what a policy says about clips, checked on DuckDB's parsed tree and never run before.

A policy is written by hand and deletes audio: an expression may look at the columns of one clip and at `:now`, through
functions that are known to be harmless. No other query, nothing that changes from call to call, no columns that are not there.
"""

from __future__ import annotations

import copy
import functools
import re
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

import duckdb
import msgspec

from voxledger.catalog import platform
from voxledger.catalog.errors import ExpressionError, QueryError
from voxledger.catalog.query import guard
from voxledger.catalog.query.complaint import plain
from voxledger.catalog.query.condition import is_alone
from voxledger.catalog.retention.policy.columns import columns

FUNCTIONS = frozenset({
    "+", "-", "*", "/", "//", "%", "||", "~~", "!~~", "~~*", "!~~*", "like_escape", "not_like_escape",
    "ilike_escape", "not_ilike_escape",
    "abs", "round", "floor", "ceil", "ceiling", "trunc", "sign",
    "greatest", "least", "ifnull", "nullif", "if",
    "lower", "upper", "trim", "ltrim", "rtrim", "length", "len", "substr", "substring", "left", "right", "replace", "concat",
    "contains", "starts_with", "prefix", "ends_with", "suffix", "regexp_matches", "strip_accents",
    "list_contains", "list_has", "array_contains", "array_has", "list_has_any", "array_has_any", "list_has_all",
    "array_has_all", "&&", "@>", "<@", "array_length", "list_value", "list_max", "list_min", "list_sum", "list_position",
    "date_diff", "datediff", "date_part", "datepart", "date_trunc", "datetrunc", "date_add", "date_sub", "age", "epoch", "year",
    "month", "day", "hour", "dayofweek", "isodow", "weekofyear", "week",
    "to_years", "to_months", "to_weeks", "to_days", "to_hours", "to_minutes", "to_seconds",
})  # fmt: skip
"""The functions that an expression may call: harmless, and never NaN or infinite, which DuckDB holds to be larger than anything."""
POWERS = frozenset({"**", "^", "pow", "power", "exp", "sqrt"})
"""What a number that is only put in order may be made with, too."""
_CLASSES = frozenset({
    "CONSTANT", "COLUMN_REF", "FUNCTION", "OPERATOR", "COMPARISON", "CONJUNCTION", "BETWEEN", "CASE", "CAST", "TYPE", "PARAMETER",
    "COLLATE",
})  # fmt: skip
_NOT = {
    "SUBQUERY": "another SELECT",
    "WINDOW": "a window",
    "STAR": "a star",
    "POSITIONAL_REFERENCE": "a position",
    "LAMBDA": "a lambda",
    "LAMBDA_REF": "a lambda",
}
_CLOCKS = frozenset({
    "now", "current_timestamp", "current_date", "current_time", "today", "localtime", "localtimestamp", "get_current_timestamp",
    "transaction_timestamp", "get_current_time",
})  # fmt: skip
_NOW = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|::|(?P<now>:now\b)""", re.DOTALL)
_NUMBERS = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*)")
_START = len("SELECT ")
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)
_WORDS = frozenset({"tags", "actor", "session", "emotion", "bucket", "voice", "language", "engine", "name"})
"""Columns whose words can be misspelt: a policy that names one that no clip ever had is told so."""
_LISTED = frozenset({
    "list_contains", "list_has", "array_contains", "array_has", "contains", "list_has_any", "array_has_any", "list_has_all",
    "array_has_all", "&&", "@>", "<@",
})  # fmt: skip
_NUMBER = "a number"
_DIVISIONS = frozenset({"/", "//", "%"})
_lock = threading.Lock()
_binder: list[duckdb.DuckDBPyConnection] = []


class Expression(msgspec.Struct, frozen=True, kw_only=True):
    """A checked expression. `sql` is ready for a query over the columns of `columns()`, with `$now` as its only parameter.

    `words` are (column, word) pairs that it compares for equality, such as `("tags", "scratch")`. An order has its parts in `order`:
    what to sort by, and how.
    """

    text: str
    sql: str
    columns: frozenset[str]
    words: tuple[tuple[str, str], ...] = ()
    order: tuple[tuple[str, str], ...] = ()


def boolean(text: str) -> Expression:
    """An expression that says yes or no. Raises ExpressionError."""
    return _expression(text, "BOOLEAN")


def numeric(text: str) -> Expression:
    """An expression that gives a number. Raises ExpressionError."""
    return _expression(text, _NUMBER)


@functools.lru_cache(maxsize=256)
def ordering(text: str) -> Expression:
    """What may follow ORDER BY, such as `rating DESC, plays DESC`; NULL always comes last. Raises ExpressionError."""
    asked = with_parameter(text)
    try:
        tree = guard.parse(f"SELECT 1 ORDER BY {asked}\n")
        # What the parser takes for one ORDER BY may still hold a LIMIT behind it.
        orders = (
            tree["modifiers"][0]["orders"] if [part["type"] for part in tree["modifiers"]] == ["ORDER_MODIFIER"] else []
        )
    except QueryError as error:
        raise ExpressionError(f"{text!r} is no order: {error}") from None
    if not orders or tree["from_table"]["type"] != "EMPTY" or tree["where_clause"]:
        raise ExpressionError(
            f"{text!r} is no order: write columns with ASC or DESC, such as 'rating DESC, plays DESC'"
        )
    named: set[str] = set()
    parts = []
    for order in orders:
        named |= _walk(order["expression"], len("SELECT 1 ORDER BY "), POWERS)
        bare = _written(order["expression"])
        if _bind(bare, "anything") in ("DOUBLE", "FLOAT"):
            bare = f"nullif({bare}, 'NaN')"
        parts.append((f"({bare})", f"{'DESC' if order['type'] == 'DESCENDING' else 'ASC'} NULLS LAST"))
    return Expression(text=text, sql=", ".join(map(" ".join, parts)), columns=frozenset(named), order=tuple(parts))


@functools.lru_cache(maxsize=1024)
def _expression(text: str, kind: str) -> Expression:
    if not text.strip():
        raise ExpressionError("an expression is empty")
    asked = with_parameter(text)
    try:
        # On its own first: `a) OR (b` fits between parentheses, and would leave the clause that it stands in.
        tree = guard.parse(f"SELECT {asked}\n")
    except QueryError as error:
        raise ExpressionError(f"{text!r} is no expression: {error}", _within(error.offset)) from None
    if not is_alone(tree):
        raise ExpressionError(f"{text!r} is no single expression, such as \"plays = 0 AND emotion = 'sad'\"")
    found = tree["select_list"][0]
    named = _walk(found, _START, POWERS if kind == _NUMBER else frozenset())
    written = _written(found)
    _bind(written, kind)
    return Expression(
        text=text,
        sql=f"({written})",
        columns=frozenset(named),
        words=tuple(dict.fromkeys(_words(tree["select_list"][0]))),
    )


def with_parameter(text: str) -> str:
    """`:now` as DuckDB writes parameters, which is as long, so that places in the text stay what they are. Raises
    ExpressionError for other parameters.
    """
    if "$" in re.sub(r"'(?:[^']|'')*'", "", text):
        raise ExpressionError(f"{text!r} holds a parameter; the only one there is is :now", text.index("$"))
    return _NOW.sub(lambda found: "$now" if found["now"] else found[0], text)


def _within(offset: int | None) -> int | None:
    """A place in `SELECT expression` as one in the expression."""
    return None if offset is None else max(0, offset - _START)


def _written(tree: guard.Tree) -> str:
    """A checked tree as SQL again, in which dividing by nothing gives NULL: neither NaN nor infinity, which would match."""
    safe = copy.deepcopy(tree)
    for piece in list(guard.pieces(safe)):
        if piece.get("class") == "FUNCTION" and piece["function_name"] in _DIVISIONS and len(piece["arguments"]) > 1:
            divisor = piece["arguments"][1]
            guarded = guard.parse("SELECT nullif(1, 0)")["select_list"][0]
            guarded["arguments"][0]["expression"] = divisor["expression"]
            divisor["expression"] = guarded
    return guard.written(safe)


def _walk(tree: guard.Tree, start: int, more: frozenset[str]) -> set[str]:
    """The columns that a tree names; `more` are further functions that it may call.

    Raises ExpressionError for anything that an expression must not hold.
    """
    named = set()
    for piece in guard.pieces(tree):
        kind = piece.get("class")
        if kind is None:
            continue
        at = piece.get("query_location", -1)
        offset = at - start if 0 <= at - start < guard.LONGEST else None
        if kind not in _CLASSES:
            if asked := _any_of(piece):
                raise ExpressionError(f"ANY() is refused: an expression holds no other query; write {asked}", offset)
            raise ExpressionError(
                f"{_NOT.get(kind, kind)} is refused: an expression looks at the columns of one clip", offset
            )
        if kind == "FUNCTION":
            _check_function(str(piece["function_name"]).lower(), offset, more)
            if piece["distinct"] or piece["filter"] or piece["order_bys"]["orders"]:
                raise ExpressionError("an aggregate is refused: an expression looks at the columns of one clip", offset)
        elif kind == "COLUMN_REF":
            named.add(_column(piece["column_names"], offset))
    return named


def _any_of(piece: guard.Tree) -> str | None:
    """For `'x' = ANY(tags)`, which DuckDB takes for a query over the list, how a policy says it."""
    if piece.get("subquery_type") != "ANY" or piece.get("comparison_type") != "COMPARE_EQUAL":
        return None
    selected = piece["subquery"]["node"].get("select_list") or [{}]
    if selected[0].get("function_name") != "unnest" or piece["subquery"]["node"]["from_table"]["type"] != "EMPTY":
        return None
    among = selected[0]["arguments"][0]["expression"]
    return f"list_contains({guard.written(among)}, {guard.written(piece['child'])})"


def _check_function(name: str, offset: int | None, more: frozenset[str]) -> None:
    if name in _CLOCKS:
        raise ExpressionError(f"{name}() is refused: a plan has one time for all clips; write :now", offset)
    if name not in FUNCTIONS | more:
        near = get_close_matches(name, FUNCTIONS, n=1)
        hint = f"; did you mean {near[0]}()?" if near else ""
        raise ExpressionError(f"{name}() is not among the functions that a policy may call{hint}", offset)


def _column(names: list[str], offset: int | None) -> str:
    known = columns()
    name = names[-1].lower()
    if len(names) == 1 and name in known:
        return name
    if name in _CLOCKS:
        raise ExpressionError(f"{name} is refused: a plan has one time for all clips; write :now", offset)
    shown = ".".join(names)
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"text stands between single quotes: '{shown}'"
    raise ExpressionError(f"clips have no column {shown}; {hint}", offset)


def _words(tree: guard.Tree) -> Iterator[tuple[str, str]]:
    """The words that a tree compares with columns that hold names."""
    for piece in guard.pieces(tree):
        if piece.get("type") == "COMPARE_EQUAL":
            sides = [piece["left"], piece["right"]]
        elif piece.get("type") == "COMPARE_IN":
            sides = list(piece["children"])
        elif piece.get("class") == "FUNCTION" and piece["function_name"].lower() in _LISTED:
            sides = [argument["expression"] for argument in piece["arguments"]]
            sides += [item["expression"] for side in sides if _is_list(side) for item in side["arguments"]]
        else:
            continue
        column = [side["column_names"][-1].lower() for side in sides if side.get("class") == "COLUMN_REF"]
        if len(column) == 1 and column[0] in _WORDS:
            yield from ((column[0], word) for side in sides if (word := _text(side)) is not None)


def _is_list(piece: Mapping[str, Any]) -> bool:
    return piece.get("class") == "FUNCTION" and piece.get("function_name") == "list_value"


def _text(piece: Mapping[str, Any]) -> str | None:
    if piece.get("class") != "CONSTANT":
        return None
    literal = piece.get("literal") or {}
    return str(literal["text"]) if literal.get("kind") == "STRING" else None


def _bind(asked: str, kind: str) -> str:
    """The type of an expression. Let DuckDB say whether its parts fit, on one row of nothing."""
    query = f"SELECT (\n{asked}\n) AS value FROM clips"  # noqa: S608  # checked before
    try:
        with _lock:
            if not _binder:
                made = duckdb.connect(":memory:", config={"threads": 1})
                typed = ", ".join(f'"{name}" {type_}' for name, type_ in columns().items())
                made.execute(f"CREATE TABLE clips ({typed})")
                # A word that is no number, say, is found out only where there is a row to hold it against.
                made.execute("INSERT INTO clips (id) VALUES (NULL)")
                _binder.append(made)
            answer = _binder[0].execute(query, {"now": _ANY_TIME} if "$now" in asked else None)
            found = str(answer.description[0][1]) if answer.description else ""
    except duckdb.Error as error:
        raise ExpressionError(f"DuckDB refuses the expression: {plain(error).splitlines()[0]}") from None
    if kind == "BOOLEAN" and found != "BOOLEAN":
        raise ExpressionError(f"the expression gives {found}, not yes or no")
    if kind == _NUMBER and not _NUMBERS.fullmatch(found):
        raise ExpressionError(f"the expression gives {found}, not a number")
    return found


def _forget_binder() -> None:
    while _binder:
        _binder.pop().close()


platform.before_fork(_lock, _forget_binder)
