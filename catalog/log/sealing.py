"""Sealing: what the log holds is written into segment files, and only then leaves the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from voxledger.catalog import platform
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal, Transaction
from voxledger.catalog.log.segments import Segment, Segments

SEAL = 10_000
"""A segment is sealed when this many events wait for one."""
SEALED = "segments"
"""The cursor that says how far segments reach."""

OnSealed: TypeAlias = Callable[[Transaction, Segment], None]
"""Called in the journal transaction that notes a segment: the place to queue its upload."""


class Sealer:
    """Seals and prunes. Killed at any point, the next run seals the same events into the same file again."""

    def __init__(self, home: Home, journal: Journal, segments: Segments, on_sealed: OnSealed | None) -> None:
        self._home = home
        self._journal = journal
        self._segments = segments
        self._on_sealed = on_sealed

    def seal(self, drained: int, checkpoint: Callable[[], bool]) -> None:
        """Seal what is in the log, then prune it from the journal.

        `checkpoint` makes DuckDB write its log file out and says whether it did: before that nothing is pruned. One process
        seals at a time; the others have nothing to do.
        """
        if not self._waiting(drained):
            return
        with platform.locked(self._home.path / "seal.lock", blocking=False) as mine:
            if not mine:
                return
            while self._waiting(drained) and self._one(drained):
                pass
            sealed = self._journal.cursor(SEALED)
            if (self._journal.oldest() or sealed + 1) <= sealed and checkpoint():
                failpoint("prune.before_commit")
                self._journal.prune(min(sealed, drained))
                failpoint("prune.after_commit")

    def _waiting(self, drained: int) -> bool:
        return drained - self._start() >= SEAL

    def _start(self) -> int:
        """Everything up to here is sealed."""
        return max(self._journal.cursor(SEALED), (self._journal.oldest() or 1) - 1)

    def _one(self, drained: int) -> bool:
        """Seal one segment; False when the journal does not hold what comes next."""
        bodies = [pair for pair in self._journal.read(self._start(), SEAL) if pair[0] <= drained]
        # A segment has no gap: where an epoch begins, the next one begins.
        bodies = [pair for number, pair in enumerate(bodies) if pair[0] == bodies[0][0] + number]
        if not bodies:
            return False
        segment = self._segments.seal(bodies)
        failpoint("segment.after_fsync")
        with self._journal.transaction() as write:
            write.move_cursor(SEALED, segment.last)
            if self._on_sealed:
                self._on_sealed(write, segment)
        return True
