"""Usage: what tokens use in a day, counted in memory and written now and then, so that a request costs microseconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

from voxledger.catalog.access.day import Day
from voxledger.catalog.access.limits import Limits, Used
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.journal.tokens import TokenReader, TokenTables, UsageRow

Exhausted: TypeAlias = Literal["requests", "audio", "bytes", "reserved"]
"""Which limit is used up; `reserved`: that of audio may be, by what is under way."""
_KEPT = 400
"""Days of which is known what was used."""
_Counts: TypeAlias = tuple[int, int, int]
_NOTHING: _Counts = (0, 0, 0)


class Usage:
    """The counts of all tokens; one for all who let tokens in. `clock` gives s since 1970. Safe from many threads."""

    def __init__(
        self, tables: TokenTables, reader: TokenReader, zone: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._tables = tables
        self._reader = reader
        self._zone = zone
        self._clock = clock
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._day = Day.of(clock(), zone)
        self._today: dict[str, _Counts] = {}
        """Of each token that came in today, with what was written before."""
        self._unwritten: dict[tuple[str, int], _Counts] = {}
        self._last: dict[str, int] = {}
        self._reserved: dict[str, int] = {}
        """µs of audio that are being made."""

    def begin(self, token: str, limits: Limits, *, speaking: bool) -> Exhausted | None:
        """Count one request, unless a limit is used up: then which one. Only who speaks needs audio to be left."""
        with self._lock:
            requests, audio_us, size = self._counts(token)
            if limits.requests is not None and requests >= limits.requests:
                return "requests"
            if speaking and (exhausted := self._lacks_audio(token, limits, audio_us)):
                return exhausted
            if limits.bytes is not None and size >= limits.bytes:
                return "bytes"
            self._add(token, (1, 0, 0))
            self._last[token] = round(self._clock() * 1e6)
            return None

    def reserve(self, token: str, limits: Limits, audio_us: int) -> Exhausted | None:
        """Hold back so much audio, unless what was made and what is held back reach the limit: then says so."""
        with self._lock:
            _, used, _ = self._counts(token)
            if exhausted := self._lacks_audio(token, limits, used):
                return exhausted
            self._reserved[token] = self._reserved.get(token, 0) + audio_us
            return None

    def give_back(self, token: str, audio_us: int) -> None:
        """So much audio is held back no longer."""
        with self._lock:
            left = self._reserved.get(token, 0) - audio_us
            if left > 0:
                self._reserved[token] = left
            else:
                self._reserved.pop(token, None)

    def is_spent(self, token: str, limits: Limits) -> bool:
        """Whether `begin` would let nothing through."""
        if limits.requests is None and limits.bytes is None:
            return False
        with self._lock:
            requests, _, size = self._counts(token)
            return (limits.requests is not None and requests >= limits.requests) or (
                limits.bytes is not None and size >= limits.bytes
            )

    def add(self, token: str, *, audio_us: int = 0, size: int = 0) -> None:
        """Count what was made (µs of audio) or sent (bytes)."""
        with self._lock:
            self._counts(token)
            self._add(token, (0, audio_us, size))

    def today(self, token: str) -> Used:
        """What a token has used today."""
        with self._lock:
            requests, audio_us, size = self._counts(token)
            return Used(requests=requests, audio_us=audio_us, bytes=size)

    def day(self) -> Day:
        """The day that is counted in now."""
        with self._lock:
            return self._present()

    def write(self) -> None:
        """Write what was counted since the last time. Raises JournalError or DiskFull, and then it is written the next time."""
        with self._writing:
            with self._lock:
                counted, self._unwritten = self._unwritten, {}
                last, self._last = self._last, {}
                oldest = self._present().number - _KEPT
            if not counted and not last:
                return
            rows = [UsageRow(token, day, *counts) for (token, day), counts in counted.items()]
            try:
                self._tables.add_usage(rows, [(at, token) for token, at in last.items()], oldest=oldest)
            except VoxledgerError:
                with self._lock:
                    for key, counts in counted.items():
                        self._unwritten[key] = _sum(counts, self._unwritten.get(key, _NOTHING))
                    self._last = last | self._last
                raise

    def _lacks_audio(self, token: str, limits: Limits, used: int) -> Exhausted | None:
        if limits.audio_us is None or used + self._reserved.get(token, 0) < limits.audio_us:
            return None
        return "audio" if used >= limits.audio_us else "reserved"

    def _present(self) -> Day:
        moment = self._clock()
        if not self._day.holds(moment):
            self._day = Day.of(moment, self._zone)
            self._today.clear()
        return self._day

    def _counts(self, token: str) -> _Counts:
        day = self._present()
        found = self._today.get(token)
        if found is None:
            written = self._reader.usage(token, day.number)
            waiting = self._unwritten.get((token, day.number), _NOTHING)  # a clock that was set back meets it again
            found = self._today[token] = _sum((written.requests, written.audio_us, written.bytes), waiting)
        return found

    def _add(self, token: str, more: _Counts) -> None:
        self._today[token] = _sum(self._today[token], more)
        key = (token, self._day.number)
        self._unwritten[key] = _sum(self._unwritten.get(key, _NOTHING), more)


def _sum(one: _Counts, other: _Counts) -> _Counts:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]
