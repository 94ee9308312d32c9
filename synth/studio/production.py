"""Production: from an engine's speech to a file that is ready to be put in its place, with the time of each step."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from voxledger.catalog import platform
from voxledger.catalog.errors import HomeError
from voxledger.catalog.events import SpokenPassage
from voxledger.catalog.settings import Synth
from voxledger.catalog.steps import Step
from voxledger.synth.emotion import Weights
from voxledger.synth.engines.base import Samples
from voxledger.synth.errors import EngineFailed, Stopped
from voxledger.synth.formats import AudioFormat, format_named
from voxledger.synth.prosody import level_offset
from voxledger.synth.studio.pieces import Piece
from voxledger.synth.studio.speaking import NOBODY, Listener, Speaker, Spoken, Tally

if TYPE_CHECKING:
    from voxledger.synth.audio import AudioMeasures, Encoded, LongClip, LongMade, Processed

MEMORY_S = 60.0
"""Seconds of speech that are held in memory."""
_ABANDONED = 86_400.0
"""Seconds after which nobody works on an unfinished file any more."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """A finished file and what is known about it; times in µs. `content` is the file itself, or where it lies for now."""

    content: bytes | Path = field(repr=False)
    format: AudioFormat
    sample_rate: int
    channels: int
    duration_us: int
    bytes: int
    sha256: str
    measures: AudioMeasures
    clipped_at_source: int
    speech_rate: float | None
    suspect: tuple[str, ...]
    target_lufs: float
    timing: str
    passages: tuple[SpokenPassage, ...]
    tally: Tally
    audio_us: int
    encode_us: int

    def put(self, path: Path) -> None:
        """Put the file in its place, durably: complete or not there. Raises OSError."""
        if isinstance(self.content, bytes):
            platform.write_atomic(path, self.content)
            return
        with self.content.open("rb+") as file:
            platform.fsync_file(file)
        self.content.replace(path)
        platform.fsync_folder(path.parent)

    def discard(self) -> None:
        """Remove what was not put in its place. Idempotent."""
        if isinstance(self.content, Path):
            self.content.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be made of the speech: the format and the levels."""

    text: str
    """What is spoken, without marks."""
    language: str
    speed: float
    audio_format: str
    effective: Weights
    settings: Synth
    folder: Path
    """Where what does not fit into memory may lie: on the disk that the file goes to."""


def produce(
    speaker: Speaker,
    pieces: Iterator[Piece],
    order: Order,
    tally: Tally,
    *,
    stop: threading.Event,
    listener: Listener = NOBODY,
) -> Made:
    """Speak, level and encode; `listener` hears each stretch of speech as it comes.

    Raises what `Speaker.speak` does, AudioFailed from the chain and the encoder, DiskFull and HomeError.
    """
    with closing(_Gathered(order)) as gathered, closing(speaker.speak(pieces, tally, stop)) as spoken:
        for stretch in spoken:
            gathered.add(stretch)
            listener.heard(stretch)
        tally.stage = "audio"
        begun = time.perf_counter()
        if gathered.book is not None:
            made = _bound(gathered.book, gathered, order, tally, stop, begun)
        else:
            made = _finished(gathered, order, tally)
    audio_s, encode_s = made.audio_us / 1e6, made.encode_us / 1e6
    told = Step(name="encode", seconds=encode_s, engine=speaker.info.name, format=made.format.name, clip=speaker.clip)
    speaker.on_step(msgspec.structs.replace(told, name="audio", seconds=audio_s, ago=encode_s))
    speaker.on_step(told)
    return made


def at_level(spoken: Spoken, level_db: float) -> Samples:
    """A stretch of speech as loud beside the others as its own emotion asks for, in a clip whose level is `level_db`."""
    louder = level_offset(spoken.piece.effective) - level_db
    return spoken.samples if not louder else spoken.samples * np.float32(10 ** (louder / 20))


class _Gathered:
    """The speech of one clip, with the silences in it and each passage at its level beside the others.

    In memory while it is short; from `MEMORY_S` on in a file, so that a book takes no more memory than a page.
    """

    def __init__(self, order: Order) -> None:
        self._folder = order.folder
        self._level = level_offset(order.effective)
        self.sounds: list[Samples] = []
        self.book: LongClip | None = None
        self.places: list[tuple[int, int, int]] = []
        """For each stretch: which of the sounds it is, and the characters it says."""
        self.pieces: list[Piece] = []
        """For each stretch: the piece of the text that it belongs to."""
        self.sample_rate = 0
        self._count = 0
        self._length = 0

    def add(self, spoken: Spoken) -> None:
        self.sample_rate = self.sample_rate or spoken.sample_rate
        if spoken.sample_rate != self.sample_rate:
            raise EngineFailed(
                f"the engine changed its sample rate within one clip, from {self.sample_rate} to {spoken.sample_rate} Hz"
            )
        if spoken.silence:
            self._append(np.zeros(round(spoken.silence * spoken.sample_rate), dtype=np.float32))
        self.places.append((self._count, spoken.start, spoken.end))
        self.pieces.append(spoken.piece)
        self._append(at_level(spoken, self._level))

    def close(self) -> None:
        if self.book is not None:
            self.book.close()

    def _append(self, samples: Samples) -> None:
        self._count += 1
        self._length += len(samples)
        if self.book is None and self._length > MEMORY_S * self.sample_rate:
            from voxledger.synth.audio import LongClip

            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise HomeError(f"the clip could not be written under {self._folder}: {error.strerror}") from error
            self.book = LongClip(self._folder, self.sample_rate)
            for sound in self.sounds:
                self._bind(self.book, sound)
            self.sounds.clear()
        if self.book is not None:
            self._bind(self.book, samples)
        else:
            self.sounds.append(samples)

    @staticmethod
    def _bind(book: LongClip, samples: Samples) -> None:
        from voxledger.synth.audio import on_one_core

        on_one_core(lambda: book.add(samples))


def _finished(gathered: _Gathered, order: Order, tally: Tally) -> Made:
    # torch comes with it, and takes a second: an answered request goes without.
    from voxledger.synth.audio import encode, give_way, on_one_core, process

    # At the rate that the format holds, so that the limiter works on what is delivered.
    target = format_named(order.audio_format).rate_for(order.settings.sample_rate or gathered.sample_rate)

    def finish() -> tuple[Processed, Encoded, float, float]:
        begun = time.perf_counter()
        processed = process(
            gathered.sounds,
            gathered.sample_rate,
            target_rate=target,
            level_offset_db=level_offset(order.effective),
            target_lufs=order.settings.loudness,
        )
        chained = time.perf_counter()
        give_way()
        waited = time.perf_counter() - chained
        encoded = encode(processed.samples, processed.sample_rate, order.audio_format)
        return processed, encoded, chained - begun, time.perf_counter() - chained - waited

    processed, encoded, audio_s, encode_s = on_one_core(finish)
    return _made(
        encoded.data,
        hashlib.sha256(encoded.data).hexdigest(),
        encoded,
        processed,
        gathered,
        order,
        tally,
        audio_us=round(audio_s * 1e6),
        encode_us=round(encode_s * 1e6),
    )


def _bound(
    book: LongClip, gathered: _Gathered, order: Order, tally: Tally, stop: threading.Event, begun: float
) -> Made:
    """The same for a long clip, whose file is made in a stretch of memory, and lies in the folder until it is put away."""
    from voxledger.synth.audio import give_way, on_one_core

    def go_on() -> None:
        if stop.is_set():
            raise Stopped
        give_way()

    _clear(order.folder)
    path = order.folder / f".{secrets.token_hex(8)}.part"
    made = on_one_core(
        lambda: book.finish(
            path,
            order.audio_format,
            target_rate=order.settings.sample_rate or None,
            level_offset_db=level_offset(order.effective),
            target_lufs=order.settings.loudness,
            between=go_on,
        )
    )
    audio_us = round((time.perf_counter() - begun) * 1e6) - made.encode_us
    try:
        return _made(path, made.sha256, made, made, gathered, order, tally, audio_us=audio_us, encode_us=made.encode_us)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _clear(folder: Path) -> None:
    """Files that killed processes left here, the day before or earlier."""
    for stale in folder.glob(f".{'?' * 16}.part"):
        with suppress(OSError):
            if time.time() - stale.stat().st_mtime > _ABANDONED:
                stale.unlink()


def _made(
    content: bytes | Path,
    sha256: str,
    file: Encoded | LongMade,
    sound: Processed | LongMade,
    gathered: _Gathered,
    order: Order,
    tally: Tally,
    *,
    audio_us: int,
    encode_us: int,
) -> Made:
    from voxledger.synth.audio import speech_rate, suspects

    measures = sound.measures
    return Made(
        content=content,
        format=file.format,
        sample_rate=file.sample_rate,
        channels=1,
        duration_us=file.duration_us,
        bytes=file.size,
        sha256=sha256,
        measures=measures,
        clipped_at_source=sound.clipped_at_source,
        speech_rate=speech_rate(order.text, measures),
        suspect=suspects(
            measures,
            text=order.text,
            language=order.language,
            clipped_at_source=sound.clipped_at_source,
            speed=order.speed,
        ),
        target_lufs=sound.target_lufs,
        timing=_timing(gathered.places, sound.offsets),
        passages=_passages(gathered, sound.offsets),
        tally=tally,
        audio_us=audio_us,
        encode_us=encode_us,
    )


def _timing(places: Sequence[tuple[int, int, int]], offsets: Sequence[tuple[int, int]]) -> str:
    """Where each stretch stands in the text (characters) and in the delivered audio (ms), as JSON."""
    rows = [
        [start, end, round(offsets[sound][0] / 1000), round(offsets[sound][1] / 1000)] for sound, start, end in places
    ]
    return json.dumps(rows, separators=(",", ":"))


def _passages(gathered: _Gathered, offsets: Sequence[tuple[int, int]]) -> tuple[SpokenPassage, ...]:
    """The stretches of one emotion in the delivered audio, where marks in the text make several; neighbours alike are one."""
    if not any(piece.marked for piece in gathered.pieces):
        return ()
    said = [(piece, offsets[place[0]]) for piece, place in zip(gathered.pieces, gathered.places, strict=True)]
    return tuple(
        SpokenPassage(
            start_us=stretches[0][1][0],
            end_us=stretches[-1][1][1],
            emotion=emotion.dominant,
            strength=emotion.strength,
            asked=emotion.weights,
            effective=effective,
        )
        for (emotion, effective), group in groupby(said, key=lambda each: (each[0].emotion, each[0].effective))
        for stretches in [list(group)]
    )
