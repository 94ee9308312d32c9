"""The chain over a copy: every event of a HOME is in its segments or in the copy of its journal, and they are the log's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from voxledger.catalog.backup.contents import SavedFile
from voxledger.catalog.errors import LogCorrupt
from voxledger.catalog.events import digest
from voxledger.catalog.journal import Epoch
from voxledger.catalog.journal.copying import Copied, bodies
from voxledger.catalog.log.columns import bodies as bodies_in
from voxledger.catalog.log.segments import Segment, Segments
from voxledger.catalog.log.writer import chained
from voxledger.catalog.queries import load

if TYPE_CHECKING:
    from voxledger.catalog.log import Head, Keeper

_SQL = load("backup.sql", "voxledger.catalog.backup")
_WINDOW = 10_000
_log = logging.getLogger(__name__)


class Covered(NamedTuple):
    """What a backup has to take so that nothing is missing: `segments` in order, with the chain's digest (hex) after each.

    `through` and `head` say where the chain ends; `head` is None when there is no event.
    """

    segments: tuple[tuple[Segment, str], ...]
    through: int
    head: str | None


def covered(
    keeper: Keeper,
    head: Head,
    copied: Copied,
    copy: Path,
    rescued: Path,
    before: Mapping[str, SavedFile],
    *,
    progress: Callable[[int, int], None],
) -> Covered:
    """Go through every event up to the end of the copied journal, and hold the chain against the log's own `head`.

    `before` are the segments of an earlier backup by name: those that did not change are not read again. What neither
    segments nor journal have whole, the log gives back, into segments in the folder `rescued`. Raises LogCorrupt for events
    that nobody has, and for events that are not the log's.
    """
    return _Chain(keeper, head, copied, copy, rescued, progress).run(before)


class _Chain:
    """One pass, from the first event to the last."""

    def __init__(
        self,
        keeper: Keeper,
        head: Head,
        copied: Copied,
        copy: Path,
        rescued: Path,
        progress: Callable[[int, int], None],
    ) -> None:
        self._keeper = keeper
        self._wanted = head
        self._copied = copied
        self._copy = copy
        self._rescued = Segments(rescued)
        self._progress = progress
        self._looked = (0, 0)
        self._at = 0
        self._digest = bytes(32)
        self._seen: bytes | None = None
        self._taken: list[tuple[Segment, str]] = []

    def run(self, before: Mapping[str, SavedFile]) -> Covered:
        # Segments that were sealed after the journal was copied hold what the copy holds too, or what came later.
        segments = [each for each in self._keeper.segments.all() if each.last <= self._copied.head]
        known = dict(before)
        for number, segment in enumerate(segments, 1):
            if segment.last > self._at:
                self._segment(segment, known)
            self._looked = number, len(segments)
            self._progress(*self._looked)
        self._journal()
        if self._wanted.position and self._seen != bytes.fromhex(self._wanted.digest):
            self._compare(segments)
        return Covered(tuple(self._taken), self._at, self._digest.hex() if self._digest != bytes(32) else None)

    def _segment(self, segment: Segment, known: dict[str, SavedFile]) -> None:
        saved = known.get(segment.path.name)
        reusable = segment.first == self._at + 1 and segment.last <= self._wanted.position
        if saved is not None and saved.head and reusable and unchanged(segment.path, saved):
            self._take(segment, segment.last, bytes.fromhex(saved.head))
            return
        known.clear()  # what comes after another chain than before has another digest too
        try:
            found = [pair for pair in segment.read() if pair[0] > self._at]
        except LogCorrupt as error:
            _log.warning("%s; the backup takes these events from the log", error)
            return  # a gap, which is filled before whatever comes next
        self._fill(found[0][0])
        self._extend(found)
        self._take(segment, segment.last, self._digest)

    def _take(self, segment: Segment, last: int, head: bytes) -> None:
        if last == self._wanted.position:
            self._seen = head
        self._at, self._digest = last, head
        self._taken.append((segment, head.hex()))

    def _journal(self) -> None:
        piece: list[tuple[int, bytes]] = []
        for pair in bodies(self._copy, self._at):
            if not piece:
                self._fill(pair[0])
            elif pair[0] != piece[-1][0] + 1:
                self._extend(piece)
                piece.clear()
                self._fill(pair[0])
            piece.append(pair)
            if len(piece) >= _WINDOW:
                self._extend(piece)
                piece.clear()
                self._progress(*self._looked)
        if piece:
            self._extend(piece)
        self._fill(self._copied.head + 1)

    def _extend(self, found: Sequence[tuple[int, bytes]]) -> None:
        """More events of the chain, without a gap."""
        digests = [digest(body) for _, body in found]
        inside = self._wanted.position - found[0][0] + 1
        if 0 < inside <= len(found):
            self._digest = chained(self._digest, digests[:inside])
            self._seen = self._digest
            digests = digests[inside:]
        self._digest = chained(self._digest, digests)
        self._at = found[-1][0]

    def _fill(self, first: int) -> None:
        """Everything before this position, from the log; only what an epoch calls lost may be missing there too."""
        if first <= self._at + 1:
            return
        for piece in self._from_log(self._at + 1, first - 1):
            self._require_lost(self._at + 1, piece[0][0] - 1)
            segment = self._rescued.seal(piece)
            self._extend(piece)
            self._taken.append((segment, self._digest.hex()))
        self._require_lost(self._at + 1, first - 1)

    def _from_log(self, first: int, last: int) -> Iterator[list[tuple[int, bytes]]]:
        """What the log has of a stretch, in pieces without a gap."""
        with self._keeper.reading(fresh=False) as reading:
            for start in range(first, last + 1, _WINDOW):
                self._progress(*self._looked)
                rows = reading.table(_SQL["events"], {"first": start, "last": min(last, start + _WINDOW - 1)})
                piece: list[tuple[int, bytes]] = []
                for position, body, noted in bodies_in(rows):
                    if digest(body) != noted:
                        raise LogCorrupt(
                            f"position {position} is not what its digest says, and is neither in the journal nor in a whole"
                            " segment; see `voxledger verify`. Nothing was backed up",
                            position=position,
                        )
                    if piece and position != piece[-1][0] + 1:
                        yield piece
                        piece = []
                    piece.append((position, body))
                if piece:
                    yield piece

    def _require_lost(self, first: int, last: int) -> None:
        for position in range(first, last + 1):
            if not any(_loses(epoch, position) for epoch in self._copied.epochs):
                raise LogCorrupt(
                    f"position {position} is neither in the journal, nor in a segment, nor in the log; see `voxledger verify`."
                    " Nothing was backed up",
                    position=position,
                )

    def _compare(self, segments: Sequence[Segment]) -> None:
        """The chain is another one than the log's. Its events must be the same: logs of before there were heads for every
        position are chained in another way, and as good.
        """
        whole = _Whole(segments, self._copy)
        with self._keeper.reading(fresh=False) as reading:
            for start in range(1, self._wanted.position + 1, _WINDOW):
                self._progress(*self._looked)
                last = min(self._wanted.position, start + _WINDOW - 1)
                rows = reading.tuples(_SQL["digests"], {"first": start, "last": last})
                here = whole.digests(start, last)
                for position, noted in rows:
                    if here.get(int(position), bytes(noted)) != bytes(noted):
                        raise LogCorrupt(
                            f"position {position} in journal or segments is not the event that the log holds there; see"
                            " `voxledger verify`. Nothing was backed up",
                            position=int(position),
                        )
        _log.warning(
            "this log is chained as early versions did it: a HOME restored from the backup has the same events, but the head %s",
            self._digest.hex(),
        )


class _Whole:
    """The digests of what segments and journal hold, window by window."""

    def __init__(self, segments: Sequence[Segment], copy: Path) -> None:
        self._segments = segments
        self._copy = copy

    def digests(self, first: int, last: int) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for segment in self._segments:
            if segment.last >= first and segment.first <= last:
                try:
                    found |= {position: digest(body) for position, body in segment.read()}
                except LogCorrupt:
                    continue  # the log's own events were taken in its place
        for position, body in bodies(self._copy, first - 1):
            if position > last:
                break
            found[position] = digest(body)
        return found


def unchanged(path: Path, saved: SavedFile) -> bool:
    """Whether a file that is written once is the one that was saved."""
    found = path.stat()
    return found.st_size == saved.bytes and found.st_mtime_ns == saved.modified_ns


def _loses(epoch: Epoch, position: int) -> bool:
    return epoch.lost_first is not None and epoch.lost_first <= position <= (epoch.lost_last or 0)
