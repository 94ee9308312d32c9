"""Streaming: hearing a clip from its first segment on, while the rest is made."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from voxledger.catalog.clip import Clip
from voxledger.synth.engines.base import Samples
from voxledger.synth.errors import Stopped, SynthesisError
from voxledger.synth.production import at_level
from voxledger.synth.speaking import Spoken

if TYPE_CHECKING:
    from voxledger.synth.attempt import Attempt
    from voxledger.synth.audio import Preview

_AHEAD = 64
"""Stretches of speech that are made before somebody listens to them."""
_STALLED = 120.0
"""Seconds without a listener after which the rest is not made."""
_BLOCK_S = 0.5


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Audio to be heard now: mono float32 in [-1, 1], shape (n,), the text it says ("" for a silence), its start (s)."""

    samples: Samples
    sample_rate: int
    text: str
    start: float

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


class Stream:
    """An iterator over the chunks of a clip; `clip` is there when it has come to its end.

    Close it (or leave its `with` block) to break off: within one segment the engine stops, and the attempt is recorded
    as cancelled with what was delivered. Chunks have a level of their own, held from the first segment on, because the
    loudness of the whole is known only at its end; the clip that is recorded is the one that `speak` makes.
    Raises what `speak` raises, at the chunk where it happens.
    """

    def __init__(
        self, clip: Clip | None, chunks: Iterator[Chunk], stop: Callable[[], None], ended: Callable[[], Clip | None]
    ) -> None:
        self._clip = clip
        self._chunks = chunks
        self._stop = stop
        self._ended = ended

    @property
    def clip(self) -> Clip:
        """The clip, recorded. Raises SynthesisError before the last chunk was taken."""
        self._clip = self._clip or self._ended()
        if self._clip is None:
            raise SynthesisError("the clip is recorded when its last chunk was taken; this stream has not come there")
        return self._clip

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        return next(self._chunks)

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Break off, if there is anything left. Idempotent."""
        self._stop()


class _Making:
    """A clip that is made by a thread of its own, as far ahead of the listener as `_AHEAD` allows."""

    def __init__(
        self,
        attempt: Attempt,
        previewed: Callable[[int], Preview],
        at_work: Callable[[Attempt], AbstractContextManager[None]],
        *,
        answers: bool,
    ) -> None:
        self._attempt = attempt
        self._at_work = at_work
        self._previewed = previewed
        self._queue: queue.Queue[Spoken | Clip | BaseException] = queue.Queue(maxsize=_AHEAD)
        self._delivered_us = self._ahead_us = 0
        self.clip: Clip | None = None
        self._thread = threading.Thread(target=self._run, args=(answers,), name="voxledger-stream", daemon=True)
        self._thread.start()

    def chunks(self) -> Iterator[Chunk]:
        """What is heard, until the clip is there or something went wrong."""
        preview: Preview | None = None
        try:
            while not isinstance(item := self._queue.get(), Clip | BaseException):
                preview = preview or self._previewed(item.sample_rate)
                sound = at_level(item, self._attempt.level_offset)
                if item.silence:
                    sound = np.concatenate([np.zeros(round(item.silence * item.sample_rate), dtype=np.float32), sound])
                text = item.piece.text[item.start - item.piece.start : item.end - item.piece.start]
                yield self._chunk(preview.push(sound), preview, text)
            if isinstance(item, BaseException):
                raise item
            self.clip = item
            if preview is not None:
                yield self._chunk(preview.flush(), preview, "")
        finally:
            self.stop()

    def _chunk(self, samples: Samples, preview: Preview, text: str) -> Chunk:
        chunk = Chunk(samples=samples, sample_rate=preview.sample_rate, text=text, start=self._delivered_us / 1e6)
        self._delivered_us += round(chunk.duration * 1e6)
        return chunk

    def stop(self) -> None:
        """Break off and wait for the record of it."""
        self._attempt.stop.set()
        while self._thread.is_alive():
            try:  # whoever puts must find room
                item = self._queue.get(timeout=0.02)
            except queue.Empty:
                continue
            if isinstance(item, Clip):
                self.clip = item
        self._thread.join()

    def _run(self, answers: bool) -> None:
        try:
            with self._at_work(self._attempt):
                clip = self._attempt.run(answers=answers, listener=self)
            self._put(clip, always=True)
        except BaseException as error:  # noqa: BLE001  # handed to the listener
            self._put(error, always=True)

    def heard(self, spoken: Spoken) -> None:
        """Of `Listener`: waits while the one who really listens is far behind."""
        self._put(spoken)
        self._ahead_us += round((spoken.silence + spoken.duration) * 1e6)

    def delivered_us(self, *, failed: bool) -> int:
        """Of `Listener`: a failure comes after all that was made before it."""
        return self._ahead_us if failed else self._delivered_us

    def _put(self, item: Spoken | Clip | BaseException, *, always: bool = False) -> None:
        deadline = time.monotonic() + _STALLED
        while True:
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                if not always and (self._attempt.stop.is_set() or time.monotonic() > deadline):
                    raise Stopped from None
                if always and time.monotonic() > deadline:
                    return  # nobody will ever come for it
            else:
                return


def making(attempt: Attempt, stop: threading.Event, previewed: Callable[[int], Preview], *, answers: bool) -> Stream:
    """A stream of a clip that is made now; `previewed` gives what levels speech of a sample rate (Hz) as it comes."""
    made = _Making(attempt, stop, previewed, answers=answers)
    return Stream(None, made.chunks(), made.stop, lambda: made.clip)


def finished(clip: Clip) -> Stream:
    """A stream of a clip that was there already, from its file."""
    return Stream(clip, _blocks(clip), lambda: None, lambda: clip)


def _blocks(clip: Clip) -> Iterator[Chunk]:
    from voxledger.synth.audio import reading

    at = 0
    with reading(clip.local(), format_name=clip.format, sample_rate=clip.sample_rate) as file:
        for block in file.blocks(round(file.samplerate * _BLOCK_S), dtype="float32"):
            yield Chunk(
                samples=block,
                sample_rate=file.samplerate,
                text=(clip.text or "") if not at else "",
                start=at / file.samplerate,
            )
            at += len(block)
