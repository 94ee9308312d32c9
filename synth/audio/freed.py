"""Memory that was freed goes back to the system.

torch asks for aligned memory, and glibc before 2.38 does not find freed pieces of that again: a process that works
through a long clip would grow by a megabyte every few seconds of audio.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable


def _malloc_trim() -> Callable[[int], int] | None:
    """glibc's `malloc_trim`; None with another C library."""
    if not sys.platform.startswith("linux"):
        return None
    function: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return function


_TRIM = _malloc_trim()


def give_back() -> None:
    """Give freed memory back, where the C library can be asked to. A few milliseconds at most."""
    if _TRIM is not None:
        _TRIM(0)
