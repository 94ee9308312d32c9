"""The program of a worker process: holds one model and answers one request at a time.

    python worker_program.py MODULE DESCRIPTOR

It runs under any Python that has what the model needs, and imports nothing of Voxledger. MODULE is the path of a file
with `versions() -> dict` and `load(options) -> model`; the model has `speak(asked, part) -> (samples, rate)`, and an
exception of its own says with `kind` (str) and `fatal` (bool) what it means. DESCRIPTOR is an open file for samples.
It ends with whoever started it.

Requests come on stdin and answers go to what was stdout, in frames: `MAGIC`, the length in 4 bytes (big endian), JSON.

    load {options}                    -> loaded {…}   | failed
    speak {id, parts: [{…}], …}       -> part {id, number, place, samples, rate} for each, then done {id} | failed {id}
    more {id}                            a part was fetched; no more than AHEAD wait for that
    cancel {id}                          stop before the next part; done {id} comes all the same
    ping                              -> pong, also while something is spoken

`failed` has `kind`, `stage` and `message`; the message never holds the text. Samples are float32, native byte order, at
`place` in the file. The first answer, unasked, is `hello` with the versions. What else is printed goes to stderr.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.util
import json
import os
import queue
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

MAGIC = b"\x89VXL"
AHEAD = 2
"""Parts that may be finished before the first of them was fetched."""
SLOT = 1 << 32
"""Distance between the places of parts in the file, which has holes: more than an hour of samples fits."""
LARGEST_LOG = 8_000_000
"""Bytes of stderr after which it begins anew."""
_LONGEST_MESSAGE = 500


def frame(message: dict[str, Any]) -> bytes:
    """A message as it goes through the pipe."""
    body = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")
    return MAGIC + len(body).to_bytes(4, "big") + body


class Desk:
    """What was asked, read by a thread of its own so that a cancellation or a ping is heard in the middle of a part."""

    def __init__(self, requests: int, answers: int) -> None:
        self.waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._requests, self._answers, self._parent = requests, answers, os.getppid()
        self._writing = threading.Lock()
        self._changed = threading.Condition()
        self._speaking = self._cancelled = 0
        self._unfetched = 0

    def answer(self, message: dict[str, Any]) -> None:
        """Send a message."""
        whole = frame(message)
        with self._writing:
            while whole:
                whole = whole[os.write(self._answers, whole) :]

    def begin(self, number: int) -> None:
        """A request is taken up."""
        with self._changed:
            self._speaking, self._unfetched = number, 0

    def may_go_on(self, number: int) -> bool:
        """Wait until there is room for another part; False when the request was cancelled."""
        with self._changed:
            while self._unfetched >= AHEAD and self._cancelled < number:
                self._changed.wait()
            return self._cancelled < number

    def put(self) -> None:
        """A part lies ready."""
        with self._changed:
            self._unfetched += 1

    def read(self) -> None:
        """Take in requests until there is nobody left to make them; then this process ends."""
        buffer = b""
        while True:
            readable, _, _ = select.select([self._requests], [], [], 1.0)
            if os.getppid() != self._parent:  # a fork of it may hold the pipe open
                os._exit(0)
            _bound_log()
            if not readable:
                continue
            found = os.read(self._requests, 1 << 16)
            if not found:
                os._exit(0)
            buffer += found
            while len(buffer) >= 8 and len(buffer) >= (end := 8 + int.from_bytes(buffer[4:8], "big")):
                self._take(json.loads(buffer[8:end]))
                buffer = buffer[end:]

    def _take(self, message: dict[str, Any]) -> None:
        what = message["do"]
        if what == "ping":
            self.answer({"is": "pong"})
        elif what in ("cancel", "more"):
            with self._changed:
                if what == "cancel":
                    self._cancelled = max(self._cancelled, message["id"])
                elif message["id"] == self._speaking:
                    self._unfetched -= 1
                self._changed.notify_all()
        else:
            self.waiting.put(message)


def serve(module: ModuleType, desk: Desk, samples: int) -> None:
    """Answer requests, until `desk` ends the process."""
    versions = module.versions()
    sys.stderr.write(f"{versions}\n")
    desk.answer({"is": "hello", **versions})
    model: Any = None
    while True:
        asked = desk.waiting.get()
        if asked["do"] == "load":
            begun = time.monotonic()
            with _reported(desk, asked, "load"):
                model = module.load(asked["options"])
                desk.answer({"is": "loaded", "seconds": time.monotonic() - begun})
        elif asked["do"] == "speak":
            with _reported(desk, asked, "synthesis"):
                _speak(model, asked, desk, samples)


def _speak(model: Any, asked: dict[str, Any], desk: Desk, file: int) -> None:
    number = asked["id"]
    desk.begin(number)
    for place, part in enumerate(asked["parts"]):
        if not desk.may_go_on(number):
            break
        samples, rate = model.speak(asked, part)
        offset = place % AHEAD * SLOT
        _write(file, memoryview(samples).cast("B"), offset)
        desk.put()
        desk.answer(
            {"is": "part", "id": number, "number": place, "place": offset, "samples": len(samples), "rate": rate}
        )
    desk.answer({"is": "done", "id": number})


def _write(file: int, content: memoryview, offset: int) -> None:
    while content:
        written = os.pwrite(file, content, offset)
        content, offset = content[written:], offset + written


@contextlib.contextmanager
def _reported(desk: Desk, asked: dict[str, Any], stage: str) -> Iterator[None]:
    """What is raised is told, without the text that was to be spoken, and goes to the log without its message."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # whatever the model raises
        message = " ".join(str(error).split())
        for part in asked.get("parts", ()):
            for piece in (str(part.get("text", "")), *str(part.get("text", "")).split()):
                message = message.replace(piece, "…") if len(piece) > 3 else message
        sys.stderr.write(f"{type(error).__name__} in {stage}\n{_frames(error)}")
        sys.stderr.flush()
        desk.answer(
            {
                "is": "failed", "id": asked.get("id", 0), "stage": stage, "kind": getattr(error, "kind", "failed"),
                "message": (message if hasattr(error, "kind") else f"{type(error).__name__}: {message}")[:_LONGEST_MESSAGE],
            }
        )  # fmt: skip
        if getattr(error, "fatal", False):
            os._exit(1)


def _frames(error: BaseException) -> str:
    """Where it was raised, and what it comes from; without messages, which may hold the text."""
    found, known = "", {id(error)}
    while True:
        found += "".join(traceback.format_tb(error.__traceback__))
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None or id(cause) in known:
            return found
        found += f"which comes from {type(cause).__name__}\n"
        error = cause
        known.add(id(error))


def _bound_log() -> None:
    with contextlib.suppress(OSError):
        if os.fstat(2).st_size > LARGEST_LOG:
            os.ftruncate(2, 0)


def _module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(path: str, samples: int) -> None:
    """Take over stdin and stdout, load the module, and serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever asked, who will say what becomes of it
    faulthandler.enable()
    requests, answers = os.dup(0), os.dup(1)
    # Whatever prints, or reads, from here on must not get among the messages.
    os.dup2(2, 1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    desk = Desk(requests, answers)
    threading.Thread(target=desk.read, name="requests", daemon=True).start()
    serve(_module(path), desk, samples)


if __name__ == "__main__":
    # Not this folder: what lies here must not be taken for packages of the same name.
    sys.path[:] = [each for each in sys.path if not each or Path(each).resolve() != Path(__file__).resolve().parent]
    main(sys.argv[1], int(sys.argv[2]))
