"""The journal: the durable inbox. What it acknowledges is on disk, in order, with a position that is final."""

from __future__ import annotations

import contextlib
import json
import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from voxledger.catalog import platform
from voxledger.catalog.errors import DiskFull, JournalError, LogCorrupt
from voxledger.catalog.events import Draft, Event, new_id
from voxledger.catalog.journal.records import Cursor, Fingerprint, OpenTask, Task, TaskCount, owner_lives
from voxledger.catalog.journal.transaction import Transaction
from voxledger.catalog.queries import load

SCHEMA = "1"
_PATIENCE = 30.0
"""Seconds a writer keeps trying for its turn before it gives up."""
MOST_BYTES = 64_000_000
"""So many bytes are read at a time: an event may have 1 MB, and 20,000 of them would not fit."""
_SQL = load("journal.sql", "voxledger.catalog.journal")
_T = TypeVar("_T")


class Journal:
    """The inbox in `journal.sqlite`. Any number of processes and threads may write; each write costs about one fsync.

    `base` is asked only when a journal is made: the last position that the log knows already.
    """

    def __init__(self, path: Path, *, base: Callable[[], int] = lambda: 0) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self.owner = f"{os.getpid()}:{platform.started(os.getpid()) or 0:.2f}:{new_id()[-8:]}"
        self.source = ""
        self._base = 0
        self._given_up: set[str] = set()
        try:
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=0)
            self._patiently(lambda: self._connection.execute("PRAGMA journal_mode = WAL"))
            for pragma in ("synchronous = FULL", "fullfsync = ON", "wal_autocheckpoint = 4000", "cache_size = -2000"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._prepare(base)
        except (OSError, sqlite3.Error) as error:
            raise _translated(error, path) from error

    def close(self) -> None:
        """Hand back what this owner still holds, and close. Idempotent."""
        if self._pid != os.getpid():
            return
        with self._lock:
            try:
                with self.transaction() as write:
                    write.connection.execute(_SQL["release_owner"], (self.owner,))
                    write.connection.execute(_SQL["release_claims"], (self.owner,))
            except (JournalError, DiskFull):
                pass  # closed already, or no room: then what it held ends with this process
            self._connection.close()

    def _prepare(self, base: Callable[[], int]) -> None:
        with self.transaction() as write:
            execute = write.connection.execute
            for statement in _SQL["schema"].split(";\n"):
                execute(statement)
            meta = dict(execute("SELECT key, value FROM meta").fetchall())
            if not meta:
                meta = {"schema": SCHEMA, "node": new_id(), "epoch": new_id()[-12:], "base": str(base())}
                write.connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        if meta["schema"] != SCHEMA:
            raise JournalError(
                f"{self.path} has schema {meta['schema']}, this version of Voxledger knows {SCHEMA}; upgrade Voxledger"
            )
        self.meta = MappingProxyType(meta)
        self.node = meta["node"]
        self.source = f"voxledger:{meta['node']}/{meta['epoch']}"
        self._base = int(meta["base"])

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One durable change: all of it is on disk when the block ends, none of it when the block raises."""
        self._check_process()
        with self._lock:
            try:
                self._patiently(lambda: self._connection.execute("BEGIN IMMEDIATE"))
                try:
                    yield Transaction(self._connection, owner=self.owner, source=self.source, base=self._base)
                    self._patiently(lambda: self._connection.execute("COMMIT"))
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise _translated(error, self.path) from error

    def emit(self, *drafts: Draft) -> list[Event]:
        """Record events durably and in order; a draft whose id is known already gives the event recorded then."""
        with self.transaction() as write:
            return write.append(drafts)

    def knows(self, event: str) -> bool:
        """Whether an event with this id is acknowledged and still here."""
        return bool(self._read("by_id", event))

    def give_up(self, fingerprint: str) -> None:
        """Give up a claim; where that cannot be written now, with the next claim of this process."""
        with self._lock:
            self._given_up.add(fingerprint)
            try:
                with self.transaction() as write:
                    self.settle_claims(write)
            except (JournalError, DiskFull):
                pass  # remembered

    def settle_claims(self, write: Transaction) -> None:
        """Release what was given up while nothing could be written."""
        for fingerprint in self._given_up:
            write.release(fingerprint)
        self._given_up.clear()

    def head(self) -> int:
        """The position of the newest acknowledged event, 0 when there is none."""
        rows = self._read("newest")
        return int(rows[0][0]) if rows else self._base

    def oldest(self) -> int | None:
        """The first position that is still here."""
        found: int | None = self._read("oldest")[0][0]
        return found

    def read(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """The next acknowledged bytes after a position, in order: at most `limit` events and about 64 MB, at least one."""
        self._check_process()
        found: list[tuple[int, bytes]] = []
        size = 0
        with self._lock:
            try:
                rows = self._patiently(lambda: self._connection.execute(_SQL["after"], (after, limit)))
                for position, body in rows:
                    found.append((position, body))
                    size += len(body)
                    if size >= MOST_BYTES:
                        break
                rows.close()
            except sqlite3.Error as error:
                raise _translated(error, self.path) from error
        return found

    def prune(self, through: int) -> int:
        """Drop events up to a position that is sealed elsewhere; gives how many went."""
        with self.transaction() as write:
            return write.prune(through)

    def lease(self, kind: str, *, limit: int, seconds: float) -> list[Task]:
        """Take up to `limit` due tasks for this owner. What a dead owner held is taken over at once."""
        if self.next_due(kind) is None and not self._read("lease_owners"):
            return []
        with self.transaction() as write:
            execute = write.connection.execute
            for (owner,) in execute(_SQL["lease_owners"]).fetchall():
                if not owner_lives(owner):
                    execute(_SQL["release_owner"], (owner,))
            present = time.time()
            rows = execute(
                _SQL["lease_tasks"],
                {"owner": self.owner, "until": present + seconds, "kind": kind, "now": present, "limit": limit},
            ).fetchall()
        return [Task(**dict(zip(Task.__struct_fields__, row, strict=True))) for row in rows]

    def take_back(self) -> None:
        """What dead owners held waits again."""
        dead = [owner for (owner,) in self._read("lease_owners") if not owner_lives(owner)]
        if dead:
            with self.transaction() as write:
                write.connection.executemany(_SQL["release_owner"], [(owner,) for owner in dead])

    def next_due(self, kind: str) -> float | None:
        """When the next waiting task of a kind is due (s since the epoch)."""
        found: float | None = self._read("next_due", kind)[0][0]
        return found

    def hurry(self, kind: str) -> None:
        """Make all waiting and parked tasks of a kind due now."""
        with self.transaction() as write:
            present = time.time()
            write.connection.execute(_SQL["hurry_tasks"], (present, kind, present))
            write.connection.execute(_SQL["unpark_tasks"], (present, kind))

    def counts(self) -> list[TaskCount]:
        """What waits, by kind and state."""
        return [
            TaskCount(**dict(zip(TaskCount.__struct_fields__, row, strict=True))) for row in self._read("count_tasks")
        ]

    def tasks(self, kind: str, *, limit: int = 20) -> list[OpenTask]:
        """The oldest open tasks of a kind."""
        return [
            OpenTask(**dict(zip(OpenTask.__struct_fields__, row, strict=True)))
            for row in self._read("list_tasks", kind, limit)
        ]

    def open_tasks(self, kind: str, subjects: Iterable[str]) -> int:
        """How many of these subjects still have an open task."""
        return int(self._read("open_subjects", kind, json.dumps(list(subjects)))[0][0])

    def fingerprint(self, fingerprint: str) -> Fingerprint | None:
        """What is known of a request, as of now."""
        rows = self._read("fingerprint", fingerprint)
        return Fingerprint(clip=rows[0][0], actor=rows[0][1], owner=rows[0][2], answer=rows[0][3]) if rows else None

    def cursor(self, name: str) -> int:
        """How far a subscription has come; 0 before its start."""
        rows = self._read("cursor", name)
        return int(rows[0][0]) if rows else 0

    def cursors(self) -> list[Cursor]:
        """All subscriptions."""
        return [Cursor(**dict(zip(Cursor.__struct_fields__, row, strict=True))) for row in self._read("cursors")]

    def _check_process(self) -> None:
        """SQLite's connections do not survive a fork, and locks may be inherited held."""
        if self._pid != os.getpid():
            raise JournalError("this ledger was opened before a fork; open Voxledger again in the child process")

    def _read(self, query: str, *values: object) -> list[Any]:
        self._check_process()
        with self._lock:
            try:
                return self._patiently(lambda: self._connection.execute(_SQL[query], values).fetchall())
            except sqlite3.Error as error:
                raise _translated(error, self.path) from error

    def _patiently(self, step: Callable[[], _T]) -> _T:
        """SQLite's own busy handler lets late-comers starve; short random waits are fair enough."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return step()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) and "busy" not in str(error):
                    raise
                if time.monotonic() > deadline:
                    raise JournalError(
                        f"{self.path} was locked by another process for {_PATIENCE:g} s; see what holds it and try again"
                    ) from error
                time.sleep(random.uniform(0.001, 0.005))  # noqa: S311  # jitter, not a secret


def _translated(error: Exception, path: Path) -> JournalError | DiskFull:
    text = str(error)
    if "closed database" in text:
        return JournalError("this ledger is closed; open it again with voxledger.open()")
    no_room = "disk I/O error" in text and platform.is_full(path.parent)
    if no_room or "full" in text or (isinstance(error, OSError) and error.errno == 28):
        return DiskFull(
            f"the disk is full: {path} could not be written, and nothing was recorded; free some space and repeat"
        )
    if "malformed" in text or "not a database" in text:
        return LogCorrupt(f"{path} is damaged ({text}); move it aside and restore it from a backup")
    return JournalError(f"{path} cannot be used: {text}")
