"""The log keeper: moves events from the journal into the log, and from the log into the projections."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from voxledger.catalog import projections
from voxledger.catalog.duckdb_files import attach, attached, detach, transaction
from voxledger.catalog.errors import LogCorrupt
from voxledger.catalog.events import Event, decode, digest
from voxledger.catalog.home import Home
from voxledger.catalog.journal import MOST_BYTES, Transaction
from voxledger.catalog.log.reading import Reading
from voxledger.catalog.log.segments import Segment, Segments
from voxledger.catalog.queries import load
from voxledger.catalog.recorder import Recorder

BATCH = 20_000
"""Most events of one transaction."""
SEAL = 10_000
"""A segment is sealed when this many events wait for one."""
SEALED = "segments"
"""The cursor that says how far segments reach."""
PATIENCE = 30.0
"""Seconds a process waits for another one to let go of the log."""

_log = logging.getLogger(__name__)
_SQL = load("log.sql", "voxledger.catalog.log")
_ARRIVED = pa.schema(
    [
        ("position", pa.int64()),
        ("id", pa.string()),
        ("source", pa.string()),
        ("type", pa.string()),
        ("subject", pa.string()),
        ("time", pa.timestamp("us", tz="UTC")),
        ("recorded", pa.timestamp("us", tz="UTC")),
        ("actor", pa.string()),
        ("version", pa.int16()),
        ("data", pa.string()),
        ("sealed", pa.binary()),
        ("digest", pa.binary()),
    ]
)
_locks: dict[Path, threading.RLock] = {}
_locks_lock = threading.Lock()


def _forget_locks() -> None:
    """A child inherits locks as they were, held by threads that it does not have."""
    global _locks_lock  # replaced, because the old one may be held
    _locks_lock = threading.Lock()
    _locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)

OnSealed = Callable[[Transaction, Segment], None]
"""Called in the journal transaction that prunes what the segment holds: the place to queue its upload."""
Progress = Callable[[int, int], None]
"""Called with the position reached and the position that is the end."""


class Keeper:
    """Owns the two DuckDB files of a HOME, a burst at a time: opened, used, closed, so that no process locks others
    out.
    """

    def __init__(self, home: Home, recorder: Recorder, *, on_sealed: OnSealed | None = None) -> None:
        self.home = home
        self.recorder = recorder
        self.journal = recorder.journal
        self.segments = Segments(home.segments)
        self._on_sealed = on_sealed
        with _locks_lock:
            self._lock = _locks.setdefault(home.path, threading.RLock())
        self._drained = -1

    def drain(self, *, patience: float = PATIENCE, progress: Progress | None = None) -> int:
        """Bring log and projections up to the journal's head as it is now; gives the position reached.

        Idempotent, and safe to be killed at any point. Raises CatalogBusy when another process does not let go in time,
        LogCorrupt when journal and log contradict each other.
        """
        if self.journal.head() == self._drained and self.home.log.exists() and self.home.catalog.exists():
            return self._drained
        try:
            reached = self._drain_once(patience, progress)
        except LogCorrupt as error:
            if error.position is not None:
                raise
            # A damaged file was found while reading it, and moved aside.
            reached = self._drain_once(patience, progress)
        self._drained = reached
        self._seal(reached)
        return reached

    def _drain_once(self, patience: float, progress: Progress | None) -> int:
        with self._writing(patience) as connection:
            # Only now: while we waited for the log, another process may have drained beyond the head we knew.
            return self._drain_into(connection, self.journal.head(), progress)

    @contextlib.contextmanager
    def reading(self, *, fresh: bool = True, patience: float = PATIENCE) -> Iterator[Reading]:
        """The catalog as it is now: sees `clips`, `generations`, … and `events`, and can change nothing.

        `fresh` drains first, so that a caller sees what it wrote. Others may read at the same time, nobody can write.
        """
        if fresh or not (self.home.catalog.exists() and self.home.log.exists()):
            self.drain(patience=patience)
        with self._opened(patience, read_only=True) as connection:
            connection.execute("SET search_path = 'catalog,log'")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            yield Reading(lambda query, parameters: connection.sql(query, params=parameters).to_arrow_table())

    def rebuild(self, *, progress: Progress | None = None) -> int:
        """Fold the whole log anew into a new file and swap it in; the old tables serve until then."""
        self.drain()
        with self._lock, self._opened(PATIENCE, read_only=False, attach_catalog=False) as connection:
            return self._rebuild_into(connection, progress)

    def _drain_into(self, connection: duckdb.DuckDBPyConnection, head: int, progress: Progress | None) -> int:
        connection.execute(_SQL["schema"])
        last = self._check_end(connection, head)
        while last < head:
            last = self._append(connection, last)
            if progress:
                progress(last, head)
        state = projections.position(connection)
        if state is None:
            projections.create(connection)
            state = (projections.VERSION, 0)
        if state[0] != projections.VERSION or state[1] > last:
            _log.info("the catalog is of another version or ahead of the log; it is rebuilt")
            detach(connection, "catalog")
            return self._rebuild_into(connection, progress)
        self._project(connection, state[1], last, progress)
        return last

    def _check_end(self, connection: duckdb.DuckDBPyConnection, head: int) -> int:
        """The log's last position, after making sure that the journal continues it."""
        found = connection.execute(_SQL["last"]).fetchall()
        if not found:
            return 0
        last, seen = int(found[0][0]), bytes(found[0][1])
        if head < last:
            raise LogCorrupt(
                f"the journal ends at position {head}, but the log has reached {last}: the journal was restored or replaced."
                f" Nothing was changed; put the right {self.journal.path.name} back",
                position=head + 1,
            )
        here = self.journal.read(last - 1, 1)
        if here and here[0][0] == last and digest(here[0][1]) != seen:
            raise LogCorrupt(
                f"position {last} in the journal is not the event that the log holds there; nothing was changed."
                f" Put the {self.journal.path.name} back that belongs to this HOME",
                position=last,
            )
        return last

    def _append(self, connection: duckdb.DuckDBPyConnection, last: int) -> int:
        arrived = self.journal.read(last, BATCH)
        if not arrived or arrived[0][0] != last + 1:
            arrived = list(self.segments.read(last, BATCH))
            if arrived and arrived[0][0] == last + 1:
                _log.warning("positions from %d on were missing in the log and came back from a segment", last + 1)
        if not arrived or arrived[0][0] != last + 1:
            raise LogCorrupt(
                f"position {last + 1} is neither in the journal nor in a segment; restore the segments folder from the store",
                position=last + 1,
            )
        digests = [digest(body) for _, body in arrived]
        chain = connection.execute(_SQL["chain_head"]).fetchall()
        previous = bytes(chain[0][0]) if chain else bytes(32)
        chained = hashlib.sha256(previous + b"".join(digests)).digest()
        connection.register("arrived", _columns([(place, decode(body)) for place, body in arrived], digests))
        size = sum(len(body) for _, body in arrived)
        try:
            with transaction(connection):
                connection.execute(_SQL["append"])
                connection.execute(
                    _SQL["append_batch"], (arrived[0][0], arrived[-1][0], chained, previous, size, datetime.now(UTC))
                )
        finally:
            connection.unregister("arrived")
        return arrived[-1][0]

    def _project(self, connection: duckdb.DuckDBPyConnection, start: int, last: int, progress: Progress | None) -> None:
        while start < last:
            end = self._piece(connection, start)
            events = connection.sql(_SQL["after"], params=(start, end)).to_arrow_table()
            projections.fold(connection, self._opened_up(events), end)
            start = end
            if progress:
                progress(start, last)

    def _piece(self, connection: duckdb.DuckDBPyConnection, start: int) -> int:
        """The end of what is folded next: whole batches, as many as have BATCH events or MOST_BYTES together."""
        size, end = 0, start
        for last, count in connection.execute(_SQL["next_batches"], (start,)).fetchall():
            size, end = size + int(count), int(last)
            if end - start >= BATCH or size >= MOST_BYTES:
                break
        if end == start:
            raise LogCorrupt(f"the log holds events after position {start} that belong to no batch", position=start + 1)
        return end

    def _opened_up(self, events: pa.Table) -> pa.Table:
        """Log rows as folds read them: the sealed part opened."""
        key = self.recorder.vault.key
        personal: list[str | None] = []
        for identity, actor, sealed in zip(
            events.column("id").to_pylist(),
            events.column("actor").to_pylist(),
            events.column("sealed").to_pylist(),
            strict=True,
        ):
            found = key(actor) if sealed is not None else None
            personal.append(found.open(sealed, about=identity).decode() if found else None)
        return events.append_column("personal", pa.array(personal, pa.string())).select(projections.SCHEMA.names)

    def _rebuild_into(self, connection: duckdb.DuckDBPyConnection, progress: Progress | None) -> int:
        """Called with the log attached and no catalog."""
        new = self.home.catalog.with_name("catalog.duckdb.new")
        for stale in (new, new.with_name(new.name + ".wal")):
            stale.unlink(missing_ok=True)
        found = connection.execute(_SQL["last"]).fetchall()
        last = int(found[0][0]) if found else 0
        attach(connection, "catalog", new)
        projections.create(connection)
        self._project(connection, 0, last, progress)
        detach(connection, "catalog")
        self.home.catalog.with_name("catalog.duckdb.wal").unlink(missing_ok=True)
        new.replace(self.home.catalog)
        return last

    def _seal(self, drained: int) -> None:
        """Seal what is in the log; only then prune it from the journal, in one transaction with the upload of the segment.

        Killed in between, the next run seals the same events into the same file again.
        """
        sealed = max(self.journal.cursor(SEALED), (self.journal.oldest() or 1) - 1)
        while drained - sealed >= SEAL:
            bodies = self.journal.read(sealed, SEAL)
            if not bodies or bodies[0][0] != sealed + 1:
                return
            segment = self.segments.seal(bodies)
            sealed = segment.last
            with self.journal.transaction() as write:
                write.prune(sealed)
                write.move_cursor(SEALED, sealed)
                if self._on_sealed:
                    self._on_sealed(write, segment)

    @contextlib.contextmanager
    def _writing(self, patience: float) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._lock, self._opened(patience, read_only=False) as connection:
            yield connection

    @contextlib.contextmanager
    def _opened(
        self, patience: float, *, read_only: bool, attach_catalog: bool = True
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        files = {"log": self.home.log} | ({"catalog": self.home.catalog} if attach_catalog else {})
        with self._lock, attached(files, patience=patience, read_only=read_only) as connection:
            yield connection


def _columns(events: list[tuple[int, Event]], digests: list[bytes]) -> pa.Table:
    for place, event in events:
        if event.position != place:
            raise LogCorrupt(f"the event at position {place} says that it is number {event.position}", position=place)
    return pa.table(
        [
            [place for place, _ in events],
            *(
                [getattr(event, name) for _, event in events]
                for name in ("id", "source", "type", "subject", "time", "recorded", "actor", "version")
            ),
            [bytes(event.data).decode() for _, event in events],
            [event.sealed for _, event in events],
            digests,
        ],
        schema=_ARRIVED,
    )
