"""A process that has everything imported and nothing open: it forks a fresh process in a millisecond, as often as it is asked.

Starting an interpreter costs half a second, and these tests end thousands of processes. As a script it is that process:
`nursery.py FD`, a socket on which it is asked.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATIENCE = 120.0
"""Seconds until a test gives a child up."""


class Child:
    """A process that lives one of the lives in `lives.py`. What it says is in a file, so that nothing of it is lost."""

    def __init__(self, nursery: Nursery, pid: int, said: Path) -> None:
        self._nursery = nursery
        self.pid = pid
        self._said = said
        self._ended: int | None = None

    def said(self) -> list[list[str]]:
        """The words of each line so far; a line that was cut by the end of the process says nothing."""
        lines = self._said.read_text().splitlines(keepends=True)
        return [line.split() for line in lines if line.endswith("\n")]

    def found(self) -> dict[str, Any]:
        """What a child that ends well has found, said as JSON in its last line."""
        assert self.wait() == 0, "it failed; see above"
        found: dict[str, Any] = json.loads(self._said.read_text().splitlines()[-1].removeprefix("found "))
        return found

    def until(self, word: str, count: int = 1) -> None:
        """Wait until it has said lines that begin with a word so often. It must not end before."""
        deadline = time.monotonic() + PATIENCE
        while sum(line[0] == word for line in self.said()) < count:
            assert self.poll() is None, f"ended with {self._ended} before it said {word!r}"
            assert time.monotonic() < deadline, f"did not say {word!r} in time"
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
            self.wait()

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        if self._ended is None:
            self._ended = self._nursery.ask({"poll": self.pid})["status"]
        return self._ended

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit status, once it has ended."""
        deadline = time.monotonic() + patience
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError(f"process {self.pid} did not end in time")
            time.sleep(0.005)
        return status


class Nursery:
    """The test's end. Use `nursing()`."""

    def __init__(self, line: socket.socket, folder: Path) -> None:
        self._line = line
        self._folder = folder
        self._born = 0

    def start(self, life: str, home: Path, /, *, failpoint: str = "", **values: Any) -> Child:
        """A child that lives `lives.LIFE(home, say, **values)`, with a failpoint armed if one is named."""
        self._born += 1
        said = self._folder / f"said-{self._born}"
        with said.open("wb") as file:
            request = {"life": life, "home": str(home), "failpoint": failpoint, "values": values}
            socket.send_fds(self._line, [json.dumps(request).encode()], [file.fileno()])
        return Child(self, json.loads(self._line.recv(1000))["pid"], said)

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self._line.send(json.dumps(request).encode())
        answer: dict[str, Any] = json.loads(self._line.recv(1000))
        return answer


@contextlib.contextmanager
def nursing(folder: Path) -> Iterator[Nursery]:
    """A nursery of its own, whose children end with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        process = subprocess.Popen([sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()])
        try:
            yield Nursery(ours, folder)
        finally:
            ours.shutdown(socket.SHUT_RDWR)
            process.wait(PATIENCE)


def _serve(line: socket.socket) -> None:
    while True:
        message, handles, _, _ = socket.recv_fds(line, 65_536, 1)
        if not message:
            return
        request = json.loads(message)
        if "poll" in request:
            line.send(json.dumps({"status": _polled(request["poll"])}).encode())
            continue
        pid = os.fork()
        if pid == 0:
            line.close()
            _live(request, handles[0])
        os.close(handles[0])
        line.send(json.dumps({"pid": pid}).encode())


def _polled(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _live(request: dict[str, Any], handle: int) -> None:
    """The child: never returns."""
    from tests.catalog.durability import lives
    from tests.forking import arm
    from voxledger.catalog import platform

    def say(*words: object) -> None:
        os.write(handle, (" ".join(str(word) for word in words) + "\n").encode())

    status = 1
    try:
        platform.die_with_parent()
        arm(request["failpoint"])
        getattr(lives, request["life"])(Path(request["home"]), say, **request["values"])
        status = 0
    except BaseException:  # noqa: BLE001  # it ends here, whatever it was
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[3]))
    import polars as _polars  # noqa: F401  # what a life would import
    import pyarrow as _pyarrow
    import pyarrow.acero as _acero  # noqa: F401

    import tests.catalog.durability.lives as _lives  # noqa: F401

    _pyarrow.array(["its first array imports pandas where that is installed"])
    gc.freeze()  # a child's collector need not look at what it has inherited
    _serve(socket.socket(fileno=int(sys.argv[1])))
