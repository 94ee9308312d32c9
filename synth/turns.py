"""Turns: who may use an engine next. A bounded queue, interactive before batch, fair between actors, voices kept together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from voxledger.synth.errors import StudioBusy

Priority = Literal["interactive", "batch"]

AGEING = 30.0
"""Seconds after which a batch request counts as interactive: busy days must not starve it."""
FAVOURS = 4
"""Requests of the voice that the engine has just spoken which may go before one whose turn it is."""
_LOOK = 0.05
"""Seconds between two looks at whether whoever waits has given up."""


@dataclass(kw_only=True, eq=False)
class _Waiting:
    number: int
    actor: str
    batch: bool
    voice: str | None
    since: float
    called: threading.Event = field(default_factory=threading.Event)


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
        """Engine seconds by actor, of those who wait or work; others start at `_clock`."""
        self._working: dict[str, int] = {}
        self._clock = 0.0
        self._voice: str | None = None
        self._favours = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @contextmanager
    def taken(
        self,
        *,
        actor: str,
        priority: Priority = "interactive",
        voice: str | None = None,
        patience: float = 600.0,
        stop: threading.Event | None = None,
    ) -> Iterator[bool]:
        """Hold a turn while the block runs; gives False at once when `stop` was set before it came.

        Raises StudioBusy when too many wait already, or when the turn does not come within `patience` seconds.
        """
        if not self._came(actor, priority, voice, patience, stop):
            yield False
            return
        begun = time.monotonic()
        try:
            yield True
        finally:
            with self._lock:
                self._left(actor, time.monotonic() - begun)

    def _came(
        self, actor: str, priority: Priority, voice: str | None, patience: float, stop: threading.Event | None
    ) -> bool:
        with self._lock:
            if len(self._waiting) >= self._longest and not self._free:
                raise StudioBusy(
                    f"{len(self._waiting):,} requests wait for this engine already, as many as synth.queue allows; try"
                    " again later"
                )
            mine = _Waiting(
                number=next(self._numbers), actor=actor, batch=priority == "batch", voice=voice, since=time.monotonic()
            )
            self._served[actor] = max(self._served.get(actor, 0.0), self._clock)
            self._waiting.append(mine)
            self._call()
        try:
            came = self._called(mine, patience, stop)
        except BaseException:
            self._withdraw(mine)
            raise
        if not came:
            self._withdraw(mine)
        return came

    def _called(self, mine: _Waiting, patience: float, stop: threading.Event | None) -> bool:
        deadline = mine.since + patience
        while not mine.called.wait(_LOOK if stop is not None else max(0.0, deadline - time.monotonic())):
            if stop is not None and stop.is_set():
                return False
            if time.monotonic() >= deadline:
                raise StudioBusy(f"the engine had no turn for this request within {patience:g} s; try again later")
        return True

    def _withdraw(self, mine: _Waiting) -> None:
        """Give up waiting; a turn that came meanwhile goes to the next."""
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                self._forget(mine.actor)
            else:
                self._left(mine.actor, 0.0)

    def _left(self, actor: str, seconds: float) -> None:
        self._served[actor] = self._served.get(actor, self._clock) + seconds
        self._working[actor] = self._working.get(actor, 1) - 1
        if not self._working[actor]:
            del self._working[actor]
        self._free += 1
        self._call()
        self._forget(actor)

    def _forget(self, actor: str) -> None:
        """Only those who wait or work are kept, so that the table does not grow with every actor ever seen."""
        if actor not in self._working and all(one.actor != actor for one in self._waiting):
            self._served.pop(actor, None)

    def _call(self) -> None:
        while self._free and self._waiting:
            chosen = self._next()
            self._waiting.remove(chosen)
            self._clock = max(self._clock, self._served[chosen.actor])
            self._working[chosen.actor] = self._working.get(chosen.actor, 0) + 1
            self._voice = chosen.voice
            self._free -= 1
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
