"""The guard: lets through exactly one SELECT that reads the catalog and reaches nothing else.

A read-only file is not enough, because a SELECT can read any file of this machine, wait for ever or read settings. So
the parsed tree is walked: what it is made of, which relations it names and which functions it calls.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias, TypeVar

import duckdb

from voxledger.catalog import platform
from voxledger.catalog.errors import QueryError
from voxledger.catalog.query.complaint import STRUCTURED, Complaint

Tree: TypeAlias = dict[str, Any]
"""A piece of a parsed query, as DuckDB's `json_serialize_sql` gives it."""

LONGEST = 1_000_000
"""Most characters of a query."""
TABLE_FUNCTIONS = frozenset({
    "range", "generate_series", "unnest", "json_each", "json_tree", "duckdb_tables", "duckdb_columns", "duckdb_views",
    "pg_timezone_names",
    # Relations as they stood after a position, from the projections.
    "clips_at", "generations_at", "plays_at", "ratings_at", "uploads_at", "holds_at", "marks_at", "purges_at", "voices_at",
    "models_at", "deliveries_at", "reports_at", "report_deliveries_at", "plans_at", "policies_at",
})  # fmt: skip
"""The table functions that a query may call; a new DuckDB's new ones are refused until someone has looked at them."""
REFUSED_FUNCTIONS = frozenset({
    # They change something, or wait.
    "nextval", "currval", "setval", "setseed", "write_log", "sleep_ms", "pg_sleep",
    # They read settings, variables or this process.
    "getenv", "current_setting", "getvariable", "current_query", "current_connection_id", "current_query_id",
    "current_transaction_id",
    # They bind a query of their own, which opens the files it names, or take raw memory for a value.
    "json_serialize_plan", "json_execute_serialized_sql", "query", "query_table", "finalize", "combine", "to_aggregate_state",
    # They open files, should they ever work outside of FROM.
    "read_text", "read_blob", "read_csv", "read_json", "read_parquet", "glob",
})  # fmt: skip
"""The other functions that a query may not call."""
HARMLESS_FUNCTIONS = frozenset({
    "random", "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "error", "stats", "vector_type",
})  # fmt: skip
"""Functions that DuckDB says have side effects, and that may be called: chance, and an error on purpose."""

_QUERIES = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_SOURCES = frozenset({
    "BASE_TABLE", "TABLE_FUNCTION", "SUBQUERY", "JOIN", "EMPTY", "EXPRESSION_LIST", "PIVOT", "SHOW_REF",
})  # fmt: skip
_MODIFIERS = frozenset({"ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER"})
_DIRECTIONS = frozenset({"ORDER_DEFAULT", "ASCENDING", "DESCENDING"})
_SHAPES = _QUERIES | _SOURCES | _MODIFIERS | _DIRECTIONS
_EXPRESSIONS = frozenset({
    "CONSTANT", "COLUMN_REF", "FUNCTION", "WINDOW", "STAR", "OPERATOR", "COMPARISON", "CONJUNCTION", "BETWEEN", "CASE", "CAST",
    "TYPE", "COLLATE", "SUBQUERY", "LAMBDA", "LAMBDA_REF", "POSITIONAL_REFERENCE", "PARAMETER",
})  # fmt: skip
_QUALIFIERS = frozenset(
    [(), ("catalog",), ("log",), ("temp",), ("main",), ("information_schema",)]
    + [(database, "main") for database in ("catalog", "log", "temp")]
)
_PLAIN = re.compile(r"[\w $#@-]+")
_SYSTEM = re.compile(r"(pg|pragma|duckdb)_")
_SYSTEM_VIEWS = frozenset({"duckdb_tables", "duckdb_columns", "duckdb_views"})
_SHOWN = frozenset({'"tables"', "__show_tables_expanded"})
_PIVOT = (
    "PIVOT without a list of values is several statements; name the values:"
    " PIVOT clips ON emotion IN ('happy', 'sad') USING count(*)"
)

_lock = threading.Lock()
_T = TypeVar("_T")
_parser: list[duckdb.DuckDBPyConnection] = []
"""The connection that parses, once there was something to parse."""


def check(query: str) -> None:
    """Raises QueryError unless this is exactly one SELECT that reads relations of the catalog and nothing else."""
    for piece in pieces(parse(query)):
        _check_piece(piece)


def parse(query: str) -> Tree:
    """The tree of a query that is exactly one SELECT. Raises QueryError for anything else."""
    try:
        query.encode()
    except UnicodeEncodeError:
        raise QueryError("this is not SQL: it holds bytes that are no UTF-8") from None
    if len(query) > LONGEST:
        raise QueryError(f"a query has at most {LONGEST:,} characters, not {len(query):,}")
    try:
        kinds = [statement.type for statement in _parsing(lambda parser: parser.extract_statements(query))]
        if kinds == [duckdb.StatementType.MULTI]:
            raise QueryError(_PIVOT)
        if kinds != [duckdb.StatementType.SELECT]:
            raise QueryError(
                "a query is exactly one SELECT; the catalog is changed through commands, never through SQL"
            )
        found: Tree = json.loads(_parsing(lambda parser: _serialized(parser, query)))
    except duckdb.Error as error:
        complaint = Complaint.of(error, query)
        refused = QueryError(f"this is not SQL that DuckDB understands: {complaint.words}")
        refused.offset, refused.length = complaint.offset, complaint.length
        raise refused from None
    except RecursionError:
        raise QueryError("the query is nested too deeply") from None
    if found["error"]:
        # DuckDB parsed it and yet cannot write it down; what cannot be looked at is not run.
        raise QueryError(f"the query is refused, because DuckDB cannot take it apart: {found['error_message']}")
    tree: Tree = found["statements"][0]["node"]
    return tree


def written(expression: Tree) -> str:
    """A parsed expression as SQL again."""
    tree = {
        "error": False,
        "statements": [{"node": {**parse("SELECT 1"), "select_list": [expression]}, "named_param_map": []}],
    }
    return _parsing(lambda parser: _deserialized(parser, json.dumps(tree))).removeprefix("SELECT ")


def parse_with(connection: duckdb.DuckDBPyConnection) -> None:
    """Parse by this connection from here on: for a process that has an instance, with `STRUCTURED`, already."""
    with _lock:
        _parser[:] = [connection]


def pieces(tree: Tree) -> Iterator[Tree]:
    """Every piece of a tree."""
    waiting: list[Any] = [tree]
    while waiting:
        piece = waiting.pop()
        if isinstance(piece, dict):
            yield piece
            waiting.extend(piece.values())
        elif isinstance(piece, list):
            waiting.extend(piece)


def _parsing(parse: Callable[[duckdb.DuckDBPyConnection], _T]) -> _T:
    """What one connection says, in turns: DuckDB's own default connection is one more instance, with threads, for ever."""
    with _lock:
        if not _parser:
            _parser.append(duckdb.connect(":memory:", config={"threads": 1, "async_threads": 0, **STRUCTURED}))
        return parse(_parser[0])


def _serialized(parser: duckdb.DuckDBPyConnection, query: str) -> str:
    row: tuple[str] | None = parser.execute("SELECT json_serialize_sql($1)", (query,)).fetchone()
    assert row is not None  # a SELECT without FROM has one row
    return row[0]


def _deserialized(parser: duckdb.DuckDBPyConnection, tree: str) -> str:
    row: tuple[str] | None = parser.execute("SELECT json_deserialize_sql($1::JSON)", (tree,)).fetchone()
    assert row is not None  # a SELECT without FROM has one row
    return row[0]


def _forget_parser() -> None:
    while _parser:
        _parser.pop().close()


platform.before_fork(_lock, _forget_parser)


def _check_piece(piece: Tree) -> None:
    expression, kind = piece.get("class"), piece.get("type")
    if expression is not None:
        if expression not in _EXPRESSIONS:
            raise QueryError(f"the query is refused: it holds an expression of the kind {expression}")
        if expression in ("FUNCTION", "WINDOW"):
            _check_function(piece)
    elif isinstance(kind, str):
        if kind not in _SHAPES:
            raise QueryError(f"a query only reads; this one holds {kind.removesuffix('_QUERY_NODE')}")
        if kind == "BASE_TABLE":
            _check_relation(piece)
        elif kind == "TABLE_FUNCTION":
            _check_table_function(piece["function"])
        elif kind == "SHOW_REF":
            _check_shown(piece)


def _check_function(function: Tree) -> None:
    name = function["function_name"].lower()
    if name in REFUSED_FUNCTIONS:
        raise QueryError(f"{name}() is refused: a query reads relations of the catalog, and nothing else")


def _check_table_function(function: Tree) -> None:
    name = str(function.get("function_name", "")).lower()
    if name not in TABLE_FUNCTIONS:
        raise QueryError(
            f"{name or 'this source'}() is refused: a query reads relations of the catalog (docs/sql.md), and of table functions"
            f" only {', '.join(sorted(TABLE_FUNCTIONS))}"
        )


def _check_relation(table: Tree) -> None:
    *qualifier, name = table["qualified_name"]["path"]
    _check_name(name)
    if tuple(part.lower() for part in qualifier) not in _QUALIFIERS:
        raise QueryError(f"{'.'.join((*qualifier, name))} is refused: relations stand in catalog and log (docs/sql.md)")


def _check_name(name: str) -> None:
    if not _PLAIN.fullmatch(name):
        raise QueryError(f"{name!r} is refused: it names a file, and a query reads relations of the catalog only")
    if _SYSTEM.match(name.lower()) and name.lower() not in _SYSTEM_VIEWS:
        raise QueryError(
            f"{name} is refused: it tells of this machine; relations are described by `FROM duckdb_columns()`"
        )


def _check_shown(shown: Tree) -> None:
    """DESCRIBE and SUMMARIZE hold a query, which is walked; SHOW holds a name."""
    name = shown["table_name"]
    if shown["show_type"] == "SHOW_SPECIAL":
        if name not in _SHOWN:
            raise QueryError(f"SHOW {name} is refused; SHOW TABLES lists the relations")
    elif name:
        _check_name(name)
