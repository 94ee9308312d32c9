"""The processes that eSpeak NG runs in: started when first needed, a few at most, replaced when they die or grow."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from voxledger.synth.engines import espeak_library
from voxledger.synth.engines.base import Samples
from voxledger.synth.errors import EngineFailed, EngineUnavailable

AT_MOST = min(4, os.cpu_count() or 1)
"""Processes of one engine that speak at the same time; each takes about 12 MB."""

DEADLINE_S = 60.0
"""A sentence that takes longer than this is given up; the longest that is sent takes under half a second."""

LIFETIME = 500
"""Sentences after which a process is replaced: the library loses about 180 kB for each that mixes scripts."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """One sentence and how to speak it: the voice file's content and the library's parameters by number."""

    text: str
    voice: bytes
    parameters: tuple[tuple[int, int], ...]
    seed_c: bool


@dataclass(frozen=True, kw_only=True)
class Speech:
    """What came back: mono float32 samples in [-1, 1], their rate (Hz), and where clauses end (samples)."""

    samples: Samples
    rate: int
    ends: tuple[int, ...]


class Worker:
    """One process that speaks one sentence at a time."""

    def __init__(self, library: Path, data: Path) -> None:
        if not sys.executable:
            raise EngineUnavailable("eSpeak NG runs in a Python process of its own, and sys.executable names no Python")
        self.owner = os.getpid()
        self.spoken = 0
        self._lock = threading.Lock()
        self._speaking = self._watched = False
        self._until = 0.0
        command = [sys.executable, "-I", "-S", str(Path(espeak_library.__file__)), str(library), str(data)]
        try:
            self._process = subprocess.Popen(  # our own program, with the paths of an installed package
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise EngineUnavailable(f"the process for eSpeak NG cannot be started: {error}") from error

    @property
    def usable(self) -> bool:
        """False once it has died, served its time, or when it belongs to the process this one was forked from."""
        return self.owner == os.getpid() and self.spoken < LIFETIME and self._process.poll() is None

    def speak(self, utterance: Utterance) -> Speech:
        """Speak one sentence. Raises EngineFailed, and is not usable afterwards, if the library crashes or hangs."""
        self.spoken += 1
        self._watch()
        try:
            return self._exchange(utterance)
        except (OSError, ValueError) as error:
            raise self._failure() from error
        except EngineFailed:
            raise  # an answer like any other
        except BaseException:
            self.close()  # interrupted half way: what it will still answer belongs to nobody
            raise
        finally:
            self._speaking = False

    def _watch(self) -> None:
        """See to it that the sentence that begins now ends in time."""
        with self._lock:
            self._speaking, self._until = True, time.monotonic() + DEADLINE_S
            if not self._watched:
                self._watched = True
                threading.Thread(target=self._guard, name="voxledger-espeak-deadline", daemon=True).start()

    def _guard(self) -> None:
        """End the process when its sentence is late. A thread for each sentence would cost more than some sentences do."""
        while True:
            with self._lock:
                left = self._until - time.monotonic()
                if left <= 0:
                    self._watched = False
                    if self._speaking:
                        self._process.kill()
                    return
            time.sleep(left)

    def _exchange(self, utterance: Utterance) -> Speech:
        asking, answering = self._process.stdin, self._process.stdout
        assert asking is not None
        assert answering is not None
        text = utterance.text.encode("utf-8", "replace")
        head = {
            "voice": len(utterance.voice),
            "text": len(text),
            "parameters": utterance.parameters,
            "seed_c": utterance.seed_c,
        }
        asking.write(json.dumps(head).encode() + b"\n" + utterance.voice + text)
        asking.flush()
        answer = json.loads(answering.readline())  # nothing at all when it has died: a ValueError
        if "error" in answer:
            raise EngineFailed(f"eSpeak NG {answer['error']}")
        raw = answering.read(answer["bytes"])
        if len(raw) < answer["bytes"]:
            raise ValueError(f"{answer['bytes'] - len(raw)} bytes are missing")
        samples = (np.frombuffer(raw, dtype=np.int16) / np.float32(32768)).astype(np.float32, copy=False)
        return Speech(samples=samples, rate=answer["rate"], ends=tuple(answer["ends"]))

    def _failure(self) -> EngineFailed:
        self._process.kill()
        code = self._process.wait()
        self.close()
        if code == -signal.SIGKILL:
            what = f"was stopped: it took more than {DEADLINE_S:.0f} s, or something else ended its process"
        else:
            what = f"crashed (exit code {code})"
        return EngineFailed(
            f"eSpeak NG {what}. Nothing else is affected; leave unusual characters out of this sentence",
            stage="worker",
        )

    def close(self) -> None:
        """End the process, if it is this program's own to end. Idempotent."""
        if self.owner != os.getpid():
            # A forked child holds copies: it closes them, and tells Popen not to look after its parent's process.
            self._process.returncode = 0
        else:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what was not yet flushed has no reader any more
                    stream.close()


@dataclass
class Workers:
    """Up to `AT_MOST` workers, handed out one caller each; further callers wait.

    `find` gives the library and its data folder, and is asked when a process is started.
    """

    find: Callable[[], tuple[Path, Path]]
    _owner: int = field(default=0, init=False)
    _slots: queue.LifoQueue[Worker | None] = field(default_factory=queue.LifoQueue, init=False)

    def __post_init__(self) -> None:
        self._fill()

    def _fill(self) -> None:
        self._owner = os.getpid()
        self._slots = queue.LifoQueue()
        for _ in range(AT_MOST):
            self._slots.put(None)

    def _disown(self) -> None:
        """Start anew in a forked process: the lock of the slots may be in any state, the workers are the parent's."""
        inherited = self._slots.queue  # the bare list: no lock
        self._fill()
        for worker in inherited:
            if worker is not None:
                worker.close()

    @contextlib.contextmanager
    def _worker(self) -> Iterator[Worker]:
        if self._owner != os.getpid():
            self._disown()
        slots = self._slots
        worker = slots.get()
        try:
            if worker is None or not worker.usable:
                if worker is not None:
                    worker.close()
                worker = None
                worker = Worker(*self.find())
            yield worker
        finally:
            slots.put(worker)

    def speak(self, utterance: Utterance) -> Speech:
        """Speak one sentence in whichever process is free. Raises as `Worker.speak` does; the next call works again."""
        with self._worker() as worker:
            return worker.speak(utterance)

    def close(self) -> None:
        """End all processes that are not speaking just now. A later `speak` starts them again."""
        if self._owner != os.getpid():
            self._disown()
        idle = 0
        with contextlib.suppress(queue.Empty):
            while True:
                worker = self._slots.get_nowait()
                idle += 1
                if worker is not None:
                    worker.close()
        for _ in range(idle):
            self._slots.put(None)
