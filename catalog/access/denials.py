"""Denials: who was turned away, counted by principal, reason and minute, so that a flood of them is a few events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.events import AccessDenied
from voxledger.catalog.events.access import Denial
from voxledger.catalog.recorder import SYSTEM, Recorder

OTHERS = "others"
"""The principal of those that were too many to be told apart."""
MOST = 10_000
"""So many are told apart at a time."""
_MINUTE = 60
_LARGEST = 2**31 - 1


class _Key(NamedTuple):
    minute: int
    principal: str
    reason: Denial


class Denials:
    """Counts denials, and records those of minutes that are over. `clock` gives s since 1970. Safe from many threads."""

    def __init__(self, recorder: Recorder, *, clock: Callable[[], float] = time.time) -> None:
        self._recorder = recorder
        self._clock = clock
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._counts: dict[_Key, int] = {}

    def note(self, principal: str, reason: Denial) -> None:
        """Somebody was turned away: a token's id, or a keyed hash of the address."""
        key = _Key(int(self._clock() // _MINUTE), principal, reason)
        with self._lock:
            if key not in self._counts and len(self._counts) >= MOST:
                key = key._replace(principal=OTHERS)
                if key not in self._counts and len(self._counts) >= 2 * MOST:
                    return  # nothing could be written for days
            self._counts[key] = min(self._counts.get(key, 0) + 1, _LARGEST)

    def write(self, *, whole: bool = False) -> None:
        """Record one event for each principal, reason and minute that is over; with `whole` also of the minute that is now.

        Raises JournalError or DiskFull, and then they are recorded the next time.
        """
        with self._writing:
            present = int(self._clock() // _MINUTE)
            with self._lock:
                over = {key: count for key, count in self._counts.items() if whole or key.minute != present}
                for key in over:
                    del self._counts[key]
            if not over:
                return
            try:
                self._record(over)
            except VoxledgerError:
                with self._lock:
                    for key, count in over.items():
                        self._counts[key] = min(self._counts.get(key, 0) + count, _LARGEST)
                raise

    def _record(self, counts: dict[_Key, int]) -> None:
        actor = self._recorder.vault.actor(SYSTEM)
        facts = [
            AccessDenied(
                principal=key.principal, reason=key.reason, count=count,
                minute=datetime.fromtimestamp(key.minute * _MINUTE, UTC),
            )
            for key, count in sorted(counts.items())
        ]  # fmt: skip
        self._recorder.journal.emit(
            *(self._recorder.draft(fact, subject=fact.principal, actor=actor) for fact in facts)
        )
