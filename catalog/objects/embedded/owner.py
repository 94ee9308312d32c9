"""The owner of the embedded store: a process that runs rclone's S3 server for one HOME until nobody needs it.

Run as `python -m voxledger.catalog.objects.embedded.owner HOME [IDLE_SECONDS]`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import psutil

from voxledger.catalog import platform
from voxledger.catalog.events import new_id
from voxledger.catalog.objects.embedded import signed
from voxledger.catalog.objects.embedded.rclone import find_rclone
from voxledger.catalog.objects.embedded.state import Files, ProcessMark, State, new_keys

_log = logging.getLogger(__name__)
_TAKE_OVER = 5.0
"""Seconds a new owner waits for one that is on its way out."""
_START = 10.0
"""Seconds the server gets to answer its first request."""
_STOP = 5.0
"""Seconds the server gets to end by itself."""
_TRIES = 5
"""Ports tried before giving up: between choosing and binding, another program may take one."""
_LARGEST_LOG = 1_000_000
"""Bytes of `store.log` at which it starts again from nothing."""
_TRAFFIC = 1000
"""Bytes through the server that count as use; its own housekeeping moves some ten bytes a minute."""


def main(argv: list[str]) -> int:
    """Own the store of a HOME until it is idle, its server ends or SIGTERM comes. Gives the exit status."""
    files = Files(Path(argv[0]).absolute())
    idle = float(argv[1]) if len(argv) > 1 else 600.0
    logging.basicConfig(level=logging.INFO, format="%(asctime)s owner: %(message)s")
    os.umask(0o077)
    deadline = time.monotonic() + _TAKE_OVER
    while time.monotonic() < deadline:
        with platform.locked(files.owner_lock, blocking=False) as held:
            if held:
                return Owner(files, idle=max(idle, 1.0)).run()
        time.sleep(0.02)
    _log.info("another owner is here already")
    return 0


class Owner:
    """Starts the server, writes down where it is, watches over it, and ends it."""

    def __init__(self, files: Files, *, idle: float) -> None:
        self._files = files
        self._idle = idle
        self._instance = new_id()
        self._wake = threading.Event()
        self._terminated = False

    def run(self) -> int:
        """Gives the exit status."""
        signal.signal(signal.SIGTERM, self._on_terminate)
        files = self._files
        files.folder.mkdir(mode=0o700, exist_ok=True)
        state = files.read() or new_keys()
        if state.server is not None and state.server.alive:
            # Left by an owner that was killed, on a system where children are not told.
            _end(psutil.Process(state.server.pid))
        server, port = self._launch(state)
        if server is None:
            return 0 if self._terminated else 1
        try:
            state = msgspec.structs.replace(
                state, port=port, instance=self._instance, owner=_mark(os.getpid()), server=_mark(server.pid)
            )
            files.write(state)
            _log.info("the store answers on port %d", port)
            self._watch(server)
        finally:
            _end(server)
            if self._is_written():
                files.write(msgspec.structs.replace(state, instance=None, owner=None, server=None))
        return 0

    def _is_written(self) -> bool:
        """Whether `store.json` speaks of this start, and HOME has not been removed or replaced."""
        state = self._files.read()
        return state is not None and state.instance == self._instance

    def _on_terminate(self, *_: object) -> None:
        self._terminated = True
        self._wake.set()

    def _launch(self, state: State) -> tuple[subprocess.Popen[bytes] | None, int]:
        """The server, answering; None when there is none to be had."""
        port = state.port
        for _ in range(_TRIES):
            port = free_port(port)
            # Its child is told of the end of the thread that started it, so only this, the main thread, may do so.
            server = subprocess.Popen(  # argv is ours
                serve_command(find_rclone(), self._files.folder, port),
                env=_environment(state),
                stdin=subprocess.DEVNULL,
                preexec_fn=platform.die_with_parent if sys.platform == "linux" else None,
            )
            if self._answers(server, state, port):
                return server, port
            _end(server)
            if self._terminated:
                break
            _log.warning("the server did not start on port %d", port)
            port = 0
        return None, 0

    def _answers(self, server: subprocess.Popen[bytes], state: State, port: int) -> bool:
        deadline = time.monotonic() + _START
        while time.monotonic() < deadline and server.poll() is None and not self._terminated:
            if signed.is_ours(port, state.access_key, state.secret_key) and server.poll() is None:
                return True
            time.sleep(0.01)
        return False

    def _watch(self, server: subprocess.Popen[bytes]) -> None:
        """Until nobody needs the server. Use is noticed as a change and timed by a clock that nobody sets."""
        threading.Thread(target=self._wait_for_end, args=(server,), daemon=True).start()
        seen, moved, last = self._last_use(), _traffic(server.pid), time.monotonic()
        while not self._wake.wait(min(1.0, self._idle / 4)):
            used, traffic = self._last_use(), _traffic(server.pid)
            if used != seen or traffic - moved > _TRAFFIC:
                seen, moved, last = used, traffic, time.monotonic()
            if time.monotonic() - last >= self._idle:
                _log.info("idle for %g s, stopping", self._idle)
                return
            if not self._is_written():
                _log.info("HOME was removed or replaced, stopping")
                return
            with contextlib.suppress(OSError):
                if self._files.log.stat().st_size > _LARGEST_LOG:
                    os.truncate(self._files.log, 0)
        _log.info("told to stop" if self._terminated else "the server ended by itself")

    def _wait_for_end(self, server: subprocess.Popen[bytes]) -> None:
        server.wait()
        self._wake.set()

    def _last_use(self) -> int:
        try:
            return self._files.used.stat().st_mtime_ns
        except OSError:
            return 0


def serve_command(rclone: str, folder: Path, port: int) -> list[str]:
    """How rclone is asked to serve. The directory cache stays on: without it each request reads the whole folder."""
    return [
        rclone, "serve", "s3", "--addr", f"127.0.0.1:{port}", "--config", "", "--log-level", "NOTICE",
        "--vfs-cache-mode", "off", "--dir-cache-time", "5m", "--poll-interval", "0", str(folder),
    ]  # fmt: skip


def free_port(preferred: int = 0) -> int:
    """A loopback port nobody listens on: the preferred one if it is free."""
    for port in (preferred, 0) if preferred else (0,):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if sys.platform != "win32":
                # The server does so too; without it a port that was just left looks taken for a minute.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise OSError("no loopback port is free")


def _environment(state: State) -> dict[str, str]:
    """The key goes into the environment, which only its user can read; rclone takes it as a line of CSV."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RCLONE_", "LISTEN_"))}
    return {**kept, "RCLONE_AUTH_KEY": f'"{state.access_key},{state.secret_key}"'}


def _mark(pid: int) -> ProcessMark:
    start = platform.started(pid)
    if start is None:
        raise ProcessLookupError(f"process {pid} ended while the store was starting")
    return ProcessMark(pid=pid, start=start)


def _traffic(pid: int) -> int:
    """Bytes a process has read and written, sockets included, where the system tells: so any S3 client counts."""
    if sys.platform != "linux":
        return 0
    try:
        counters = psutil.Process(pid).io_counters()
    except psutil.Error:
        return 0
    return int(counters.read_chars + counters.write_chars)


def _end(process: psutil.Process | subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
        process.terminate()
        try:
            process.wait(_STOP)
        except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
            process.kill()
            process.wait(_STOP)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
