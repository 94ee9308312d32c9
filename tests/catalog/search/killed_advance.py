"""A process that fills the index and is killed at its N-th statement, SQLite's own within FTS5 included.

Arguments: HOME and N; with N = 0 it may finish.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.building import Parts
from voxledger.catalog.search import SearchIndex, database, feed

_writing = database.writing


@contextlib.contextmanager
def _doomed(path: Path) -> Iterator[sqlite3.Connection]:
    with _writing(path) as connection:
        connection.set_trace_callback(_count_down)
        yield connection


def _count_down(statement: str) -> None:
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


left = int(sys.argv[2])
if left:
    database.writing = _doomed
feed.CLIPS = 3
parts = Parts(Path(sys.argv[1]))
print(SearchIndex(parts.keeper).advance())
parts.close()
