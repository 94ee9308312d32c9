"""HOME under examination: its disk, its locks, its files."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from voxledger.catalog import platform
from voxledger.catalog.doctor.finding import Finding, State
from voxledger.catalog.home import Home
from voxledger.catalog.journal import UPLOAD, Journal
from voxledger.catalog.settings import FILE_NAME, Loaded, is_secret

_SLOW = 0.05
"""Seconds a durable write may take before speaking is slowed down by it."""
_WRITES = 5
_REMEDIES = {
    True: "`voxledger store retry` tries uploads again",
    False: "`voxledger report send WEEK --channel …` sends reports again",
}
"""What is done about parked uploads, and about parked deliveries of reports."""


def home_findings(home: Home, loaded: Loaded, journal: Journal) -> Iterator[Finding]:
    """Everything about HOME, one thing after the other."""
    yield _folder(home)
    yield _room(home, loaded.settings.general.min_free_disk)
    yield _writes(home)
    yield _locks(home)
    yield _journal(home)
    yield from _privacy(home, loaded)
    yield _tasks(journal)


def _finding(name: str, state: State, found: str, follows: str = "") -> Finding:
    return Finding(area="home", name=name, state=state, found=found, follows=follows)


def _folder(home: Home) -> Finding:
    kind = platform.file_system(home.path)
    return _finding("folder", "ok", f"{home.path}" + (f", on {kind}" if kind else ""))


def _room(home: Home, least: int) -> Finding:
    free = platform.free_disk(home.path)
    found = f"{free / 1e9:,.1f} GB free"
    if free < least:
        return _finding(
            "disk", "bad", found, f"less than general.min_free_disk ({least / 1e9:,.1f} GB): nothing is spoken"
        )
    if free < 4 * least:
        return _finding(
            "disk", "warning", found, f"nothing is spoken below {least / 1e9:,.1f} GB (general.min_free_disk)"
        )
    return _finding("disk", "ok", found)


def _writes(home: Home) -> Finding:
    """The median of a few durable writes: each clip waits for about one."""
    path = home.path / f".doctor-{os.getpid()}"
    took = []
    try:
        with path.open("wb") as file:
            for _ in range(_WRITES):
                started = time.perf_counter()
                file.write(b"x" * 4096)
                platform.fsync_file(file)
                took.append(time.perf_counter() - started)
    except OSError as error:
        return _finding("durable write", "bad", f"not possible: {error.strerror}", "put HOME on another disk")
    finally:
        path.unlink(missing_ok=True)
    middle = sorted(took)[_WRITES // 2]
    found = f"{middle * 1000:,.2f} ms"
    if middle > _SLOW:
        return _finding("durable write", "warning", found, "each clip waits for about one; put HOME on a faster disk")
    return _finding("durable write", "ok", found)


def _locks(home: Home) -> Finding:
    """A lock that somebody holds must not be given to somebody else."""
    path = home.path / f".doctor-{os.getpid()}.lock"
    try:
        with platform.locked(path), platform.locked(path, blocking=False) as twice:
            pass
    except OSError as error:
        return _finding("locks", "bad", f"not possible: {error.strerror}", "put HOME on a local disk")
    finally:
        path.unlink(missing_ok=True)
    if twice:
        return _finding("locks", "bad", "two can have the same lock at once", "put HOME on a local disk")
    return _finding("locks", "ok", "kept")


def _journal(home: Home) -> Finding:
    """As another process sees the file."""
    try:
        with closing(sqlite3.connect(f"{home.journal.as_uri()}?mode=ro", uri=True)) as connection:
            mode = str(connection.execute("PRAGMA journal_mode").fetchone()[0])
    except sqlite3.Error as error:
        return _finding("journal", "bad", f"cannot be read: {error}", "see `voxledger verify`")
    if mode != "wal":
        return _finding(
            "journal",
            "warning",
            f"journal mode {mode}",
            "readers and writers wait for each other; put HOME on a local disk",
        )
    return _finding("journal", "ok", "readers and writers do not wait for each other")


def _privacy(home: Home, loaded: Loaded) -> Iterator[Finding]:
    """Files with secrets that others on this machine can read."""
    if sys.platform == "win32":
        return
    private = [home.vault, home.search, home.path / "store.json"]
    if any(where == FILE_NAME and is_secret(name) for name, where in loaded.origin.items()):
        private.append(home.path / FILE_NAME)
    readable = [path for path in private if _is_readable_by_others(path)]
    if not readable:
        yield _finding("private files", "ok", "readable by their owner only")
    for path in readable:
        yield _finding("private files", "warning", f"others can read {path.name}", f"chmod 600 {path}")


def _is_readable_by_others(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)) and not _is_shut(path.parent)
    except FileNotFoundError:
        return False


def _is_shut(folder: Path) -> bool:
    return not folder.stat().st_mode & (stat.S_IXGRP | stat.S_IXOTH)


def _tasks(journal: Journal) -> Finding:
    counts = journal.counts()
    parked = sum(found.count for found in counts if found.state == "parked")
    waiting = sum(found.count for found in counts) - parked
    if parked:
        uploads = {found.kind == UPLOAD for found in counts if found.state == "parked"}
        return _finding(
            "tasks",
            "warning",
            f"{parked:,} parked, {waiting:,} waiting",
            "`voxledger status` says why, " + " and ".join(_REMEDIES[is_upload] for is_upload in sorted(uploads)),
        )
    return _finding("tasks", "ok", f"{waiting:,} waiting" if waiting else "nothing waits")
