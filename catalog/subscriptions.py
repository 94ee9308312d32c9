"""Subscriptions: named cursors over the log that feed something outside it, at least once.

The cursor lies in the journal and moves only after the other side has acknowledged. A crash in between sends the same
events again, with the same ids, so the other side must know an event by its id.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.errors import LogCorrupt
from voxledger.catalog.events import Draft, Event
from voxledger.catalog.journal import Cursor
from voxledger.catalog.log import PATIENCE, Keeper, Reading
from voxledger.catalog.queries import load

BATCH_BYTES = 64_000_000
"""Most bytes of `data` in one batch; a single larger event still comes, alone."""

_SQL = load("subscriptions.sql")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class LoggedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as a subscriber sees it: the envelope and `data`, never the sealed part."""

    position: int
    id: str
    type: str
    subject: str
    time: datetime
    actor: str
    version: int
    data: dict[str, Any]


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Events in order. Whoever has dealt with all of them advances the cursor to `through`."""

    after: int
    through: int
    events: tuple[LoggedEvent, ...]


class Subscription:
    """A named cursor over the log. Any number of processes may look; one at a time delivers, inside `exclusively`."""

    def __init__(self, name: str, keeper: Keeper) -> None:
        """`name` is lower-case letters, digits, `-` and `_`; it is the cursor's name for ever. Raises ValueError."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a subscription: use up to 64 of a-z, 0-9, '-' and '_'")
        self.name = name
        self._keeper = keeper
        self._journal = keeper.journal

    @property
    def cursor(self) -> int:
        """The position up to which the other side has acknowledged; 0 before the first."""
        return self._journal.cursor(self.name)

    def state(self) -> Cursor:
        """Cursor, time of its last move (s since the epoch, 0 = never) and the note left with it."""
        found = [cursor for cursor in self._journal.cursors() if cursor.name == self.name]
        return found[0] if found else Cursor(name=self.name, position=0, updated=0.0, note=None)

    def waiting(self) -> int:
        """How many events lie between the cursor and the journal's head. Asks SQLite only: well under a millisecond."""
        return max(0, self._journal.head() - self.cursor)

    @contextlib.contextmanager
    def exclusively(self) -> Iterator[bool]:
        """The right to deliver; yields False at once when another process or thread has it. Ends with the process."""
        with platform.locked(self._keeper.home.path / f"subscription-{self.name}.lock", blocking=False) as held:
            yield held

    def batch(self, limit: int, *, max_bytes: int = BATCH_BYTES, patience: float = PATIENCE) -> Batch:
        """The next events after the cursor, at most `limit`; empty when there are none.

        The log is drained first and held only while these rows are read. Raises CatalogBusy when another process holds
        the log for longer than `patience` (s), LogCorrupt when an event is missing.
        """
        after = self.cursor
        if limit < 1 or self._journal.head() <= after:
            return Batch(after=after, through=after, events=())
        with self._keeper.reading(patience=patience) as reading:
            start = self._start(reading, after)
            rows = reading.tuples(_SQL["batch"], {"after": start, "last": start + limit, "bytes": max_bytes})
            lost = reading.tuples(_SQL["lost"], {"after": start, "last": rows[-1][0] if rows else start})[0][0]
        if not rows or rows[0][0] != start + 1 or rows[-1][0] != start + len(rows) + lost:
            raise LogCorrupt(
                f"the log misses events after position {after}, where {self.name!r} stands; see `voxledger verify`",
                position=after + 1,
            )
        return Batch(after=after, through=rows[-1][0], events=tuple(_event(row) for row in rows))

    def _start(self, reading: Reading, after: int) -> int:
        """Where the next events begin: positions that are known to be lost are passed over."""
        found = reading.tuples(_SQL["passed"], {"after": after})[0][0]
        return after if found is None else int(found)

    def advance(self, through: int, *, note: str | None = None, drafts: Sequence[Draft] = ()) -> list[Event]:
        """The other side has acknowledged up to `through`; record it, and `drafts`, in one durable transaction.

        A cursor never goes back: an older position changes only the note. Gives the events recorded from `drafts`.
        Raises ValueError for a position that no event has yet.
        """
        with self._journal.transaction() as write:
            if through > self._journal.head():
                raise ValueError(
                    f"{self.name!r} cannot advance to {through}: the journal ends at {self._journal.head()}"
                )
            events = write.append(drafts)
            write.move_cursor(self.name, through, note=note)
        return events

    def remark(self, note: str | None) -> None:
        """Leave a note for `status`, such as why nothing moves; the cursor stays."""
        self.advance(0, note=note)


def _event(row: tuple[Any, ...]) -> LoggedEvent:
    position, identity, kind, subject, time_us, actor, version, data = row
    return LoggedEvent(
        position=position,
        id=identity,
        type=kind,
        subject=subject,
        time=_EPOCH + timedelta(microseconds=time_us),
        actor=actor,
        version=version,
        data=_decode(data),
    )
