"""One core a clip: the audio chain in threads whose torch does not split its work.

A clip is too small to share out: handing pieces of it to a second core costs more than it saves, and where that core is
busy, the barrier at the end of each operation waits for it (measured: 6 ms on one core, up to 700 ms on two busy ones).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import torch

from voxledger.synth.audio.memory import keep_at_hand
from voxledger.synth.audio.seats import LATER, Seats

_T = TypeVar("_T")
_MANY = 1024
"""Threads at most: of those, only as many work as there are cores, the others have given way in the middle of something long."""
_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None
_hands: ThreadPoolExecutor | None = None
_seats = Seats(os.cpu_count() or 1)
_seated = threading.local()


def on_one_core(step: Callable[[], _T], *, due: float = LATER) -> _T:
    """What `step` returns or raises, run in a thread with one core; at most as many at a time as there are cores.

    What is `due` first, on the monotonic clock, goes first. The caller's own thread will do where torch keeps to one core
    there: that spares two changes of threads. Within a step, a further one is part of it.
    """
    if _is_seated():
        return step()
    with _seats.taken(due):
        if torch.get_num_threads() > 1:
            return _threads().submit(_run, step).result()
        keep_at_hand()
        return _run(step)


def give_way(due: float = LATER) -> None:
    """In the middle of a long step: let those go first who wait for something that is due before what goes on here."""
    if _is_seated():
        _seats.give_way(due)


def on_all_cores(steps: Iterable[Callable[[], _T]]) -> Iterator[_T]:
    """What each of the steps returns, in order; raises what the first of them raises. Each runs on one core.

    Within a step of its own it runs the steps itself, one after the other: its thread would wait for threads that are
    taken.
    """
    if _is_seated():
        yield from (step() for step in steps)
        return
    hands = _threads(hands=True)
    futures = [hands.submit(partial(on_one_core, step)) for step in steps]
    try:
        for future in futures:
            yield future.result()
    finally:
        for future in futures:
            future.cancel()


def _is_seated() -> bool:
    return getattr(_seated, "now", False)


def _run(step: Callable[[], _T]) -> _T:
    _seated.now = True
    try:
        return step()
    finally:
        _seated.now = False


def _threads(*, hands: bool = False) -> ThreadPoolExecutor:
    """The threads of single steps, or those that share out many: if they were the same, each could wait for the other."""
    global _pool, _hands  # threads are shared by all studios of a process
    with _lock:
        if _pool is None or _hands is None:
            keep_at_hand()
            _pool = ThreadPoolExecutor(_MANY, "voxledger-audio", initializer=_settle)
            _hands = ThreadPoolExecutor(os.cpu_count() or 1, "voxledger-hands", initializer=_settle)
        return _hands if hands else _pool


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
    global _pool, _hands, _lock, _seats, _seated  # see above
    _pool, _hands, _lock, _seats, _seated = None, None, threading.Lock(), Seats(os.cpu_count() or 1), threading.local()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
