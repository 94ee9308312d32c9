"""Departing: what is done for a client ends when the client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.types import Receive

from voxledger.dashboards.faults import Refused

_T = TypeVar("_T")
_UNWATCHED = 0.02
"""Seconds after which `Watching` looks whether the client is still there."""


async def while_there(request: Request, work: Coroutine[Any, Any, _T]) -> _T:
    """What `work` gives. When the client goes away meanwhile it is cancelled, and waited for; then raises Refused for the log."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request.receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise Refused("the client went away", status=499, code="gone", remedy="Ask for it again.")
    finally:
        for task in (working, leaving):
            task.cancel()
        with suppress(BaseException):
            await asyncio.gather(working, leaving, return_exceptions=True)


class Watching:
    """Looks whether the client leaves, and calls `on_left` then. Begins a little later, for most answers are there sooner."""

    def __init__(self, loop: asyncio.AbstractEventLoop, receive: Receive, *, on_left: Callable[[], None]) -> None:
        self.left = False
        self._loop = loop
        self._receive = receive
        self._on_left = on_left
        self._task: asyncio.Task[None] | None = None
        self._later = loop.call_later(_UNWATCHED, self._begin)

    def end(self) -> None:
        """Look no longer."""
        self._later.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._look())

    async def _look(self) -> None:
        await _gone(self._receive)
        self.left = True
        self._on_left()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
