"""HOME: the folder of one node, its files and its identity."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from voxledger.catalog import platform
from voxledger.catalog.errors import DiskFull, HomeError
from voxledger.catalog.lazy import lazy

VARIABLE = "VOXLEDGER_HOME"
QUERY_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
"""What a saved query may be called."""
RESTORING = ".restoring"
"""The folder in which a backup is being restored into a HOME; until it is gone, the HOME is not whole."""


def default_path() -> Path:
    """`VOXLEDGER_HOME`, or the data folder that the platform gives a user's programs."""
    found = os.environ.get(VARIABLE)
    return Path(found) if found else Path(platformdirs.user_data_dir("voxledger", appauthor=False))


@dataclass(frozen=True)
class Home:
    """Where everything of one node lies. `Home.open` makes and checks it; names of files are DESIGN's."""

    path: Path

    @classmethod
    def open(cls, path: Path | str | None = None) -> Home:
        """Make HOME if it is not there. Raises HomeError when it cannot be used."""
        if path is not None and "\0" in str(path):
            raise HomeError("HOME holds a NUL character; choose another folder")
        # One spelling for one folder: locks are kept by it.
        root = Path(os.path.realpath(Path(path if path is not None else default_path()).expanduser()))
        if "?" in str(root) or not _is_unicode(root):
            raise HomeError(f"HOME {str(root)!r} holds a character that DuckDB cannot open; choose another folder")
        kind = platform.file_system(root)
        if kind in platform.NETWORK_FILE_SYSTEMS:
            raise HomeError(
                f"HOME {root} lies on a network folder ({kind}), where locks cannot be trusted;"
                f" put it on a local disk with {VARIABLE}=… (the store is what is shared)"
            )
        if (root / RESTORING).exists():
            raise HomeError(
                f"a backup is being restored into HOME {root}; run `voxledger backup restore` again to finish, or delete"
                f" {root / RESTORING} to give it up"
            )
        home = cls(root)
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in (home.cache, home.segments, home.reports):
                folder.mkdir(parents=True, exist_ok=True)
            if not os.access(root, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
            _probe(root)
        except OSError as error:
            raise HomeError(
                f"HOME {root} cannot be used: {error.strerror or error}; choose another folder with --home or {VARIABLE}=…"
            ) from error
        return home

    @lazy
    def journal(self) -> Path:
        """The durable inbox (SQLite)."""
        return self.path / "journal.sqlite"

    @lazy
    def log(self) -> Path:
        """The ordered record of all events (DuckDB)."""
        return self.path / "log.duckdb"

    @lazy
    def queries(self) -> Path:
        """Saved queries, a file each; there once one was saved."""
        return self.path / "queries"

    @lazy
    def catalog(self) -> Path:
        """The projections (DuckDB); disposable."""
        return self.path / "catalog.duckdb"

    @lazy
    def search(self) -> Path:
        """The index of words (SQLite, 0600); disposable."""
        return self.path / "search.sqlite"

    @lazy
    def vault(self) -> Path:
        """The keys that seal personal fields (SQLite, 0600)."""
        return self.path / "vault.sqlite"

    @lazy
    def segments(self) -> Path:
        """Sealed files of acknowledged bytes."""
        return self.path / "segments"

    @lazy
    def cache(self) -> Path:
        """Local audio."""
        return self.path / "cache"

    @lazy
    def uploads(self) -> Path:
        """What uploads are under way, and which processes send them; readable by the owner only."""
        return self.path / "uploads"

    @lazy
    def speech(self) -> Path:
        """Spoken sentences of long texts, kept for a while."""
        return self.path / "speech"

    @lazy
    def voices(self) -> Path:
        """Registered recordings and the documents that consent to them; readable by the owner only."""
        return self.path / "voices"

    @lazy
    def store(self) -> Path:
        """What the embedded store serves."""
        return self.path / "store"

    @lazy
    def reports(self) -> Path:
        """Reports of the schedule."""
        return self.path / "reports"

    def require_room(self, minimum: int) -> None:
        """Raises DiskFull when the disk has less than `minimum` bytes left."""
        free = platform.free_disk(self.path)
        if free < minimum:
            raise DiskFull(
                f"only {free / 1e9:,.2f} GB are free under {self.path}, less than general.min_free_disk ="
                f" {minimum / 1e9:,.2f} GB; free some space or lower the setting. Nothing was generated"
            )


def _is_unicode(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _probe(root: Path) -> None:
    """Really write: a read-only mount passes every other check."""
    probe = root / f".probe-{os.getpid()}"
    probe.touch()
    probe.unlink(missing_ok=True)  # another thread of this process may be here too
