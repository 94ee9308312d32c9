"""Turns: who may use an engine next. A bounded queue, interactive before batch, fair between actors, voices kept together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Literal, TypeAlias

from voxledger.catalog.interrupts import held_back
from voxledger.synth.errors import StudioBusy

Priority: TypeAlias = Literal["interactive", "batch"]

AGEING = 30.0
"""Seconds after which a batch request counts as interactive: busy days must not starve it."""
FAVOURS = 4
"""Requests of the voice that the engine has just spoken which may go before one whose turn it is."""
_LOOK = 0.05
"""Seconds between two looks at whether whoever waits has given up."""
_FEW = 16
"""Twice as long where so many wait."""


@dataclass(kw_only=True, eq=False)
class _Waiting:
    number: int
    actor: str
    batch: bool
    voice: str | None
    since: float
    called: threading.Event = field(default_factory=threading.Event)
    begun: float | None = None
    """When its turn came."""


class Turns:
    """The turns of one engine, which works on `at_once` requests at a time; at most `longest` more may wait.

    Who comes next: interactive requests before batch; among them the actor who has had the least engine time of those
    that wait (start-time fair queueing: whoever was away gets no credit for it); of that actor the oldest. A request
    of the voice that was spoken last may go before up to `FAVOURS` times, because engines keep its conditioning.
    """

    def __init__(self, at_once: int, longest: int) -> None:
        self._free = at_once
        self._longest = longest
        self._lock = threading.Lock()
        self._numbers = count()
        self._waiting: list[_Waiting] = []
        self._served: dict[str, float] = {}
        """Engine seconds by actor; those who are not in it start at `_clock`."""
        self._working: dict[str, int] = {}
        self._clock = 0.0
        self._voice: str | None = None
        self._favours = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def free(self) -> int:
        """How many turns nobody has now."""
        return self._free

    @contextmanager
    def taken(
        self,
        *,
        actor: str,
        priority: Priority = "interactive",
        voice: str | None = None,
        patience: float = 600.0,
        stop: threading.Event | None = None,
        goes_on: bool = False,
    ) -> Iterator[bool]:
        """Hold a turn while the block runs; gives False at once when `stop` was set before it came.

        Raises StudioBusy when too many wait already, or when the turn does not come within `patience` seconds. What
        `goes_on` has had a turn for an earlier piece, and is not refused half way because others came meanwhile.
        """
        mine = _Waiting(
            number=next(self._numbers), actor=actor, batch=priority == "batch", voice=voice, since=time.monotonic()
        )
        try:
            with held_back(), self._lock:
                self._come(mine, goes_on=goes_on)
            yield self._called(mine, patience, stop)
        finally:
            with held_back(), self._lock:
                self._leave(mine)

    def _come(self, mine: _Waiting, *, goes_on: bool) -> None:
        if len(self._waiting) >= self._longest and not self._free and not goes_on:
            raise StudioBusy(
                f"{len(self._waiting):,} requests wait for this engine already, as many as synth.queue allows; try"
                " again later"
            )
        self._served[mine.actor] = max(self._served.get(mine.actor, 0.0), self._clock)
        self._waiting.append(mine)
        self._call()

    def _called(self, mine: _Waiting, patience: float, stop: threading.Event | None) -> bool:
        deadline = mine.since + patience
        while not mine.called.wait(self._look if stop is not None else max(0.0, deadline - time.monotonic())):
            if stop is not None and stop.is_set():
                return False
            if time.monotonic() >= deadline:
                raise StudioBusy(f"the engine had no turn for this request within {patience:g} s; try again later")
        return True

    @property
    def _look(self) -> float:
        """The more wait, the more seldom each looks: hundreds that look all the time would take what they wait for."""
        return _LOOK * (1 + len(self._waiting) / _FEW)

    def _leave(self, mine: _Waiting) -> None:
        """Give the turn to the next, whether it was used, came too late, or was still waited for."""
        if mine.begun is not None:
            self._served[mine.actor] += time.monotonic() - mine.begun
            self._working[mine.actor] -= 1
            if not self._working[mine.actor]:
                del self._working[mine.actor]
            self._free += 1
        elif mine in self._waiting:
            self._waiting.remove(mine)
        self._call()
        self._forget()

    def _forget(self) -> None:
        """Who neither waits nor works is remembered as long as he is ahead of the others: a book comes back for each
        sentence. When nobody is left, all begin anew; so the table does not grow with every actor ever seen.
        """
        here = self._working.keys() | {one.actor for one in self._waiting}
        for actor in [one for one, served in self._served.items() if one not in here]:
            if not here or self._served[actor] <= self._clock:
                del self._served[actor]

    def _call(self) -> None:
        while self._free and self._waiting:
            chosen = self._next()
            self._waiting.remove(chosen)
            self._clock = max(self._clock, self._served[chosen.actor])
            self._working[chosen.actor] = self._working.get(chosen.actor, 0) + 1
            self._voice = chosen.voice
            self._free -= 1
            chosen.begun = time.monotonic()
            chosen.called.set()

    def _next(self) -> _Waiting:
        now = time.monotonic()
        urgent = [one for one in self._waiting if not one.batch or now - one.since > AGEING] or self._waiting
        due = min(urgent, key=lambda one: (self._served[one.actor] + self._at_work(one.actor), one.number))
        alike = next((one for one in urgent if one.voice == self._voice), None)
        if due.voice == self._voice or alike is None or self._favours >= FAVOURS:
            self._favours = 0
            return due
        self._favours += 1
        return alike

    def _at_work(self, actor: str) -> float:
        """What an actor has at work counts as a second each, until it is known what it took."""
        return float(self._working.get(actor, 0))
