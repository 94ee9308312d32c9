"""Bodies: what a request brings, taken in within a size, a time, and the room there is for all."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

from voxledger.dashboards.server.answers import Refused
from voxledger.dashboards.server.refusing import STOPS

if TYPE_CHECKING:
    from starlette.types import Message, Receive

    from voxledger.dashboards.server.slots import Refusal, Slots

_PATIENCE = 30.0
"""Seconds for a body to arrive, and a second more for every `_SLOWEST` bytes of it."""
_SLOWEST = 1000
_HURRY = 1.0
"""Seconds for the rest of it when the node stops."""


class Body:
    """The body of one request while it arrives. `refused` says why the rest is not taken."""

    def __init__(self, receive: Receive, slots: Slots, most: int) -> None:
        self._receive = receive
        self._slots = slots
        self._most = most
        self._size = 0
        self._begun = time.monotonic()
        self._complete = False
        self._end = math.inf
        """When it must be there, because the node stops (s of a monotonic clock)."""
        self._waiting: asyncio.Timeout | None = None
        self.refused: tuple[Refusal, Refused] | None = None
        slots.arrives(self)

    async def receive(self) -> Message:
        """Of ASGI. Raises Refused (413, 408, 503) for a body that is too long, too slow, or one too many."""
        if self.refused is not None:
            raise self.refused[1]
        if self._complete:
            return await self._receive()  # which waits for the client to go away
        message = await self._next()
        if not message.get("more_body", False):
            self._complete = True
            self._slots.arrived(self)
        size = len(message.get("body", b""))
        if self._size + size > self._most:
            raise self._refuse("too_large", too_large(self._most))
        if not self._slots.hold(size):
            raise self._refuse("bodies", _crowded())
        self._size += size
        return message

    async def _next(self) -> Message:
        """What comes next, while there is time for it."""
        left = min(self._begun + _PATIENCE + self._size / _SLOWEST, self._end) - time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, left)) as self._waiting:
                return await self._receive()
        except TimeoutError:
            hurried = self._end < math.inf
            raise (self._refuse("stopping", STOPS) if hurried else self._refuse("too_slow", _slow())) from None
        finally:
            self._waiting = None

    def hurry(self) -> None:
        """Of `Arriving`."""
        self._end = time.monotonic() + _HURRY
        if self._waiting is not None:
            end = asyncio.get_running_loop().time() + _HURRY
            self._waiting.reschedule(min(end, self._waiting.when() or end))

    def let_go(self) -> None:
        """The request is over."""
        self._slots.arrived(self)
        self._slots.let_go(self._size)
        self._size = 0

    def _refuse(self, reason: Refusal, refused: Refused) -> Refused:
        self.refused = (reason, refused)
        return refused


def too_large(most: int) -> Refused:
    """What is said of a body that is longer than it may be."""
    return Refused(
        f"the body is larger than {most:,} bytes",
        status=413,
        code="body_too_large",
        remedy="Send less at a time, or have serve.max_body (for uploads serve.max_upload) raised.",
    )


def _slow() -> Refused:
    return Refused(
        "the body did not arrive in time",
        status=408,
        code="body_too_slow",
        remedy=f"Send it faster than {_SLOWEST:,} bytes a second.",
    )


def _crowded() -> Refused:
    return Refused(
        "the bodies of all requests under way take as much memory as they may",
        status=503,
        code="busy",
        remedy="Try again later.",
        headers={"Retry-After": "2"},
    )
