"""From what an engine returns to what is delivered: join, trim, resample, loudness, true peak."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from voxledger.synth.audio.fir import SAMPLE_BITS, magnitude, to_grid
from voxledger.synth.audio.level import Levelled, level
from voxledger.synth.audio.measure import FULL_SCALE, AudioMeasures, clipped_samples, measures_with
from voxledger.synth.audio.resample import HIGHEST_RATE, resample
from voxledger.synth.audio.trim import Silences, cut, frame_peaks, highest, kept, sounding_under
from voxledger.synth.engines.base import Samples, Segment
from voxledger.synth.errors import AudioFailed

TARGET_LUFS = -16.0
CEILING_DBTP = -1.0
MAX_OFFSET_DB = 4.0
LOWEST_RATE = 4_000

Sound: TypeAlias = Segment | npt.NDArray[np.floating] | Tensor
"""One stretch of mono sound: a segment, or samples of shape (n,), float, full scale = 1."""


@dataclass(frozen=True, kw_only=True)
class Processed:
    """A clip ready to be encoded.

    `samples` are mono float32 of shape (n,), all of them multiples of 2 ** -15, so a 16-bit file holds exactly them and
    `measures` are the file's own. `target_lufs` is what was aimed at, offset included; `gain_db` what was added before
    the limiter, relative to the engine's waveform; `limited` says whether the limiter worked; `clipped_at_source` how
    many samples the engine had at or beyond full scale. `offsets`: where each sound that was given lies in the clip, as
    start and end in whole microseconds; what was trimmed away of it does not count.
    """

    samples: Samples
    sample_rate: int
    measures: AudioMeasures
    target_lufs: float
    gain_db: float
    limited: bool
    clipped_at_source: int
    offsets: tuple[tuple[int, int], ...]


def process(
    sound: Sound | Iterable[Sound],
    sample_rate: int,
    *,
    target_rate: int | None = None,
    level_offset_db: float = 0.0,
    target_lufs: float = TARGET_LUFS,
    ceiling_dbtp: float = CEILING_DBTP,
    silences: Silences | None = None,
) -> Processed:
    """Join segments, trim silence, resample to `target_rate` (None: keep), set loudness, limit the true peak.

    Delivered loudness is `target_lufs + level_offset_db` (the offset clamped to ±4 dB), within 0.1 LU for speech that
    leaves room for its peaks. Two kinds of sound miss it, and `measures.loudness_lufs` says by how much. Where even
    12 dB more gain into the limiter do not suffice, the ceiling comes first and the clip stays quieter: clicks, and
    very peaky voices at high offsets (in eSpeak NG's, single clips at +4 dB, by up to 0.5 LU). And in a clip of a few
    tenths of a second the limiter may move a block across the gate of the standard: the loudness then jumps, and no
    gain reaches what lies between.

    A pure function, safe from many threads. Equal input gives equal bytes for any number of torch threads: filters
    are exact (`fir`), and what is not is rounded before it decides anything.

    Raises AudioFailed for silence, for samples that are not finite, for another shape than (n,), and for rates,
    levels or segments that do not fit together.
    """
    silences = silences or Silences()
    check(sample_rate, target_rate, level_offset_db, target_lufs, ceiling_dbtp)
    wanted, rate = wanted_lufs(target_lufs, level_offset_db), target_rate or sample_rate
    with torch.inference_mode():
        ready = prepare(sound, sample_rate, silences or Silences())
        made = level(resample(ready.full_scale, sample_rate, rate), rate, target_lufs=wanted, ceiling_dbtp=ceiling_dbtp)
        return delivered(ready, made, rate, wanted)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A clip before resampler and level: trimmed, at full scale, float64 of shape (n,), and what was known before."""

    full_scale: Tensor
    raised_db: float
    clipped: int
    offsets: tuple[tuple[int, int], ...]


def prepare(sound: Sound | Iterable[Sound], sample_rate: int, silences: Silences) -> Prepared:
    """Join and trim. Raises AudioFailed for what is no sound, or silence."""
    pieces = _pieces(sound, sample_rate)
    joined = _joined(pieces, sample_rate, silences.between_s)
    peaks = frame_peaks(joined, sample_rate)
    peak = highest(peaks)
    _check_finite(peak)
    where = sounding_under(peak, peaks, len(joined), sample_rate, silences)
    borders = kept(where, len(joined), sample_rate, silences)
    # From here on at full scale: gates and rounding then treat a quiet engine as they treat a loud one.
    grid = to_grid(cut(joined, borders, sample_rate, silences))
    return Prepared(
        full_scale=grid.values * 2.0**-SAMPLE_BITS,
        raised_db=raised(float(grid.step)),
        clipped=clipped_samples(joined) if peak >= FULL_SCALE else 0,
        offsets=offsets([len(piece) for piece in pieces], borders, sample_rate, between_s=silences.between_s),
    )


def delivered(ready: Prepared, made: Levelled, rate: int, target_lufs: float) -> Processed:
    """The finished clip with its measures."""
    samples = made.samples.to(torch.float32).cpu()
    return Processed(
        samples=samples.numpy(),
        sample_rate=rate,
        measures=measures_with(samples, rate, loudness_lufs=made.loudness_lufs, peak_dbtp=made.true_peak_dbtp),
        target_lufs=target_lufs,
        gain_db=round(made.gain_db + ready.raised_db, 3),
        limited=made.limited,
        clipped_at_source=ready.clipped,
        offsets=ready.offsets,
    )


def wanted_lufs(target_lufs: float, level_offset_db: float) -> float:
    """The loudness to be delivered, the offset clamped."""
    return target_lufs + min(MAX_OFFSET_DB, max(-MAX_OFFSET_DB, level_offset_db))


def raised(step: float) -> float:
    """The gain (dB) that brings samples on a grid of this step to full scale."""
    return -20 * math.log10(step * 2.0**SAMPLE_BITS)


def offsets(
    lengths: Iterable[int], borders: tuple[int, int], sample_rate: int, *, between_s: float = 0.0
) -> tuple[tuple[int, int], ...]:
    """Where sounds of these lengths, joined and cut at `borders`, lie in the clip: start and end (µs) of each."""
    gap, found, begin = round(between_s * sample_rate), [], 0
    for length in lengths:
        inside = [min(max(place, borders[0]), borders[1]) - borders[0] for place in (begin, begin + length)]
        found.append((round(inside[0] * 1_000_000 / sample_rate), round(inside[1] * 1_000_000 / sample_rate)))
        begin += length + gap
    return tuple(found)


def join(sound: Sound | Iterable[Sound], sample_rate: int, *, between_s: float = 0.0) -> Tensor:
    """Segments or samples as one float tensor of shape (n,), with `between_s` of silence between them.

    Raises AudioFailed for no samples, another shape, another rate, integers, or values that are not finite.
    """
    joined = _joined(_pieces(sound, sample_rate), sample_rate, between_s)
    _check_finite(float(magnitude(joined)))
    return joined


def _pieces(sound: Sound | Iterable[Sound], sample_rate: int) -> list[Tensor]:
    parts = [sound] if isinstance(sound, Segment | np.ndarray | Tensor) else sound
    return [samples_of(part, sample_rate) for part in parts]


def _joined(pieces: list[Tensor], sample_rate: int, between_s: float) -> Tensor:
    joined = pieces[0] if len(pieces) == 1 else _strung(pieces, round(between_s * sample_rate))
    if joined.numel() == 0:
        raise AudioFailed("the engine returned no samples: try another text, voice or seed")
    return joined


def _strung(pieces: list[Tensor], gap: int) -> Tensor:
    between = torch.zeros(gap)
    return torch.cat([each for piece in pieces for each in (piece, between)][:-1] or [between[:0]])


def _check_finite(peak: float) -> None:
    """That of all samples: a maximum keeps what is no number."""
    if not math.isfinite(peak):
        raise AudioFailed("the engine returned samples that are not numbers (NaN or infinite): its model is at fault")


def samples_of(part: Sound, sample_rate: int) -> Tensor:
    """One sound as a tensor of shape (n,), float32 or wider. Raises AudioFailed for what is no sound of this rate."""
    if isinstance(part, Segment):
        if part.sample_rate != sample_rate:
            raise AudioFailed(f"a segment has {part.sample_rate} Hz, the clip {sample_rate} Hz: resample it first")
        part = part.samples
    # A copy in native byte order: the caller's array may be read-only, and nothing here may write to it.
    samples = part if isinstance(part, Tensor) else torch.from_numpy(np.array(part, dtype=part.dtype.newbyteorder("=")))
    if samples.ndim != 1 or not samples.dtype.is_floating_point:
        raise AudioFailed(
            f"the chain takes mono floating-point samples of shape (n,), not {samples.dtype} of {tuple(samples.shape)}"
        )
    return samples.to(torch.promote_types(samples.dtype, torch.float32))


def check(
    sample_rate: int, target_rate: int | None, level_offset_db: float, target_lufs: float, ceiling_dbtp: float
) -> None:
    """Raises AudioFailed for rates and levels that the chain does not make."""
    for rate in (sample_rate, target_rate):
        if rate is not None and not LOWEST_RATE <= rate <= HIGHEST_RATE:
            raise AudioFailed(f"a clip of {rate} Hz cannot be made: give {LOWEST_RATE} to {HIGHEST_RATE} Hz")
    if not math.isfinite(level_offset_db):
        raise AudioFailed(f"the level offset is {level_offset_db}: give a finite number of decibels")
    if not -60 <= target_lufs <= -5:
        raise AudioFailed(f"the target loudness is {target_lufs} LUFS: give one between -60 and -5")
    if not -60 <= ceiling_dbtp <= -0.1:
        raise AudioFailed(f"the true-peak ceiling is {ceiling_dbtp} dBTP: give one between -60 and -0.1")
