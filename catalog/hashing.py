"""Hashing: the SHA-256 of a file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from voxledger.catalog.progress import Heard, unheard

_PIECE = 256 << 10


def sha256_of(path: Path, heard: Heard = unheard, *, unnoticed: bool = False) -> str:
    """In hex; `heard` hears of each piece that was read; `unnoticed` as the opener of that name. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb", opener=unnoticed_opener if unnoticed else None) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            heard(len(piece))
    return digest.hexdigest()


def unnoticed_opener(path: str, flags: int) -> int:
    """Open a file so that its time of last access stays, where the system can do that: looking is no use of it."""
    try:
        return os.open(path, flags | getattr(os, "O_NOATIME", 0))
    except PermissionError:  # somebody else's file
        return os.open(path, flags)
