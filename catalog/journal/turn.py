"""Turns: processes that want to write at the same time come one after another.

SQLite alone lets a busy writer begin again before anybody who waits has noticed that it had finished. So a writer first
takes a lock in the kernel, which wakes whoever waits for it. SQLite still decides who writes: a turn that cannot be had
in time is gone without, and one that is held by a process that ends is free.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import weakref
from pathlib import Path

PATIENCE = 5.0
"""Seconds to wait for a turn before SQLite's own lock is tried without one."""


class Turn:
    """The lock on one file between processes. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = _opened(path)
        self._held = False
        self._waiter: _Waiter | None = None
        _all.add(self)

    def close(self) -> None:
        """Let go of the file. Idempotent."""
        if self._waiter:
            self._waiter.end()
        if self._handle >= 0:
            os.close(self._handle)
        self._waiter, self._handle = None, -1

    def take(self) -> bool:
        """Wait for the turn; False when others keep it for too long. `give` ends it either way."""
        if self._handle < 0:
            return False
        if _lock(self._handle, wait=False):
            self._held = True
            return True
        if self._waiter is None:
            self._waiter = _Waiter(self._path)
        return self._waiter.take(PATIENCE)

    def give(self) -> None:
        """Let the next one have it."""
        if self._held:
            self._held = False
            _unlock(self._handle)
        elif self._waiter:
            self._waiter.give()

    def forget(self) -> None:
        """In a forked child: it would keep a turn beyond the end of the process that took it."""
        if self._waiter:
            os.close(self._waiter.handle)
        if self._handle >= 0:
            os.close(self._handle)
        self._waiter, self._handle = None, -1


class _Ask:
    """One wait for a turn. Whoever asked may have lost patience before it is granted."""

    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.over = False
        self.granted = False
        self.answer = threading.Lock()
        self.answer.acquire()


class _Waiter:
    """A thread that waits for the lock, because waiting for it cannot be limited in time."""

    def __init__(self, path: Path) -> None:
        self.handle = _opened(path)
        self._ask: _Ask | None = None
        self._asked: queue.SimpleQueue[_Ask | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="voxledger-turn", daemon=True).start()

    def end(self) -> None:
        """Let the thread end, and close its file, as soon as it waits no longer."""
        self._asked.put(None)

    def take(self, seconds: float) -> bool:
        self._ask = _Ask()
        self._asked.put(self._ask)
        return self._ask.answer.acquire(timeout=seconds)

    def give(self) -> None:
        ask, self._ask = self._ask, None
        if ask:
            with ask.mutex:
                ask.over = True
                if ask.granted:
                    _unlock(self.handle)

    def _work(self) -> None:
        while ask := self._asked.get():
            _lock(self.handle, wait=True)
            with ask.mutex:
                if ask.over:
                    _unlock(self.handle)
                else:
                    ask.granted = True
                    ask.answer.release()
        os.close(self.handle)


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


if sys.platform == "win32":
    # There, SQLite alone decides, and a mark may be overwritten by one that is a moment older.
    def _lock(handle: int, *, wait: bool) -> bool:  # noqa: ARG001  # the other system's signature
        return True

    def _unlock(handle: int) -> None:
        pass
else:
    import fcntl

    def _lock(handle: int, *, wait: bool) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        return True

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)


_all: weakref.WeakSet[Turn] = weakref.WeakSet()


def _forget() -> None:
    for turn in list(_all):
        turn.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
