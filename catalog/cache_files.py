"""The files of the cache: counted, and the oldest of them found, by looking at each once and remembering few."""

from __future__ import annotations

import contextlib
import heapq
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

WINDOW = 20_000
"""Most files that are looked at more closely in one round."""
_LEFT_OVER = re.compile(r"\..*\.[0-9a-f]{16}\.part(\.ranges)?")
"""What an interrupted fetch leaves beside its target."""
_ABANDONED = 86400.0
"""Seconds after which nobody goes on with it."""


class CachedFile(NamedTuple):
    """A file of the cache. `used` is the later of its two times, in s since the epoch; `path` begins below the cache."""

    used: float
    path: str
    bytes: int
    identity: tuple[int, int]

    @property
    def age(self) -> tuple[float, str]:
        """What files are ordered by, oldest first."""
        return self.used, self.path


class Survey(NamedTuple):
    """What a walk through the cache found: how much there is, the oldest files in order, and what was left over.

    `oldest` holds every file up to the last of them; more follow if `more`.
    """

    bytes: int
    files: int
    oldest: list[CachedFile]
    more: bool
    left_over: list[CachedFile]


class _Youngest:
    """Turns the order of a heap round."""

    __slots__ = ("file",)

    def __init__(self, file: CachedFile) -> None:
        self.file = file

    def __lt__(self, other: _Youngest) -> bool:
        return other.file.age < self.file.age


def survey(folder: Path, now: float, *, after: tuple[float, str] | None = None, window: int = WINDOW) -> Survey:
    """Walk through the cache and find the `window` oldest files, of those after a place in that order.

    Memory holds that many files, however many there are. `now` in s since the epoch.
    """
    total, files, more = 0, 0, False
    heap: list[_Youngest] = []
    left_over = []
    for found, is_hidden in walk(folder):
        total += found.bytes
        if is_hidden:
            if _LEFT_OVER.fullmatch(found.path.rpartition("/")[2]) and now - found.used > _ABANDONED:
                left_over.append(found)
            continue
        files += 1
        if after is not None and found.age <= after:
            continue
        if len(heap) < window:
            heapq.heappush(heap, _Youngest(found))
        else:
            more = True
            heapq.heappushpop(heap, _Youngest(found))
    return Survey(total, files, sorted((each.file for each in heap), key=lambda file: file.age), more, left_over)


def walk(folder: Path) -> Iterator[tuple[CachedFile, bool]]:
    """Every file below a folder, and whether its name is hidden. What vanishes meanwhile is left out."""
    root = len(str(folder)) + 1
    waiting = [str(folder)]
    while waiting:
        try:
            entries = os.scandir(waiting.pop())
        except FileNotFoundError:
            continue
        with entries:
            for entry in entries:
                try:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                        continue
                    if not entry.is_file(follow_symlinks=False):
                        continue
                    seen = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                path = entry.path[root:].replace(os.sep, "/")
                used = max(seen.st_mtime, seen.st_atime)
                size = min(seen.st_size, seen.st_blocks * 512) if entry.name.startswith(".") else seen.st_size
                yield CachedFile(used, path, size, (seen.st_dev, seen.st_ino)), entry.name.startswith(".")


def remove_empty(folder: Path, top: Path) -> None:
    """Take away a folder and those above it, up to `top`, as long as they are empty: names of folders are names of people."""
    with contextlib.suppress(OSError):
        while folder != top:
            with contextlib.suppress(FileNotFoundError):
                folder.rmdir()
            folder = folder.parent
