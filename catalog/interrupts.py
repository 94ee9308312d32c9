"""Ctrl-C, where it can do no harm: Python raises KeyboardInterrupt between any two instructions, also after a lock was
taken and before anybody knows it. Such a lock is never released, and whoever needs it next waits for ever.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_INSISTING = 3
"""At this many interrupts a person means it, whatever is being done."""
_AGAIN = 0.01
"""Seconds until an interrupt that came at a bad moment is tried again."""
_IMPORTING = "<frozen importlib._bootstrap>"
_WAITING = frozenset(["wait", "wait_for", "join", "_wait_for_tstate_lock", "_shutdown"])
"""What of `threading` may last, and so must be interruptible."""


@contextmanager
def held_back() -> Iterator[None]:
    """Interrupts come after this block, not in it; for blocks of milliseconds. Only in the main thread: others get none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):
        yield
        return
    came = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came += 1
        if came >= _INSISTING:
            before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            before(signal.SIGINT, None)


@contextmanager
def between_steps() -> Iterator[None]:
    """For a command line: in this block an interrupt never hits an import or the inside of a lock; it comes right after."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = 0

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked += number == signal.SIGINT
        if asked < _INSISTING and _fragile(frame):
            signal.setitimer(signal.ITIMER_REAL, _AGAIN)
            return
        asked = 0
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise KeyboardInterrupt

    again = signal.signal(signal.SIGALRM, interrupt)
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, again)


def _fragile(frame: FrameType | None) -> bool:
    while frame is not None:
        code = frame.f_code
        if code.co_filename == _IMPORTING or (code.co_filename == threading.__file__ and code.co_name not in _WAITING):
            return True
        frame = frame.f_back
    return False
