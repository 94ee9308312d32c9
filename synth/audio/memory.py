"""What the C library does with memory that was freed: kept between clips, given back after long ones.

Each clip takes and frees some tens of arrays of a megabyte or more. glibc would hand every one of them back to the system,
which clears the pages again for the next: a third of the time of a clip. And torch asks for aligned memory, freed pieces
of which glibc before 2.38 does not find again: a process that works through a long clip would grow by a megabyte every
few seconds of audio.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache

KEPT = 128 << 20
"""Bytes that stay at hand at most: what a clip of half a minute takes."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 << 20
"""glibc takes no higher one (mallopt(3))."""


def _library() -> ctypes.CDLL | None:
    """The C library, if it is glibc."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None


_LIBRARY = _library()
_trim: Callable[[int], int] | None = None if _LIBRARY is None else _LIBRARY.malloc_trim


@cache
def keep_at_hand() -> None:
    """From now on the process keeps up to `KEPT` bytes that were freed, unless the user's environment says otherwise."""
    if _LIBRARY is None or {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"} & set(os.environ):
        return
    _LIBRARY.mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    _LIBRARY.mallopt(_M_TRIM_THRESHOLD, KEPT)


def give_back() -> None:
    """Give freed memory back, where the C library can be asked to. A few milliseconds at most."""
    if _trim is not None:
        _trim(0)
