"""One core a clip: the audio chain in threads whose torch does not split its work.

A clip is too small to share out: handing pieces of it to a second core costs more than it saves, and where that core is
busy, the barrier at the end of each operation waits for it (measured: 6 ms on one core, up to 700 ms on two busy ones).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from voxledger.synth.audio.memory import keep_at_hand

_T = TypeVar("_T")
_NAME = "voxledger-audio"
_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_seats = threading.Semaphore(os.cpu_count() or 1)


def on_one_core(step: Callable[[], _T]) -> _T:
    """What `step` returns or raises, run in a thread with one core; at most as many at a time as there are cores.

    The caller's own thread will do where torch keeps to one core there: that spares two changes of threads.
    """
    if torch.get_num_threads() > 1:
        return _threads().submit(step).result()
    keep_at_hand()
    with _seats:
        return step()


def on_all_cores(steps: Iterable[Callable[[], _T]]) -> Iterator[_T]:
    """What each of the steps returns, in order; raises what the first of them raises. Each runs on one core.

    Within a step of its own it runs the steps itself, one after the other: its thread would wait for threads that are
    taken.
    """
    if threading.current_thread().name.startswith(_NAME):
        yield from (step() for step in steps)
        return
    futures = [_threads().submit(step) for step in steps]
    try:
        for future in futures:
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def _threads() -> ThreadPoolExecutor:
    global _pool  # threads are shared by all studios of a process
    with _lock:
        if _pool is None:
            keep_at_hand()
            _pool = ThreadPoolExecutor(os.cpu_count() or 1, _NAME, initializer=_settle)
        return _pool


def _settle() -> None:
    """One core for this thread. torch also notes the number for threads to come, so a passing one puts that back."""
    with _lock:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        restorer = threading.Thread(target=torch.set_num_threads, args=(before,))
        restorer.start()
        restorer.join()


def _forget() -> None:
    """Threads do not survive a fork."""
    global _pool, _lock, _seats  # see above
    _pool, _lock, _seats = None, threading.Lock(), threading.Semaphore(os.cpu_count() or 1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
