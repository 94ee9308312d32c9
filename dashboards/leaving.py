"""Leaving: the end of a process whose work is done, whatever its threads are at."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time

_FAREWELL = 1.0
"""Seconds for threads that have nothing to do any more to see it."""
_log = logging.getLogger(__name__)


def leave(status: int = 0) -> None:
    """End the process now that everything is closed, whatever threads are left: nobody reads what they do."""
    deadline = time.monotonic() + _FAREWELL
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.main_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                _log.debug("left behind: %s", thread.name)
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
