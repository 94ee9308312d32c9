"""Silence at the edges of a clip: found, cut to fixed margins, faded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

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
        count, frame = samples.shape[-1], max(1, round(FRAME_S * sample_rate))
        if count == 0:
            return Sounding(0, 0, 1.0)
        padded = torch.nn.functional.pad(samples, (0, -count % frame))
        peaks = magnitude(padded.reshape(-1, frame))
        peak = float(peaks.amax())
        if peak < _amplitude(silences.silent_dbfs) or peak == 0:
            return Sounding(0, 0, 1.0)
        threshold = max(peak * _amplitude(silences.threshold_db), _amplitude(silences.floor_dbfs))
        loud = torch.nonzero(peaks >= min(threshold, peak)).flatten()
        start, end = int(loud[0]) * frame, min((int(loud[-1]) + 1) * frame, count)
        return Sounding(start, end, 1 - loud.numel() / peaks.numel())


def trim(samples: Tensor, sample_rate: int, silences: Silences | None = None) -> Tensor:
    """Cut the silence before and after one clip, shape (n,), to its margins and fade the edges.

    Keeps up to `lead_s` before the first and `tail_s` after the last sound (never adds any), then fades `fade_s` in and
    out with a raised cosine. Raises AudioFailed for a silent clip: there is nothing to deliver.
    """
    silences = silences or Silences()
    with torch.inference_mode():
        where = sounding(samples, sample_rate, silences)
        if where.end == 0:
            raise AudioFailed(
                f"the engine returned silence ({samples.shape[-1] / sample_rate:.2f} s, peak below "
                f"{silences.silent_dbfs:g} dBFS): try another text, voice or seed"
            )
        if not silences.trim:
            return samples
        start = max(0, where.start - round(silences.lead_s * sample_rate))
        end = min(samples.shape[-1], where.end + round(silences.tail_s * sample_rate))
        return _faded(samples[start:end].clone(), round(silences.fade_s * sample_rate))


def _faded(samples: Tensor, length: int) -> Tensor:
    length = min(length, samples.shape[-1] // 2)
    if length:
        phase = (torch.arange(length, dtype=torch.float64, device=samples.device) + 0.5) * (math.pi / length)
        rise = ((1 - torch.cos(phase)) / 2).to(samples.dtype)
        samples[:length] *= rise
        samples[-length:] *= rise.flip(0)
    return samples


def _amplitude(decibels: float) -> float:
    return float(10 ** (decibels / 20))
