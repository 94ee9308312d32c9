"""Silence at the edges of a clip: found, cut to fixed margins, faded."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from voxledger.synth.audio.fir import magnitude
from voxledger.synth.errors import AudioFailed

FRAME_S = 0.01


@dataclass(frozen=True, kw_only=True)
class Silences:
    """What counts as silence and what stays of it. Seconds; levels are sample peaks of 10 ms frames.

    `threshold_db` is relative to the clip's peak and never sinks below `floor_dbfs`; a clip whose peak is below
    `silent_dbfs` is silent as a whole. `between_s` of silence goes between segments that are joined.
    `trim=False` leaves the edges and the length as they are.
    """

    trim: bool = True
    lead_s: float = 0.05
    tail_s: float = 0.12
    fade_s: float = 0.005
    between_s: float = 0.0
    threshold_db: float = -50.0
    floor_dbfs: float = -70.0
    silent_dbfs: float = -60.0

    def __post_init__(self) -> None:
        for name in ("lead_s", "tail_s", "fade_s", "between_s"):
            if not 0 <= getattr(self, name) <= 60:
                raise AudioFailed(f"{name} is {getattr(self, name)}: give seconds between 0 and 60")
        for name in ("threshold_db", "floor_dbfs", "silent_dbfs"):
            if not -200 <= getattr(self, name) <= 0:
                raise AudioFailed(f"{name} is {getattr(self, name)}: give decibels between -200 and 0")


class Sounding(NamedTuple):
    """Where a clip sounds: first sample, end (exclusive), both on frame borders, and the share of silent frames."""

    start: int
    end: int
    silence_share: float


def sounding(samples: Tensor, sample_rate: int, silences: Silences) -> Sounding:
    """Find the sounding part of one clip, shape (n,). A silent clip gives (0, 0, 1.0)."""
    with torch.inference_mode():
        return sounding_frames(frame_peaks(samples, sample_rate), samples.shape[-1], sample_rate, silences)


def frame_samples(sample_rate: int) -> int:
    """Samples in a frame of 10 ms, rounded where the rate is no multiple of a hundred."""
    return max(1, round(FRAME_S * sample_rate))


def frame_peaks(samples: Tensor, sample_rate: int) -> Tensor:
    """The highest absolute sample of every frame: shape (n,) -> (frames,), the last one perhaps unfinished."""
    frame = frame_samples(sample_rate)
    unfinished = -samples.shape[-1] % frame
    padded = torch.nn.functional.pad(samples, (0, unfinished)) if unfinished else samples
    return magnitude(padded.reshape(-1, frame)) if padded.shape[-1] else padded


class FramePeaks:
    """Gathers the peaks of frames from samples that come in stretches, in order."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._rest = torch.zeros(0)
        # Not a list of tensors: each of them, small as it is, would keep the memory around it from being given back.
        self._peaks = array("f")

    def add(self, samples: Tensor) -> None:
        """The next stretch, float32, shape (n,)."""
        samples = torch.cat([self._rest, samples])
        whole = samples.shape[-1] - samples.shape[-1] % frame_samples(self._rate)
        self._rest = samples[whole:].clone()
        self._peaks.frombytes(frame_peaks(samples[:whole], self._rate).numpy().tobytes())

    @property
    def values(self) -> Tensor:
        """What `frame_peaks` gives for all samples so far."""
        return torch.cat(
            [torch.from_numpy(np.array(self._peaks, dtype=np.float32)), frame_peaks(self._rest, self._rate)]
        )


def sounding_frames(peaks: Tensor, count: int, sample_rate: int, silences: Silences) -> Sounding:
    """Like `sounding`, for a clip of `count` samples whose frames' peaks are known."""
    return sounding_under(highest(peaks), peaks, count, sample_rate, silences)


def sounding_under(peak: float, peaks: Tensor, count: int, sample_rate: int, silences: Silences) -> Sounding:
    """The same, where the highest of the peaks is known as well."""
    frame = frame_samples(sample_rate)
    if peak < _amplitude(silences.silent_dbfs) or peak == 0:
        return Sounding(0, 0, 1.0)
    threshold = max(peak * _amplitude(silences.threshold_db), _amplitude(silences.floor_dbfs))
    loud = torch.nonzero(peaks >= min(threshold, peak)).flatten()
    start, end = int(loud[0]) * frame, min((int(loud[-1]) + 1) * frame, count)
    return Sounding(start, end, 1 - loud.numel() / peaks.numel())


def highest(peaks: Tensor) -> float:
    """The highest of the frames' peaks: no number if one of them is none, 0 where there are no frames."""
    return float(peaks.amax()) if peaks.numel() else 0.0


def kept(where: Sounding, count: int, sample_rate: int, silences: Silences) -> tuple[int, int]:
    """First sample and end (exclusive) of what is delivered of a clip of `count` samples that sounds `where`.

    Raises AudioFailed for a silent clip: there is nothing to deliver.
    """
    if where.end == 0:
        raise AudioFailed(
            f"the engine returned silence ({count / sample_rate:.2f} s, peak below "
            f"{silences.silent_dbfs:g} dBFS): try another text, voice or seed"
        )
    if not silences.trim:
        return 0, count
    start = max(0, where.start - round(silences.lead_s * sample_rate))
    return start, min(count, where.end + round(silences.tail_s * sample_rate))


def trim(samples: Tensor, sample_rate: int, silences: Silences | None = None) -> Tensor:
    """Cut the silence before and after one clip, shape (n,), to its margins and fade the edges.

    Keeps up to `lead_s` before the first and `tail_s` after the last sound (never adds any), then fades `fade_s` in and
    out with a raised cosine. Raises AudioFailed for a silent clip: there is nothing to deliver.
    """
    silences = silences or Silences()
    with torch.inference_mode():
        where = sounding(samples, sample_rate, silences)
        return cut(samples, kept(where, samples.shape[-1], sample_rate, silences), sample_rate, silences)


def cut(samples: Tensor, borders: tuple[int, int], sample_rate: int, silences: Silences) -> Tensor:
    """One clip between its `borders` (from `kept`), with faded edges."""
    if not silences.trim:
        return samples
    return _faded(samples[borders[0] : borders[1]].clone(), round(silences.fade_s * sample_rate))


@lru_cache(maxsize=32)
def fade(length: int, dtype: torch.dtype, device: torch.device | str = "cpu") -> Tensor:
    """The factors of a fade-in over `length` samples: a raised cosine. Not to be written to."""
    phase = (torch.arange(length, dtype=torch.float64, device=device) + 0.5) * (math.pi / length)
    return ((1 - torch.cos(phase)) / 2).to(dtype)


def _faded(samples: Tensor, length: int) -> Tensor:
    length = min(length, samples.shape[-1] // 2)
    if length:
        rise = fade(length, samples.dtype, samples.device)
        samples[:length] *= rise
        samples[-length:] *= rise.flip(0)
    return samples


def _amplitude(decibels: float) -> float:
    return float(10 ** (decibels / 20))
