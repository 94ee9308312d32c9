"""Awaiting: work of threads for asyncio, which may be cancelled at any moment."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")
_MOST = 256
"""Calls that are worked on, or wait for a turn, at the same time; others wait for these."""


class Awaiting:
    """Runs work in threads of its own, started when first needed. Safe from many event loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    async def result(self, work: Callable[[], _T], stop: threading.Event | None = None) -> _T:
        """What `work` gives. Cancelled, `stop` is set, and what was begun is waited for, so that it is recorded."""
        with self._lock:
            self._pool = self._pool or ThreadPoolExecutor(_MOST, thread_name_prefix="voxledger-await")
            handed = self._pool.submit(contextvars.copy_context().run, work)
        future = asyncio.wrap_future(handed)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if stop is not None:
                stop.set()
            if not handed.cancel():
                with suppress(Exception):
                    await future
            raise

    def close(self) -> None:
        """Let the threads go when they have done what they were given. Idempotent."""
        with self._lock:
            if self._pool is not None:
                self._pool.shutdown(wait=False)
                self._pool = None
