"""Stopping: from the first SIGTERM to the end of the process, whatever hangs.

1. The node says on `/readyz` that it stops, refuses new work, and begins nothing by itself any more.
2. Requests under way have `serve.stop_wait` to end.
3. What is still being made is called off and recorded as cancelled; answers break off.
4. The ledger is closed: uploads, log, leases; then the process ends.

A second signal ends the process at once, and so does the end of the time that all this may take. What it held is
free for the next start, as after a kill.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from voxledger.dashboards.node import LEAVE

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

_CALLED_OFF = 8.0
"""Seconds for what was called off to end: the studio waits five for its attempts."""
_CLOSING = 12.0
"""Seconds for closing the ledger, jobs and uploads not counted."""


class Stopping:
    """The end of one process that serves a site. `at_once` does the little that must be done before the process is cut off."""

    def __init__(self, site: Site, *, at_once: Callable[[], object]) -> None:
        self._site = site
        self._at_once = at_once
        self._wait = site.settings.serve.stop_wait
        self.longest = self._wait + _CALLED_OFF + LEAVE + site.settings.store.close_wait + _CLOSING
        """Seconds from the first signal to the end of the process, at most."""

    def begin(self) -> None:
        """The first signal, or the second. Called by a signal handler, in the main thread."""
        if self._site.stopping.is_set():
            self._cut(130, "a second signal: ended at once")
        self._site.stopping.set()
        threading.Thread(target=self._guard, name="voxledger-stopping", daemon=True).start()

    async def finish(self) -> None:
        """Let requests end, call off those that do not, and do what was named with `Site.at_stop`."""
        self._site.slots.hurry()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._site.slots.idle.wait(), self._wait)
        ended, loop = asyncio.Event(), asyncio.get_running_loop()

        def end() -> None:
            self._site.end()
            loop.call_soon_threadsafe(ended.set)

        # A thread of its own: those of the pool may all be busy with what is to be called off.
        threading.Thread(target=end, name="voxledger-ending", daemon=True).start()
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _CALLED_OFF)

    def _guard(self) -> None:
        time.sleep(self.longest)
        self._cut(1, f"not stopped within {self.longest:g} s; ended as it is, and nothing acknowledged is lost")

    def _cut(self, status: int, why: str) -> None:
        try:
            self._at_once()
            os.write(
                sys.stderr.fileno(), f"voxledger: {why}\n".encode()
            )  # print could wait for a lock that this thread has
        finally:
            os._exit(status)
