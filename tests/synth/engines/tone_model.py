"""A model for `worker_program` that needs nothing but numpy: it hums, or does what a part tells it to.

A part has `tone`, and may have `samples` (how many) and `do`: `die`, `hang`, `eat`, `print`, `flood`, `raise`, `wrap` (raise
from another error), `wait` (until `path` exists), `note` (write the pid to `path`), or `once`, which dies unless `path` exists
already, and makes it.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

RATE = 8000
SAMPLES = 800


class OddError(Exception):
    """One that says what kind it is."""

    kind = "odd"
    fatal = False


def _inner(text: str) -> None:
    raise ValueError(f"in the depth: {text}")


def versions() -> dict[str, Any]:
    return {"package": "1"}


def load(options: dict[str, Any]) -> Tone:
    if options.get("do") == "raise":
        raise OddError("no such model")
    if options.get("do") == "hang":
        time.sleep(3600)
    return Tone()


class Tone:
    def __init__(self) -> None:
        self._eaten: list[bytearray] = []

    def speak(self, asked: dict[str, Any], part: dict[str, Any]) -> tuple[Any, int]:
        what, path = part.get("do", ""), Path(part.get("path", "/nowhere"))
        if what == "once" and not path.exists():
            path.touch()
            what = "die"
        if what == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif what == "hang":
            time.sleep(3600)
        elif what == "eat":
            while True:
                self._eaten.append(bytearray(os.urandom(1 << 20)))
        elif what == "print":
            print("garbage " * 1000, flush=True)
            os.write(1, b"\x89VXL garbage")
        elif what == "flood":
            os.write(1, b"x" * 9_000_000)
        elif what == "raise":
            raise OddError(f"cannot speak {part['text']}")
        elif what == "wrap":
            try:
                _inner(part["text"])
            except ValueError as error:
                raise OddError(f"cannot speak {part['text']}") from error
        elif what == "note":
            with path.open("a") as file:
                file.write(f"{os.getpid()} {part['tone']}\n")
        while what == "wait" and not path.exists():
            time.sleep(0.005)
        return np.full(part.get("samples", SAMPLES), part["tone"], dtype=np.float32), RATE
