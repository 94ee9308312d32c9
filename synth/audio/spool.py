"""Numbers in a file without a name: appended, read from any place, gone when the process is, however it ends."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voxledger.catalog.errors import DiskFull, HomeError


class Spool:
    """A one-dimensional array on disk that grows at its end. Not safe from many threads."""

    def __init__(self, folder: Path, dtype: npt.DTypeLike) -> None:
        self._dtype = np.dtype(dtype)
        self._folder = folder
        self.count = 0
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115  (closed by `close`)
        except OSError as error:
            raise HomeError(f"no temporary file can be made in {folder}: {error.strerror}") from error

    def append(self, values: npt.NDArray[np.generic]) -> None:
        """More numbers, shape (n,). Raises DiskFull, HomeError."""
        data = np.ascontiguousarray(values, dtype=self._dtype).view(np.uint8)
        try:
            self._file.seek(self.count * self._dtype.itemsize)
            while len(data):
                data = data[self._file.write(data.data) :]
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull(
                    f"the disk is full: {self._folder} has no room for a long clip; free some space"
                ) from error
            raise HomeError(f"a long clip could not be kept in {self._folder}: {error.strerror}") from error
        self.count += len(values)

    def read(self, start: int, end: int) -> npt.NDArray[np.generic]:
        """The numbers `start` to `end` (exclusive), a writable copy."""
        size = self._dtype.itemsize
        values = np.empty(max(0, end - start), dtype=self._dtype)
        rest = values.view(np.uint8)
        self._file.seek(start * size)
        while len(rest):
            got = self._file.readinto(rest.data)
            if not got:
                raise HomeError(f"a temporary file in {self._folder} ends too early: something else cut it")
            rest = rest[got:]
        return values

    def close(self) -> None:
        """Remove it. Idempotent."""
        self._file.close()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
