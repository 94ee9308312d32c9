"""The log keeper: moves events from the journal into the log, and from the log into the projections."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime

import duckdb

from voxledger.catalog import projections
from voxledger.catalog.duckdb_files import transaction
from voxledger.catalog.errors import CatalogBusy, LogCorrupt
from voxledger.catalog.events import is_understood, now
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import Home
from voxledger.catalog.log import answering, link
from voxledger.catalog.log.ahead import Ahead, Ready
from voxledger.catalog.log.copying import Copying
from voxledger.catalog.log.files import Files
from voxledger.catalog.log.folding import Folder
from voxledger.catalog.log.heads import Head
from voxledger.catalog.log.reading import Reading
from voxledger.catalog.log.rebuilding import Rebuild
from voxledger.catalog.log.sealing import OnSealed, Sealer
from voxledger.catalog.log.segments import Segments
from voxledger.catalog.log.writer import End, Recover, Writer, nothing_to_recover
from voxledger.catalog.progress import Counting
from voxledger.catalog.queries import load
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.steps import OnStep, Step, unheard

PATIENCE = 30.0
"""Seconds a process waits for another one to let go of the log."""
_LOOK = 2.0
"""Seconds after which a process that waits for the files looks whether a node has them."""
_BURST = 2.0
"""Seconds that a drain holds the log at a time, so that others get their turn."""
_SQL = load("log.sql", "voxledger.catalog.log")


class Keeper:
    """Brings events where they can be asked for, and answers.

    The two DuckDB files are opened for a burst and closed again, so that no process locks others out; only the one that
    serves keeps them open. Then the others ask it, through a link that `node.json` in HOME names.
    """

    def __init__(
        self,
        home: Home,
        recorder: Recorder,
        *,
        on_sealed: OnSealed | None = None,
        recover: Recover = nothing_to_recover,
        on_step: OnStep = unheard,
    ) -> None:
        """`recover` brings the segment with a position back from the store."""
        self._on_step = on_step
        self.home = home
        self.recorder = recorder
        self.journal = recorder.journal
        self.segments = Segments(home.segments)
        self._files = Files(home)
        self._writer = Writer(self.journal, self.segments, recover)
        self._folder = Folder(recorder.vault)
        self._sealer = Sealer(home, self.journal, self.segments, on_sealed)
        self._rebuild = Rebuild(home, self._files, self._folder)
        self._drained: tuple[int, tuple[tuple[int, int], ...]] = (-1, ())

    def drain(self, *, patience: float = PATIENCE, progress: Counting | None = None) -> int:
        """Bring log and projections up to the journal's head as it is now; gives the position reached.

        Idempotent, and safe to be killed at any point. Raises CatalogBusy when another process does not let go in time,
        LogCorrupt when journal and log contradict each other.
        """
        self.recorder.accesses.try_flush()
        head = self.journal.head()
        if (head, self._seen()) == self._drained:
            return head
        for node, wait, last in self._looking(patience):
            if node is not None:
                with node:
                    return node.drain(patience, progress)
            try:
                end = self._drained_here(head, wait, progress)
                break
            except CatalogBusy:
                if last:
                    raise
        self.journal.drained(end.position, end.digest)
        self._sealer.seal(self._head(end), lambda: self._checkpoint(patience))
        self._drained = end.position, self._seen()
        return end.position

    def _drained_here(self, head: int, patience: float, progress: Counting | None) -> End:
        try:
            return self._drain_here(head, patience, progress)
        except LogCorrupt as error:
            if error.position is not None:
                raise
            # A damaged file was found while reading it, and moved aside.
            return self._drain_here(head, patience, progress)

    def _seen(self) -> tuple[tuple[int, int], ...]:
        """Which files these are, and when they were last written: another process may have put a new one there that it has
        not filled yet.
        """
        try:
            found = [path.stat() for path in (self.home.log, self.home.catalog)]
        except FileNotFoundError:
            return ()
        return tuple((file.st_ino, file.st_mtime_ns) for file in found)

    def head(self, *, patience: float = PATIENCE) -> Head:
        """The newest link of the chain, everything acknowledged so far drained before."""
        with self.reading(patience=patience) as reading:
            found = reading.tuples(_SQL["chain_head"])
        return self._head(End(int(found[0][1]), b"", bytes(found[0][0])) if found else End(0, b"", bytes(32)))

    def _head(self, end: End) -> Head:
        return Head(position=end.position, digest=end.head.hex(), node=self.journal.node)

    @contextlib.contextmanager
    def reading(
        self, *, fresh: bool = True, patience: float = PATIENCE, as_of: datetime | None = None
    ) -> Iterator[Reading]:
        """The catalog at one moment, to be asked and not changed: `clips`, `generations`, … and `events`.

        `fresh` drains first, so that a caller sees what it wrote. `as_of` shows everything as it stood at that moment.
        Others may read at the same time. Raises CatalogBusy when another process does not let go in time.
        """
        with contextlib.ExitStack() as stack:
            for node, wait, last in self._looking(patience):
                if node is not None:
                    if fresh:
                        self.recorder.accesses.try_flush()
                    stack.enter_context(node)
                    node.begin(fresh=fresh, patience=patience, as_of=as_of)
                    yield Reading(node.ask)
                    return
                try:
                    if fresh or not (self.home.catalog.exists() and self.home.log.exists()):
                        self.drain(patience=wait)
                    connection = stack.enter_context(self._files.reading(wait))
                    break
                except CatalogBusy:
                    if last:
                        raise
            if as_of is not None:
                found = connection.execute(_SQL["at"], (as_of,)).fetchall()
                projections.as_of(connection, int(found[0][0]), min(as_of, now()))
            yield Reading(
                lambda query, parameters: connection.sql(query, params=parameters).to_arrow_table(),
                connection.interrupt,
            )

    def rebuild(self, *, patience: float = PATIENCE, progress: Counting | None = None) -> int:
        """Fold the whole log anew into a new file and swap it in; the old tables serve until then.

        Interrupted, it goes on where it stopped when it is called again. Gives the position reached.
        """
        node = self._node(patience)
        if node is not None:
            with node:
                return node.rebuild(patience, progress)
        self.drain(patience=patience)
        return self._rebuild.run(patience=patience, progress=progress)

    def copying(self) -> Copying:
        """Makes a copy of the tables, in the process that serves."""
        return Copying(self.home, self._files)

    @contextlib.contextmanager
    def serving(self, *, patience: float = PATIENCE, url: str = "") -> Iterator[link.Discovery]:
        """Keep the files open until the block ends, and answer the other processes of this HOME meanwhile.

        `url` is where this process speaks HTTP; gives what the others are told of it.
        """
        self.drain(patience=patience)
        with self._files.keeping(patience), answering.answering(self, url) as discovery:
            yield discovery

    def _looking(self, patience: float) -> Iterator[tuple[link.Link | None, float, bool]]:
        """The node; without one, how long to wait for the files and whether that was the last time.

        Again and again: who took the files may be a node that begins to serve.
        """
        deadline = time.monotonic() + patience
        while True:
            left = max(0.0, deadline - time.monotonic())
            yield self._node(patience), min(left, _LOOK), left <= _LOOK

    def _node(self, patience: float) -> link.Link | None:
        """The link to the process that keeps the files open, unless that is this one."""
        return None if self._files.kept else link.to_node(self.home, patience)

    def _drain_here(self, head: int, patience: float, progress: Counting | None) -> End:
        rebuilt = False
        with Ahead(self._ready) as ahead:
            while True:
                with self._files.writing(patience) as connection:
                    end, folded = self._burst(connection, head, ahead, progress)
                    # What was folded just now may show that the tables must be folded anew. Once: it must never go round.
                    if folded == end.position and not rebuilt and projections.awaits_rebuild(connection, is_understood):
                        folded = None
                if folded is None:
                    self._rebuild.run(patience=patience, progress=progress, wanted=self._is_stale)
                    rebuilt = True
                elif folded >= end.position and (end.position >= head or self._writer.is_lost(end.position + 1)):
                    return end
                time.sleep(0.002)  # DuckDB's lock knows no queue

    def _ready(self, last: int) -> Ready | None:
        batch = self._writer.following(last)
        return batch and (batch, self._folder.opened(batch.rows))

    def _burst(
        self, connection: duckdb.DuckDBPyConnection, head: int, ahead: Ahead, progress: Counting | None
    ) -> tuple[End, int | None]:
        """Append and fold for a second; gives where the log ends and how far the tables are, None if they are stale."""
        until = time.monotonic() + _BURST
        end = self._writer.check(connection)
        folded = self._folded(connection, end.position)
        for batch, events in ahead.batches(end.position, head):
            follows, begun, before = folded == end.position, time.perf_counter(), end.position
            end = self._writer.append(connection, batch)
            if follows:
                projections.fold(connection, events, end.position)
                folded = end.position
                self.journal.drained(end.position, end.digest)  # so that nobody loses it again in silence
            self._on_step(Step(name="drain", seconds=time.perf_counter() - begun, amount=end.position - before))
            if progress:
                progress(end.position, head)
            if time.monotonic() > until:
                return end, folded
        if folded is None:
            return end, None
        for events, reached in self._folder.pieces(connection, folded, end.position):
            projections.fold(connection, events, reached)
            folded = reached
            if progress:
                progress(folded, end.position)
            if time.monotonic() > until:
                break
        return end, folded

    def _folded(self, connection: duckdb.DuckDBPyConnection, last: int) -> int | None:
        """How far the tables are; None when they are of another version, or ahead of the log."""
        state = projections.position(connection)
        if state is None:
            with transaction(connection):
                projections.create(connection, begun=last)
            state = (projections.VERSION, 0)
        version, reached = state
        if version != projections.VERSION or reached > last or projections.awaits_rebuild(connection, is_understood):
            return None
        self._writer.tell_of_tables(reached)
        return reached

    def _is_stale(self) -> bool:
        with self._files.writing(PATIENCE) as connection:
            return self._folded(connection, self._writer.check(connection).position) is None

    def _checkpoint(self, patience: float) -> bool:
        """Write the log's file out, so that nothing of it depends on its write-ahead log."""
        failpoint("log.before_checkpoint")
        try:
            with self._files.writing(patience) as connection:
                connection.execute("CHECKPOINT log")
        except (duckdb.TransactionException, CatalogBusy):
            return False
        failpoint("log.after_checkpoint")
        return True
