"""The writer: appends to the log what the journal acknowledged, position by position, and heals a torn end."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeAlias

import duckdb
import pyarrow as pa

from voxledger.catalog.duckdb_files import transaction
from voxledger.catalog.errors import LogCorrupt
from voxledger.catalog.events import digest
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.journal import Epoch, Journal
from voxledger.catalog.log.columns import arrange
from voxledger.catalog.log.segments import Segments
from voxledger.catalog.queries import load

BATCH = 50_000
"""Most events of one transaction; large ones end it sooner, by what the journal gives at a time."""

Recover: TypeAlias = Callable[[int], bool]
"""Brings the segment that holds a position back from the store, if it is there; says whether it did."""
Bodies: TypeAlias = Sequence[tuple[int, bytes]]

_log = logging.getLogger(__name__)
_SQL = load("log.sql", "voxledger.catalog.log")


class End(NamedTuple):
    """Where the log ends: the position and digest of its newest event, and the chain's digest there; zero where there is
    none.
    """

    position: int
    digest: bytes
    head: bytes


class Batch(NamedTuple):
    """What is appended next: columns of events without a gap, the bytes they stand for, and the epochs that begin there."""

    rows: pa.Table
    size: int
    first: int
    last: int
    epochs: tuple[Epoch, ...] = ()


class Writer:
    """Appends to `log.events` and `log.batches`, in a burst of writing that the caller has opened."""

    def __init__(self, journal: Journal, segments: Segments, recover: Recover) -> None:
        self._journal = journal
        self._segments = segments
        self._recover = recover
        self._told: set[str] = set()

    def check(self, connection: duckdb.DuckDBPyConnection) -> End:
        """Where the log ends, after making sure that it is whole and that the journal goes on from there.

        Raises LogCorrupt for a journal that contradicts the log; one that merely lags behind it begins a new epoch.
        """
        end = self._end(connection)
        self._tell(
            end.position,
            "the log had reached position %d, but now ends at %d: its end was torn off; what is missing comes back from"
            " journal and segments",
        )
        if end.position:
            self._fill(connection, end.position)
            self._compare(connection, end)
        return end

    def tell_of_tables(self, reached: int) -> None:
        """Say so when the tables, which are at this position, had been further."""
        self._tell(
            reached, "the tables had reached position %d, but now end at %d: the rest is folded again from the log"
        )

    def is_lost(self, position: int) -> bool:
        """Whether nobody has this position, nor any after it: it was lost with a journal, and the new one is empty yet."""
        if self._journal.oldest() is not None:
            return False
        lost = self._journal.epochs()[-1]
        return lost.lost_first is not None and lost.lost_first <= position <= (lost.lost_last or 0)

    def following(self, last: int) -> Batch | None:
        """What follows a position: from the journal, else from a segment, here or in the store; None where all is lost.

        Needs no burst. Raises LogCorrupt when events are missing that nothing accounts for.
        """
        found: Bodies = self._journal.read(last, BATCH)
        if not found or found[0][0] != last + 1:
            sealed = self._sealed(last, BATCH)
            if sealed and "segment" not in self._told:
                self._told.add("segment")
                # A HOME that was restored from a backup has never had a log: then it is filled, and nothing was missing.
                mark = self._journal.mark()
                level = logging.WARNING if mark is not None and mark.drained > last else logging.INFO
                _log.log(level, "positions from %d on were not in the log and came back from a segment", last + 1)
            found = sealed or found
        if not found and self.is_lost(last + 1):
            return None
        epochs = self._between(last, found[0][0]) if found else ()
        if not found or (found[0][0] != last + 1 and not epochs):
            raise LogCorrupt(
                f"position {last + 1} is neither in the journal nor in a segment; restore the segments folder from the store",
                position=last + 1,
            )
        found = _without_gap(found)
        rows = arrange(found)
        return Batch(rows, sum(len(body) for _, body in found), found[0][0], found[-1][0], self._named(found, epochs))

    def append(self, connection: duckdb.DuckDBPyConnection, batch: Batch) -> End:
        """Write one batch, chained to the one before, in one transaction."""
        failpoint("log.before_append")
        digests = batch.rows.column("digest").to_pylist()
        previous = _chain_head(connection)
        head = chained(previous, digests)
        connection.register("arrived", batch.rows)
        try:
            with transaction(connection):
                connection.execute(_SQL["append"])
                for epoch in batch.epochs:
                    connection.execute(
                        _SQL["append_epoch"],
                        (epoch.epoch, epoch.first, epoch.since, epoch.reason, epoch.lost_first, epoch.lost_last),
                    )
                failpoint("log.after_append")
                values = (batch.first, batch.last, head, previous, batch.size, datetime.now(UTC))
                connection.execute(_SQL["append_batch"], values)
                failpoint("log.before_commit")
        finally:
            connection.unregister("arrived")
        failpoint("log.after_commit")
        return End(batch.last, digests[-1], head)

    def _tell(self, reached: int, words: str) -> None:
        """Warn, once, that something ends before the position that log and tables are known to have reached."""
        mark = self._journal.mark()
        if mark is None or reached >= mark.drained or mark.node != self._journal.node or words in self._told:
            return
        self._told.add(words)
        _log.warning(words, mark.drained, reached)

    def _end(self, connection: duckdb.DuckDBPyConnection) -> End:
        try:
            found = connection.execute(_SQL["last"]).fetchall()
            connection.execute("FROM log.epochs LIMIT 0").fetchall()
        except duckdb.CatalogException:
            connection.execute(_SQL["schema"])  # of what is missing: a new log, or one of before there were epochs
            found = connection.execute(_SQL["last"]).fetchall()
        if not found:
            return End(0, bytes(32), bytes(32))
        return End(int(found[0][0]), bytes(found[0][1]), _chain_head(connection))

    def _fill(self, connection: duckdb.DuckDBPyConnection, last: int) -> None:
        """A log that holds fewer events than positions gets them back. Counting costs no more than reading the file's map."""
        held, lost = connection.execute(_SQL["counts"]).fetchall()[0]
        if held + lost >= last:
            return
        missing = [int(row[0]) for row in connection.execute(_SQL["missing"], {"last": last}).fetchall()]
        back: dict[int, bytes] = {}
        for position in missing:
            if position not in back:
                back |= dict(self._journal.read(position - 1, BATCH)[:BATCH]) if self._here(position) else {}
                back |= dict(self._sealed(position - 1, BATCH)) if position not in back else {}
            if position not in back:
                raise LogCorrupt(
                    f"the log has lost position {position}, and neither journal nor segments hold it; restore the segments"
                    " folder from the store, then see `voxledger verify`",
                    position=position,
                )
        connection.register("arrived", arrange([(position, back[position]) for position in missing]))
        try:
            with transaction(connection):
                connection.execute(_SQL["append"])
        finally:
            connection.unregister("arrived")
        _log.warning("the log had lost %d events; they came back from journal and segments", len(missing))

    def _here(self, position: int) -> bool:
        found = self._journal.read(position - 1, 1)
        return bool(found) and found[0][0] == position

    def _compare(self, connection: duckdb.DuckDBPyConnection, end: End) -> None:
        """The journal must continue this log: the same events where both have them."""
        head = self._journal.head()
        at = min(head, end.position)
        here = self._journal.read(at - 1, 1) if at else []
        found = connection.execute(_SQL["digest_at"], (at,)).fetchall() if here else []
        if here and found and here[0][0] == at and digest(here[0][1]) != bytes(found[0][0]):
            raise LogCorrupt(
                f"position {at} in the journal is not the event that the log holds there; nothing was changed."
                f" Put the {self._journal.path.name} back that belongs to this HOME",
                position=at,
            )
        if head < end.position:
            source = str(connection.execute(_SQL["newest_source"]).fetchall()[0][0])
            if self._journal.node not in source:
                raise LogCorrupt(
                    f"the journal is of node {self._journal.node}, but the log was written by {source}; nothing was changed."
                    f" Put the {self._journal.path.name} back that belongs to this HOME",
                    position=head + 1,
                )
            self._journal.begin_epoch(end.position + 1, "restored")

    def _sealed(self, last: int, limit: int) -> Bodies:
        """What segments hold after a position: those here, else those in the store."""
        try:
            found = list(self._segments.read(last, limit))
        except LogCorrupt:
            # The copy here is damaged; the one in the store may not be.
            if not self._recover(last + 1):
                raise
            found = list(self._segments.read(last, limit))
        if not (found and found[0][0] == last + 1) and self._recover(last + 1):
            found = list(self._segments.read(last, limit))
        return found if found and found[0][0] == last + 1 else []

    def _between(self, last: int, first: int) -> tuple[Epoch, ...]:
        """The epoch that begins at `first` and accounts for the positions that nobody has any more."""
        if first == last + 1:
            return ()
        found = [epoch for epoch in self._journal.epochs() if epoch.first == first and epoch.lost_first is not None]
        if not found or (found[0].lost_first or 0) > last + 1:
            return ()
        _log.warning(
            "positions %d to %d were acknowledged and are lost with the journal that held them (%s)",
            last + 1,
            first - 1,
            found[0].reason,
        )
        return (_losing(found[0], last + 1, first - 1),)

    def _named(self, found: Bodies, lost: tuple[Epoch, ...]) -> tuple[Epoch, ...]:
        """The epochs that begin within these positions; only those that really lost something say so."""
        first, last = found[0][0], found[-1][0]
        known = {epoch.epoch for epoch in lost}
        begun = (epoch for epoch in self._journal.epochs() if first <= epoch.first <= last and epoch.epoch not in known)
        return (*lost, *(_losing(epoch, None, None) for epoch in begun))


def nothing_to_recover(position: int) -> bool:  # noqa: ARG001  # a Recover
    """There is no store that could hold a segment."""
    return False


def chained(head: bytes, digests: Iterable[bytes]) -> bytes:
    """The chain's digest after some more events: each step is SHA-256 over the digest before and that of the event. So it
    says the same of a position, whatever batches the events came in.
    """
    for one in digests:
        head = hashlib.sha256(head + one).digest()
    return head


def chained_at_once(head: bytes, digests: Iterable[bytes]) -> bytes:
    """How batches were chained before heads could be held against any position: logs of then are as good."""
    return hashlib.sha256(head + b"".join(digests)).digest()


def _chain_head(connection: duckdb.DuckDBPyConnection) -> bytes:
    found = connection.execute(_SQL["chain_head"]).fetchall()
    return bytes(found[0][0]) if found else bytes(32)


def _losing(epoch: Epoch, first: int | None, last: int | None) -> Epoch:
    return Epoch(
        epoch=epoch.epoch, first=epoch.first, since=epoch.since, reason=epoch.reason, lost_first=first, lost_last=last
    )


def _without_gap(found: Bodies) -> Bodies:
    """The part before the next gap: a batch has every position between its first and its last."""
    if found[-1][0] - found[0][0] == len(found) - 1:
        return found
    return [pair for number, pair in enumerate(found) if pair[0] == found[0][0] + number]
