"""The SQLite file under the journal: one connection that writes, two that read, and patience between processes."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from voxledger.catalog import platform
from voxledger.catalog.errors import DiskFull, JournalError, LogCorrupt
from voxledger.catalog.failpoints import failpoint

PATIENCE = 30.0
"""Seconds a writer keeps trying for its turn before it gives up."""
_WHEN_NEW = ("page_size = 8192", "auto_vacuum = INCREMENTAL")
"""Set before there is any table. Five full events fit into a page of 8192 bytes, two into the usual 4096; and a file that
once was large can shrink. On a file with tables the second one would write."""
# The write-ahead file starts over every 4 MB: an fsync is dearer while a file grows than when it is written again.
_ALWAYS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "fullfsync = ON",
    "wal_autocheckpoint = 500",
    "journal_size_limit = 67108864",
    "cache_size = -2000",
)
_PAUSES = (0.001, 0.005)
"""Seconds between two tries, at random: SQLite's own busy handler lets late-comers starve."""
_SLACK = 8192
"""Free pages that stay in the file for the next events (64 MB)."""
_SHRINK = 500
"""Most pages that are given back to the disk at a time, so that nobody waits long for it."""
_CLOSED = "this ledger is closed; open it again with voxledger.open()"
_T = TypeVar("_T")


class Database:
    """`journal.sqlite`, safe between threads and processes. Drivers' errors leave it translated."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._name = os.fspath(path)
        self.lock = threading.RLock()
        self._pid = os.getpid()
        self._open = False
        self._closed = False
        self._reader: sqlite3.Connection | None = None
        self._reading = threading.Lock()
        self._answerer: sqlite3.Connection | None = None
        self._answering = threading.Lock()
        with self._translating():
            self.connection = self._connect()
            try:
                new = self._pragma("page_count") == [(0,)]
                for pragma in (_WHEN_NEW if new else ()) + _ALWAYS:
                    self._pragma(pragma)
                self._file = self._identity()
            except BaseException:
                self.connection.close()
                raise

    def _pragma(self, pragma: str) -> list[Any]:
        return self.patiently(lambda: self.connection.execute(f"PRAGMA {pragma}").fetchall())

    def close(self) -> None:
        """Close all connections. Idempotent."""
        self._closed = True
        with self.lock:
            self.connection.close()
        with self._reading:
            if self._reader:
                self._reader.close()
        with self._answering:
            if self._answerer:
                self._answerer.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One durable change: on disk when the block ends, undone when it raises. Called with the lock held."""
        self.check_free()
        self._open = True
        try:
            if self.connection.in_transaction:  # left by an interrupt in the wrong moment
                self.connection.execute("ROLLBACK")
            self._check_file()
            failpoint("journal.before_begin")
            self.patiently(lambda: self.connection.execute("BEGIN IMMEDIATE"))
            yield self.connection
            self.patiently(lambda: self.connection.execute("COMMIT"))
        except BaseException as error:
            self._undo()
            if isinstance(error, sqlite3.Error):
                raise _translated(error, self.path) from error
            raise
        finally:
            self._open = False

    def _undo(self) -> None:
        with self._translating():
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def shrink(self) -> None:
        """Give a part of much free room back to the disk. What goes wrong here was not asked for, and can wait."""
        with self.lock, contextlib.suppress(sqlite3.Error):
            free = self.connection.execute("PRAGMA freelist_count").fetchone()[0] - _SLACK
            if free > 0:
                # It answers with a row of no columns for each page; only executescript goes through all of them.
                self.connection.executescript(f"PRAGMA incremental_vacuum({min(free, _SHRINK)})")

    def rewrite(self) -> None:
        """Write the file anew, so that from now on it can shrink. Where others are busy or the disk is full, it stays."""
        with self.lock, contextlib.suppress(sqlite3.Error):
            self.connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            self.connection.execute("VACUUM")

    def read(self, query: str, values: tuple[object, ...] = ()) -> list[Any]:
        """A small question, answered with what this thread has itself not yet committed."""
        self.check_process()
        with self.lock, self._translating():
            return self.patiently(lambda: self.connection.execute(query, values).fetchall())

    def answer(self, query: str, values: tuple[object, ...] = ()) -> list[Any]:
        """A small question about what is committed, which waits for nobody who writes."""
        self.check_process()
        with self._answering, self._translating():
            if self._answerer is None:
                self._answerer = self._opened_for_reading()
            answerer = self._answerer
            return self.patiently(lambda: answerer.execute(query, values).fetchall())

    @contextlib.contextmanager
    def reading(self, query: str, values: tuple[object, ...]) -> Iterator[Iterator[Any]]:
        """Many rows, on a connection of their own, so that nobody who writes waits for them."""
        self.check_process()
        with self._reading, self._translating():
            if self._reader is None:
                self._reader = self._opened_for_reading()
            reader = self._reader
            rows = self.patiently(lambda: reader.execute(query, values))
            try:
                yield rows
            finally:
                rows.close()  # an open cursor would keep the write-ahead file from starting over

    @property
    def is_mine(self) -> bool:
        """Whether this process opened it, and not one that it was forked from."""
        return self._pid == os.getpid()

    def check_free(self) -> None:
        """The lock lets its own thread in again, but changes do not nest."""
        if self._open:
            raise JournalError(f"a change to {self.path} is open in this thread already; finish it first")

    def check_process(self) -> None:
        """SQLite's connections do not survive a fork, and locks may be inherited held."""
        if not self.is_mine:
            raise JournalError("this ledger was opened before a fork; open Voxledger again in the child process")

    def patiently(self, step: Callable[[], _T]) -> _T:
        """Do a step, again and again while another process has the file locked."""
        deadline = 0.0
        while True:
            try:
                return step()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) and "busy" not in str(error):
                    raise
                deadline = deadline or time.monotonic() + PATIENCE
                if time.monotonic() > deadline:
                    raise JournalError(
                        f"{self.path} was locked by another process for {PATIENCE:g} s; see what holds it and try again"
                    ) from error
                time.sleep(random.uniform(*_PAUSES))  # noqa: S311  # jitter, not a secret

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, check_same_thread=False, isolation_level=None, timeout=0)

    def _opened_for_reading(self) -> sqlite3.Connection:
        if self._closed:
            raise JournalError(_CLOSED)
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _identity(self) -> tuple[int, int]:
        found = os.stat(self._name)  # noqa: PTH116  # before every change; Path.stat() is slower
        return found.st_dev, found.st_ino

    def _check_file(self) -> None:
        """What is written into a file that no longer has a name is gone with this process."""
        try:
            replaced = self._identity() != self._file
        except OSError:
            replaced = True
        if replaced:
            raise JournalError(
                f"{self.path} was moved, deleted or replaced while it was open; nothing was recorded."
                " Open Voxledger again"
            )

    @contextlib.contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise _translated(error, self.path) from error


def _translated(error: Exception, path: Path) -> JournalError | DiskFull:
    text = str(error)
    if "closed database" in text:
        return JournalError(_CLOSED)
    told = isinstance(error, OSError) or "disk I/O error" in text
    if "full" in text or (told and platform.lacks_room(error, path.parent)):
        return DiskFull.at(f"{path} could not be written", "nothing was recorded")
    if "malformed" in text or "not a database" in text:
        return LogCorrupt(f"{path} is damaged ({text}); move it aside and restore it from a backup")
    return JournalError(f"{path} cannot be used: {text}")
