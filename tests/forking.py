"""Short-lived processes of tests, forked from one that has everything imported and nothing open.

Starting an interpreter and importing what Voxledger needs costs a second of CPU; a fork costs milliseconds. `run` is what
`subprocess.run([sys.executable, …])` would be, for programs that end by themselves or at a failpoint. As a script it is the
process that forks: `forking.py FD`, a socket on which it is asked.
"""

from __future__ import annotations

import array
import atexit
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

PATIENCE = 120.0
"""Seconds until a test gives a process up."""
_ROOT = Path(__file__).parents[1]
_asking = threading.Lock()


def run(
    arguments: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path = _ROOT
) -> subprocess.CompletedProcess[str]:
    """Run `-m MODULE …`, `-c CODE …` or `FILE …` to its end, with nothing on standard input.

    Raises subprocess.TimeoutExpired after `PATIENCE`.
    """
    words = [str(word) for word in arguments]
    request = {"words": words, "environ": dict(os.environ if env is None else env), "cwd": str(cwd)}
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        asked.write(json.dumps(request).encode())
        asked.flush()
        with _asking:
            line = _parent()
            handles = array.array("i", [file.fileno() for file in (asked, out, err)])
            line.sendmsg([b"run"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)])
            answer = json.loads(line.recv(1000))
        if answer["status"] is None:
            raise subprocess.TimeoutExpired(words, PATIENCE)
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode(errors="replace"))
    return subprocess.CompletedProcess(words, answer["status"], *said)


def arm(failpoint: str) -> None:
    """Arm a failpoint in this process: the variable counts when the module is imported, and that was before the fork."""
    from voxledger.catalog import failpoints

    armed, unarmed = failpoints.armed(failpoint), failpoints.failpoint
    for module in list(sys.modules.values()):
        if getattr(module, "failpoint", None) is unarmed:
            module.failpoint = armed  # type: ignore[attr-defined]


@cache
def _parent() -> socket.socket:
    """The line to the process that forks; it ends when nobody holds the other end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("VOXLEDGER_")}
    process = subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()], env=environ
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait(PATIENCE)

    atexit.register(end)
    return ours


def _serve(line: socket.socket) -> None:
    """Fork for each request; only a child returns, and lives on as what it was asked to be."""
    while True:
        message, handles, _, _ = socket.recv_fds(line, 100, 3)
        if not message:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            line.close()
            _be(*handles)
            return
        for handle in handles:
            os.close(handle)
        line.send(json.dumps({"status": _ended(pid)}).encode())


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


def _be(asked: int, out: int, err: int) -> None:
    """Become the process that was asked for, up to its end."""
    from voxledger.catalog import platform

    platform.die_with_parent()
    with open(asked, "rb") as file:
        file.seek(0)
        request: dict[str, Any] = json.load(file)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["cwd"])
    arm(request["environ"].get("VOXLEDGER_FAILPOINT", ""))
    first, *rest = request["words"]
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


if __name__ == "__main__":
    sys.path[0] = str(_ROOT)
    import boto3 as _boto3  # noqa: F401  # what most of them import
    import duckdb as _duckdb  # noqa: F401
    import polars as _polars  # noqa: F401
    import pyarrow as _pyarrow  # noqa: F401

    import voxledger.ledger as _ledger  # noqa: F401

    _serve(socket.socket(fileno=int(sys.argv[1])))
