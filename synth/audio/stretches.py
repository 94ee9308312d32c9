"""A clip on disk, read a stretch at a time, with the very bits that the chain has of the whole one.

The filters are exact (`fir`), and what a stretch depends on beside itself is bounded: a few dozen samples for the
resampler, 65 ms for the K-weighting, 90 ms for the limiter. So a stretch that is read with that much context needs
nothing else of the clip but its peaks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from voxledger.synth.audio.fir import SAMPLE_BITS, magnitude, to_grid
from voxledger.synth.audio.memory import give_back
from voxledger.synth.audio.peak import BLOCK
from voxledger.synth.audio.resample import resample, window
from voxledger.synth.audio.spool import Spool
from voxledger.synth.audio.trim import Silences, fade

STRETCH_S = 4.0
GIVE_BACK = 16
"""Stretches after which freed memory is given back: each time costs as much as some stretches of work."""


def stretches(count: int, rate: int) -> Iterator[tuple[int, int]]:
    """Start and end (exclusive) of stretches of about `STRETCH_S`, all but the last whole `BLOCK`s."""
    size = max(1, round(STRETCH_S * rate / BLOCK)) * BLOCK
    for number, start in enumerate(range(0, count, size), 1):
        yield start, min(start + size, count)
        if number % GIVE_BACK == 0:
            give_back()


class Stretches:
    """A clip behind trim, fades and resampler, at full scale: what `process` hands to `level`."""

    def __init__(self, spool: Spool, borders: tuple[int, int], sample_rate: int, rate: int, silences: Silences) -> None:
        self._spool = spool
        self._begin = borders[0]
        self._count = borders[1] - borders[0]
        self._rates = sample_rate, rate
        fading = min(round(silences.fade_s * sample_rate), self._count // 2) if silences.trim else 0
        self._rise = fade(fading, torch.float32)
        self._peak = torch.zeros((), dtype=torch.float64)
        for start, end in stretches(self._count, sample_rate):
            self._peak = torch.maximum(self._peak, magnitude(self._cut(start, end)).to(torch.float64))
        self.rate = rate
        self.count = -(-self._count * rate // sample_rate)

    @property
    def step(self) -> float:
        """What one step of the samples' grid stands for, before they were brought to full scale."""
        return float(to_grid(self._peak.reshape(1), self._peak).step)

    def read(self, start: int, end: int) -> Tensor:
        """Samples `start` to `end` (exclusive) at the delivered rate, float64, shape (n,)."""
        first, last, skip = window(start, end, self._count, *self._rates)
        full_scale = to_grid(self._cut(first, last), self._peak).values * 2.0**-SAMPLE_BITS
        return resample(full_scale, *self._rates)[skip : skip + end - start]

    def around(self, start: int, end: int, before: int, after: int) -> tuple[Tensor, int]:
        """Like `read`, with so many whole `BLOCK`s of context as there are; also how many samples come before `start`."""
        first, last = max(0, start - before * BLOCK), min(self.count, end + after * BLOCK)
        return self.read(first, last), start - first

    def _cut(self, start: int, end: int) -> Tensor:
        samples = torch.from_numpy(np.asarray(self._spool.read(self._begin + start, self._begin + end)))
        length = len(self._rise)
        if start < length:
            samples[: length - start] *= self._rise[start:end]
        if end > self._count - length:
            from_end = max(start, self._count - length)
            samples[from_end - start :] *= self._rise.flip(0)[
                from_end - (self._count - length) : end - (self._count - length)
            ]
        return samples
