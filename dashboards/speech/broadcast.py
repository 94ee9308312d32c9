"""A broadcast: one clip on its way to one client while it is made, encoded as the client wants it."""

from __future__ import annotations

import asyncio
import threading
from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING

from voxledger.dashboards.server.spool import Room, Spool
from voxledger.dashboards.speech.recorded import PCM_RATE
from voxledger.synth.errors import AudioFailed
from voxledger.synth.formats import format_named

if TYPE_CHECKING:
    from voxledger.synth.audio.live import Live
    from voxledger.synth.studio import Chunk


class Broadcast:
    """An `Audience` of the studio: encodes what it hears, and leaves it in a spool. Never fails and never waits.

    `on_begun` is called once, in the thread that makes the clip, as soon as there is something to send.
    """

    def __init__(
        self, format_name: str, room: Room, loop: asyncio.AbstractEventLoop, *, on_begun: Callable[[], object]
    ) -> None:
        self.format = format_named(format_name)
        self.spool = Spool(room, loop)
        self.clip = ""
        """The clip's id, once it is begun."""
        self.failed: AudioFailed | None = None
        """Why nothing more can be sent, though the clip may well be made."""
        self.begun = False
        """Whether there is something to send, or was."""
        self._on_begun = on_begun
        self._encoder: Live | None = None
        self._lock = threading.Lock()
        self.made_us = 0
        """How much audio was heard so far (µs)."""
        self._bytes = self._sent = 0
        self._marks: tuple[list[int], list[int]] = ([0], [0])
        """How much audio (µs) has been given away with so many bytes."""

    def begins(self, clip: str) -> None:
        """Of `Audience`."""
        self.clip = clip

    def rate(self, sample_rate: int) -> int:
        """Of `Audience`: raw PCM is what OpenAI's clients expect."""
        return PCM_RATE if self.format.name == "pcm" else self.format.rate_for(sample_rate)

    def hears(self, chunk: Chunk) -> None:
        """Of `Audience`."""
        if self.failed is not None or self.spool.cut:
            return
        try:
            if self._encoder is None:
                from voxledger.synth.audio.live import live

                self._encoder = live(self.format.name, chunk.sample_rate)
            data = self._encoder.feed(chunk.samples)
        except AudioFailed as error:
            self._fail(error)
            return
        self.made_us += round(chunk.duration * 1e6)
        self._send(data)

    def heard_us(self) -> int:
        """Of `Audience`: what went to the client."""
        with self._lock:
            sizes, times = self._marks
            return times[bisect_right(sizes, self._sent) - 1]

    def sent(self, size: int) -> None:
        """So many bytes more went to the client."""
        with self._lock:
            self._sent += size

    def end(self) -> None:
        """The clip is made, or never will be."""
        if self._encoder is not None and self.failed is None:
            try:
                self._send(self._encoder.end())
            except AudioFailed as error:
                self._fail(error)
        self._close()
        self.spool.end()

    def _send(self, data: bytes) -> None:
        if not data:
            return
        self._bytes += len(data)
        with self._lock:
            self._marks[0].append(self._bytes)
            self._marks[1].append(self.made_us)
        self.spool.write(data)
        if not self.begun:
            self.begun = True
            self._on_begun()

    def _fail(self, error: AudioFailed) -> None:
        self.failed = error
        self._close()
        self.spool.end()

    def _close(self) -> None:
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None
