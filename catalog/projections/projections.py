"""Projections: the tables folded from the log. Set-based SQL, one file a relation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from voxledger.catalog.duckdb_files import transaction
from voxledger.catalog.events import REGISTRY, is_understood
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.projections.stages import BEGINNINGS, CHANGED, SEVERAL, STAGES, STEPS, USED, USES, WAITED
from voxledger.catalog.queries import load

VERSION = 11
"""Raise it with every change of a table or a fold: catalogs of another version are rebuilt."""

SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("id", pa.string()),
        ("type", pa.string()),
        ("version", pa.int16()),
        ("subject", pa.string()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("recorded", pa.timestamp("us", tz="UTC")),
        ("actor", pa.string()),
        ("data", pa.string()),
        ("personal", pa.string()),
    ]
)
"""What a fold reads: events in order, in their type's present version where it is understood, their personal fields
opened (NULL where the key is gone).
"""

RELATIONS = (
    "clips", "passages", "generations", "plays", "ratings", "uploads", "holds", "marks", "purges", "plans", "policies", "voices",
    "models", "deliveries", "reports", "report_deliveries", "changes", "events", "batches", "epochs", "projections", "unknown",
)  # fmt: skip
"""What SQL sees, in the order of docs/sql.md. `events`, `batches` and `epochs` are the log's own."""
_WITH_CLOCK = frozenset({"clips", "holds", "voices"})
"""Relations that say whether something has ended by itself, which depends on when that is asked."""
_ELSEWHERE = frozenset({"events", "batches", "epochs", "projections"})


def _sql(file: str, query: str) -> str:
    return load(f"{file}.sql", "voxledger.catalog.projections")[query]


def create(connection: duckdb.DuckDBPyConnection, *, begun: int = 0) -> None:
    """Make the empty tables in the attached database `catalog`.

    `begun` is where the log ends at this moment when it is folded anew: actors erased up to there call for no further
    rebuild.
    """
    connection.execute("USE catalog")
    try:
        for file, query in _DEFINITIONS:
            connection.execute(_sql(file, query))
            failpoint("create.after_statement")
    finally:
        connection.execute("USE memory")
    connection.execute(_sql("projections", "start"), {"version": VERSION, "begun": begun})


def position(connection: duckdb.DuckDBPyConnection) -> tuple[int, int] | None:
    """Version and position of the attached database `catalog`; None when its tables are not there yet."""
    try:
        rows = connection.execute(_sql("projections", "position")).fetchall()
    except duckdb.CatalogException:
        return None
    return (int(rows[0][0]), int(rows[0][1])) if rows else None


def fold(connection: duckdb.DuckDBPyConnection, events: pa.Table, through: int) -> None:
    """Fold events (of `SCHEMA`) into the tables and move the position, in one transaction."""
    connection.register("folding", events)
    try:
        strange = _strange(connection, events)
        if strange is not None:
            connection.register("strange", strange)
            events = events.filter(pc.invert(pc.is_in(events.column("position"), strange.column("position"))))
            connection.register("folding", events)
        present = _present(connection, events)
        with transaction(connection):
            for stage in STAGES:
                if stage.types & present:
                    for query in stage.queries:
                        connection.execute(_sql(stage.file, query))
            if strange is not None:
                connection.execute(_sql("unknown", "fold"))
            connection.execute(_sql("projections", "move"), (through,))
            failpoint("fold.before_commit")
        failpoint("fold.after_commit")
    finally:
        connection.unregister("folding")
        connection.unregister("strange")


def as_of(connection: duckdb.DuckDBPyConnection, position: int, moment: datetime | None = None) -> None:
    """Let this connection see every relation as it stood after a position, through temporary views of the same names.

    `moment` (aware) is the clock by which holds and consents had ended; without it, when the event at the position was
    recorded. The connection has the databases `catalog` and `log` attached and `search_path` set to both.
    """
    found = (
        [(moment.isoformat(),)] if moment else connection.execute(_sql("projections", "moment"), (position,)).fetchall()
    )
    moment_given = f", moment := TIMESTAMPTZ '{found[0][0]}'" if found else ""
    for name in RELATIONS:
        if name not in _ELSEWHERE:
            clock = moment_given if name in _WITH_CLOCK else ""
            connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS FROM catalog.{name}_at({int(position)}{clock})")
    for query in ("events_at", "batches_at", "epochs_at", "projections_at"):
        connection.execute(_sql("projections", query).replace("$position", str(int(position))))


def awaits_rebuild(connection: duckdb.DuckDBPyConnection, understood: Callable[[str, int], bool]) -> bool:
    """Whether folding the log anew would give other tables.

    That is so when events were not understood that `understood` (type, version) knows by now, and when somebody was
    erased whose words these tables held.
    """
    if any(bool(row[0]) for row in connection.execute(_sql("projections", "stale")).fetchall()):
        return True
    return any(understood(kind, version) for kind, version in connection.execute(_sql("unknown", "kinds")).fetchall())


def _present(connection: duckdb.DuckDBPyConnection, events: pa.Table) -> set[str]:
    """The event types of a batch, and what else decides about the stages that it needs."""
    present = set(events.column("type").unique().to_pylist())
    if present & BEGINNINGS and connection.execute(_sql("steps", "waiting")).fetchall()[0][0]:
        present.add(WAITED)
    steps = present & STEPS
    if steps and steps <= USES and WAITED not in present:
        present.add(USED)
    elif steps or WAITED in present:
        present.add(CHANGED)
        touched = events.column("subject").filter(pc.is_in(events.column("type"), pa.array(sorted(STEPS))))
        if pc.count_distinct(touched).as_py() < len(touched):
            present.add(SEVERAL)
    return present


def _strange(connection: duckdb.DuckDBPyConnection, events: pa.Table) -> pa.Table | None:
    """Position, type and version of the registered events that cannot be folded, with the reason; None where all can."""
    kinds = events.group_by(["type", "version"]).aggregate([]).to_pylist()
    unknown = [
        f"{kind['type']} {kind['version']}" for kind in kinds if not is_understood(kind["type"], kind["version"])
    ]
    if not unknown and _are_about_clips(events):
        return None  # most batches: asking DuckDB costs a small one a fifth of its time
    values = {"unknown": unknown, "about_clips": sorted(_ABOUT_CLIPS)}
    strange = connection.sql(_sql("unknown", "strange"), params=values).to_arrow_table()
    return strange if strange.num_rows else None


def _are_about_clips(events: pa.Table) -> bool:
    """Whether all events that should be about a clip have a subject that is plainly one; what is not plain, DuckDB decides."""
    subjects = events.column("subject").filter(pc.is_in(events.column("type"), pa.array(sorted(_ABOUT_CLIPS))))
    plain = pc.fill_null(pc.match_substring_regex(subjects, _PLAIN_ID), fill_value=False)
    return bool(pc.all(plain, min_count=0).as_py())


_PLAIN_ID = r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\z"
_ABOUT_CLIPS = STEPS | BEGINNINGS | {name for name in REGISTRY if name.startswith("Generation")}
_DEFINITIONS = (
    ("projections", "schema"),
    ("clips", "tables"),
    ("steps", "tables"),
    ("changes", "relation"),
    ("generations", "relation"),
    *((name, "relation") for name in RELATIONS if name not in _ELSEWHERE | {"clips", "generations", "changes"}),
    ("clips_at", "relation"),
    ("clips_comments", "comments"),
    ("projections", "comments"),
    *((name, "comments") for name in RELATIONS if name not in _ELSEWHERE | {"clips"}),
)
"""The statements that make an empty catalog, in order."""
