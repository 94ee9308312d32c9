"""Sealing: what the log holds is written into segment files, and only then leaves the journal."""

from __future__ import annotations

import contextlib
import errno
import itertools
from collections.abc import Callable, Iterator
from typing import TypeAlias

from voxledger.catalog import platform
from voxledger.catalog.duckdb_files import no_room
from voxledger.catalog.errors import HomeError
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal, Transaction
from voxledger.catalog.log.heads import Head
from voxledger.catalog.log.segments import Segment, Segments

SEAL = 10_000
"""A segment is sealed when this many events wait for one."""
SEALED = "segments"
"""The cursor that says how far segments reach."""

OnSealed: TypeAlias = Callable[[Transaction, Segment, Head], None]
"""Called in the journal transaction that notes a segment, with the newest head: the place to queue their uploads."""


class Sealer:
    """Seals and prunes. Killed at any point, the next run seals the same events into the same file again."""

    def __init__(self, home: Home, journal: Journal, segments: Segments, on_sealed: OnSealed | None) -> None:
        self._home = home
        self._journal = journal
        self._segments = segments
        self._on_sealed = on_sealed

    def seal(self, head: Head, checkpoint: Callable[[], bool]) -> None:
        """Seal what is in the log, which reaches to `head`; then prune it from the journal.

        `checkpoint` makes DuckDB write its log file out and says whether it did: before that nothing is pruned. One process
        seals at a time; the others have nothing to do.
        """
        drained = head.position
        if not self._waiting(drained):
            return
        with self._translated(), platform.locked(self._home.path / "seal.lock", blocking=False) as mine:
            if not mine:
                return
            while self._waiting(drained) and self._one(head):
                pass
            sealed = self._journal.cursor(SEALED)
            if (self._journal.oldest() or sealed + 1) <= sealed and checkpoint():
                failpoint("prune.before_commit")
                self._journal.prune(min(sealed, drained))
                failpoint("prune.after_commit")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """What the system says when a segment cannot be written, in our words; everything is in the journal still."""
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise no_room(self._segments.folder) from error
            raise HomeError(
                f"{self._segments.folder} cannot be written: {error.strerror or error}; what was recorded is safe in the"
                " journal. Make the folder writable for this user"
            ) from error

    def _waiting(self, drained: int) -> bool:
        return drained - self._start() >= SEAL

    def _start(self) -> int:
        """Everything up to here is sealed."""
        return max(self._journal.cursor(SEALED), (self._journal.oldest() or 1) - 1)

    def _one(self, head: Head) -> bool:
        """Seal one segment; False when the journal does not hold what comes next."""
        bodies = [pair for pair in self._journal.read(self._start(), SEAL) if pair[0] <= head.position]
        held = {position for position, _ in bodies}
        # A segment has no gap and is of one epoch: where an epoch begins, the next one begins.
        begins = {epoch.first for epoch in self._journal.epochs()}
        bodies = list(
            itertools.takewhile(
                lambda pair: pair[0] == bodies[0][0] or (pair[0] not in begins and pair[0] - 1 in held), bodies
            )
        )
        if not bodies:
            return False
        segment = self._segments.seal(bodies)
        failpoint("segment.after_fsync")
        with self._journal.transaction() as write:
            write.move_cursor(SEALED, segment.last)
            if self._on_sealed:
                self._on_sealed(write, segment, head)
        return True
