"""Workers by device: started when first needed, handed out one caller each, ended when nobody needs them for a while."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from voxledger.synth.engines.base import Samples
from voxledger.synth.engines.worker import Program, Worker, WorkerEnded

REMEMBERED = 8
"""Voices whose conditioning a worker keeps: indextts25-inference lets go the one that came first, however often it was used
since (`_CACHE_MAX` in its `infer_v2_5.py`).
"""


@dataclass(eq=False)
class _Seat:
    """A place for one worker."""

    program: Program
    worker: Worker | None = None
    is_taken: bool = False
    is_unwanted: bool = False
    """Whether its worker is to end when it is given back."""
    used: float = 0.0
    voices: list[str] = field(default_factory=list)
    """What its worker remembers, in the order in which it met them."""

    @property
    def runs(self) -> bool:
        """Whether there is a worker, and it lives."""
        return self.worker is not None and self.worker.usable

    def met(self, voice: str) -> None:
        """Its worker has spoken with this voice."""
        if voice not in self.voices:
            self.voices = [*self.voices, voice][-REMEMBERED:]


class Pool:
    """One worker for each program. Safe from many threads and after a fork.

    `programs` is asked when there is none yet, that is at first use. `idle_s` without work ends a worker; 0 = never.
    """

    def __init__(self, programs: Callable[[], Sequence[Program]], *, idle_s: float) -> None:
        self._programs = programs
        self._idle_s = idle_s
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._owner = os.getpid()
        self._changed = threading.Condition()
        self._seats: list[_Seat] = []
        self._reaper: threading.Thread | None = None

    def speak(
        self,
        asked: Mapping[str, Any],
        parts: Sequence[Mapping[str, Any]],
        *,
        voice: str,
        novelty: str,
        loaded: Callable[[float], None] = lambda _: None,
    ) -> Generator[tuple[Samples, int]]:
        """The samples of each part in order, and their rate; a worker that remembers this `voice` is preferred.

        `loaded` hears how many seconds went into starting a worker and loading its model, before the part that it then speaks.

        A worker that dies is replaced once, and goes on with the part that was not given out yet. Raises WorkerEnded when
        that dies too, or when one was killed for its silence or its size; WorkerRefused for what the model raised.
        """
        given, again = 0, True
        while given < len(parts):
            with self._seat(voice) as seat:
                try:
                    # Closed before the seat is given back: what breaks off must not reach the next caller's request.
                    with closing(self._ready(seat, loaded).speak(asked, parts[given:], novelty=novelty)) as spoken:
                        for one in spoken:
                            given += 1
                            yield one
                except WorkerEnded as ended:
                    if not again or ended.why not in ("ended", "garbage"):
                        raise
                    again = False

    def close(self) -> None:
        """End the workers; those at work end when they have finished. A later `speak` starts them again. Idempotent."""
        if self._owner != os.getpid():
            self._disown()
        with self._changed:
            idle = [seat for seat in self._seats if not seat.is_taken]
            for seat in self._seats:
                seat.is_unwanted = True
            workers = [seat.worker for seat in idle if seat.worker is not None]
            self._seats = []
            self._changed.notify_all()
        for worker in workers:
            worker.close()

    def pids(self) -> tuple[int, ...]:
        """The processes that run."""
        if self._owner != os.getpid():
            return ()
        with self._changed:
            return tuple(seat.worker.pid for seat in self._seats if seat.worker is not None and seat.worker.usable)

    def _disown(self) -> None:
        """In a forked process: the lock may be in any state, the workers are the parent's."""
        inherited = self._seats
        self._begin_anew()
        for seat in inherited:
            if seat.worker is not None:
                seat.worker.close()

    @contextmanager
    def _seat(self, voice: str) -> Iterator[_Seat]:
        if self._owner != os.getpid():
            self._disown()
        with self._changed:
            if not self._seats:
                self._seats = [_Seat(program=program) for program in self._programs()]
            while (seat := self._best(voice)) is None:
                self._changed.wait()
                if not self._seats:
                    self._seats = [_Seat(program=program) for program in self._programs()]
            seat.is_taken = True
        try:
            yield seat
        finally:
            if seat.worker is not None and (seat.is_unwanted or not seat.worker.usable):
                seat.worker.close()
                seat.worker = None
            with self._changed:
                seat.is_taken = False
                seat.used = time.monotonic()
                if seat.worker is not None:
                    seat.met(voice)
                self._watch()
                self._changed.notify_all()

    def _best(self, voice: str) -> _Seat | None:
        """A free seat: one that knows the voice, else one whose worker runs, else any."""
        free = [seat for seat in self._seats if not seat.is_taken]
        return min(
            free,
            key=lambda seat: (not seat.runs or voice not in seat.voices, not seat.runs, -seat.used),
            default=None,
        )

    def _ready(self, seat: _Seat, loaded: Callable[[float], None]) -> Worker:
        worker = seat.worker
        if worker is not None and (not worker.usable or not worker.is_awake()):
            worker.close()
            worker = seat.worker = None
        if worker is None:
            begun = time.monotonic()
            worker = Worker(seat.program)
            try:
                worker.load()
            except BaseException:
                worker.close()
                raise
            loaded(time.monotonic() - begun)
            seat.worker = worker
            seat.voices.clear()
        return worker

    def _watch(self) -> None:
        """Have idle workers ended, as long as there are any."""
        if self._idle_s and self._reaper is None and any(seat.worker is not None for seat in self._seats):
            self._reaper = threading.Thread(target=self._reap, name="voxledger-idle-workers", daemon=True)
            self._reaper.start()

    def _reap(self) -> None:
        while True:
            with self._changed:
                running = [seat for seat in self._seats if seat.worker is not None]
                if not running:
                    self._reaper = None
                    return
                now = time.monotonic()
                due = [seat for seat in running if not seat.is_taken and now - seat.used >= self._idle_s]
                ended = [seat.worker for seat in due]
                for seat in due:
                    seat.worker = None
                if not due:
                    rests = [seat.used + self._idle_s - now for seat in running if not seat.is_taken]
                    self._changed.wait(min(rests, default=None))  # taken ones notify when they are given back
            for worker in ended:
                if worker is not None:
                    worker.close()
