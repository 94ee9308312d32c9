"""A clip that comes in segments, for seconds or for hours: the chain of `process` and `encode` in flat memory.

Up to `SHORT_S` the clip is put together in memory and goes through `process` and `encode`. A longer one stays on disk
and is read a stretch at a time (`stretches`), with the same bits: the same gain, limiter and samples, and the same file.
"""

from __future__ import annotations

import errno
import hashlib
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile
import torch

from voxledger.catalog.errors import DiskFull, HomeError
from voxledger.catalog.hashing import sha256_of
from voxledger.synth.audio.chain import (
    CEILING_DBTP,
    TARGET_LUFS,
    check,
    offsets,
    process,
    raised,
    samples_of,
    wanted_lufs,
)
from voxledger.synth.audio.encode import duration_us, encode, opened
from voxledger.synth.audio.level import settle
from voxledger.synth.audio.long_level import Between, LongLeveller, Rendered
from voxledger.synth.audio.measure import AudioMeasures, clipped_samples
from voxledger.synth.audio.ogg import renumber
from voxledger.synth.audio.spool import Spool
from voxledger.synth.audio.stretches import Stretches
from voxledger.synth.audio.trim import FramePeaks, Silences, kept, sounding_frames
from voxledger.synth.engines.base import Samples
from voxledger.synth.errors import AudioFailed
from voxledger.synth.formats import AudioFormat, format_named

SHORT_S = 30.0
"""Length up to which a clip is made in memory."""
_BLOCK = 1 << 18


@dataclass(frozen=True, kw_only=True)
class LongMade:
    """A finished file. Fields are those of `Encoded` and `Processed`; `sha256` is of the file, `size` in bytes."""

    format: AudioFormat
    sample_rate: int
    frames: int
    size: int
    sha256: str
    measures: AudioMeasures
    target_lufs: float
    gain_db: float
    limited: bool
    clipped_at_source: int
    offsets: tuple[tuple[int, int], ...]
    encode_us: int
    """Microseconds that encoding and writing took."""

    @property
    def duration_us(self) -> int:
        """Length in microseconds, rounded from whole frames."""
        return duration_us(self.frames, self.sample_rate)


class LongClip:
    """Gathers segments, then makes one file of them. Use it in a `with` block, or close it; for one thread at a time.

    Segments lie in a temporary file without a name in `folder`, 4 bytes a sample; `finish` needs 2 to 6 bytes for each
    delivered sample beside it. A process that is killed leaves nothing there.
    """

    def __init__(self, folder: Path, sample_rate: int, *, silences: Silences | None = None) -> None:
        self.sample_rate = sample_rate
        self._folder = folder
        self._silences = silences or Silences()
        self._spool = Spool(folder, np.float32)
        self._peaks = FramePeaks(sample_rate)
        self._lengths: list[int] = []
        self._clipped = 0

    def __enter__(self) -> LongClip:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def duration_s(self) -> float:
        """Length of what was added so far."""
        return self._spool.count / self.sample_rate

    def add(self, samples: Samples) -> int:
        """Add a segment, float32 of shape (n,), full scale = 1; gives its place in `LongMade.offsets`.

        Raises AudioFailed for another shape, integers, or values that are not finite; DiskFull and HomeError.
        """
        with torch.inference_mode():
            segment = samples_of(samples, self.sample_rate).to(torch.float32)
            if not bool(torch.isfinite(segment).all()):
                raise AudioFailed(
                    "the engine returned samples that are not numbers (NaN or infinite): its model is at fault"
                )
            if self._lengths and self._silences.between_s:
                self._append(torch.zeros(round(self._silences.between_s * self.sample_rate)))
            self._append(segment)
            self._lengths.append(len(segment))
            self._clipped += clipped_samples(segment)
        return len(self._lengths) - 1

    def finish(
        self,
        path: Path,
        audio_format: str,
        *,
        target_rate: int | None = None,
        level_offset_db: float = 0.0,
        target_lufs: float = TARGET_LUFS,
        ceiling_dbtp: float = CEILING_DBTP,
        between: Between = lambda: None,
    ) -> LongMade:
        """Make the file at `path`, which is complete or not there; parameters are those of `process`.

        The rate is `target_rate`, or the segments' own, or what the format makes of it. `between` is called every few
        seconds of audio; what it raises ends the work. Raises what `process` and `encode` do, DiskFull and HomeError.
        """
        form = format_named(audio_format)
        rate = form.rate_for(target_rate or self.sample_rate)
        check(self.sample_rate, rate, level_offset_db, target_lufs, ceiling_dbtp)
        target = wanted_lufs(target_lufs, level_offset_db)
        try:
            if self.duration_s <= SHORT_S:
                return self._short(path, form, rate, target, ceiling_dbtp)
            return self._long(path, form, rate, target, ceiling_dbtp, between)
        except OSError as error:
            path.unlink(missing_ok=True)
            if error.errno == errno.ENOSPC:
                raise DiskFull(f"the disk is full: {path} could not be written; free some space") from error
            raise HomeError(f"{path} could not be written: {error.strerror or error}") from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def close(self) -> None:
        """Remove what was added. Idempotent."""
        self._spool.close()

    def _append(self, samples: torch.Tensor) -> None:
        self._spool.append(samples.numpy())
        self._peaks.add(samples)

    def _short(self, path: Path, form: AudioFormat, rate: int, target: float, ceiling_dbtp: float) -> LongMade:
        whole = np.asarray(self._spool.read(0, self._spool.count))
        made = process(
            whole,
            self.sample_rate,
            target_rate=rate,
            target_lufs=target,
            ceiling_dbtp=ceiling_dbtp,
            silences=self._silences,
        )
        begun = time.perf_counter()
        encoded = encode(made.samples, rate, form.name)
        path.write_bytes(encoded.data)
        return LongMade(
            encode_us=round((time.perf_counter() - begun) * 1e6),
            format=form,
            sample_rate=rate,
            frames=encoded.frames,
            size=encoded.size,
            sha256=hashlib.sha256(encoded.data).hexdigest(),
            measures=made.measures,
            target_lufs=target,
            gain_db=made.gain_db,
            limited=made.limited,
            clipped_at_source=self._clipped,
            offsets=self._offsets(self._borders()),
        )

    def _long(
        self, path: Path, form: AudioFormat, rate: int, target: float, ceiling_dbtp: float, between: Between
    ) -> LongMade:
        borders = self._borders()
        with torch.inference_mode():
            clip = Stretches(self._spool, borders, self.sample_rate, rate, self._silences)
            made = settle(
                LongLeveller(clip, self._folder, target_lufs=target, ceiling_dbtp=ceiling_dbtp, between=between), target
            )
            measures = made.measures
        begun = time.perf_counter()
        _write(path, made, form, between)
        return LongMade(
            encode_us=round((time.perf_counter() - begun) * 1e6),
            format=form,
            sample_rate=rate,
            frames=made.samples.count,
            size=path.stat().st_size,
            sha256=sha256_of(path),
            measures=measures,
            target_lufs=target,
            gain_db=round(made.gain_db + raised(clip.step), 3),
            limited=made.limited,
            clipped_at_source=self._clipped,
            offsets=self._offsets(borders),
        )

    def _borders(self) -> tuple[int, int]:
        count = self._spool.count
        where = sounding_frames(self._peaks.values, count, self.sample_rate, self._silences)
        return kept(where, count, self.sample_rate, self._silences)

    def _offsets(self, borders: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        return offsets(self._lengths, borders, self.sample_rate, between_s=self._silences.between_s)


def _write(path: Path, made: Rendered, form: AudioFormat, between: Between) -> None:
    checksum = 0
    with opened(path, made.rate, form) as sink:
        for block in _blocks(made.samples):
            between()
            checksum = zlib.crc32(block.tobytes(), checksum)
            try:
                sink.write(block)
            except soundfile.SoundFileError as error:
                raise AudioFailed(
                    f"libsndfile stopped writing {form.name} ({error}): is the disk full, or the file too long for it?"
                ) from error
    if form.container == "OGG":
        with path.open("rb+") as file:
            renumber(file, checksum)


def _blocks(samples: Spool) -> Iterator[np.ndarray]:
    for start in range(0, samples.count, _BLOCK):
        yield np.asarray(samples.read(start, min(start + _BLOCK, samples.count)), dtype=np.int16)
