"""Streaming: hearing a clip from its first segment on, while the rest is made."""

from __future__ import annotations

import contextvars
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

from voxledger.catalog.clip import Clip
from voxledger.synth.errors import Stopped, SynthesisError
from voxledger.synth.studio.audience import Chunk, Levelling
from voxledger.synth.studio.speaking import Spoken

if TYPE_CHECKING:
    from voxledger.synth.studio.attempt import Attempt

_AHEAD = 64
"""Stretches of speech that are made before somebody listens to them."""
_STALLED = 120.0
"""Seconds without a listener after which the rest is not made."""
_LOOK = 0.1
"""Seconds between two looks at whether a clip was called off while nobody listened to it."""
_BLOCK_S = 0.5


class Stream:
    """An iterator over the chunks of a clip; `clip` is there when it has come to its end.

    Close it (or leave its `with` block) to break off: within one segment the engine stops, and the attempt is recorded
    as cancelled with what was delivered. Chunks have a level of their own, held from the first segment on, because the
    loudness of the whole is known only at its end; the clip that is recorded is the one that `speak` makes.
    Raises what `speak` raises, at the chunk where it happens.
    """

    def __init__(self, chunks: Iterator[Chunk], stop: Callable[[], None], ended: Callable[[], Clip | None]) -> None:
        self._chunks = chunks
        self._stop = stop
        self._ended = ended
        self._closed = False

    @property
    def clip(self) -> Clip:
        """The clip, recorded. Raises SynthesisError before the last chunk was taken."""
        clip = self._ended()
        if clip is None:
            if self._closed:
                raise Stopped(
                    "this stream was closed before its last chunk was taken, so that there is no clip; ask for it again"
                )
            raise SynthesisError(
                "the clip is recorded when its last chunk was taken; this stream has not come there",
                remedy="Take the stream's chunks to their end first.",
            )
        return clip

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
        """Break off, if there is anything left: nothing more is heard. Idempotent, from any thread."""
        self._closed = True
        self._stop()


class _Making:
    """A clip that is made by a thread of its own, as far ahead of the listener as `_AHEAD` allows."""

    def __init__(
        self,
        attempt: Attempt,
        levelling: Levelling,
        at_work: ExitStack,
        *,
        answers: bool,
    ) -> None:
        self._attempt = attempt
        self._levelling = levelling
        self._changed = threading.Condition()
        self._ahead: deque[Spoken] = deque()
        self._outcome: Clip | BaseException | None = None
        self._left = False
        """Whether the listener went away, or heard all."""
        self._ahead_us = 0
        ours = at_work.pop_all()
        self._thread = threading.Thread(
            target=contextvars.copy_context().run, args=(self._run, answers, ours), name="voxledger-stream", daemon=True
        )
        try:
            self._thread.start()
        except BaseException:
            ours.close()
            raise

    @property
    def clip(self) -> Clip | None:
        """The clip, once it is recorded."""
        return self._outcome if isinstance(self._outcome, Clip) else None

    def chunks(self) -> Iterator[Chunk]:
        """What is heard, until the clip is there, something went wrong, or the listener left."""
        try:
            while (item := self._next()) is not None:
                yield self._levelling.chunk(item)
            if self._left:
                return
            if isinstance(self._outcome, BaseException):
                raise self._outcome
            rest = self._levelling.rest()
            if rest is not None:
                yield rest
        finally:
            self.stop()

    def _next(self) -> Spoken | None:
        """The next stretch of speech; None when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._ahead or self._left or self._outcome is not None)
            if self._left or not self._ahead:
                return None
            self._changed.notify_all()
            return self._ahead.popleft()

    def stop(self) -> None:
        """Break off and wait for the record of it. Idempotent; a listener in another thread hears nothing more."""
        self._attempt.stop.set()
        with self._changed:
            self._left = True
            self._ahead.clear()
            self._changed.notify_all()
        if self._thread is not threading.current_thread():  # which may be where a forgotten stream is cleared away
            self._thread.join()

    def _run(self, answers: bool, at_work: ExitStack) -> None:
        outcome: Clip | BaseException
        try:
            with at_work:
                outcome = self._attempt.run(answers=answers, listener=self)
        except BaseException as error:  # noqa: BLE001  # handed to the listener
            outcome = error
        with self._changed:
            self._outcome = outcome
            self._changed.notify_all()

    def heard(self, spoken: Spoken) -> None:
        """Of `Listener`: waits while the one who really listens is far behind.

        A text that is spoken in one turn waits for nobody: it is short, and others wait for that turn.
        """
        deadline = time.monotonic() + _STALLED
        with self._changed:
            while len(self._ahead) >= _AHEAD and not spoken.piece.alone:
                if self._attempt.stop.is_set():
                    raise Stopped
                if time.monotonic() > deadline:
                    raise Stopped(
                        f"nobody listened for {_STALLED:g} s, so that the rest was not made; ask for it again"
                    )
                self._changed.wait(_LOOK)
            self._ahead.append(spoken)
            self._ahead_us += round((spoken.silence + spoken.duration) * 1e6)
            self._changed.notify_all()

    def delivered_us(self, *, failed: bool) -> int:
        """Of `Listener`: a failure comes after all that was made before it, to whoever still listens."""
        return self._ahead_us if failed and not self._left else self._levelling.given_us


class _Kept:
    """The chunks of a clip that was there already, from its file."""

    def __init__(self, clip: Clip, timing: str) -> None:
        self._blocks = _blocks(clip, timing)
        self._reading = threading.Lock()
        self._left = threading.Event()

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        with self._reading:
            chunk = None if self._left.is_set() else next(self._blocks, None)
        if self._left.is_set():
            self.stop()  # whoever left while we read could not close the file
            chunk = None
        if chunk is None:
            raise StopIteration
        return chunk

    def stop(self) -> None:
        """Give no more, and let go of the file: at once, or as soon as another thread has read its block."""
        self._left.set()
        if self._reading.acquire(blocking=False):
            try:
                self._blocks.close()
            finally:
                self._reading.release()


def making(
    attempt: Attempt,
    levelling: Levelling,
    at_work: ExitStack,
    *,
    answers: bool,
) -> Stream:
    """A stream of a clip that is made now; `levelling` makes chunks of its speech.

    What `at_work` was entered with is taken over, and left when the clip is made: there is no moment between in which a
    studio that is closed would not know of it.
    """
    made = _Making(attempt, levelling, at_work, answers=answers)
    return Stream(made.chunks(), made.stop, lambda: made.clip)


def finished(clip: Clip, timing: str) -> Stream:
    """A stream of a clip that was there already, from its file. `timing` as it was recorded: "" where it is not known, and
    then the first chunk has the whole text.
    """
    kept = _Kept(clip, timing)
    return Stream(kept, kept.stop, lambda: clip)


def _blocks(clip: Clip, timing: str) -> Generator[Chunk, None, None]:
    """Half a second each, or less where a sentence begins."""
    from voxledger.synth.audio import reading

    with reading(clip.local(), format_name=clip.format, sample_rate=clip.sample_rate) as file:
        rate, at = file.samplerate, 0
        ahead = deque(_texts(clip.text or "", timing, rate))
        while True:
            said = []
            while ahead and ahead[0][0] <= at:
                said.append(ahead.popleft()[1])
            most = round(rate * _BLOCK_S)
            samples = file.read(min(most, ahead[0][0] - at) if ahead else most, dtype="float32")
            if not len(samples):
                return
            yield Chunk(samples=samples, sample_rate=rate, text=" ".join(said), start=at / rate)
            at += len(samples)


def _texts(text: str, timing: str, rate: int) -> list[tuple[int, str]]:
    """What is said from which sample on, in order."""
    if not text or not timing:
        return [(0, text)] if text else []
    rows = sorted((round(begins * rate / 1000), start, end) for start, end, begins, _ in json.loads(timing))
    return [(first, text[start:end]) for first, start, end in rows]
