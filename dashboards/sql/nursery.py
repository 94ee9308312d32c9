"""The nursery: the process that children are forked from, and the children, each of which answers one question."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
import time
from typing import TypeVar

import msgspec

from voxledger.catalog import platform
from voxledger.dashboards.sql.question import LARGEST_HEAD, LENGTH, Head, Ready, Setting, packed, unpacked

_CHILD = "voxledger.dashboards.sql.child"
_BEGIN = 30.0
"""Seconds for the nursery to be there; it loads DuckDB and Arrow."""
_FORK = 5.0
_BLOCK = 1 << 18
_Message = TypeVar("_Message", bound=msgspec.Struct)


class ChildEnded(Exception):
    """A child ended before it had said what it was to say."""


class ChildLate(Exception):
    """A child did not say it in time."""


class Child:
    """One process: made, asked once, read, ended. Methods are called by one thread at a time, `end` by any."""

    def __init__(self, nursery: Nursery, pid: int, asked: int, answered: int) -> None:
        self.pid = pid
        self._nursery = nursery
        self._asked = asked
        self._answered = answered
        self._lock = threading.Lock()
        self._ended = False
        os.set_blocking(asked, False)

    def prepare(self, setting: Setting, *, patience: float) -> int:
        """Have it open the snapshot; gives the position of that. Raises ChildEnded, ChildLate."""
        deadline = time.monotonic() + patience
        self._write(packed(setting), deadline)
        return self._message(Ready, deadline).position

    def ask(self, question: bytes, *, patience: float) -> Head:
        """Put the one question, packed, and wait for the head of the answer. Raises ChildEnded, ChildLate."""
        deadline = time.monotonic() + patience
        self._write(question, deadline)
        return self._message(Head, deadline)

    def read(self, most: int, *, patience: float) -> bytes:
        """Some bytes of the answer. Raises ChildEnded, ChildLate."""
        return self._some(min(most, _BLOCK), time.monotonic() + patience)

    def end(self) -> None:
        """Kill it with whatever it started, at once. Idempotent; whoever waits for it hears ChildEnded."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            platform.end_group(self.pid)  # it is nobody else's number until the nursery takes note of its end
        self._nursery.reap(self.pid)

    def close(self) -> None:
        """End it and let the pipes go: nobody reads any more."""
        self.end()
        for handle in (self._asked, self._answered):
            with contextlib.suppress(OSError):
                os.close(handle)

    def _write(self, content: bytes, deadline: float) -> None:
        view = memoryview(content)
        while view:
            self._await(self._asked, select.POLLOUT, deadline)
            try:
                view = view[os.write(self._asked, view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise ChildEnded from error

    def _message(self, kind: type[_Message], deadline: float) -> _Message:
        (size,) = LENGTH.unpack(self._exactly(LENGTH.size, deadline))
        if size > LARGEST_HEAD:
            raise ChildEnded
        try:
            return unpacked(self._exactly(size, deadline), kind)
        except msgspec.DecodeError as error:
            raise ChildEnded from error

    def _exactly(self, size: int, deadline: float) -> bytes:
        found = bytearray()
        while len(found) < size:
            found += self._some(size - len(found), deadline)
        return bytes(found)

    def _some(self, most: int, deadline: float) -> bytes:
        self._await(self._answered, select.POLLIN, deadline)
        found = os.read(self._answered, most)
        if not found:
            raise ChildEnded
        return found

    def _await(self, handle: int, event: int, deadline: float) -> None:
        ready = select.poll()
        ready.register(handle, event)
        if not ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise ChildLate


class Nursery:
    """The process that is forked. It has no threads, and is told nothing that anybody asks. Safe from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-m", _CHILD], stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={"MALLOC_ARENA_MAX": "2"}, cwd="/", start_new_session=True,
            )  # fmt: skip
        self._control = ours
        self._control.settimeout(_BEGIN)

    @property
    def lives(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def child(self) -> Child:
        """A new child. Raises ChildEnded where the nursery itself has ended."""
        pipes: list[int] = []
        try:
            pipes += os.pipe()
            pipes += os.pipe()
            with self._lock:
                socket.send_fds(self._control, [b"fork"], [pipes[0], pipes[3]])
                said = self._control.recv(64)
                self._control.settimeout(_FORK)
            if not said:
                raise ChildEnded
            child = Child(self, int(said), pipes[1], pipes[2])
        except OSError as error:
            for handle in pipes[1:2] + pipes[2:3]:
                os.close(handle)
            raise ChildEnded from error
        finally:
            for handle in pipes[0:1] + pipes[3:4]:
                os.close(handle)
        return child

    def reap(self, pid: int) -> None:
        """Take note of the end of a child that was killed."""
        with self._lock, contextlib.suppress(OSError):
            self._control.send(f"reap {pid}".encode())
            self._control.recv(64)

    def close(self) -> None:
        """End the process; children that still live end with their pipes."""
        self._control.close()
        self._process.kill()
        self._process.wait()
