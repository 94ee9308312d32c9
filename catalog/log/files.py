"""The two DuckDB files of a HOME: opened for a burst and closed again, or kept open by the one process that serves."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb

from voxledger.catalog.duckdb_files import attach, detach, opened, translated
from voxledger.catalog.errors import CatalogBusy
from voxledger.catalog.home import Home
from voxledger.catalog.log import spare

_LEAVE = 20.0
"""Seconds that those who ask have to leave when a node stops; DuckDB does not heed an interrupt everywhere."""
_locks: dict[Path, threading.RLock] = {}
_locks_lock = threading.Lock()


def _forget_locks() -> None:
    """A child inherits locks as they were, held by threads that it does not have."""
    global _locks_lock  # replaced, because the old one may be held
    _locks_lock = threading.Lock()
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)


class Files:
    """Access to `log.duckdb` and `catalog.duckdb`. Threads of one process take turns at writing and, unless the files
    are kept open, at reading: DuckDB lets a file be open once in a process.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        with _locks_lock:
            self._turn = _locks.setdefault(home.path, threading.RLock())
        self._keeping = False
        self._kept: duckdb.DuckDBPyConnection | None = None
        self._readers: set[duckdb.DuckDBPyConnection] = set()
        self._changed = threading.Condition()

    @property
    def kept(self) -> bool:
        """Whether this process keeps the files open."""
        return self._keeping

    @contextlib.contextmanager
    def keeping(self, patience: float) -> Iterator[None]:
        """Keep both files open until the block ends, so that every use is a matter of milliseconds.

        Raises CatalogBusy when another process holds them for longer than `patience` seconds.
        """
        with self.turn(patience):
            self._keeping = True
            try:
                self._kept_open(patience)
            except BaseException:
                self._keeping = False
                raise
        try:
            yield
        finally:
            deadline = time.monotonic() + _LEAVE
            self._hurry(deadline)  # whoever writes may be waiting for them with the turn in hand
            with self._turn:
                self._keeping = False
                # Once more: somebody may have begun before the turn was ours. Those who do not leave keep what they use.
                if self._hurry(deadline):
                    self._let_go()

    def _hurry(self, deadline: float) -> bool:
        """Break off what is being asked, and wait until nobody uses the connection any more: closing it under them fails."""
        with self._changed:
            while self._readers and time.monotonic() < deadline:
                for cursor in self._readers:
                    cursor.interrupt()  # again and again: a question may begin right after
                self._changed.wait(0.05)
            return not self._readers

    @contextlib.contextmanager
    def turn(self, patience: float) -> Iterator[None]:
        """This thread's turn: nobody else in this process writes meanwhile."""
        if not self._turn.acquire(timeout=patience):
            raise CatalogBusy(
                f"{self._home.log} has been busy in this process for {patience:g} s; wait for what runs, and try again"
            )
        try:
            yield
        finally:
            self._turn.release()

    @contextlib.contextmanager
    def writing(self, patience: float, *, alone: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection with `log` and `catalog` attached for writing. `alone`: nobody reads meanwhile, in any process."""
        with self.turn(patience):
            if not self._keeping:
                with spare.attached(self._paths, patience=patience, read_only=False) as connection:
                    yield connection
                return
            if alone:
                self._until_nobody_reads(patience)
            cursor = self._kept_open(patience).cursor()
            try:
                with translated(self._paths, self._let_go):
                    yield cursor
            finally:
                cursor.close()

    @contextlib.contextmanager
    def reading(self, patience: float) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that sees both files as they are when it begins, and cannot change them."""
        with contextlib.ExitStack() as alone:
            alone.enter_context(self.turn(patience))
            if not self._keeping:
                connection = alone.enter_context(spare.attached(self._paths, patience=patience, read_only=True))
                _search_here(connection)
                yield connection
                return
            cursor = self._begun(patience)
        try:
            with translated(self._paths, self._let_go):
                yield cursor
        finally:
            with self._changed:  # so that nobody interrupts what is closed
                cursor.close()
                self._readers.discard(cursor)
                self._changed.notify_all()

    def _begun(self, patience: float) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the kept files, at one moment; the turn is ours."""
        cursor = self._kept_open(patience).cursor()
        _search_here(cursor)
        cursor.execute("BEGIN TRANSACTION READ ONLY")
        # A transaction sees each file as it is when it first names it: do that now, while nobody writes.
        cursor.execute("SELECT 1 FROM log.batches, catalog.projections WHERE false").fetchall()
        with self._changed:
            self._readers.add(cursor)
        return cursor

    def _until_nobody_reads(self, patience: float) -> None:
        """New readers wait for the turn, which is ours."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._readers, timeout=patience):
                raise CatalogBusy(
                    f"queries ({len(self._readers)}) have been running for {patience:g} s; wait for them, and try again"
                )

    @property
    def _paths(self) -> Mapping[str, Path]:
        return {"log": self._home.log, "catalog": self._home.catalog}

    def _kept_open(self, patience: float) -> duckdb.DuckDBPyConnection:
        if self._kept is None:
            self._kept = opened(self._paths, patience=patience, read_only=False)
        return self._kept

    def _let_go(self) -> None:
        if self._kept is not None:
            self._kept.close()
        self._kept = None


def swap(connection: duckdb.DuckDBPyConnection, new: Path, old: Path) -> None:
    """Put a new catalog in the place of the attached one. Call it while nobody reads."""
    detach(connection, "catalog")
    try:
        old.with_name(old.name + ".wal").unlink(missing_ok=True)
        new.replace(old)
    finally:
        attach(connection, "catalog", old)  # the old one, if the new one could not take its place


def _search_here(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("SET search_path = 'catalog,log'")
