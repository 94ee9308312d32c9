"""The folder of a job: `job.json`, its manifest, and the outcomes of its lines, in order, as they come. For the owner's eyes only.

Outcomes are appended and not forced onto the disk: what a power cut takes is spoken for by the clips themselves, which are found
again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.errors import QueryError
from voxledger.catalog.home import Home
from voxledger.dashboards.jobs.job import Job, Outcome, Progress

FOLDER = "jobs"
_INCOMING = ".incoming-"
_PAGE_BYTES = 4_000_000
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Outcome).decode


class JobFolder:
    """HOME/jobs/ID."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = path / "manifest.jsonl"
        self._job = path / "job.json"
        self._outcomes = path / "outcomes.jsonl"

    @classmethod
    def of(cls, home: Home, identity: str) -> JobFolder:
        """That of one job."""
        return cls(root(home) / identity)

    @property
    def is_there(self) -> bool:
        """Whether nobody has removed it: an erasure does."""
        return self._job.exists()

    def save(self, job: Job) -> None:
        """Write it down. Raises OSError."""
        platform.write_atomic(self._job, _encode(job), mode=0o600)

    def load(self) -> Job | None:
        """The job; None where there is none that can be read."""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(self._job.read_bytes(), type=Job)
        return None

    def recover(self) -> Progress:
        """What the outcomes come to, after what a crash tore off was cut away. Raises OSError."""
        found = Progress()
        if not self._outcomes.exists():
            return found
        whole = 0
        with self._outcomes.open("rb+") as file:
            for line in file:
                try:
                    outcome = _decode(line) if line.endswith(b"\n") else None
                except msgspec.MsgspecError:
                    outcome = None
                if outcome is None:
                    break
                found = outcome.counted(found)
                whole += len(line)
            file.truncate(whole)
        return found

    @contextlib.contextmanager
    def appending(self) -> Iterator[BinaryIO]:
        """The file of outcomes, at its end. Raises OSError."""
        handle = os.open(self._outcomes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "wb", buffering=0) as file:
            yield file

    def outcomes(self, start: int, limit: int, wanted: str | None = None) -> tuple[Sequence[msgspec.Raw], int, bool]:
        """At most so many outcomes from a place on, as they are written, the place that follows, and whether there are more now.

        Raises QueryError for what is no place of this file.
        """
        found: list[msgspec.Raw] = []
        if not self._outcomes.exists():
            if start:
                raise _no_place()
            return found, start, False
        with self._outcomes.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            if start:
                file.seek(min(start - 1, end))
                if file.read(1) != b"\n":
                    raise _no_place()
            file.seek(start)
            place = start
            for line in file:
                if not line.endswith(b"\n"):
                    break  # it is being written
                place += len(line)
                if wanted is None or _decode(line).outcome == wanted:
                    found.append(msgspec.Raw(line[:-1]))
                if len(found) == limit or place - start >= _PAGE_BYTES:
                    return found, place, place < end
        return found, place, False

    def over(self) -> None:
        """It is over: nobody needs its texts any more."""
        self.manifest.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all of it; first what makes it a job."""
        self._job.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)


def _no_place() -> QueryError:
    return QueryError("the cursor is none of this job; take `next` of the page before")


def outcome_line(outcome: Outcome) -> bytes:
    """An outcome as it is written."""
    return _encode(outcome) + b"\n"


def root(home: Home) -> Path:
    """HOME/jobs."""
    return home.path / FOLDER


def prepare(home: Home) -> Path:
    """HOME/jobs, made if need be. Raises OSError."""
    path = root(home)
    path.mkdir(mode=0o700, exist_ok=True)
    return path


@contextlib.contextmanager
def incoming(home: Home) -> Iterator[tuple[BinaryIO, Path]]:
    """A file for what arrives, which is gone at the end. Raises OSError."""
    handle, name = tempfile.mkstemp(prefix=_INCOMING, dir=prepare(home))  # for the owner's eyes only
    try:
        with os.fdopen(handle, "wb") as file:
            yield file, Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def tidy(home: Home) -> None:
    """Remove what arrived when a process was killed."""
    for path in root(home).glob(f"{_INCOMING}*"):
        path.unlink(missing_ok=True)


def folders(home: Home) -> Sequence[JobFolder]:
    """Those of all jobs, the oldest first: their ids begin with the time."""
    path = root(home)
    return [JobFolder(each) for each in sorted(path.iterdir()) if each.is_dir()] if path.is_dir() else []
