"""A worker: one process that holds a model, asked through pipes. `worker_program` is the other end, and tells the messages.

Samples come through an open file in memory, not through the pipe. Whoever waits for the worker also watches it: a
process that is silent for too long, or grows too large, is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil

from voxledger.synth.engines import worker_program
from voxledger.synth.engines.base import Samples
from voxledger.synth.errors import EngineUnavailable

End = Literal["ended", "silent", "memory", "garbage"]

_LOOK_S = 0.25
"""Seconds between two looks at a process that is waited for."""
_RESTED_S = 30.0
"""Seconds without work after which a worker is asked whether it still answers."""
_ANSWER_S = 10.0
_LARGEST_MESSAGE = 1 << 20
_LARGEST_LOG = 1_000_000


class WorkerEnded(Exception):  # translated by whoever asked
    """The process is gone: it ended, was `silent` for too long, took too much `memory`, or sent `garbage`."""

    stage: Literal["load", "worker"] = "worker"
    """`load` when it came to its end before its model was loaded."""

    def __init__(self, why: End, detail: str) -> None:
        super().__init__(detail)
        self.why = why


class WorkerRefused(Exception):  # translated by whoever asked
    """The model raised something; `kind` and `stage` are its own words."""

    def __init__(self, message: str, *, kind: str, stage: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.stage = stage


@dataclass(frozen=True, kw_only=True)
class Program:
    """What runs in a worker: a module as `worker_program` wants it, its options, and the limits that it is held to.

    `load_s` bounds loading and the first part in a language, `part_s` any other part; `memory` (bytes) is what the
    process may hold in RAM, 0 = anything. `log` gets what it prints.
    """

    python: str
    module: Path
    options: Mapping[str, Any]
    log: Path
    environ: Mapping[str, str]
    load_s: float
    part_s: float
    memory: int = 0


class Worker:
    """One process. Used by one caller at a time; `load` comes first."""

    def __init__(self, program: Program) -> None:
        self.owner = os.getpid()
        self.hello: dict[str, Any] = {}
        self._program = program
        self._known: set[str] = set()
        self._number = 0
        self._unfinished = False
        self._buffer = b""
        self._used = time.monotonic()
        self._watched = 0.0
        self._samples = _memory()
        try:
            with _log(program.log) as log:
                self._process = subprocess.Popen(
                    [program.python, worker_program.__file__, str(program.module), str(self._samples)],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0, env=dict(program.environ),
                    pass_fds=(self._samples,),
                )  # fmt: skip
        except OSError as error:
            os.close(self._samples)
            raise EngineUnavailable(f"the worker process cannot be started: {error}") from error
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)  # one that hangs must not hang whoever asks
        self._watcher = psutil.Process(self._process.pid)

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def usable(self) -> bool:
        """False once it has died, or when it belongs to the process this one was forked from."""
        return self.owner == os.getpid() and self._process.poll() is None

    def load(self) -> None:
        """Wait until the model is loaded. Raises WorkerEnded, WorkerRefused."""
        try:
            self.hello = self._answer("hello", limit_s=self._program.load_s)
            self._send({"do": "load", "options": dict(self._program.options)})
            self._answer("loaded", limit_s=self._program.load_s)
        except WorkerEnded as ended:
            ended.stage = "load"
            raise

    def is_awake(self) -> bool:
        """Whether it answers; asked only after a long rest."""
        if time.monotonic() - self._used < _RESTED_S:
            return True
        try:
            self._send({"do": "ping"})
            self._answer("pong", limit_s=_ANSWER_S)
        except (WorkerEnded, WorkerRefused):
            return False
        return True

    def speak(
        self, asked: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], *, novelty: str = ""
    ) -> Generator[tuple[Samples, int]]:
        """The samples of each part in order, and their rate. Closing the iterator stops it before the next part.

        A `novelty` (a language, say) that this worker has not met before gets the time that loading gets. Raises
        WorkerEnded, after which the worker is not usable, and WorkerRefused.
        """
        self._number += 1
        number = self._number
        limit_s = self._program.part_s if novelty in self._known else self._program.load_s
        if self._unfinished:  # what was broken off is still at its last part
            limit_s += self._program.part_s
        self._send({"do": "speak", "id": number, **asked, "parts": list(parts)})
        self._unfinished = True
        try:
            while (answer := self._answer("part", "done", limit_s=limit_s, number=number))["is"] == "part":
                samples = self._fetched(answer)
                self._send({"do": "more", "id": number})
                self._known.add(novelty)
                limit_s = self._program.part_s
                yield samples, int(answer["rate"])
            self._unfinished = False
        except WorkerRefused:
            self._unfinished = False
            raise
        finally:
            self._used = time.monotonic()
            if self._unfinished and self.usable:
                with contextlib.suppress(WorkerEnded):
                    self._send({"do": "cancel", "id": number})

    def close(self) -> None:
        """End the process, if it is this program's own to end. Idempotent."""
        if self.owner != os.getpid():
            self._process.returncode = 0  # not ours to wait for
        elif self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        if self._samples >= 0:
            os.close(self._samples)
            self._samples = -1

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        whole = worker_program.frame(message)
        poll = select.poll()
        poll.register(self._process.stdin, select.POLLOUT)
        try:
            while whole:
                if not poll.poll(1000 * _ANSWER_S):
                    raise self._killed("silent", "it takes nothing in")
                whole = whole[self._process.stdin.write(whole) or 0 :]
        except (OSError, ValueError):
            raise self._ended() from None

    def _answer(self, *wanted: str, limit_s: float, number: int = 0) -> dict[str, Any]:
        """The next answer of a wanted kind to the request; others belong to what was broken off."""
        deadline = time.monotonic() + limit_s
        while True:
            message = self._message(deadline)
            what = message.get("is")
            if what in wanted and message.get("id", 0) == number:
                return message
            if what == "failed" and message.get("id", 0) == number:
                raise WorkerRefused(message["message"], kind=message["kind"], stage=message["stage"])

    def _message(self, deadline: float) -> dict[str, Any]:
        while True:
            if len(self._buffer) >= 8:
                size = int.from_bytes(self._buffer[4:8], "big")
                if self._buffer[:4] != worker_program.MAGIC or size > _LARGEST_MESSAGE:
                    raise self._killed("garbage", "it sent something that is no answer")
                if len(self._buffer) >= 8 + size:
                    body, self._buffer = self._buffer[8 : 8 + size], self._buffer[8 + size :]
                    try:
                        found: dict[str, Any] = json.loads(body)
                    except ValueError:
                        raise self._killed("garbage", "it sent something that is no answer") from None
                    return found
            self._read(deadline)

    def _read(self, deadline: float) -> None:
        """Wait for bytes, and watch over the process meanwhile."""
        assert self._process.stdout is not None
        poll = select.poll()
        poll.register(self._process.stdout, select.POLLIN)
        while not poll.poll(1000 * min(_LOOK_S, max(0.0, deadline - time.monotonic()))):
            if time.monotonic() >= deadline:
                raise self._killed("silent", "it gave no answer in time")
            self._watch()
        self._watch()
        found = os.read(self._process.stdout.fileno(), 1 << 16)
        if not found:
            raise self._ended()
        self._buffer += found

    def _watch(self) -> None:
        now = time.monotonic()
        if not self._program.memory or now - self._watched < _LOOK_S:
            return
        self._watched = now
        with contextlib.suppress(psutil.Error):
            held = self._watcher.memory_info().rss
            if held > self._program.memory:
                raise self._killed("memory", f"it took {held / 1e9:.1f} GB of memory")

    def _fetched(self, answer: dict[str, Any]) -> Samples:
        samples = np.empty(answer["samples"], dtype=np.float32)
        if len(samples) and os.preadv(self._samples, [samples.data.cast("B")], answer["place"]) != samples.nbytes:
            raise self._killed("garbage", "it announced more samples than there are")
        return samples

    def _killed(self, why: End, detail: str) -> WorkerEnded:
        self.close()
        return self._over(why, detail, "it was killed")

    def _over(self, why: End, detail: str, what: str = "it is gone") -> WorkerEnded:
        """The end of the process, which the log tells too: the process itself had no time for it."""
        with contextlib.suppress(OSError), _log(self._program.log, f"{what}: {detail}"):
            pass
        return WorkerEnded(why, detail)

    def _ended(self) -> WorkerEnded:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        code = self._process.returncode
        self.close()
        if code is None:
            return self._over("garbage", "it closed its output")
        if code == -9:
            return self._over("ended", "it was killed, by somebody or by the system because memory ran out")
        return self._over("ended", f"it ended with exit code {code}")


def _memory() -> int:
    """A file for samples that nobody else can open and that goes with the processes that hold it."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("voxledger-samples")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


@contextlib.contextmanager
def _log(path: Path, line: str = "a worker starts") -> Iterator[int]:
    """The log, to append to, after a line about the process; when it has grown large it is put aside first, and the one that
    lay there goes.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(OSError):
        if path.stat().st_size > _LARGEST_LOG:
            path.replace(path.with_suffix(".old"))
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"-- {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {line}\n".encode())
        yield descriptor
    finally:
        os.close(descriptor)
