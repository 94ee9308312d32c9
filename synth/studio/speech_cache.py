"""The cache of spoken sentences: when one of a chapter changes, or the work was broken off, the others are not spoken again."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from voxledger.catalog import platform
from voxledger.synth.engines.base import Samples

_FULL_SCALE = 32768
_BETWEEN_SWEEPS = 200
"""Sentences put in between two looks at how large the folder has become."""
_LEFT = 0.9
"""What a sweep leaves of the limit, so that not each one has to delete."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Speech for the characters `start` to `end` of a sentence: mono float32 samples of shape (n,), `sample_rate` in Hz."""

    samples: Samples
    sample_rate: int
    start: int
    end: int


class SpeechCache:
    """Sentences by the keyed hash of all that decides how they sound, one file each, in a folder for each actor.

    The files hold sound and no text. They are let go when they were not used for `life` seconds, and the longest unused
    first when there is more than `limit` bytes, or less than `keep_free` bytes are free on the disk: clips come first. A
    damaged file is as good as none. Safe from many threads and processes.
    """

    def __init__(self, folder: Path, *, limit: int, life: float, keep_free: int = 0) -> None:
        self._folder = folder
        self._limit = limit
        self._life = life
        self._keep_free = keep_free
        self._lock = threading.Lock()
        self._put = 0

    def get(self, actor: str, key: str) -> tuple[Stretch, ...] | None:
        """What was spoken; None when it is not there any more."""
        if not self._life or not self._limit:
            return None
        path = self._path(actor, key)
        try:
            found = path.stat()
            if time.time() - found.st_mtime > self._life:
                return None
            content = path.read_bytes()
            stretches = _unpacked(content)
            os.utime(path)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return stretches

    def put(self, actor: str, key: str, stretches: Sequence[Stretch]) -> None:
        """Keep it; where there is no room it is left out."""
        if not self._life or not self._limit:
            return
        path = self._path(actor, key)
        part = path.with_name(f".{key}.{os.getpid()}.{threading.get_ident()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            content = _packed(stretches)
            if self.lacks_room(len(content)):
                self.sweep()
                return
            part.write_bytes(content)
            part.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            return
        with self._lock:
            self._put += 1
            due = self._put % _BETWEEN_SWEEPS == 1
        if due:
            self.sweep()

    def lacks_room(self, more: int = 0) -> bool:
        """Whether the disk would have less than `keep_free` bytes left with so many more."""
        return (
            self._keep_free > 0 and self._folder.exists() and platform.free_disk(self._folder) - more < self._keep_free
        )

    def sweep(self) -> int:
        """Let go what is too old or too much; gives the bytes that are left."""
        files: list[tuple[float, int, str]] = []
        for folder in _entries(self._folder):
            files += [
                (found.st_mtime, found.st_size, entry.path)
                for entry in _entries(Path(folder.path))
                if (found := _stat(entry))
            ]
        files.sort()
        total = sum(size for _, size, _ in files)
        oldest = time.time() - self._life
        room = self._limit * _LEFT if total > self._limit else total
        if self.lacks_room():
            room = min(room, total - (self._keep_free - platform.free_disk(self._folder)))
        for changed, size, path in files:
            if changed >= oldest and total <= room:
                break
            with contextlib.suppress(OSError):
                Path(path).unlink()
                total -= size
        return total

    def _path(self, actor: str, key: str) -> Path:
        return self._folder / actor / key


def _packed(stretches: Sequence[Stretch]) -> bytes:
    """A line of JSON, the samples, and a checksum. As 16-bit integers where those hold them exactly, which takes half the room."""
    samples = np.concatenate([one.samples for one in stretches]) if stretches else np.zeros(0, dtype=np.float32)
    whole = samples * np.float32(_FULL_SCALE)
    exact = bool(np.all(whole == np.rint(whole)) and np.all(np.abs(whole) < _FULL_SCALE))
    raw = (whole.astype("<i2") if exact else samples.astype("<f4")).tobytes()
    head = {
        "rate": stretches[0].sample_rate if stretches else 0,
        "kind": "<i2" if exact else "<f4",
        "stretches": [[len(one.samples), one.start, one.end] for one in stretches],
    }
    body = json.dumps(head).encode() + b"\n" + raw
    return zlib.crc32(body).to_bytes(4, "little") + body


def _unpacked(content: bytes) -> tuple[Stretch, ...]:
    """Raises ValueError, KeyError or TypeError for anything but what `_packed` gave."""
    if len(content) < 4 or zlib.crc32(content[4:]) != int.from_bytes(content[:4], "little"):
        raise ValueError("torn")
    head, _, raw = content[4:].partition(b"\n")
    facts: dict[str, Any] = json.loads(head)
    samples = np.frombuffer(raw, dtype=facts["kind"]).astype(np.float32)
    if facts["kind"] == "<i2":
        samples /= np.float32(_FULL_SCALE)
    found, at = [], 0
    for length, start, end in facts["stretches"]:
        found.append(Stretch(samples=samples[at : at + length], sample_rate=facts["rate"], start=start, end=end))
        at += length
    return tuple(found)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:
        return None
