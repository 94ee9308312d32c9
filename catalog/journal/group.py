"""Group commit: what many threads want recorded at the same time goes into one transaction, for one fsync."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from voxledger.catalog.events import Draft, Event
from voxledger.catalog.journal.transaction import Transaction

MOST_DRAFTS = 1000
MOST_BYTES = 8_000_000
"""A group is closed when it reaches one of these, so that nobody waits long for others' events."""


class _Call:
    """One thread's call: its drafts, and the events once they are on disk."""

    __slots__ = ("alone", "drafts", "events", "gone")

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self.drafts = drafts
        self.events: list[Event] | None = None
        self.alone = False
        self.gone = False


class Group:
    """Whoever gets the journal's lock commits what the others, who wait for the lock, have brought.

    A call is answered under the lock only, and every thread looks after its own: when it gets the lock and nobody has
    answered it, it commits itself. So an interrupted or failed leader leaves nobody waiting. Nothing is recorded twice,
    because ids that are known are not recorded again.
    """

    def __init__(self, lock: threading.RLock, transaction: Callable[[], AbstractContextManager[Transaction]]) -> None:
        self._lock = lock
        self._transaction = transaction
        self._waiting: deque[_Call] = deque()

    def emit(self, drafts: Sequence[Draft]) -> list[Event]:
        """Record drafts, together with whatever waits; gives this caller's events or raises this caller's error."""
        call = _Call(drafts)
        self._waiting.append(call)
        try:
            with self._lock:
                if call.events is None:
                    self._lead(call)
        finally:
            call.gone = True
        assert call.events is not None
        return call.events

    def _lead(self, mine: _Call) -> None:
        group = [mine]
        try:
            with self._transaction() as write:
                if not mine.alone:  # only now: while we waited for other processes, more have come
                    self._gather(group)
                events = write.append([draft for call in group for draft in call.drafts])
        except Exception:
            if len(group) == 1:
                raise
            # Whose fault it was shows when everyone tries alone.
            for call in group:
                call.alone = True
            self._lead(mine)
            return
        start = 0
        for call in group:
            call.events = events[start : start + len(call.drafts)]
            start += len(call.drafts)

    def _gather(self, group: list[_Call]) -> None:
        """Add the calls that wait to mine, oldest first, as far as they fit."""
        [mine] = group
        drafts, size = len(mine.drafts), _size(mine)
        while self._waiting and drafts < MOST_DRAFTS and size < MOST_BYTES:
            call = self._waiting.popleft()
            if call is mine or call.alone or call.gone or call.events is not None:
                continue
            group.append(call)
            drafts += len(call.drafts)
            size += _size(call)


def _size(call: _Call) -> int:
    return sum(len(draft.data) + len(draft.sealed or b"") for draft in call.drafts)
