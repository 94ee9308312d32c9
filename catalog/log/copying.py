"""Copying: the tables as they are now, in a file of their own, while others go on writing and reading."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb

from voxledger.catalog import projections
from voxledger.catalog.copier import BEGUN, DONE, FULL, GO
from voxledger.catalog.duckdb_files import no_room
from voxledger.catalog.errors import CatalogBusy
from voxledger.catalog.home import Home
from voxledger.catalog.log.files import Files

_COPIER = "voxledger.catalog.copier"
_TRIES = 3
"""The last one makes those who write wait until it is done."""


class Copying:
    """Makes one copy. Whoever writes waits for a checkpoint and for a few milliseconds; whoever reads does not wait."""

    def __init__(self, home: Home, files: Files) -> None:
        self._home = home
        self._files = files
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False

    def run(self, target: Path, *, patience: float) -> int:
        """Copy the tables into `target`, whole or not at all; gives the position that they are of.

        Raises CatalogBusy when that cannot be done now, DiskFull.
        """
        part = target.with_name(f"{target.name}.part")
        try:
            with self._copier(part) as process:
                for left in reversed(range(_TRIES)):
                    position = self._try(process, part, target, patience, hold=not left)
                    if position is not None:
                        return position
        finally:
            for path in (part, part.with_name(f"{part.name}.wal")):
                path.unlink(missing_ok=True)
        raise CatalogBusy("the tables were written anew while they were copied; the next copy is made soon")

    def stop(self) -> None:
        """Break it off; `run` raises CatalogBusy."""
        self._stopped = True
        if self._process is not None:
            self._process.kill()

    def _try(
        self, process: subprocess.Popen[str], part: Path, target: Path, patience: float, *, hold: bool
    ) -> int | None:
        with contextlib.ExitStack() as turn:
            connection = turn.enter_context(self._files.writing(patience))
            # What is not in the file yet is copied with the write-ahead log; then it only takes longer. Old readers prevent it.
            with contextlib.suppress(duckdb.TransactionException):
                connection.execute("CHECKPOINT catalog")
            state = projections.position(connection)
            source = self._home.catalog.stat().st_ino
            said = self._told(process)
            if said == BEGUN and not hold:
                turn.close()
            if said == BEGUN:
                said = self._heard(process)
        if said == FULL:
            raise no_room(target)
        if state is None or said != f"{DONE} {state[1]}":
            return None
        with self._files.turn(patience):
            # Others may have written the tables anew because of somebody's erasure, and then removed all copies: none comes after.
            if self._home.catalog.stat().st_ino != source or not part.exists():
                return None
            part.replace(target)
        return state[1]

    @contextlib.contextmanager
    def _copier(self, part: Path) -> Iterator[subprocess.Popen[str]]:
        """The process, ready to begin."""
        argv = [sys.executable, "-m", _COPIER, str(self._home.catalog), str(part)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            self._process = process
            try:
                if self._stopped:
                    process.kill()
                self._heard(process)
                yield process
            finally:
                process.kill()
                self._process = None

    def _told(self, process: subprocess.Popen[str]) -> str:
        assert process.stdin is not None  # it is a pipe
        with contextlib.suppress(OSError):
            process.stdin.write(f"{GO}\n")
            process.stdin.flush()
        return self._heard(process)

    def _heard(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None  # it is a pipe
        line = process.stdout.readline().strip()
        if not line:
            raise CatalogBusy("the process that copies the tables ended before it was done; the next copy is made soon")
        return line
