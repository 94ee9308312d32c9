"""The lane: one thread that answers with what is there already, and passes on what must be made.

A clip that is there takes a fraction of a millisecond of Python. Asked for by many at once, in a thread each, it takes several times
that: they fight for the interpreter. One thread that takes whatever waits, and records all uses in one commit, does not. Nothing in it
waits for anybody: what is not at hand is somebody else's work.
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
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
    whether it makes sense to look.
    """

    body: SpeechBody
    caller: Caller
    make: Callable[[], Made]
    end: Callable[[], object]
    may_be_there: bool
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    made: Future[Made] = field(default_factory=Future)


class Lane:
    """Answers in a thread of its own, or lets `threads` make. Safe from many threads."""

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="voxledger-lane")
        self._waiting: deque[Asking] = deque()
        self._lock = threading.Lock()
        self._works = False

    def ask(self, asking: Asking) -> Future[Made]:
        """The clip, once it is there. The future cannot be cancelled."""
        asking.made.set_running_or_notify_cancel()
        if not asking.may_be_there:
            self._threads.submit(asking.context.run, _make, asking)
            return asking.made
        with self._lock:
            self._waiting.append(asking)
            if self._works:
                return asking.made
            self._works = True
        self._thread.submit(self._work)
        return asking.made

    def _work(self) -> None:
        while True:
            with self._lock:
                together = [self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE))]
                if not together:
                    self._works = False
                    return
            try:
                self._answer(together)
            except BaseException as error:  # noqa: BLE001  # a defect is told to those whom it concerns; the lane goes on
                for asking in together:
                    if not asking.made.done():
                        asking.made.set_exception(error)

    def _answer(self, together: list[Asking]) -> None:
        requests = [asking.context.run(_request, asking) for asking in together]
        asked = [request for request in requests if request is not None]
        clips = iter(together[0].caller.ledger.studio.answered(asked) if asked else ())
        for asking, request in zip(together, requests, strict=True):
            clip = next(clips) if request is not None else None
            if clip is None:
                self._threads.submit(asking.context.run, _make, asking)
            elif clip.path is None or not clip.path.is_file():
                self._threads.submit(asking.context.run, _give, asking, clip)  # it comes from the store
            else:
                asking.context.run(_give, asking, clip)


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


def _make(asking: Asking) -> None:
    _told(asking, asking.make)


def _give(asking: Asking, clip: Clip) -> None:
    asking.end()
    _told(asking, partial(_opened, clip))


def _opened(clip: Clip) -> Made:
    return Made(recorded=Recorded.of(clip))


def _told(asking: Asking, make: Callable[[], Made]) -> None:
    try:
        made = make()
    except BaseException as error:  # noqa: BLE001  # it is raised where the answer is waited for
        asking.made.set_exception(error)
    else:
        asking.made.set_result(made)
