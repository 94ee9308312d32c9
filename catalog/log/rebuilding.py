"""Rebuilding: the whole log folded anew into a second catalog, which then takes the place of the first."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator

import duckdb

from voxledger.catalog import platform, projections
from voxledger.catalog.duckdb_files import attach, detach, opened, transaction, translated
from voxledger.catalog.errors import CatalogBusy, LogCorrupt
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import Home
from voxledger.catalog.log.files import Files, swap
from voxledger.catalog.log.folding import Folder
from voxledger.catalog.progress import Counting
from voxledger.catalog.queries import load

_BURST = 1.0
"""Seconds that the log is held at a time, so that others get their turn."""
_log = logging.getLogger(__name__)
_SQL = load("log.sql", "voxledger.catalog.log")


class Rebuild:
    """Folds into `catalog.duckdb.new`. The tables that are there serve until the swap; what an interrupted run has done,
    the next one goes on from.
    """

    def __init__(self, home: Home, files: Files, folder: Folder) -> None:
        self._home = home
        self._files = files
        self._folder = folder
        self._new = home.catalog.with_name(home.catalog.name + ".new")

    def run(self, *, patience: float, progress: Counting | None, wanted: Callable[[], bool] = lambda: True) -> int:
        """Rebuild, and give the position reached. One process at a time: another one waits, and then asks `wanted` again."""
        with self._mine(patience):
            if not wanted():
                return -1
            try:
                with self._target() as target:
                    reached = self._ahead(target, patience, progress)
            except LogCorrupt:
                self._discard()  # it may be this file that is damaged
                raise
            with self._files.writing(patience, alone=True) as connection:
                # Nobody writes any more: the rest is little, and after it nothing can be missing.
                last = _last(connection)
                with self._target() as target:
                    self._fold(target, connection, reached, last, time.monotonic() + 3600, progress)
                    target.execute("CHECKPOINT catalog")  # closing would do it, but not say when it cannot
                failpoint("rebuild.before_swap")
                swap(connection, self._new, self._home.catalog)
                failpoint("rebuild.after_swap")
            return last

    @contextlib.contextmanager
    def _mine(self, patience: float) -> Iterator[None]:
        deadline = time.monotonic() + patience
        while True:
            with platform.locked(self._home.path / "rebuild.lock", blocking=False) as held:
                if held:
                    yield
                    return
            if time.monotonic() > deadline:
                raise CatalogBusy(
                    f"another process has been rebuilding {self._home.catalog} for {patience:g} s; wait for it"
                )
            time.sleep(0.05)

    @contextlib.contextmanager
    def _target(self) -> Iterator[duckdb.DuckDBPyConnection]:
        connection = opened({"catalog": self._new}, patience=5.0, read_only=False)
        try:
            with translated({"catalog": self._new}, connection.close):
                yield connection
        finally:
            connection.close()

    def _discard(self) -> None:
        for stale in (self._new, self._new.with_name(self._new.name + ".wal")):
            stale.unlink(missing_ok=True)

    def _ahead(self, target: duckdb.DuckDBPyConnection, patience: float, progress: Counting | None) -> int:
        """Fold nearly everything, in bursts between which others may write; gives the position reached."""
        reached = -1
        while True:
            with self._files.reading(patience) as connection:
                if reached < 0:
                    reached = self._start(target, connection)
                last = _last(connection)
                reached = self._fold(target, connection, reached, last, time.monotonic() + _BURST, progress)
            if reached >= last:
                return reached
            time.sleep(0.002)  # DuckDB's lock knows no queue

    def _start(self, target: duckdb.DuckDBPyConnection, log: duckdb.DuckDBPyConnection) -> int:
        """Where to go on: what an interrupted run has left counts when it is of this version and of this log."""
        state = projections.position(target)
        if state and state[0] == projections.VERSION and state[1] <= _last(log) and _same_log(target, log):
            _log.info("the rebuild goes on from position %d", state[1])
            return state[1]
        detach(target, "catalog")
        self._discard()
        attach(target, "catalog", self._new)
        with transaction(target):
            projections.create(target, begun=_last(log))
        return 0

    def _fold(
        self,
        target: duckdb.DuckDBPyConnection,
        log: duckdb.DuckDBPyConnection,
        reached: int,
        last: int,
        until: float,
        progress: Counting | None,
    ) -> int:
        for events, end in self._folder.pieces(log, reached, last):
            projections.fold(target, events, end)
            failpoint("rebuild.after_piece")
            reached = end
            if progress:
                progress(reached, last)
            if time.monotonic() > until:
                break
        return reached


def _last(connection: duckdb.DuckDBPyConnection) -> int:
    found = connection.execute(_SQL["last_batch"]).fetchall()
    return int(found[0][0] or 0)


def _same_log(target: duckdb.DuckDBPyConnection, log: duckdb.DuckDBPyConnection) -> bool:
    """Whether the newest attempt that was folded is about the clip that the log names there."""
    newest = target.execute(
        "SELECT position, clip::VARCHAR FROM catalog.generations ORDER BY position DESC LIMIT 1"
    ).fetchall()
    if not newest:
        return True
    found = log.execute(_SQL["subject_at"], (newest[0][0],)).fetchall()
    return bool(found) and found[0][0] == newest[0][1]
