"""Verify: whether the log is what was acknowledged, event by event and batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

import msgspec
import pyarrow as pa

from voxledger.catalog.errors import LogCorrupt
from voxledger.catalog.events import digest
from voxledger.catalog.log.columns import bodies
from voxledger.catalog.log.heads import Head
from voxledger.catalog.log.keeper import Keeper
from voxledger.catalog.log.reading import Reading
from voxledger.catalog.log.segments import Segments
from voxledger.catalog.log.writer import chained, chained_at_once
from voxledger.catalog.progress import Counting
from voxledger.catalog.queries import load

WINDOW = 20_000
"""Positions that are read at a time."""
MOST = 1000
"""Findings that are told one by one; a log that is worse is worse beyond counting."""
Kind: TypeAlias = Literal["lost", "altered", "inserted", "chain", "head", "segment"]
_SQL = load("verify.sql", "voxledger.catalog.log")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with the positions `first` to `last`, in words."""

    kind: Kind
    first: int
    last: int
    why: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at, and what was found. `heads` counts the outside heads that were compared, `told` the positions
    that an epoch says are lost: those are known, and no finding. `void` counts the heads of such positions: what they would
    prove is lost.
    """

    events: int
    batches: int
    segments: int
    position: int
    digest: str | None
    heads: int
    void: int
    waiting: int
    told: tuple[tuple[int, int, str], ...]
    findings: tuple[Finding, ...]

    @property
    def intact(self) -> bool:
        """Nothing is wrong."""
        return not self.findings


class _Batch(NamedTuple):
    first: int
    last: int
    digest: bytes
    previous: bytes


def verify(keeper: Keeper, heads: Sequence[Head] = (), *, progress: Counting | None = None) -> Verdict:
    """Look at every event, batch and segment as they are; nothing is mended and nothing is changed.

    An altered event is named by its position where its own digest or a segment gives it away, else by its batch. `heads`
    come from outside HOME: only they show that somebody who owns the folder has made a new, consistent chain.
    """
    with keeper.reading(fresh=False) as reading:
        check = _Check(reading, keeper.segments, {head.position for head in heads})
        check.run(progress)
        void = check.compare(heads)
        position, drained = check.position, keeper.journal.mark()
        if drained is not None and drained.drained > position and drained.node == keeper.journal.node:
            check.found("lost", position + 1, drained.drained, "the log had come this far and has lost its end")
        return Verdict(
            events=check.events,
            batches=check.batches,
            segments=check.segments,
            position=position,
            digest=check.head.hex() if check.batches else None,
            heads=len(heads) - void,
            void=void,
            waiting=max(0, keeper.journal.head() - position),
            told=tuple(check.told),
            findings=tuple(check.findings[:MOST]),
        )


class _Check:
    """One pass over the log, window by window."""

    def __init__(self, reading: Reading, segments: Segments, wanted: Iterable[int]) -> None:
        """`wanted` are the positions of the heads that are to be compared."""
        self._reading = reading
        self._sealed = _Sealed(segments, self.found)
        self._wanted = sorted(wanted)
        self.findings: list[Finding] = []
        self.told = [(int(first), int(last), str(reason)) for first, last, reason in reading.tuples(_SQL["told"])]
        self.events = self.batches = self.position = 0
        self.head = bytes(32)
        self._heads: dict[int, bytes] = {}

    @property
    def segments(self) -> int:
        """How many segment files were compared."""
        return self._sealed.count

    def found(self, kind: Kind, first: int, last: int, why: str) -> None:
        """Note a finding; neighbours of one kind become one."""
        before = self.findings[-1] if self.findings else None
        if before and before.kind == kind and before.why == why and first == before.last + 1:
            self.findings[-1] = Finding(kind=kind, first=before.first, last=last, why=why)
        elif len(self.findings) < MOST:
            self.findings.append(Finding(kind=kind, first=first, last=last, why=why))

    def run(self, progress: Counting | None) -> None:
        """Every batch with its events, in order."""
        self._reading.tuples(_SQL["rest"])
        end = int(self._reading.tuples(_SQL["end"])[0][0])
        for batches in self._windows():
            first, last = batches[0].first, batches[-1].last
            rows = self._events(first, last)
            for batch in batches:
                self._batch(batch, rows)
            if progress:
                progress(min(last, end), end)
        for position, count in self._reading.tuples(_SQL["beyond"], {"last": self.position}):
            self.found("inserted", int(position), int(position), f"in no batch ({int(count)} rows)")

    def compare(self, heads: Iterable[Head]) -> int:
        """Hold the chain against heads that were kept elsewhere; gives how many are of positions that are known to be lost."""
        void = 0
        for head in heads:
            here = self._heads.get(head.position)
            if here is None and self._is_told(head.position):
                void += 1
                continue
            where = f"{head.origin or 'a head'} says {head.digest[:16]}… after position {head.position}"
            if here is None:
                self.found(
                    "head", head.position, head.position, f"{where}, and this log has no whole chain up to there"
                )
            elif here.hex() != head.digest:
                self.found("head", 1, head.position, f"{where}, this log {here.hex()[:16]}…: it is another chain")
        return void

    def _windows(self) -> Iterator[list[_Batch]]:
        """Batches in order, about WINDOW events at a time."""
        after = 0
        while rows := self._reading.tuples(_SQL["batches"], {"after": after}):
            window: list[_Batch] = []
            for first, last, value, previous in rows:
                window.append(_Batch(int(first), int(last), bytes(value), bytes(previous)))
                if last - window[0].first >= WINDOW:
                    yield window
                    window = []
            if window:
                yield window
            after = int(rows[-1][1])

    def _events(self, first: int, last: int) -> dict[int, list[tuple[bytes, bytes]]]:
        """The digests of a stretch by position: what the bytes give and what is noted. Memory stays flat: bytes go at once."""
        found: dict[int, list[tuple[bytes, bytes]]] = {}
        for start in range(first, last + 1, WINDOW):
            rows: pa.Table = self._reading.table(
                _SQL["events"], {"first": start, "last": min(last, start + WINDOW - 1)}
            )
            for position, body, noted in bodies(rows):
                found.setdefault(position, []).append((digest(body), noted))
                self.events += 1
        return found

    def _batch(self, batch: _Batch, rows: dict[int, list[tuple[bytes, bytes]]]) -> None:
        self._continues(batch)
        self.batches += 1
        sealed = self._sealed.digests(batch.first, batch.last)
        noted: list[bytes] = []
        fine = True
        for position in range(batch.first, batch.last + 1):
            fine &= self._event(position, rows.pop(position, []), sealed.get(position), noted)
        if fine and batch.digest not in (self._chained(batch, noted), chained_at_once(batch.previous, noted)):
            self.found("altered", batch.first, batch.last, "the batch is not what its digest says")
        self.position, self.head = batch.last, batch.digest

    def _chained(self, batch: _Batch, noted: list[bytes]) -> bytes:
        """The chain's digest after a batch, noting it at every position on the way that is wanted."""
        head, start = batch.previous, 0
        for position in (wanted for wanted in self._wanted if batch.first <= wanted <= batch.last):
            end = position - batch.first + 1
            self._heads[position] = head = chained(head, noted[start:end])
            start = end
        return chained(head, noted[start:])

    def _event(self, position: int, rows: list[tuple[bytes, bytes]], sealed: bytes | None, noted: list[bytes]) -> bool:
        """Judge one position; False when something about it was found."""
        if not rows:
            self.found("lost", position, position, "the event is gone from the log")
            return False
        if len(rows) > 1:
            self.found("inserted", position, position, f"{len(rows)} events have this position")
            return False
        real, written = rows[0]
        noted.append(written)
        if real != written:
            self.found("altered", position, position, "the event is not what its digest says")
            return False
        if sealed is not None and sealed != real:
            self.found("altered", position, position, "the event is not the one that was sealed in a segment")
            return False
        return True

    def _continues(self, batch: _Batch) -> None:
        if batch.first > self.position + 1:
            self._gap(self.position + 1, batch.first - 1)
        elif batch.first <= self.position:
            self.found("inserted", batch.first, min(batch.last, self.position), "two batches hold these positions")
        if batch.previous != self.head:
            self.found("chain", batch.first, batch.last, "the batch does not follow the one before it")

    def _gap(self, first: int, last: int) -> None:
        for position in range(first, last + 1):
            if not self._is_told(position):
                self.found("lost", position, position, "the event is gone from the log")

    def _is_told(self, position: int) -> bool:
        return any(first <= position <= last for first, last, _ in self.told)


class _Sealed:
    """The segments, read one at a time alongside the log."""

    def __init__(self, segments: Segments, found: Callable[[Kind, int, int, str], None]) -> None:
        self._left = iter(segments.all())
        self._found = found
        self._here: dict[int, bytes] = {}
        self._reach = 0
        self.count = 0

    def digests(self, first: int, last: int) -> dict[int, bytes]:
        """The digests of the sealed events of a stretch, as far as segments hold them."""
        while self._reach < last and (segment := next(self._left, None)):
            self._here = {position: value for position, value in self._here.items() if position >= first}
            self._reach = segment.last
            try:
                lines = segment.read()
            except LogCorrupt as error:
                self._found("segment", segment.first, segment.last, str(error))
                continue
            self.count += 1
            self._here |= {position: digest(body) for position, body in lines}
        return {position: self._here[position] for position in range(first, last + 1) if position in self._here}
