"""The journal: the durable inbox. What it acknowledges is on disk, in order, with a position that is final."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from voxledger.catalog.errors import DiskFull, JournalError
from voxledger.catalog.events import Draft, Event
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.journal import epochs
from voxledger.catalog.journal.database import Database
from voxledger.catalog.journal.group import Group
from voxledger.catalog.journal.mark import Mark, MarkFile
from voxledger.catalog.journal.opening import announce, opened
from voxledger.catalog.journal.owners import new_owner, owner_gone, process_name
from voxledger.catalog.journal.records import (
    Cursor,
    Epoch,
    Fingerprint,
    OpenTask,
    Reason,
    Task,
    TaskCount,
    Use,
    by_fingerprint,
)
from voxledger.catalog.journal.schema import key
from voxledger.catalog.journal.transaction import Transaction
from voxledger.catalog.journal.turn import Turn
from voxledger.catalog.queries import load

MOST_BYTES = 24_000_000
"""So many bytes are read at a time: an event may have 1 MB, and a batch of 50,000 would not fit."""
_PIECE = 2000
"""Most events that one transaction of `Journal.prune` drops, so that nobody who emits waits long."""
_SQL = load("journal.sql", "voxledger.catalog.journal")


class Journal:
    """The inbox in `journal.sqlite`. Any number of processes and threads may write; each write costs about one fsync.

    `base` is asked only when a journal is made: the last position that the log knows already. A journal that is not what
    `journal.mark` remembers starts a new epoch and says so; raises JournalError for one of another HOME.
    """

    def __init__(self, path: Path, *, base: Callable[[], int] = lambda: 0) -> None:
        self.path = path
        self.owner = new_owner()
        self._given_up: set[str] = set()
        self._file = Database(path)
        self._connection = self._file.connection
        self._lock = self._file.lock
        self._group = Group(self._lock, lambda: self.transaction())
        with contextlib.ExitStack() as failed:
            failed.callback(self._file.close)
            self._mark = MarkFile(path.with_suffix(".mark"))
            failed.callback(self._mark.close)
            self._turn = Turn(path.with_suffix(".mark"))
            failed.callback(self._turn.close)
            with self._in_turn():
                self.node, self._base = opened(self._file, self._mark, base)
            failed.pop_all()

    def close(self) -> None:
        """Hand back what this owner still holds, and close. Idempotent."""
        if not self._file.is_mine:
            return
        with self._lock:
            try:
                with self.transaction() as write:
                    write.connection.execute(_SQL["release_owner"], (self.owner,))
                    write.connection.execute(_SQL["release_claims"], (self.owner,))
            except (JournalError, DiskFull):
                pass  # closed already, or no room: then what it held ends with this process
            self._file.close()
            self._mark.close()
            self._turn.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One durable change: all of it is on disk when the block ends, none of it when the block raises."""
        self._file.check_process()
        with self._lock:
            self._file.check_free()
            try:
                alone = self._turn.take()
                with self._file.transaction() as connection:
                    write = Transaction(connection, owner=self.owner, node=self.node, base=self._base)
                    yield write
                    failpoint("journal.before_commit")
                failpoint("journal.after_commit")
                self._given_up -= write.settled
                if write.reached and alone:  # without a turn the mark lags until the next commit
                    position, recorded, epoch, first = write.reached
                    self._mark.advance(node=self.node, epoch=epoch, first=first, position=position, recorded=recorded)
                    failpoint("journal.after_mark")
                if write.pruned:
                    self._file.shrink()
            finally:
                self._turn.give()

    def emit(self, *drafts: Draft) -> list[Event]:
        """Record events durably and in order, all of them or none.

        A draft whose id is known already gives the event recorded then. Threads that emit at the same time share one
        transaction, and each gets its own events or its own error.
        """
        self._file.check_process()
        return self._group.emit(drafts)

    def emit_where_answered(self, uses: Sequence[Use]) -> list[bool]:
        """Record the events of each use, as `emit` does and all in one commit, if its request is still answered as it was known.
        Gives for which it was; of the others nothing is recorded.
        """
        self._file.check_process()
        still: list[bool] = []

        def due(write: Transaction) -> list[Draft]:
            found = write.fingerprints([use.fingerprint for use in uses])
            still[:] = [found.get(use.fingerprint) == use.known for use in uses]
            return [draft for use, holds in zip(uses, still, strict=True) if holds for draft in use.drafts]

        self._group.emit([draft for use in uses for draft in use.drafts], due)
        return still

    def epochs(self) -> list[Epoch]:
        """The epochs in order; the last one is now."""
        return epochs.all_epochs(self._read("epochs"))

    def begin_epoch(self, first: int, reason: Reason) -> Epoch:
        """Go on at a position further on, because everything before it was given already. Raises JournalError else."""
        with self._lock:
            with self.transaction() as write:
                free = epochs.end(write.connection, self._base).free
                if first < free:
                    raise JournalError(f"position {first} has been given; an epoch can begin at {free}, not before")
                beginning = epochs.Beginning(reason, first, (free, first - 1) if first > free else None)
                epochs.begin(write.connection, beginning)
                end = epochs.end(write.connection, self._base)
            with self._in_turn():
                announce(self._file, self._mark, self.node, end, beginning)
            return self.epochs()[-1]

    def drained(self, position: int, digest: bytes) -> None:
        """Remember outside the log how far the log has come, and the digest of its last event."""
        self._file.check_process()
        with self._lock, self._in_turn():
            self._mark.drained(position, digest)

    def mark(self) -> Mark | None:
        """What the mark beside the journal says; None when it cannot be read."""
        self._file.check_process()
        return self._mark.read()

    def knows(self, event: str) -> bool:
        """Whether an event with this id is acknowledged; of those that were pruned, the newest million are known."""
        return bool(self._read("knows", key(event), key(event)))

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
        """Release what was given up while nothing could be written; forgotten once that is committed."""
        for fingerprint in self._given_up:
            write.release(fingerprint)
        write.settled |= self._given_up

    def head(self) -> int:
        """The position of the newest acknowledged event, 0 when there is none."""
        rows = self._read("newest")
        return int(rows[0][0]) if rows else self._base

    def oldest(self) -> int | None:
        """The first position that is still here."""
        found: int | None = self._read("oldest")[0][0]
        return found

    def read(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """The next acknowledged bytes after a position, in order: at most `limit` events and about 24 MB, at least one."""
        found: list[tuple[int, bytes]] = []
        size = 0
        with self._file.reading(_SQL["after"], (after, limit)) as rows:
            for position, body in rows:
                found.append((position, body))
                size += len(body)
                if size >= MOST_BYTES:
                    break
        return found

    def prune(self, through: int) -> int:
        """Drop events up to a position that is sealed elsewhere, a piece at a time; gives how many went."""
        gone = 0
        while (oldest := self.oldest()) is not None and oldest <= through:
            with self.transaction() as write:
                piece = write.prune(min(through, oldest + _PIECE - 1))
            if not piece:
                break
            gone += piece
        return gone

    def lease(self, kind: str, *, limit: int, seconds: float) -> list[Task]:
        """Take up to `limit` due tasks for this owner. What a dead owner held is taken over at once."""
        if self.next_due(kind) is None and not self._read("lease_owners"):
            return []
        with self.transaction() as write:
            execute = write.connection.execute
            for (owner,) in execute(_SQL["lease_owners"]).fetchall():
                if owner != self.owner and owner_gone(owner):
                    execute(_SQL["release_owner"], (owner,))
            present = time.time()
            rows = execute(
                _SQL["lease_tasks"],
                {"owner": self.owner, "until": present + seconds, "kind": kind, "now": present, "limit": limit},
            ).fetchall()
        return [Task(**dict(zip(Task.__struct_fields__, row, strict=True))) for row in rows]

    def take_back(self) -> None:
        """What dead owners held waits again."""
        dead = [owner for (owner,) in self._read("lease_owners") if owner_gone(owner)]
        if dead:
            with self.transaction() as write:
                write.connection.executemany(_SQL["release_owner"], [(owner,) for owner in dead])

    def take_over(self, pid: int, started: float) -> None:
        """What a process held that has certainly ended waits again, also where its id counts in a container that is gone."""
        named = f"{process_name(pid, started)}:"
        if any(owner.startswith(named) for (owner,) in self._read("lease_owners")):
            with self.transaction() as write:
                for (owner,) in write.connection.execute(_SQL["lease_owners"]).fetchall():
                    if owner.startswith(named) and owner != self.owner:
                        write.connection.execute(_SQL["release_owner"], (owner,))

    def probe(self) -> None:
        """Write one page durably, to see whether that is possible. Raises DiskFull or JournalError."""
        with self.transaction() as write:
            (version,) = write.connection.execute("PRAGMA user_version").fetchone()
            write.connection.execute(f"PRAGMA user_version = {int(version)}")

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

    def open_task(self, kind: str, subject: str) -> Task | None:
        """What waits, or is parked, about a subject, with its payload; the newest where there are several."""
        rows = self._read("open_task", kind, subject)
        return Task(**dict(zip(Task.__struct_fields__, rows[0], strict=True))) if rows else None

    def open_tasks(self, kind: str, subjects: Iterable[str]) -> int:
        """How many tasks about these subjects are open."""
        return int(self._file.answer(_SQL["open_subjects"], (kind, json.dumps(list(subjects))))[0][0])

    def with_open_tasks(self, kind: str, subjects: Iterable[str]) -> set[str]:
        """Those of these subjects about which a task is open."""
        rows = self._file.answer(_SQL["open_among"], (kind, json.dumps(list(subjects))))
        return {subject for (subject,) in rows}

    def fingerprint(self, fingerprint: str) -> Fingerprint | None:
        """What is known of a request, as of now."""
        return self.fingerprints([fingerprint]).get(fingerprint)

    def fingerprints(self, fingerprints: Sequence[str]) -> dict[str, Fingerprint]:
        """What is known of these requests, as of now."""
        return by_fingerprint(self._file.answer(_SQL["fingerprints"], (json.dumps(fingerprints),)))

    def answer_with(self, clip: str) -> Fingerprint | None:
        """What is remembered of a clip that answers requests, as of now; nothing of one that is being purged."""
        rows = self._file.answer(_SQL["answer_with"], (clip,))
        return Fingerprint(clip=rows[0][0], actor=rows[0][1], owner=rows[0][2], answer=rows[0][3]) if rows else None

    def cursor(self, name: str) -> int:
        """How far a subscription has come; 0 before its start."""
        rows = self._read("cursor", name)
        return int(rows[0][0]) if rows else 0

    def cursors(self) -> list[Cursor]:
        """All subscriptions."""
        return [Cursor(**dict(zip(Cursor.__struct_fields__, row, strict=True))) for row in self._read("cursors")]

    @contextlib.contextmanager
    def _in_turn(self) -> Iterator[None]:
        self._file.check_free()
        try:
            self._turn.take()
            yield
        finally:
            self._turn.give()

    def rows(self, query: str, values: tuple[object, ...] = ()) -> list[Any]:
        """A small question in SQL, as of now, for a table that has a module of its own (`voices`)."""
        return self._file.read(query, values)

    def _read(self, query: str, *values: object) -> list[Any]:
        return self._file.read(_SQL[query], values)
