"""Hashing: the SHA-256 of a file."""

from __future__ import annotations

import hashlib
from pathlib import Path

from voxledger.catalog.progress import Heard, unheard

_PIECE = 1 << 20


def sha256_of(path: Path, heard: Heard = unheard) -> str:
    """In hex; `heard` hears of each piece that was read. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            heard(len(piece))
    return digest.hexdigest()
