"""Snapshots: copies of the tables that SQL is asked on, made while somebody asks, and only when something has changed."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.errors import CatalogBusy, DiskFull

if TYPE_CHECKING:
    from voxledger.catalog.home import Home
    from voxledger.catalog.journal import Journal
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.log.copying import Copying

FOLDER = "sql"
"""The folder in HOME; what lies there is no part of a backup, and erasing somebody empties it."""
_PATIENCE = 30.0
_log = logging.getLogger(__name__)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The tables as they were after a position. `taken` (seconds since 1970): everything recorded before is in it."""

    path: Path
    position: int
    taken: float

    @property
    def is_there(self) -> bool:
        """Whether its file is: erasing somebody takes it away, and then nothing is answered from it any more."""
        return self.path.exists()


class Snapshots:
    """Makes them, one at a time, in whatever thread asks for it."""

    def __init__(self, home: Home, keeper: Keeper, journal: Journal, *, min_free_disk: int) -> None:
        self._home = home
        self._keeper = keeper
        self._journal = journal
        self._min_free_disk = min_free_disk
        self._folder = home.path / FOLDER
        self._making = threading.Lock()
        self._copying: Copying | None = None
        self._stopped = False
        self._number = 0

    def clear(self) -> None:
        """Remove what is there: only one process serves a HOME, and it begins with nothing."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self._folder.rmdir()

    def is_current(self, snapshot: Snapshot) -> bool:
        """Whether nothing has been recorded since."""
        return snapshot.is_there and self._journal.head() == snapshot.position

    def make(self) -> Snapshot:
        """Copy the tables as they are now. Raises CatalogBusy, DiskFull and what a drain does."""
        with self._making:
            taken = time.time()
            self._keeper.drain()
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._check_room()
            self._number += 1
            path = self._folder / f"{os.getpid()}-{self._number}.duckdb"
            self._copying = self._keeper.copying()
            try:
                if self._stopped:
                    raise CatalogBusy("the node is stopping")
                position = self._copying.run(path, patience=_PATIENCE)
            finally:
                self._copying = None
        return Snapshot(path=path, position=position, taken=taken)

    def drop(self, snapshot: Snapshot) -> None:
        """Remove one that nobody is to be answered from any more; who has it open goes on reading it."""
        try:
            snapshot.path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("%s is not needed any more and cannot be removed: %s", snapshot.path.name, error.strerror)

    def stop(self) -> None:
        """Break off what is being made, and make no more."""
        self._stopped = True
        if self._copying is not None:
            self._copying.stop()

    def _check_room(self) -> None:
        size = self._home.catalog.stat().st_size
        log = self._home.catalog.with_name(f"{self._home.catalog.name}.wal")
        size += log.stat().st_size if log.exists() else 0
        free = platform.free_disk(self._home.path)
        if free - size < self._min_free_disk:
            raise DiskFull(
                f"a snapshot for SQL needs {size / 1e6:,.0f} MB, and of {free / 1e6:,.0f} MB on the disk of {self._home.path}"
                f" general.min_free_disk keeps {self._min_free_disk / 1e6:,.0f} MB free; free some space"
            )
