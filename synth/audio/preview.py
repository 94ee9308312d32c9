"""Segments levelled as they come, for a listener while the rest is made.

The loudness of a whole clip is known only at its end. So the gain follows from the first segment that sounds, and moves
by `STEP_DB` a segment at most as more is heard; the limiter is that of the chain. The clip that is recorded does not
come from here: it goes through `process` or `LongClip`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from voxledger.synth.audio.chain import CEILING_DBTP, TARGET_LUFS, Sound, check, samples_of, wanted_lufs
from voxledger.synth.audio.fir import magnitude
from voxledger.synth.audio.level import MAX_DRIVE_DB
from voxledger.synth.audio.loudness import HopPowers, integrated_loudness, k_weighted
from voxledger.synth.audio.peak import (
    BLOCK,
    aim_of,
    apply_curve,
    curve_context,
    gain_curve,
    to_pcm16_grid,
    true_peak_envelope,
)
from voxledger.synth.audio.resample import reach, resample, window
from voxledger.synth.engines.base import Samples
from voxledger.synth.errors import AudioFailed

STEP_DB = 1.0
"""The most by which the gain moves from one segment to the next."""
RAMP_S = 0.5
"""How long it takes to move."""
_MARGIN_DB = 0.1
"""The limiter aims lower than in the chain, which measures what came out and may begin again."""
_EDGE = 2


class Preview:
    """A stream of levelled audio: `push` segments, then `flush`. About 15 ms are held back; for one thread at a time.

    Joined, what it gives is the segments joined, resampled without a seam, with a true peak of at most `ceiling_dbtp`.
    Nothing is trimmed. `sample_rate` is that of what comes out.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        target_rate: int | None = None,
        level_offset_db: float = 0.0,
        target_lufs: float = TARGET_LUFS,
        ceiling_dbtp: float = CEILING_DBTP,
    ) -> None:
        check(sample_rate, target_rate, level_offset_db, target_lufs, ceiling_dbtp)
        self.sample_rate = target_rate or sample_rate
        self._from_rate = sample_rate
        self._target = wanted_lufs(target_lufs, level_offset_db)
        self._aim = aim_of(ceiling_dbtp - _MARGIN_DB)
        self._highest = 10 ** ((ceiling_dbtp + MAX_DRIVE_DB) / 20)
        self._heard = HopPowers(sample_rate)
        self._gain_db: float | None = None
        self._waiting = torch.zeros(0, dtype=torch.float64)  # behind the gain, from input `_begin` on
        self._begin = 0
        self._given = 0  # outputs

    def push(self, sound: Sound) -> Samples:
        """What can be heard after one more segment: float32 of shape (n,), n may be 0. Raises AudioFailed."""
        with torch.inference_mode():
            samples = samples_of(sound, self._from_rate).to(torch.float64)
            if not bool(torch.isfinite(samples).all()):
                raise AudioFailed(
                    "the engine returned samples that are not numbers (NaN or infinite): its model is at fault"
                )
            self._waiting = torch.cat([self._waiting, self._gained(samples)])
            inputs = self._begin + len(self._waiting)
            # Only what later segments cannot change any more.
            known = (inputs - reach(self._from_rate, self.sample_rate) - 1) * self.sample_rate // self._from_rate
            ready = known // BLOCK - curve_context(self.sample_rate)[1] - _EDGE
            return self._made(max(self._given, ready * BLOCK), known)

    def flush(self) -> Samples:
        """The rest. Afterwards nothing can be pushed that would join on to it."""
        with torch.inference_mode():
            inputs = self._begin + len(self._waiting)
            outputs = -(-inputs * self.sample_rate // self._from_rate)
            return self._made(outputs, outputs)

    def _made(self, end: int, known: int) -> Samples:
        """The outputs up to `end`, of which those up to `known` can be computed."""
        if end <= self._given:
            return np.zeros(0, dtype=np.float32)
        inputs = self._begin + len(self._waiting)
        before, after = (blocks + _EDGE for blocks in curve_context(self.sample_rate))
        first, last = max(0, self._given - before * BLOCK), min(known, end + after * BLOCK)
        begin, stop, skip = window(first, last, inputs, self._from_rate, self.sample_rate)
        heard = self._waiting[begin - self._begin : stop - self._begin]
        samples = resample(heard, self._from_rate, self.sample_rate)[skip : skip + last - first]
        curve = gain_curve(true_peak_envelope(samples, above=self._aim), self.sample_rate, self._aim)
        made = to_pcm16_grid(apply_curve(samples, curve))[self._given - first : end - first]
        self._given = end
        keep = window(max(0, end - before * BLOCK), end, inputs, self._from_rate, self.sample_rate)[0]
        self._waiting, self._begin = self._waiting[keep - self._begin :].clone(), keep
        return made.to(torch.float32).numpy()

    def _gained(self, samples: Tensor) -> Tensor:
        before, after = self._gain_db, self._next_gain(samples)
        self._gain_db = after
        if after is None:
            return samples
        if before is None or before == after:
            return samples * 10 ** (after / 20)
        ramp = torch.arange(1, len(samples) + 1, dtype=torch.float64) / (RAMP_S * self._from_rate)
        return samples * torch.pow(10.0, (before + (after - before) * ramp.clamp_max(1)) / 20)

    def _next_gain(self, samples: Tensor) -> float | None:
        """The gain (dB) for one more segment; None before anything has sounded."""
        if not len(samples):
            return self._gain_db
        self._heard.add(k_weighted(samples, self._from_rate))
        loudness = self._heard.loudness
        if not math.isfinite(loudness):
            loudness = integrated_loudness(samples, self._from_rate) or -math.inf
        if not math.isfinite(loudness):
            return self._gain_db
        wanted = round(self._target - loudness, 3)
        if self._gain_db is None:
            peak = float(magnitude(samples))
            return min(wanted, 20 * math.log10(self._highest / peak)) if peak else None
        return self._gain_db + min(STEP_DB, max(-STEP_DB, wanted - self._gain_db))
