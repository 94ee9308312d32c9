"""The embedded store: rclone's S3 server over HOME/store, started by whoever needs it first."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voxledger.catalog import platform
from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.home import Home
from voxledger.catalog.objects.embedded import signed
from voxledger.catalog.objects.embedded.rclone import find_rclone
from voxledger.catalog.objects.embedded.state import Endpoint, Files, ProcessMark, State
from voxledger.catalog.settings import Store as StoreSettings

_TRUST = 0.05
"""Seconds the processes are believed to be alive: too short for another server to take the port."""
_TOUCH = 5.0
"""Seconds between two notes that the store is in use."""
_START = 20.0
"""Seconds a start may take before it counts as failed."""
_STOP = 12.0
"""Seconds an owner gets to end by itself."""
_MOST_SETTLED = 100_000
"""Folders remembered as being on the disk."""
_OWNER = "voxledger.catalog.objects.embedded.owner"


class EmbeddedStore:
    """One HOME's own S3 server. Any number of processes and threads may use it; making this object starts nothing."""

    def __init__(self, home: Home, settings: StoreSettings) -> None:
        self.files = Files(home.path)
        self._settings = settings
        self._lock = threading.Lock()
        self._state: State | None = None
        self._looked = 0.0
        self._touched = 0.0
        self._settled: set[tuple[Path, int]] = set()

    def ensure(self) -> Endpoint:
        """Where the store answers; it is started when it does not run. Raises StoreUnavailable when it cannot be."""
        with self._lock:
            self._touch()
            if time.monotonic() - self._looked > _TRUST or self._state is None:
                if self._state is None or not self._state.alive:
                    found = self.files.read()
                    self._state = found if found is not None and _answers(found) else self._start()
                self._looked = time.monotonic()
            return _endpoint(self._state)

    def start(self) -> Endpoint:
        """Start the store unless it runs; believes nothing that was known before."""
        self.forget()
        return self.ensure()

    def forget(self) -> None:
        """Look again, at the next use, whether the server is there and is ours."""
        with self._lock:
            self._state = None

    def stop(self) -> bool:
        """Stop the store, whoever uses it. False when it did not run. Raises StoreError when it does not end."""
        self.forget()
        if not self.files.home.is_dir():
            return False
        with platform.locked(self.files.start_lock):
            state = self.files.read()
            marks = [mark for mark in (state.owner, state.server) if mark] if state else []
            if not any(mark.alive for mark in marks):
                return False
            for mark in marks:
                _signal(mark, signal.SIGTERM)
            if not _wait_for_end(marks, _STOP):
                for mark in marks:
                    _signal(mark, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
                if not _wait_for_end(marks, _STOP):
                    raise StoreError(f"the embedded store (process {marks[0].pid}) does not end; see {self.files.log}")
        return True

    def status(self) -> dict[str, Any]:
        """Whether the store runs, and where; starts nothing, tells no secret. `used_s` = seconds since its last use."""
        state = self.files.read()
        # A request would count as use, and whoever watches the store would keep it running.
        running = state is not None and state.alive
        used = None
        with contextlib.suppress(OSError):
            used = max(0.0, round(time.time() - self.files.used.stat().st_mtime, 1))
        facts: dict[str, Any] = {"running": running, "folder": str(self.files.folder), "used_s": used}
        if running and state is not None and state.owner is not None and state.server is not None:
            facts |= {
                "url": _url(state),
                "instance": state.instance,
                "owner_pid": state.owner.pid,
                "server_pid": state.server.pid,
            }
        return facts

    def settle(self, bucket: str, keys: Sequence[str]) -> None:
        """Force objects onto the disk: the server renames them into place, but leaves them in the system's cache.

        Raises StoreError when one is not where the server keeps it.
        """
        try:
            paths = [self.files.folder / bucket / key for key in keys]
            for path in paths:
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            for folder in {path.parent for path in paths}:
                platform.fsync_folder(folder)
                self._settle_above(folder)
        except OSError as error:
            raise StoreError(
                f"the embedded store took {bucket}/{keys[0]}, but it could not be forced onto the disk: {error.strerror}",
                code="NotSettled",
            ) from error

    def holds(self, bucket: str, key: str) -> bool:
        """Whether an object's file lies where the server keeps it."""
        try:
            # Asked about every key of a purge: a Path takes as long to make as the look itself.
            return stat.S_ISREG(os.stat(f"{self.files.folder}/{bucket}/{key}").st_mode)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return False

    def _settle_above(self, folder: Path) -> None:
        """A folder's own entry is forced onto the disk once; the server may remove an empty one and make another."""
        while folder != self.files.home and (mark := (folder, folder.stat().st_ino)) not in self._settled:
            platform.fsync_folder(folder.parent)
            if len(self._settled) > _MOST_SETTLED:
                self._settled.clear()
            self._settled.add(mark)
            folder = folder.parent

    def _touch(self) -> None:
        present = time.monotonic()
        if present - self._touched < min(_TOUCH, self._settings.idle_stop / 4):
            return
        with contextlib.suppress(OSError):  # a store that stops too early is started again
            self.files.used.touch()
            self._touched = present

    def _start(self) -> State:
        """Under a lock between processes, so that of several only one starts it and all find the same."""
        files = self.files
        files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with platform.locked(files.start_lock):
            state = files.read()
            if state is not None and _answers(state):
                return state
            find_rclone()
            with contextlib.suppress(FileExistsError):
                os.close(os.open(files.log, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            # -P: the folder we happen to be in must not be able to stand in for this package.
            argv = [sys.executable, "-P", "-m", _OWNER, str(files.home), str(self._settings.idle_stop)]
            owner = platform.spawn_detached(argv, environ=os.environ, log=files.log)
            deadline = time.monotonic() + _START
            while time.monotonic() < deadline:
                ended = platform.started(owner) is None
                state = files.read()
                if state is not None and _answers(state):
                    return state
                if ended:
                    break
                time.sleep(0.01)
        raise StoreUnavailable(f"the embedded store did not start; {files.log} says why", code="NotStarted")


def _answers(state: State) -> bool:
    """The processes are those that were written down, and a signed request is answered: an open port proves nothing."""
    return state.alive and signed.is_ours(state.port, state.access_key, state.secret_key)


def _url(state: State) -> str:
    return f"http://127.0.0.1:{state.port}"


def _endpoint(state: State) -> Endpoint:
    return Endpoint(url=_url(state), access_key=state.access_key, secret_key=state.secret_key, instance=state.instance)


def _signal(mark: ProcessMark, number: int) -> None:
    if mark.alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(mark.pid, number)


def _wait_for_end(marks: list[ProcessMark], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(mark.alive for mark in marks):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
