"""Subscriptions: named cursors over the log that feed something outside it, at least once.

The cursor lies in the journal and moves only after the other side has acknowledged. A crash in between sends the same
events again, with the same ids, so the other side must know an event by its id.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.errors import LogCorrupt
from voxledger.catalog.events import Draft, Event
from voxledger.catalog.journal import Cursor
from voxledger.catalog.log import PATIENCE, Keeper, Reading
from voxledger.catalog.queries import load

if TYPE_CHECKING:
    import pyarrow as pa

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


class RawEvent(NamedTuple):
    """The same as the log holds it, for those who read millions: `data` is JSON, None for a type that was not asked for."""

    position: int
    id: str
    type: str
    subject: str
    time_us: int
    """Microseconds since 1970."""
    actor: str
    version: int
    data: bytes | None


class RawBatch(NamedTuple):
    """A batch of them."""

    after: int
    through: int
    events: Sequence[RawEvent]


class Subscription:
    """A named cursor over the log. Any number of processes may look; one at a time delivers, inside `exclusively`."""

    def __init__(self, name: str, keeper: Keeper) -> None:
        """`name` is lower-case letters, digits, `-` and `_`; it is the cursor's name for ever. Raises ValueError."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a subscription: use up to 64 of a-z, 0-9, '-' and '_'")
        self.name = name
        self.keeper = keeper
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
        with platform.locked(self.keeper.home.path / f"subscription-{self.name}.lock", blocking=False) as held:
            yield held

    def batch(self, limit: int, *, max_bytes: int = BATCH_BYTES, patience: float = PATIENCE) -> Batch:
        """The next events after the cursor, at most `limit`; empty when there are none.

        The log is drained first and held only while these rows are read. Raises CatalogBusy when another process holds
        the log for longer than `patience` (s), LogCorrupt when an event is missing.
        """
        after = self.cursor
        through, found = self._next(after, limit, _SQL["batch"], {"bytes": max_bytes}, patience)
        rows = _tuples(found) if found is not None else ()
        return Batch(after=after, through=through, events=tuple(_event(row) for row in rows))

    def raw(
        self,
        limit: int,
        types: Collection[str],
        *,
        after: int | None = None,
        max_bytes: int = BATCH_BYTES,
        patience: float = PATIENCE,
    ) -> RawBatch:
        """The same as `batch`, with `data` of these types only, and not decoded. `after` reads on ahead of the cursor."""
        start = self.cursor if after is None else after
        values = {"bytes": max_bytes, "types": sorted(types)}
        through, found = self._next(start, limit, _SQL["raw"], values, patience)
        return RawBatch(start, through, [] if found is None else raw_events(found))

    def _next(
        self, after: int, limit: int, query: str, values: dict[str, Any], patience: float
    ) -> tuple[int, pa.Table | None]:
        """Where the next events end, and they as a table; None when there are none."""
        if limit < 1 or self._journal.head() <= after:
            return after, None
        with self.keeper.reading(patience=patience) as reading:
            start = self._start(reading, after)
            found = reading.table(query, {"after": start, "last": start + limit, **values})
            count = found.num_rows
            first, last = (found["position"][0].as_py(), found["position"][-1].as_py()) if count else (0, start)
            lost = reading.tuples(_SQL["lost"], {"after": start, "last": last})[0][0]
        if not count or first != start + 1 or last != start + count + lost:
            raise LogCorrupt(
                f"the log misses events after position {after}, where {self.name!r} stands; see `voxledger verify`",
                position=after + 1,
            )
        return last, found

    def _start(self, reading: Reading, after: int) -> int:
        """Where the next events begin: positions that are known to be lost are passed over."""
        found = reading.tuples(_SQL["passed"], {"after": after})[0][0]
        return after if found is None else int(found)

    def advance(
        self, through: int, *, note: str | None = None, drafts: Sequence[Draft] = (), also: Sequence[str] = ()
    ) -> list[Event]:
        """The other side has acknowledged up to `through`; record it, and `drafts`, in one durable transaction.

        A cursor never goes back: an older position changes only the note. Cursors named in `also` go with it. Gives the events
        recorded from `drafts`.
        Raises ValueError for a position that no event has yet.
        """
        with self._journal.transaction() as write:
            if through > self._journal.head():
                raise ValueError(
                    f"{self.name!r} cannot advance to {through}: the journal ends at {self._journal.head()}"
                )
            events = write.append(drafts)
            write.move_cursor(self.name, through, note=note)
            for name in also:
                write.move_cursor(name, through)
        return events

    def remark(self, note: str | None) -> None:
        """Leave a note for `status`, such as why nothing moves; the cursor stays."""
        self.advance(0, note=note)


def raw_events(table: pa.Table) -> list[RawEvent]:
    """A table of the query `raw` as events, without decoding anything."""
    columns = [
        column.cast("binary") if name == "data" else column
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    return list(map(RawEvent._make, zip(*(column.to_pylist() for column in columns), strict=True)))


def _tuples(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


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
