"""Brings a clip to a loudness and keeps its true peak under a ceiling, both at once.

The limiter takes loudness away, so the gain before it must be higher than the difference in loudness. A forecast finds
it: K-weighting and a slow gain nearly commute, so the loudness behind a gain curve follows from the K-weighted power of
every few samples, which is measured once. The clip is then made, measured, and the forecast corrected by its error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from voxledger.synth.audio.loudness import (
    block_powers,
    gated_loudness,
    hop_samples,
    integrated_loudness,
    k_weighted,
    overlapped,
)
from voxledger.synth.audio.peak import BLOCK, SAFETY_DB, gain_curve, limit, true_peak_envelope
from voxledger.synth.errors import AudioFailed

TOLERANCE_LU = 0.1
ROUNDS = 3
MAX_DRIVE_DB = 12.0
"""How far the limiter may be driven to make up for the loudness it takes."""

_FORECAST_ROUNDS = 16
_FORECAST_TOLERANCE_LU = 0.01
_LEAST_SLOPE = 0.2
_GAIN_DECIMALS = 3
"""Gains are rounded, so that the last bits of a Fourier transform, which may depend on threads, decide nothing."""


@dataclass(frozen=True, kw_only=True)
class Levelled:
    """One clip at its level: float64 samples on 16-bit steps, shape (n,); the gain before the limiter; its loudness."""

    samples: Tensor
    gain_db: float
    loudness_lufs: float
    limited: bool


def level(samples: Tensor, sample_rate: int, *, target_lufs: float, ceiling_dbtp: float) -> Levelled:
    """Bring one clip, shape (n,), to `target_lufs` with a true peak of at most `ceiling_dbtp`.

    Within 0.1 LU in three rounds or fewer for speech. Where the peaks are so far above the loudness that the limiter
    would have to be driven by more than `MAX_DRIVE_DB` (clicks, a drum), the ceiling wins and the clip stays quieter
    than asked: `loudness_lufs` says what it is. Raises AudioFailed if nothing audible is there to measure.
    """
    with torch.inference_mode():
        samples = samples.to(torch.float64)
        weighted = k_weighted(samples, sample_rate)
        loudness = float(gated_loudness(block_powers(weighted, sample_rate)))
        if not math.isfinite(loudness):
            raise AudioFailed("the engine returned silence, or sound below hearing: try another text, voice or seed")
        nominal = round(target_lufs - loudness, _GAIN_DECIMALS)
        envelope = true_peak_envelope(samples)
        forecast = _Forecast(weighted, envelope, sample_rate, loudness, ceiling_dbtp)
        if not forecast.limits(nominal):
            return _at(samples, envelope, sample_rate, nominal, ceiling_dbtp, limited=False)
        aim, drive, best = target_lufs, nominal, None
        for _ in range(ROUNDS):
            drive = forecast.gain_for(aim, start=drive, most=nominal + MAX_DRIVE_DB)
            made = _at(samples, envelope, sample_rate, drive, ceiling_dbtp, limited=True)
            if best is None or abs(made.loudness_lufs - target_lufs) < abs(best.loudness_lufs - target_lufs):
                best = made
            if abs(made.loudness_lufs - target_lufs) <= TOLERANCE_LU or drive >= nominal + MAX_DRIVE_DB:
                break
            aim += target_lufs - made.loudness_lufs
        assert best is not None
        return best


def _at(
    samples: Tensor, envelope: Tensor, sample_rate: int, gain_db: float, ceiling_dbtp: float, *, limited: bool
) -> Levelled:
    gain = 10 ** (gain_db / 20)
    made = limit(samples * gain, sample_rate, ceiling_dbtp=ceiling_dbtp, envelope=envelope * gain)
    loudness = integrated_loudness(made, sample_rate)
    return Levelled(
        samples=made, gain_db=gain_db, loudness_lufs=-math.inf if loudness is None else loudness, limited=limited
    )


class _Forecast:
    """Loudness behind gain and limiter, from powers per `BLOCK` samples alone: a thousandth of the work of trying."""

    def __init__(
        self, weighted: Tensor, envelope: Tensor, sample_rate: int, loudness: float, ceiling_dbtp: float
    ) -> None:
        self._envelope, self._sample_rate = envelope, sample_rate
        self._ceiling = 10 ** ((ceiling_dbtp - SAFETY_DB) / 20)
        self._peak = float(envelope.amax())
        blocks = envelope.shape[-1]
        padded = torch.nn.functional.pad(weighted.square(), (0, blocks * BLOCK - weighted.shape[-1]))
        self._powers = padded.unflatten(-1, (blocks, BLOCK)).mean(-1)
        self._hop = max(1, round(hop_samples(sample_rate) / BLOCK))
        self._offset = 0.0
        self._offset = loudness - self._loudness(torch.ones(blocks + 1, dtype=torch.float64, device=envelope.device))

    def limits(self, gain_db: float) -> bool:
        return self._peak * 10 ** (gain_db / 20) > self._ceiling

    def gain_for(self, target_lufs: float, *, start: float, most: float) -> float:
        """The gain (dB, at most `most`) whose forecast loudness is the target; secant steps from `start`."""
        gain, value = start, self._after(start)
        slope = 1.0
        for _ in range(_FORECAST_ROUNDS):
            if abs(target_lufs - value) <= _FORECAST_TOLERANCE_LU:
                break
            following = round(min(most, gain + (target_lufs - value) / slope), _GAIN_DECIMALS)
            if following == gain:
                break
            reached = self._after(following)
            slope = min(1.0, max(_LEAST_SLOPE, (reached - value) / (following - gain)))
            gain, value = following, reached
        return gain

    def _after(self, gain_db: float) -> float:
        gain = 10 ** (gain_db / 20)
        return self._loudness(gain_curve(self._envelope * gain, self._sample_rate, self._ceiling)) + gain_db

    def _loudness(self, curve: Tensor) -> float:
        powers = self._powers * ((curve[1:] + curve[:-1]) / 2).square()
        hops = powers.shape[-1] // self._hop
        if hops < 4:
            return float(gated_loudness(powers.mean(-1, keepdim=True))) + self._offset
        return float(gated_loudness(overlapped(powers[: hops * self._hop].unflatten(-1, (hops, -1)).mean(-1)))) + (
            self._offset
        )
