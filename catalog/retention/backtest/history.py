"""The history: how every clip stood in every moment of a period, in tables of a database of its own.

Read once, it answers for any number of policies. Nothing in it is later than the moment it is asked about: a stretch holds the
state that the event at its end found.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa

from voxledger.catalog.errors import PolicyError
from voxledger.catalog.log import Reading
from voxledger.catalog.queries import load
from voxledger.catalog.retention.policy import Expression, Policy
from voxledger.catalog.retention.policy.columns import QUALITY

SQL = load("history.sql", "voxledger.catalog.retention.backtest")
NIGHT = timedelta(days=1)
"""From one run of retention to the next."""
MEMORY = "1500MB"
"""What the tables may take; beyond that they spill into a folder for temporary files."""
TRACED = frozenset({"id", "created", "last_used", "bytes", "plays"})
"""The columns that an access trace has."""
_MICRO = timedelta(microseconds=1)
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_STORING = ("AudioStored", "AudioUploadFailed", "ObjectMissing", "ObjectVerified")
_MARKING = ("ClipMarked", "ClipUnmarked", "PurgeStarted", "ClipPurged", "ClipRestored")
_ALWAYS = (
    "AudioAccessed",
    "GenerationReused",
    "ClipPinned",
    "ClipUnpinned",
    "ClipUnmarked",
    "PurgeStarted",
    "ClipPurged",
    "ClipRestored",
)
_CHANGES = {
    "pinned": (), "pin_reason": (), "pinned_until": (), "pinned_by": (), "plays": (), "reuses": (), "last_used": (),
    "rating": ("ClipRated",), "ratings": ("ClipRated",), "cached": ("CacheEvicted",),
    "stored": _STORING, "upload_failure": _STORING, "verified": _STORING, "missing": _STORING,
    "mark_plan": _MARKING, "mark_rule": _MARKING, "delete_after": _MARKING, "purge_started": _MARKING, "purged": _MARKING,
    "restored": _MARKING, "state": (*_STORING, *_MARKING),
}  # fmt: skip
"""Columns that events change, and the events that change them beside those that are always read."""
CHANGING = frozenset({*_CHANGES, "tags"})
_STATE = """CASE WHEN changes.purged IS NOT NULL THEN 'purged' WHEN changes.purge_started IS NOT NULL THEN 'purging'
    WHEN changes.delete_after IS NOT NULL THEN 'marked' WHEN changes.missing IS NOT NULL THEN 'missing'
    WHEN changes.stored IS NOT NULL THEN 'stored' WHEN changes.upload_failure IS NOT NULL THEN 'upload failed' ELSE 'local' END"""
_UNKNOWN = frozenset({"held", "holds", "legal_holds", "held_until", "changed", "path", "consent_withdrawn"})
"""Columns whose past nobody keeps. Holds themselves are heeded."""


def micros(time: datetime) -> int:
    """Microseconds since 1970."""
    return (time - _EPOCH) // _MICRO


def moment(time: int) -> datetime:
    """The moment that `micros` gives."""
    return _EPOCH + time * _MICRO


class History:
    """The clips of a period [since, until), their stretches of constant state, and the nights between. Close it after use.

    Columns that policies name stand in `spans` as `c_NAME`. Raises PolicyError for a period without a moment in it.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, since: int, until: int) -> None:
        if until <= since:
            raise PolicyError(
                f"the period from {moment(since):%Y-%m-%d %H:%M} to {moment(until):%Y-%m-%d %H:%M} is empty; give --since before"
                " --until"
            )
        self.connection = connection
        self.since = since
        self.until = until
        day = NIGHT // _MICRO
        self.nights = -(-(until - since) // day)
        for query in SQL["nights"].split(";\n"):
            connection.execute(query.format(since=since, day=day))

    def row(self, query: str) -> tuple[int, ...]:
        """The one row of an answer; what is missing counts as 0."""
        found = self.connection.execute(query).fetchall()
        return tuple(int(value or 0) for value in found[0])


@contextlib.contextmanager
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty database with bounded memory, which is gone after the block."""
    with (
        tempfile.TemporaryDirectory(prefix="voxledger-backtest-") as folder,
        duckdb.connect(":memory:", config={"memory_limit": MEMORY, "temp_directory": folder}) as connection,
    ):
        connection.execute(
            "SET TimeZone = 'UTC'; SET enable_progress_bar = false; SET preserve_insertion_order = false"
        )
        yield connection


def asked(policies: Iterable[Policy]) -> frozenset[str]:
    """The columns that the conditions of these policies look at, and those that budgets are counted by."""
    found: set[str] = set()
    for policy in policies:
        parts = [rule.condition for rule in policy.rules] + [keep.condition for keep in policy.keep]
        for condition in parts + [budget.condition for budget in policy.budgets]:
            found |= condition.columns
        found |= {name for budget in policy.budgets for name in budget.per}
    return frozenset(found)


def named(policies: Sequence[Policy]) -> frozenset[str]:
    """All columns that these policies look at: also those that clips are ranked, grouped and valued by."""
    found = set(asked(policies))
    for policy in policies:
        for keep in policy.keep:
            for rank in keep.ranks:
                found |= {*rank.per, *(rank.by.columns if rank.by else ())}
        for budget in policy.budgets:
            found |= budget.value.columns
    return frozenset(found)


def read(
    connection: duckdb.DuckDBPyConnection,
    reading: Reading,
    columns: frozenset[str],
    since: datetime | None,
    until: datetime,
) -> History:
    """The history of a HOME, with the columns that are asked for. Without `since` from the first clip on."""
    if unknown := sorted(columns & _UNKNOWN):
        raise PolicyError(
            f"a backtest cannot look at {', '.join(unknown)}: how it stood in the past is not kept. Leave the rule out of the"
            " policy that is tried; holds are heeded without it"
        )
    changing = sorted(columns & _CHANGES.keys())
    constant = sorted(columns - _CHANGES.keys() - {"tags"})
    kinds = {*_ALWAYS, "HoldPlaced", "HoldReleased", *(kind for name in changing for kind in _CHANGES[name])}
    kinds |= {"ClipTagged", "ClipUntagged"} if "tags" in columns else set()
    before = "".join(f", {_STATE if name == 'state' else f'changes.{name}'} AS c_{name}" for name in changing)
    shown = "".join(
        f", {_constant(name)} AS c_{name}" for name in [*changing, *constant, *(["tags"] if "tags" in columns else [])]
    )
    joins = (
        " LEFT JOIN (SELECT sha256, scope FROM voices) AS voices ON voices.sha256 = clips.voice_sha256"
        if "consent_scope" in columns
        else ""
    )
    of_kinds = ", ".join(f"'{kind}'" for kind in sorted(kinds))
    _take(connection, "changes", reading.table(SQL["changes"].format(columns=before, kinds=of_kinds)))
    _take(connection, "present", reading.table(SQL["clips"].format(columns=shown, joins=joins)))
    first = connection.execute("SELECT min(created) FROM present").fetchall()[0][0]
    if first is None:
        raise PolicyError("there are no clips: there is nothing to replay")
    history = History(connection, micros(since) if since else int(first), micros(until))
    spans(history, changing, [*constant, *(["tags"] if "tags" in columns else [])])
    for name in ("undone", "held", "retagged"):
        if name != "retagged" or "tags" in columns:
            _take(connection, name, reading.table(SQL[name]))
            connection.execute(SQL[f"apply_{name}"])
    return history


def _constant(name: str) -> str:
    if name == "quality":
        return QUALITY
    return "voices.scope" if name == "consent_scope" else f"clips.{name}"


def _take(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    connection.register("arrived", table)
    connection.execute(f"CREATE TABLE {name} AS FROM arrived")
    connection.unregister("arrived")


def spans(history: History, changing: Sequence[str], constant: Sequence[str]) -> None:
    """Make `spans` and `clips` of `changes` and `present`, and let go what is not needed any more."""
    connection = history.connection
    connection.execute(SQL["mixed"])
    moving = "".join(f", c_{name}" for name in changing)
    still = "".join(f", c_{name}" for name in constant)
    connection.execute(SQL["clips_of_period"].format(columns=still))
    connection.execute(
        SQL["spans"].format(since=history.since, until=history.until, moving=moving, columns=moving + still)
    )
    connection.execute("DROP TABLE changes; DROP TABLE present")


def exposed(columns: Iterable[str]) -> str:
    """The columns of `spans` under the names that expressions use, behind a comma each."""
    return "".join(f", c_{name} AS {name}" for name in sorted(columns))


def at(expression: Expression, now: str) -> str:
    """An expression whose present is what `now` says, in SQL."""
    return re.sub(r"'(?:[^']|'')*'|\$now\b", lambda found: now if found[0] == "$now" else found[0], expression.sql)


def is_timed(expression: Expression) -> bool:
    """Whether it may change while its clip does not."""
    return at(expression, "") != expression.sql
