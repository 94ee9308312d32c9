"""Owners: which process holds a lease or a claim, and whether it still runs."""

from __future__ import annotations

import os

from voxledger.catalog import platform
from voxledger.catalog.events import new_id


def new_owner() -> str:
    """A name for one open journal: process id, start time, something random, and the space in which the id counts."""
    return f"{process_name(os.getpid(), platform.started(os.getpid()) or 0)}:{new_id()[-8:]}:{_space()}"


def process_name(pid: int, started: float) -> str:
    """How the names of all owners of one process begin."""
    return f"{pid}:{started:.2f}"


def owner_lives(owner: str) -> bool:
    """Whether the process that took a claim runs, as far as can be seen from here."""
    pid, start = owner.split(":")[:2]
    return platform.is_alive(int(pid), float(start))


def owner_gone(owner: str) -> bool:
    """Whether the process that took a lease has certainly ended.

    From within one container the processes of another cannot be seen, so that their leases have to run out by time.
    """
    parts = owner.split(":")
    return (len(parts) < 4 or parts[3] == _space()) and not owner_lives(owner)


def _space() -> str:
    """The process namespace: containers that share a HOME count their process ids apart."""
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)  # noqa: PTH116  # Path.stat() would do the same, slower
    except OSError:
        return "0"
