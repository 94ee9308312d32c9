"""Processes of tests, forked from one that has everything imported and nothing open.

Starting an interpreter and importing what Voxledger needs costs a second of CPU, and what a node needs three; a fork costs
milliseconds. `run` is what `subprocess.run([sys.executable, …])` would be, for programs that end by themselves or at a failpoint;
`spawn` is what `subprocess.Popen` would be, for those that stay. As a script it is the process that forks: `forking.py FD`, a
socket on which it is asked, `forking.py FD whole` has imported all that a node needs, and `forking.py FD indextts` what IndexTTS
does.
"""

from __future__ import annotations

import array
import atexit
import ctypes
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

PATIENCE = 120.0
"""Seconds until a test gives a process up."""
_ROOT = Path(__file__).parents[1]
_MOST = (
    "boto3",
    "duckdb",
    "encodings.ascii",
    "polars",
    "pyarrow.dataset",
    "pytest",
    "rich._emoji_codes",
    "voxledger.analytics.mixpanel",
    "voxledger.analytics.reports",
    "voxledger.catalog.backup",
    "voxledger.catalog.erasure",
    "voxledger.catalog.models",
    "voxledger.catalog.query.parameters",
    "voxledger.catalog.reconcile",
    "voxledger.catalog.retention",
    "voxledger.catalog.search",
    "voxledger.cli",
    "voxledger.dashboards.remote.ledger",
    "voxledger.dashboards.sql.client",
    "voxledger.ledger",
    "voxledger.synth.studio",
    "voxledger.synth.voices",
)
"""What most of them import, by and by; nothing of it brings torch."""
_WHOLE = (
    *_MOST,
    "anyio._backends._asyncio",
    "jinja2",
    "numpy.fft",
    "pydantic.v1",
    "voxledger.acting",
    "voxledger.catalog.cache",
    "voxledger.catalog.status",
    "voxledger.dashboards.node",
    "voxledger.dashboards.server.running",
    "voxledger.synth.audio",
    "voxledger.synth.engines.espeak",
)
"""What a node imports by and by: torch comes with the audio chain, and FastAPI looks whether anything is of pydantic's first version."""
_KINDS = {"most": _MOST, "whole": _WHOLE, "indextts": ("tests.synth.engines.imported",)}
_SUBREAPER = 36
"""The number of PR_SET_CHILD_SUBREAPER."""
_asking = threading.Lock()


class Process:
    """A forked process that stays, a child of this one: what tests use of subprocess.Popen."""

    def __init__(self, pid: int, words: Sequence[str], pipes: _Pipes) -> None:
        self.pid = pid
        self.args = words
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = pipes.ours
        self._ended = os.pidfd_open(pid)
        self._collecting = threading.Lock()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for its end, as subprocess.Popen does."""
        for pipe in (self.stdout, self.stderr, self.stdin):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        self.wait()

    def communicate(self, input: str | None = None, timeout: float | None = None) -> tuple[str, str]:
        """Say this, hear all that it says on its pipes, and wait for its end."""
        said = ["", ""]

        def hear(place: int, pipe: IO[str]) -> None:
            with pipe:
                said[place] = pipe.read()

        pipes = [(place, pipe) for place, pipe in enumerate((self.stdout, self.stderr)) if pipe is not None]
        hearing = [threading.Thread(target=hear, args=each, daemon=True) for each in pipes]
        for thread in hearing:
            thread.start()
        if self.stdin is not None:
            with suppress(BrokenPipeError):
                self.stdin.write(input or "")
                self.stdin.close()
        deadline = None if timeout is None else time.monotonic() + timeout
        for thread in hearing:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
        return said[0], said[1]

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._collected(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once it has ended. Raises subprocess.TimeoutExpired after so many seconds."""
        status = self._collected(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing happens when it has ended."""
        with self._collecting:
            if self.returncode is None:
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Tell it to stop."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def _collected(self, patience: float | None) -> int | None:
        with self._collecting:
            if self.returncode is not None:
                return self.returncode
        poll = select.poll()
        poll.register(self._ended, select.POLLIN)
        poll.poll(None if patience is None else patience * 1000)
        with self._collecting:
            if self.returncode is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
                    os.close(self._ended)
            return self.returncode


def spawn(
    arguments: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int | None = None,
    stdout: IO[str] | int | None = None,
    stderr: IO[str] | int | None = None,
    whole: bool = False,
    kind: str = "",
    binary: bool = False,
    pass_fds: Sequence[int] = (),
    cwd: Path = _ROOT,
) -> Process:
    """Start `-m MODULE …`, `-c CODE …` or `FILE …`; whoever starts it ends it.

    Each stream may be a `subprocess.PIPE`, of text unless `binary`, and then without a buffer; without one it has nothing on
    standard input, and says what it says where this process does. It becomes a child of this process: the one between it and the
    process that forks ends at once, and who may collect orphans gets it. It begins with all imported that a node needs, and with
    torch, for `-m` or when it is to be `whole`; or with what another `kind` has.
    """
    words = [str(word) for word in arguments]
    kind = kind or ("whole" if whole or words[0] == "-m" else "most")
    pipes = _Pipes(stdin, stdout, stderr, binary=binary)
    try:
        with tempfile.TemporaryFile() as asked, _asking:
            _collect_orphans(True)
            try:
                request = _request(asked, words, os.environ if env is None else env, cwd, pass_fds)
                answer = _asked(_parent(kind), b"spawn", request, *pipes.theirs, *pass_fds)
            finally:
                _collect_orphans(False)
    finally:
        pipes.give_away()
    return Process(answer["pid"], words, pipes)


class _Pipes:
    """Standard input, output and error of a process: its ends, and this process's where it is a pipe."""

    def __init__(self, stdin: int | None, *outputs: IO[str] | int | None, binary: bool) -> None:
        self.ours: list[IO[Any] | None] = []
        self.theirs: list[int] = []
        self._given: list[int] = []
        for place, wanted in enumerate((stdin, *outputs)):
            end: IO[Any] | None = None
            if wanted == subprocess.PIPE:
                read, write = os.pipe()
                handle, mine = (write, read) if place else (read, write)
                mode = "r" if place else "w"
                end = os.fdopen(mine, f"{mode}b", buffering=0) if binary else os.fdopen(mine, mode, encoding="utf-8")
                self._given.append(handle)
            elif wanted == subprocess.DEVNULL or (wanted is None and not place):
                handle = os.open(os.devnull, os.O_RDWR)
                self._given.append(handle)
            elif wanted is None:
                handle = place
            else:
                handle = wanted if isinstance(wanted, int) else wanted.fileno()
            self.ours.append(end)
            self.theirs.append(handle)

    def give_away(self) -> None:
        """Its ends are its own from now on: a pipe ends with whoever writes."""
        for handle in self._given:
            os.close(handle)


def _collect_orphans(wanted: bool) -> None:
    ctypes.CDLL(None).prctl(_SUBREAPER, int(wanted))


def run(
    arguments: Sequence[str | Path], *, env: Mapping[str, str] | None = None, kind: str = "most", cwd: Path = _ROOT
) -> subprocess.CompletedProcess[str]:
    """Run `-m MODULE …`, `-c CODE …` or `FILE …` to its end, with nothing on standard input.

    Raises subprocess.TimeoutExpired after `PATIENCE`.
    """
    words = [str(word) for word in arguments]
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        request = _request(asked, words, os.environ if env is None else env, cwd)
        with _asking, Path(os.devnull).open("rb") as nothing:
            answer = _asked(_parent(kind), b"run", request, nothing, out, err)
        if answer["status"] is None:
            raise subprocess.TimeoutExpired(words, PATIENCE)
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode(errors="replace"))
    return subprocess.CompletedProcess(words, answer["status"], *said)


def _request(
    file: IO[bytes], words: list[str], env: Mapping[str, str], cwd: Path, pass_fds: Sequence[int] = ()
) -> IO[bytes]:
    asked = {"words": words, "environ": dict(env), "cwd": str(cwd), "pass_fds": list(pass_fds)}
    file.write(json.dumps(asked).encode())
    file.flush()
    return file


def _asked(line: socket.socket, message: bytes, *files: IO[Any] | int) -> dict[str, Any]:
    handles = array.array("i", [file if isinstance(file, int) else file.fileno() for file in files])
    try:
        line.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)])
        answer: dict[str, Any] = json.loads(line.recv(1000))
    except (OSError, ValueError):
        _parent.cache_clear()  # it ended: the next one may find that what it imports is whole again
        raise
    return answer


def arm(failpoint: str) -> None:
    """Arm a failpoint in this process: the variable counts when the module is imported, and that was before the fork."""
    from voxledger.catalog import failpoints

    armed, unarmed = failpoints.armed(failpoint), failpoints.failpoint
    for module in list(sys.modules.values()):
        if getattr(module, "failpoint", None) is unarmed:
            module.failpoint = armed  # type: ignore[attr-defined]


@cache
def _parent(kind: str) -> socket.socket:
    """The line to the process that forks; it ends when nobody holds the other end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("VOXLEDGER_")}
    process = subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno()), kind], pass_fds=[theirs.fileno()], env=environ
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait(PATIENCE)

    atexit.register(end)
    return ours


def _serve(line: socket.socket) -> None:
    """Fork for each request; a child is what it was asked to be, and never returns."""
    while True:
        message, handles, _, _ = socket.recv_fds(line, 100, 8)
        if not message:
            os._exit(0)
        stays = message == b"spawn"
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            if stays:
                between = os.getpid()
                grandchild = os.fork()
                if grandchild:
                    os.write(tell, str(grandchild).encode())
                    os._exit(0)
                while os.getppid() == between:  # whoever asks who its parent is hears no other from the beginning
                    time.sleep(0.001)
            for handle in (line.detach(), told, tell):
                os.close(handle)
            _be(*handles, dies_with_parent=not stays)
        for handle in (*handles, tell):
            os.close(handle)
        status = _ended(pid)
        with os.fdopen(told, "rb") as pipe:
            answer = {"pid": int(pipe.read())} if stays else {"status": status}
        line.send(json.dumps(answer).encode())


def _ended(pid: int) -> int | None:
    """The exit status of a child, negative for a signal; None for one that had to be killed because it did not end."""
    watch = threading.Timer(PATIENCE, os.kill, (pid, 9))
    watch.start()
    try:
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status) if watch.is_alive() else None
    finally:
        watch.cancel()
        watch.join()


def _be(asked: int, *handles: int, dies_with_parent: bool) -> None:
    """Become the process that was asked for, up to its end."""
    from voxledger.catalog import platform

    if dies_with_parent:
        platform.die_with_parent()
    with open(asked, "rb") as file:
        file.seek(0)
        request: dict[str, Any] = json.load(file)
    _place(handles, (0, 1, 2, *request["pass_fds"]))
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["cwd"])
    arm(request["environ"].get("VOXLEDGER_FAILPOINT", ""))
    _end(_status_of(request["words"]))


def _place(handles: Sequence[int], numbers: Sequence[int]) -> None:
    """Let each handle have the number that is meant for it."""
    beyond = max((*handles, *numbers)) + 1
    apart = [fcntl.fcntl(handle, fcntl.F_DUPFD, beyond) for handle in handles]
    for handle in handles:
        os.close(handle)
    for handle, number in zip(apart, numbers, strict=True):
        os.dup2(handle, number)
        os.close(handle)


def _status_of(words: list[str]) -> int:
    """Run what was asked for; the exit status that an interpreter would have."""
    first, *rest = words
    try:
        if first == "-m":
            sys.argv = rest
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        elif first == "-c":
            sys.argv = [first, *rest[1:]]
            exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})  # what `python -c` does
        else:
            sys.argv = [first, *rest]
            sys.path.insert(0, str(Path(first).parent))
            runpy.run_path(first, run_name="__main__")
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException as error:  # noqa: BLE001  # what an interpreter does with whatever nobody caught
        sys.excepthook(type(error), error, error.__traceback__)
        return 1
    return 0


def _end(status: int) -> None:
    """End as an interpreter does, but for taking everything apart that was inherited: that costs a second of CPU."""
    threading._shutdown()  # waits for the threads that are no daemons
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status & 0xFF)


if __name__ == "__main__":
    sys.path[0] = str(_ROOT)
    from tests.descriptions import read_now, read_once

    for _name in _KINDS[sys.argv[2]]:
        importlib.import_module(_name)
    if "indextts" not in sys.argv:
        read_once()
        read_now()
        importlib.import_module("pyarrow").array(["its first array imports pandas where that is installed"])
    gc.freeze()  # a child's collector need not look at what it has inherited, nor copy it by touching it
    _serve(socket.socket(fileno=int(sys.argv[1])))
