"""What the catalog keeps about the sound of a clip."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from voxledger.synth.audio.loudness import integrated_loudness
from voxledger.synth.audio.peak import true_peak_dbtp
from voxledger.synth.audio.trim import Silences, frame_peaks, highest, sounding_under

FULL_SCALE = 32767 / 32768
"""From here on a sample is clipped: 16-bit PCM has nothing above it."""
DECIMALS = 3


@dataclass(frozen=True, kw_only=True)
class AudioMeasures:
    """Measures of one clip; levels in decibels with three decimals, None where silence has no level.

    `loudness_lufs` is integrated loudness (BS.1770-4), `true_peak_dbtp` the four-fold oversampled peak,
    `sample_peak_dbfs` the highest sample, `clipped_samples` how many samples are at or beyond full scale,
    `silence_share` the share (0..1) of 10 ms frames more than 50 dB under the clip's peak, `speech_s` the seconds that
    are left without it.
    """

    duration_s: float
    loudness_lufs: float | None
    true_peak_dbtp: float | None
    sample_peak_dbfs: float | None
    clipped_samples: int
    silence_share: float

    @property
    def speech_s(self) -> float:
        """Seconds of sound that is not silence."""
        return self.duration_s * (1 - self.silence_share)


def measure(samples: Tensor, sample_rate: int) -> AudioMeasures:
    """Measure one clip, shape (n,), full scale = 1."""
    return measures_with(
        samples,
        sample_rate,
        loudness_lufs=integrated_loudness(samples, sample_rate) if samples.shape[-1] else None,
        peak_dbtp=true_peak_dbtp(samples),
    )


def measures_with(
    samples: Tensor, sample_rate: int, *, loudness_lufs: float | None, peak_dbtp: float | None
) -> AudioMeasures:
    """Like `measure`, for a caller that knows loudness and true peak already."""
    with torch.inference_mode():
        count, peaks = samples.shape[-1], frame_peaks(samples, sample_rate)
        peak = highest(peaks)
        return measures_of(
            duration_s=count / sample_rate,
            loudness_lufs=loudness_lufs,
            peak_dbtp=peak_dbtp,
            sample_peak=peak,
            clipped_samples=clipped_samples(samples) if peak >= FULL_SCALE else 0,
            silence_share=sounding_under(peak, peaks, count, sample_rate, Silences()).silence_share,
        )


def measures_of(
    *,
    duration_s: float,
    loudness_lufs: float | None,
    peak_dbtp: float | None,
    sample_peak: float,
    clipped_samples: int,
    silence_share: float,
) -> AudioMeasures:
    """Measures that were taken elsewhere, rounded; `sample_peak` is linear."""
    return AudioMeasures(
        duration_s=duration_s,
        loudness_lufs=_rounded(loudness_lufs),
        true_peak_dbtp=_rounded(peak_dbtp),
        sample_peak_dbfs=_rounded(20 * math.log10(sample_peak) if sample_peak > 0 else None),
        clipped_samples=clipped_samples,
        silence_share=round(silence_share, DECIMALS),
    )


def clipped_samples(samples: Tensor) -> int:
    """How many samples are at or beyond full scale of 16-bit PCM."""
    return int((samples.abs() >= FULL_SCALE).sum())


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)
