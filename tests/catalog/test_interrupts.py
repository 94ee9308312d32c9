"""Ctrl-C at bad moments: it waits for the end of what must not be torn, and no lock is left taken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from voxledger.catalog.interrupts import held_back


@pytest.fixture(autouse=True)
def _as_started_by_a_person() -> Iterator[None]:
    """A shell lets what it starts in the background ignore interrupts, and that is inherited."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_comes_after_the_block_that_holds_it_back() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt):  # where it is raised is what is tested
        with held_back():
            _press()
            done.append("first")
            with held_back():
                _press()
                done.append("second")
        done.append("never")
    assert done == ["first", "second"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_whoever_insists_is_heard_at_once() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held_back():
        for number in range(4):
            _press()
            done.append(number)
    assert done == [0, 1]


def test_an_error_in_the_block_comes_through() -> None:
    with pytest.raises(ValueError, match="ours"), held_back():
        raise ValueError("ours")


def test_another_thread_holds_nothing_back() -> None:
    seen = []

    def work() -> None:
        with held_back():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]


_COMMAND = """
import os, signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
from voxledger.catalog.interrupts import between_steps

with between_steps():
{body}
"""


def _run(tmp_path: Path, body: str) -> str:
    (tmp_path / "pressing.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nready = True\n", encoding="utf-8"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    code = _COMMAND.format(body=textwrap.indent(body, "    "))
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environ, check=False
    )
    assert "Traceback" not in ran.stderr
    return ran.stdout


def test_a_command_is_interrupted_after_its_import_and_not_in_it(tmp_path: Path) -> None:
    body = """
try:
    import pressing
    threading.Event().wait(30)
except KeyboardInterrupt:
    print("interrupted", sys.modules["pressing"].ready)
"""
    assert _run(tmp_path, body) == "interrupted True\n"


def test_a_command_never_keeps_a_lock_that_it_was_just_given(tmp_path: Path) -> None:
    # Presses from another thread, as fast as they are taken; each finds the main thread somewhere in a Condition.
    body = """
pressed = threading.Semaphore(0)
lock = threading.Condition()
stop = False

def press():
    while True:
        pressed.acquire()
        if stop:
            return
        os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=press, daemon=True).start()
count = 0
while count < 200:
    try:
        pressed.release()
        while True:
            with lock:
                pass
    except KeyboardInterrupt:
        count += 1
        got = []
        asker = threading.Thread(target=lambda: got.append(lock.acquire(timeout=5)) or (got[-1] and lock.release()))
        asker.start()
        asker.join()
        assert got == [True], count
print("free", count)
"""
    assert _run(tmp_path, body) == "free 200\n"
