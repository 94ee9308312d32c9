"""Spill: what DuckDB puts onto the disk when it does not fit into memory. It holds words, so that nothing of it may outlive its process."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

import psutil

from voxledger.catalog import platform

SPILL = "duckdb.tmp"
"""The folder in HOME; it is there only while something is in it."""
_OF = re.compile(r"duckdb_temp_(\d+)_\d+_.+")
"""DuckDB names its files after the process."""
_SLACK = 2.0
"""Seconds between two clocks of one machine: file times are coarse."""
_SETTLED = 60.0
"""Seconds in which nothing was put into the folder: then nobody is about to put something in, and it can go."""


def clear_spill(home: Path) -> int:
    """Delete what ended processes left; gives how many bytes. DuckDB itself does so only when it spills the next time.

    Takes microseconds where there is nothing. What cannot be deleted stays, and is tried again by whoever calls next.
    """
    folder, size = home / SPILL, 0
    try:
        settled = time.time() - folder.stat().st_mtime > _SETTLED
        found = list(os.scandir(folder))
    except OSError:
        return 0
    stale = [entry for entry in found if not _is_used(entry)]
    for entry in stale:
        with contextlib.suppress(OSError):
            taken = entry.stat().st_size
            Path(entry.path).unlink()
            size += taken
    if settled:
        with contextlib.suppress(OSError):  # somebody else has something in it
            folder.rmdir()
    return size


def _is_used(entry: os.DirEntry[str]) -> bool:
    """Whether the process that a file is named after runs, or any has it open. One that began later only has the same number."""
    try:
        state = entry.stat()
        named = _OF.fullmatch(entry.name)
        if named is not None:
            return psutil.Process(int(named[1])).create_time() <= state.st_mtime + _SLACK
    except (psutil.NoSuchProcess, FileNotFoundError):
        return False
    except (psutil.Error, OSError):
        return True
    return (state.st_dev, state.st_ino) in platform.open_files()
