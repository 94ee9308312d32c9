"""Intake: a file that somebody names is copied, hashed and held still before anything else looks at it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from voxledger.catalog import platform
from voxledger.catalog.errors import DiskFull, HomeError
from voxledger.synth.errors import RecordingRefused

MOST_BYTES = 200_000_000
"""Largest recording: ten minutes in 24 bit and two channels at 48 kHz have 173 MB."""
MOST_DOCUMENT_BYTES = 50_000_000
_PIECE = 1 << 20
_READING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_WRITING = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_JOB = ".job-"
_ABANDONED_S = 60.0
"""A job folder this old whose lock is free was left by a process that was killed."""
_CAUSES = {
    errno.ENOENT: "there is no such file",
    errno.ENOTDIR: "there is no such file",
    errno.EACCES: "this user may not read it; change its permissions",
    errno.EPERM: "this user may not read it; change its permissions",
    errno.ELOOP: "its symbolic links lead in a circle",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENXIO: "it is no regular file",
}


class Taken(NamedTuple):
    """A copy of what was given: it does not change any more."""

    path: Path
    sha256: str
    bytes: int


@contextlib.contextmanager
def job(folder: Path) -> Iterator[Path]:
    """A private folder for one registration, gone afterwards; what killed processes left there goes too."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        _sweep(folder)
        made = Path(tempfile.mkdtemp(prefix=_JOB, dir=folder))
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        with platform.locked(made / "lock"):
            yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def take(source: Path, target: Path, *, most: int, what: str) -> Taken:
    """Copy a regular file of 1 to `most` bytes, durably. Raises RecordingRefused that says what is wrong with it.

    What is hashed is what was copied; a file that changes meanwhile is refused.
    """
    with _opened(source, what) as file:
        before = os.fstat(file.fileno())
        _check(before, source, most, what)
        digest, size = hashlib.sha256(), 0
        try:
            with os.fdopen(os.open(target, _WRITING, 0o600), "wb") as sink:
                while piece := _read(file, source, what):
                    size += len(piece)
                    if size > before.st_size:
                        break
                    digest.update(piece)
                    sink.write(piece)
                platform.fsync_file(sink)
        except OSError as error:
            raise unwritable(target.parent, error) from error
        after = os.fstat(file.fileno())
    if size != before.st_size or (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        raise RecordingRefused(f"the {what} {source} changed while it was read; give it when it is finished")
    return Taken(target, digest.hexdigest(), size)


def content_hash(source: Path) -> str:
    """The SHA-256 of a file that is named as a voice. Raises RecordingRefused for what cannot be one."""
    with _opened(source, "recording") as file:
        _check(os.fstat(file.fileno()), source, MOST_BYTES, "recording")
        digest = hashlib.sha256()
        while piece := _read(file, source, "recording"):
            digest.update(piece)
    return digest.hexdigest()


@contextlib.contextmanager
def _opened(source: Path, what: str) -> Iterator[BinaryIO]:
    """Looked at before it is opened: opening a device can do something, and opening a pipe would wait."""
    try:
        if not stat.S_ISREG(source.stat().st_mode):
            raise RecordingRefused(_no_file(source, what))
        handle = os.open(source, _READING)
    except OSError as error:
        cause = _CAUSES.get(error.errno or 0, error.strerror or "it cannot be read")
        raise RecordingRefused(f"the {what} {source} cannot be taken: {cause}") from error
    except ValueError as error:
        raise RecordingRefused(f"the {what} {str(source)!r} cannot be taken: its name holds a NUL character") from error
    with os.fdopen(handle, "rb", buffering=0) as file:
        yield file


def _check(found: os.stat_result, source: Path, most: int, what: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise RecordingRefused(_no_file(source, what))
    if found.st_size == 0:
        raise RecordingRefused(f"the {what} {source} is empty (0 bytes)")
    if found.st_size > most:
        raise RecordingRefused(
            f"the {what} {source} has {found.st_size / 1e6:,.1f} MB, more than {most / 1e6:,.0f} MB;"
            + (" cut it to the 15 s that speak best" if what == "recording" else " give a smaller one")
        )


def _no_file(source: Path, what: str) -> str:
    kind = "is a folder" if source.is_dir() else "is no regular file (a pipe, a socket or a device)"
    return f"the {what} {source} {kind}; name one file"


def _read(file: BinaryIO, source: Path, what: str) -> bytes:
    try:
        return file.read(_PIECE)
    except OSError as error:
        raise RecordingRefused(f"the {what} {source} cannot be read: {error.strerror}") from error


def unwritable(folder: Path, error: OSError) -> HomeError:
    """The error for a write that failed here."""
    if error.errno == errno.ENOSPC:
        return DiskFull(
            f"the disk is full: nothing could be written under {folder}; free some space. Nothing was registered"
        )
    return HomeError(f"nothing could be written under {folder}: {error.strerror}. Nothing was registered")


def _sweep(folder: Path) -> None:
    for left in folder.glob(f"{_JOB}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime < _ABANDONED_S:
                continue
            with platform.locked(left / "lock", blocking=False) as abandoned:
                if abandoned:
                    shutil.rmtree(left, ignore_errors=True)
