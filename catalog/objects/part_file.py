"""The part file: what has arrived of an object so far, and a list of it, so that an interrupted fetch goes on."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

from voxledger.catalog import platform

RANGE = 8 << 20
"""Bytes of one range. S3 serves ranges of 8 MB or more best (its performance guidelines), and so many fit into memory."""
SUFFIX = ".part"
_LIST = ".ranges"
_NAME_LIMIT = 40
_PIECE = 256 << 10


class PartFile:
    """A file beside the target that ranges are written into, in any order; `crcs` says which of them are there.

    It belongs to one content (SHA-256 and size), whatever path that is fetched to: another version of an object never
    goes on with what arrived of the one before. One process at a time may have it: `held`. Safe for threads that write
    different ranges. All methods raise OSError.
    """

    def __init__(self, target: Path, *, size: int, sha256: str) -> None:
        self.target = target
        self.size = size
        self.sha256 = sha256
        self.range = RANGE
        self.crcs: dict[int, int] = {}
        """The CRC-32 of each range as it arrived, by its number."""
        name = target.name.encode()[:_NAME_LIMIT].decode(errors="ignore")
        self.path = target.with_name(f".{name}.{sha256[:16]}{SUFFIX}")
        self._list_path = self.path.with_name(self.path.name + _LIST)
        self._header = f"{sha256} {size} "
        self._list: BinaryIO | None = None

    def held(self) -> AbstractContextManager[None]:
        """Wait until no other process or thread fetches this content to this place, and keep them out."""
        return platform.lock_file(self.path.with_name(self.path.name + ".lock"))

    @property
    def count(self) -> int:
        """How many ranges there are; one at least, so that an empty object is asked for too."""
        return max(1, -(-self.size // self.range))

    def span(self, number: int) -> tuple[int, int]:
        """The first byte of a range, and the one after its last."""
        return number * self.range, min(self.size, (number + 1) * self.range)

    def open(self) -> None:
        """Take up what an earlier process left, or begin anew."""
        found = self._found()
        if not found:
            self.discard()
        try:
            with self.path.open("r+b" if found else "wb") as file:
                file.truncate(self.size)
        except OSError:
            if not found:
                self.discard()
            raise
        self.crcs = found
        if self.count > 1:
            self._begin_list()

    def in_one_piece(self) -> None:
        """Begin anew with a single range: the store gives no other."""
        self.close()
        self._list_path.unlink(missing_ok=True)
        self.range, self.crcs = max(1, self.size), {}

    def writer(self, number: int) -> AbstractContextManager[BinaryIO]:
        """The file, at the beginning of a range."""
        file = self.path.open("r+b")
        file.seek(self.span(number)[0])
        return contextlib.closing(file)

    def arrived(self, number: int, crc: int) -> None:
        """A range is there. It survives SIGKILL from now on; what a power cut takes shows by its CRC."""
        self.crcs[number] = crc
        if self._list is not None:
            self._list.write(f"{number} {crc}\n".encode())

    def read(self, number: int) -> Iterator[memoryview]:
        """A range, as the disk gives it back, in pieces that fit the processor's cache, each valid until the next is asked for."""
        start, end = self.span(number)
        buffer = memoryview(bytearray(min(_PIECE, end - start)))
        with self.path.open("rb", buffering=0) as file:
            file.seek(start)
            while start < end and (got := file.readinto(buffer[: end - start])):
                start += got
                yield buffer[:got]

    def checksum(self, number: int) -> int:
        """The CRC-32 of a range, as the disk gives it back."""
        crc = 0
        for piece in self.read(number):
            crc = zlib.crc32(piece, crc)
        return crc

    def is_intact(self, number: int) -> bool:
        """Whether the disk gives a range back as it arrived."""
        return self.checksum(number) == self.crcs[number]

    def on_disk(self) -> int:
        """Bytes that it takes on the disk already."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return 0
        return min(self.size, found.st_blocks * 512 if hasattr(found, "st_blocks") else found.st_size)

    def flush(self) -> None:
        """Bring what has arrived onto the disk, while more arrives: what is left to the end takes as long as the transfer did."""
        with self.path.open("r+b") as file:
            getattr(os, "fdatasync", os.fsync)(file.fileno())

    def publish(self) -> None:
        """Make it the target: whole, on disk, and the list of its parts gone."""
        with self.path.open("r+b") as file:
            platform.fsync_file(file)
        self.path.replace(self.target)
        platform.fsync_folder(self.target.parent)
        self.close()
        self._list_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the list. Idempotent."""
        if self._list is not None:
            self._list.close()
            self._list = None

    def end(self) -> None:
        """Stop for now: what has arrived stays, a file that holds nothing goes."""
        self.close()
        if not self.crcs:
            self.discard()

    def discard(self) -> None:
        """Throw away what has arrived."""
        self.close()
        self.crcs = {}
        self._list_path.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def _found(self) -> dict[int, int]:
        """The ranges that an earlier process has fetched; none when its files do not belong to this content."""
        try:
            lines = self._list_path.read_bytes().split(b"\n")
            whole = self.path.stat().st_size == self.size
        except FileNotFoundError:
            return {}
        if not whole or lines[0] != f"{self._header}{self.range}".encode():
            return {}
        found: dict[int, int] = {}
        for line in lines[1:-1]:  # a line that was torn off ends without a newline
            number, _, crc = line.partition(b" ")
            if number.isdigit() and crc.isdigit() and int(number) < self.count:
                found[int(number)] = int(crc)
        return found

    def _begin_list(self) -> None:
        begun = bool(self.crcs)
        self._list = self._list_path.open("ab" if begun else "wb", buffering=0)
        # The last line may be torn off; whatever it says then does not fit what is on the disk.
        self._list.write(b"\n" if begun else f"{self._header}{self.range}\n".encode())
