"""The lane: one thread that answers with what is there already, and passes on what must be made.

A clip that is there takes a fraction of a millisecond of Python. Asked for by many at once, in a thread each, it takes several times
that: they fight for the interpreter. One thread that takes whatever waits, and records all uses in one commit, does not. Nothing in it
waits for anybody: what is not at hand is somebody else's work.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from voxledger.catalog.errors import VoxledgerError
from voxledger.dashboards.speech.making import Made
from voxledger.dashboards.speech.recorded import Recorded
from voxledger.dashboards.speech.request import SpeechBody, engine_of, wanted
from voxledger.synth.studio.request import SpeakRequest

if TYPE_CHECKING:
    from voxledger.catalog.clip import Clip
    from voxledger.catalog.events import Channel
    from voxledger.dashboards.server.callers import Caller

_AT_ONCE = 64
"""Requests of a commit: the first of them waits for the last."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """A request that waits. `make` does all of it, in whatever thread, `end` is called where that was not needed; `may_be_there` says
    whether it makes sense to look. `made` is of the event loop.
    """

    body: SpeechBody
    caller: Caller
    make: Callable[[], Made]
    end: Callable[[], object]
    may_be_there: bool
    made: asyncio.Future[Made]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)


class Lane:
    """Answers in a thread of its own, or lets `threads` make. Safe from many threads."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="voxledger-lane")
        self._waiting: deque[Asking] = deque()
        self._lock = threading.Lock()
        self._works = False

    def ask(self, asking: Asking) -> None:
        """Settle `asking.made`, sooner or later."""
        if not asking.may_be_there:
            self._make(asking)
            return
        with self._lock:
            self._waiting.append(asking)
            if self._works:
                return
            self._works = True
        self._thread.submit(self._work)

    def _work(self) -> None:
        while True:
            with self._lock:
                together = [self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE))]
                if not together:
                    self._works = False
                    return
            try:
                outcomes = self._answered(together)
            except BaseException as error:  # noqa: BLE001  # a defect is told to those whom it concerns; the lane goes on
                outcomes = [(asking, error) for asking in together]
            _tell(outcomes)

    def _answered(self, together: list[Asking]) -> list[_Outcome]:
        """What is there; all else is passed on."""
        requests = [asking.context.run(_request, asking) for asking in together]
        asked = [request for request in requests if request is not None]
        clips = iter(together[0].caller.ledger.studio.answered(asked) if asked else ())
        outcomes: list[_Outcome] = []
        for asking, request in zip(together, requests, strict=True):
            clip = next(clips) if request is not None else None
            if clip is None:
                self._make(asking)
                continue
            asking.end()
            recorded = Recorded.here(clip)
            if recorded is None:
                self._threads.submit(asking.context.run, _told, asking, partial(_fetched, clip))
            else:
                outcomes.append((asking, Made(recorded=recorded)))
        return outcomes

    def _make(self, asking: Asking) -> None:
        self._threads.submit(asking.context.run, _told, asking, asking.make)


_Outcome = tuple[Asking, Made | BaseException]


def _request(asking: Asking) -> tuple[SpeakRequest, str | None, Channel] | None:
    """What the studio is asked; None where that has to be found out, or told, in a thread that may take its time."""
    body, caller = asking.body, asking.caller
    try:
        if body.preset is not None or not caller.ledger.studio.is_loaded(engine_of(body.model)):
            return None
        asked = wanted(body, caller)
        with caller.site.gate.reserved(caller.principal, asked.request.text, asked.request.speed):
            return asked.request, asked.engine, "api"
    except VoxledgerError:
        return None


def _fetched(clip: Clip) -> Made:
    return Made(recorded=Recorded.of(clip))


def _told(asking: Asking, make: Callable[[], Made]) -> None:
    try:
        outcome: Made | BaseException = make()
    except BaseException as error:  # noqa: BLE001  # it is raised where the answer is waited for
        outcome = error
    _tell([(asking, outcome)])


def _tell(outcomes: list[_Outcome]) -> None:
    """All at once: each time that the event loop is woken costs a system call, and the interpreter changes hands."""
    if outcomes:
        outcomes[0][0].made.get_loop().call_soon_threadsafe(_settle, outcomes)


def _settle(outcomes: list[_Outcome]) -> None:
    for asking, outcome in outcomes:
        if asking.made.done():
            continue  # a defect was told to all of a batch, also to those whose clip is being made
        if isinstance(outcome, BaseException):
            asking.made.set_exception(outcome)
        else:
            asking.made.set_result(outcome)
