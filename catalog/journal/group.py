"""Group commit: what many threads want recorded at the same time goes into one transaction, for one fsync."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from voxledger.catalog.events import Draft, Event
from voxledger.catalog.journal.transaction import Transaction

MOST_DRAFTS = 1000
MOST_BYTES = 8_000_000
"""A group is closed when it reaches one of these, so that nobody waits long for others' events."""
Chosen = Callable[[Transaction], Sequence[Draft]]
_PATIENCE = 0.05
"""Seconds that a thread waits for a leader; then it looks after itself."""


class _Call:
    """One thread's call: its drafts, and its events or its error once they are decided."""

    __slots__ = ("chosen", "drafts", "error", "events", "gone", "woken")

    def __init__(self, drafts: Sequence[Draft], chosen: Chosen | None) -> None:
        self.drafts = drafts
        self.chosen = chosen
        self.events: list[Event] | None = None
        self.error: Exception | None = None
        self.gone = False
        self.woken = threading.Lock()
        self.woken.acquire()

    @property
    def decided(self) -> bool:
        return self.events is not None or self.error is not None

    def due(self, write: Transaction) -> Sequence[Draft]:
        """What is recorded now."""
        return self.drafts if self.chosen is None else self.chosen(write)

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is awake already
            self.woken.release()


class Group:
    """One thread leads: it commits what the others have brought, and answers them.

    Nobody depends on the leader: a thread that is not answered in time takes the journal's lock itself, which is also
    what happens when the leader was interrupted. Nothing is recorded twice then, because known ids are not recorded
    again.
    """

    def __init__(self, lock: threading.RLock, transaction: Callable[[], AbstractContextManager[Transaction]]) -> None:
        self._lock = lock
        self._transaction = transaction
        self._leader = threading.Lock()
        self._waiting: deque[_Call] = deque()

    def emit(self, drafts: Sequence[Draft], chosen: Chosen | None = None) -> list[Event]:
        """Record drafts, together with whatever waits; gives this caller's events or raises this caller's error.

        `chosen` says in the transaction which of them are still to be recorded; it is asked maybe by another thread, and maybe twice.
        """
        call = _Call(drafts, chosen)
        self._waiting.append(call)
        try:
            while not call.decided:
                leader = self._leader
                if leader.acquire(blocking=False):
                    try:
                        self._lead(call)
                    finally:
                        leader.release()
                        self._wake_next()
                elif not call.woken.acquire(timeout=_PATIENCE):
                    self._lead(call)
                    # An interrupt in the wrong moment leaves it taken for ever.
                    self._leader = threading.Lock()
        finally:
            call.gone = True
        if call.error is not None:
            raise call.error
        assert call.events is not None
        return call.events

    def _lead(self, mine: _Call) -> None:
        with self._lock:
            if mine.decided:
                return
            group = [mine]
            try:
                with self._transaction() as write:
                    self._gather(group)  # only now: while we waited for other processes, more have come
                    due = [call.due(write) for call in group]
                    events = write.append([draft for drafts in due for draft in drafts])
            except Exception as error:  # noqa: BLE001  # it is raised in the thread that it belongs to
                self._one_by_one(group, error)
            else:
                start = 0
                for call, drafts in zip(group, due, strict=True):
                    call.events = events[start : start + len(drafts)]
                    start += len(drafts)
            for call in group:
                call.wake()

    def _one_by_one(self, group: list[_Call], error: Exception) -> None:
        """A group has failed. Whose fault it was shows when each call is tried alone."""
        if len(group) == 1:
            group[0].error = error
            return
        for call in group:
            try:
                with self._transaction() as write:
                    events = write.append(call.due(write))
            except Exception as own:  # noqa: BLE001  # as above
                call.error = own
            else:
                call.events = events

    def _gather(self, group: list[_Call]) -> None:
        """Add the calls that wait to mine, oldest first, as far as they fit."""
        [mine] = group
        drafts, size = len(mine.drafts), _size(mine)
        while self._waiting and drafts < MOST_DRAFTS and size < MOST_BYTES:
            call = self._waiting.popleft()
            if call is mine or call.gone or call.decided:
                continue
            group.append(call)
            drafts += len(call.drafts)
            size += _size(call)

    def _wake_next(self) -> None:
        """Somebody who still waits leads next."""
        if self._waiting:
            with contextlib.suppress(IndexError):  # another thread may empty it meanwhile
                self._waiting[0].wake()


def _size(call: _Call) -> int:
    return sum(len(draft.data) + len(draft.sealed or b"") for draft in call.drafts)
