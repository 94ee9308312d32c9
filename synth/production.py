"""Production: from an engine's speech to a file that is ready to be put in its place, with the time of each step."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from voxledger.catalog import platform
from voxledger.catalog.settings import Synth
from voxledger.synth.emotion import Weights
from voxledger.synth.engines.base import Samples
from voxledger.synth.formats import AudioFormat, format_named
from voxledger.synth.pieces import Piece
from voxledger.synth.prosody import level_offset
from voxledger.synth.speaking import NOBODY, Listener, Speaker, Spoken, Tally

if TYPE_CHECKING:
    from voxledger.synth.audio import AudioMeasures


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

    Raises what `Speaker.speak` does, and AudioFailed from the chain and the encoder.
    """
    gathered = _Gathered(order.effective)
    for stretch in speaker.speak(pieces, tally, stop):
        gathered.add(stretch)
        listener.heard(stretch)
    return _finished(gathered, order, tally)


class _Gathered:
    """The speech of one clip, with the silences in it and each passage at its level beside the others."""

    def __init__(self, effective: Weights) -> None:
        self._level = level_offset(effective)
        self.sounds: list[Samples] = []
        self.places: list[tuple[int, int, int]] = []
        """For each stretch: which of the sounds it is, and the characters it says."""
        self.sample_rate = 0

    def add(self, spoken: Spoken) -> None:
        self.sample_rate = self.sample_rate or spoken.sample_rate
        if spoken.silence:
            self.sounds.append(np.zeros(round(spoken.silence * spoken.sample_rate), dtype=np.float32))
        louder = level_offset(spoken.piece.effective) - self._level
        self.places.append((len(self.sounds), spoken.start, spoken.end))
        self.sounds.append(spoken.samples if not louder else spoken.samples * np.float32(10 ** (louder / 20)))


def _finished(gathered: _Gathered, order: Order, tally: Tally) -> Made:
    # torch comes with it, and takes a second: an answered request goes without.
    from voxledger.synth.audio import encode, on_one_core, process, speech_rate, suspects

    begun = time.perf_counter()
    # At the rate that the format holds, so that the limiter works on what is delivered.
    target = format_named(order.audio_format).rate_for(order.settings.sample_rate or gathered.sample_rate)
    processed = on_one_core(
        lambda: process(
            gathered.sounds,
            gathered.sample_rate,
            target_rate=target,
            level_offset_db=level_offset(order.effective),
            target_lufs=order.settings.loudness,
        )
    )
    chained = time.perf_counter()
    encoded = encode(processed.samples, processed.sample_rate, order.audio_format)
    measures = processed.measures
    return Made(
        content=encoded.data,
        format=encoded.format,
        sample_rate=encoded.sample_rate,
        channels=encoded.channels,
        duration_us=encoded.duration_us,
        bytes=encoded.size,
        sha256=hashlib.sha256(encoded.data).hexdigest(),
        measures=measures,
        clipped_at_source=processed.clipped_at_source,
        speech_rate=speech_rate(order.text, measures),
        suspect=suspects(
            measures,
            text=order.text,
            language=order.language,
            clipped_at_source=processed.clipped_at_source,
            speed=order.speed,
        ),
        target_lufs=processed.target_lufs,
        timing=_timing(gathered.places, processed.offsets),
        tally=tally,
        audio_us=round((chained - begun) * 1e6),
        encode_us=round((time.perf_counter() - chained) * 1e6),
    )


def _timing(places: Sequence[tuple[int, int, int]], offsets: Sequence[tuple[int, int]]) -> str:
    """Where each stretch stands in the text (characters) and in the delivered audio (ms), as JSON."""
    rows = [
        [start, end, round(offsets[sound][0] / 1000), round(offsets[sound][1] / 1000)] for sound, start, end in places
    ]
    return json.dumps(rows, separators=(",", ":"))
