"""Leaving: what is done for a client ends when the client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import Request

from voxledger.dashboards.faults import Refused

_T = TypeVar("_T")
GONE = Refused("the client went away", status=499, code="gone", remedy="Ask for it again.")
"""Nobody reads it; it is what the log says."""


async def while_there(request: Request, work: Coroutine[Any, Any, _T]) -> _T:
    """What `work` gives; when the client goes away meanwhile it is cancelled, and waited for. Raises `GONE` then."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise GONE
    finally:
        for task in (working, leaving):
            task.cancel()
        with suppress(BaseException):
            await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
