"""SQLite files that several processes open at the same moment."""

from __future__ import annotations

import random
import sqlite3
import time

PATIENCE = 30.0
"""Seconds that somebody else may keep a file locked."""
_PAUSES = (0.001, 0.01)
"""Seconds between two tries, at random."""


def write_ahead(connection: sqlite3.Connection) -> None:
    """Switch a file to a write-ahead log, which it keeps. Raises sqlite3.Error.

    Where two processes do that to a new file at once, SQLite tells one of them that it is locked without asking its busy handler
    (sqlite.org/c3ref/busy_handler.html: a wait could be for ever), so it is tried again here.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(*_PAUSES))  # noqa: S311  # jitter, not a secret
        else:
            return
