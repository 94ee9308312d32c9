"""The pace: how fast an answer must be taken, because a process and its memory wait for whoever takes it."""

from __future__ import annotations

import asyncio
from types import TracebackType

SECONDS = 60.0
"""In which this much must be taken, or what is left of the answer."""
SIZE = 1_000_000


class Pace:
    """A block that ends with TimeoutError when too little is taken for too long."""

    def __init__(self, *, seconds: float = SECONDS, size: int = SIZE) -> None:
        self._seconds = seconds
        self._size = size
        self._left = size
        self._timeout = asyncio.timeout(seconds)

    async def __aenter__(self) -> Pace:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._timeout.__aexit__(kind, error, trace)

    def took(self, size: int) -> None:
        """So many bytes were taken."""
        self._left -= size
        if self._left <= 0:
            self._left = self._size
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)
