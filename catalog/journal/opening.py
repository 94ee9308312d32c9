"""Opening a journal: make it or bring it up to date, and hold it against the mark that lies beside it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from typing import NamedTuple

from voxledger.catalog.events import new_id
from voxledger.catalog.journal import epochs, schema
from voxledger.catalog.journal.database import Database
from voxledger.catalog.journal.mark import MarkFile
from voxledger.catalog.queries import load

_SQL = load("journal.sql", "voxledger.catalog.journal")
_log = logging.getLogger(__name__)


class Opened(NamedTuple):
    """Whose journal it is, and the position before its first one."""

    node: str
    base: int


def opened(file: Database, marks: MarkFile, base: Callable[[], int]) -> Opened:
    """Make the journal ready, in one transaction: a kill in between leaves it as it was.

    Raises JournalError for what is not this HOME's journal, or is newer than this code; then nothing was changed.
    """
    with file.transaction() as connection:
        meta, migrated = schema.bring_up(connection, file.path)
        place, mark = epochs.place(file.path), marks.read()
        if meta:
            node, start = meta["node"], int(meta["base"])
            beginning = epochs.next_epoch(
                mark,
                path=file.path,
                node=node,
                free=epochs.end(connection, start).free,
                epochs=[row[0] for row in connection.execute(_SQL["epochs"])],
                moved=meta.get("place", place) != place,
            )
        else:
            beginning = epochs.first_epoch(mark, base())
            node, start = mark.node if mark else new_id(), beginning.first - 1
            _write(connection, {"schema": str(schema.SCHEMA), "node": node, "base": str(start)})
        if meta.get("place") != place:
            _write(connection, {"place": place})
        if beginning:
            epochs.begin(connection, beginning, after=mark.recorded if mark else 0)
        end = epochs.end(connection, start)
    announce(file, marks, node, end, beginning)
    if migrated:
        _log.info("%s was brought to schema %d", file.path, schema.SCHEMA)
        file.rewrite()
    return Opened(node, start)


def announce(file: Database, marks: MarkFile, node: str, end: epochs.End, beginning: epochs.Beginning | None) -> None:
    """What was committed is told: to the mark, and to the operator when an epoch began for a reason of concern."""
    marks.advance(node=node, epoch=end.epoch, first=end.first, position=end.free - 1, recorded=end.recorded)
    if beginning and beginning.reason != "created":
        _log.warning("%s", epochs.told(beginning, file.path, end.epoch))


def _write(connection: sqlite3.Connection, meta: dict[str, str]) -> None:
    connection.executemany(_SQL["set_meta"], meta.items())
