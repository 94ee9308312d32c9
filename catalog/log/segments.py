"""Segments: sealed files of acknowledged bytes, the second copy of the log."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

from voxledger.catalog import platform
from voxledger.catalog.errors import LogCorrupt
from voxledger.catalog.failpoints import failpoint

_NAME = re.compile(r"(\d{12})-(\d{12})\.jsonl\.zst")


@dataclass(frozen=True, kw_only=True)
class Segment:
    """A sealed file: the events `first` to `last`, one JSON line each, zstd."""

    path: Path
    first: int
    last: int

    def read(self) -> list[tuple[int, bytes]]:
        """Positions and acknowledged bytes. Raises LogCorrupt when the file is damaged or incomplete."""
        try:
            lines = zstandard.ZstdDecompressor().decompress(self.path.read_bytes()).splitlines()
        except (zstandard.ZstdError, OSError) as error:
            raise LogCorrupt(
                f"segment {self.path.name} cannot be read ({error}); restore it from the store", position=self.first
            ) from error
        if len(lines) != self.last - self.first + 1:
            raise LogCorrupt(
                f"segment {self.path.name} holds {len(lines)} events, not what its name says", position=self.first
            )
        return list(enumerate(lines, self.first))


class Segments:
    """The sealed files of a HOME, in order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Segment]:
        """Every sealed segment by position."""
        found = ((path, _NAME.fullmatch(path.name)) for path in sorted(self.folder.iterdir()))
        return [Segment(path=path, first=int(name[1]), last=int(name[2])) for path, name in found if name]

    def seal(self, bodies: Sequence[tuple[int, bytes]]) -> Segment:
        """Write a segment durably: when this returns, it survives a power cut."""
        first, last = bodies[0][0], bodies[-1][0]
        path = self.folder / f"{first:012d}-{last:012d}.jsonl.zst"
        content = b"\n".join(body for _, body in bodies) + b"\n"
        for left in self.folder.glob(f".{path.name}.*.part"):  # by a process that was killed while it sealed this
            left.unlink(missing_ok=True)
        packed = zstandard.ZstdCompressor(level=3, write_checksum=True).compress(content)
        platform.write_atomic(path, packed, written=lambda: failpoint("segment.after_write"))
        return Segment(path=path, first=first, last=last)

    def read(self, after: int, limit: int) -> Iterator[tuple[int, bytes]]:
        """The next acknowledged bytes after a position, as far as the segment reaches that holds it."""
        for segment in self.all():
            if segment.last > after:
                found = (pair for pair in segment.read() if pair[0] > after)
                yield from itertools.islice(found, limit)
                return
