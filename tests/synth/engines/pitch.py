"""A small pitch tracker for tests: normalised autocorrelation, frame by frame.

After P. Boersma, "Accurate short-term analysis of the fundamental frequency", IFA Proceedings 17 (1993): the frame's
autocorrelation is divided by the window's own, so that the peak at the period does not sink with the lag.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FRAME_S = 0.04
HOP_S = 0.01
LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
VOICED = 0.6
"""Least normalised autocorrelation at the period of a frame that counts as voiced."""


@dataclass(frozen=True, kw_only=True)
class Speech:
    """What was measured: F0 of the voiced frames in order (Hz), and seconds from the first to the last sound."""

    f0: npt.NDArray[np.float64]
    duration: float
    level: float
    """RMS of the frames with sound, dB re full scale."""
    tilt: float
    """Energy above 1 kHz against energy below, dB."""
    harmonicity: float
    """Harmonics against noise in the middle voiced frame, dB: breath and roughness lower it."""

    @property
    def mean(self) -> float:
        """Geometric mean of F0, Hz."""
        return float(np.exp(np.log(self.f0).mean()))

    @property
    def range(self) -> float:
        """From the 5th to the 95th percentile of F0, semitones."""
        low, high = np.percentile(self.f0, (5, 95))
        return float(12 * np.log2(high / low))

    @property
    def jitter(self) -> float:
        """Mean step of F0 from frame to frame where it does not jump, semitones: how irregular the pitch is."""
        steps = np.abs(12 * np.diff(np.log2(self.f0)))
        return float(steps[steps < 2].mean())

    @property
    def final_rise(self) -> float:
        """How far the last 50 ms lie above the low of the last quarter, semitones: about 0 where the voice falls."""
        quarter = self.f0[-max(8, len(self.f0) // 4) :]
        return float(12 * np.log2(np.median(self.f0[-5:]) / np.percentile(quarter, 10)))


def measure(samples: npt.NDArray[np.float32], rate: int) -> Speech:
    """Measure mono speech."""
    frame, hop = int(FRAME_S * rate), int(HOP_S * rate)
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), frame)[::hop]
    power = (frames**2).mean(axis=1)
    loud = power > power.max() * 1e-4
    sounding = np.flatnonzero(loud)
    spectrum = np.abs(np.fft.rfft(frames[loud], axis=1)) ** 2
    split = int(1000 * FRAME_S)
    f0, strength = _f0(frames[power > power.max() * 1e-2], rate)
    periodic = np.median(strength.clip(max=0.9999))
    return Speech(
        f0=f0,
        duration=float((sounding[-1] - sounding[0]) * HOP_S + FRAME_S),
        level=float(10 * np.log10(power[loud].mean())),
        tilt=float(10 * np.log10(spectrum[:, split:].sum() / spectrum[:, :split].sum())),
        harmonicity=float(10 * np.log10(periodic / (1 - periodic))),
    )


def _f0(frames: npt.NDArray[np.float64], rate: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    window = np.hanning(frames.shape[1])
    correlation = _autocorrelation((frames - frames.mean(axis=1, keepdims=True)) * window)
    correlation /= _autocorrelation(window[np.newaxis])
    shortest, longest = int(rate / HIGHEST_HZ), int(rate / LOWEST_HZ)
    lags = np.arange(shortest, longest)
    # A peak at twice the period is as high as the one at the period: prefer the shorter by a little.
    cost = 0.05 * np.log2(lags / shortest)
    best = (correlation[:, shortest:longest] - cost).argmax(axis=1) + shortest
    rows = np.arange(len(best))
    strength = correlation[rows, best]
    before, after = correlation[rows, best - 1], correlation[rows, best + 1]
    bend = before - 2 * strength + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1), 0)
    inside = (best > shortest) & (best < longest - 1) & (strength > VOICED)
    return (rate / (best + shift))[inside], strength[inside]


def _autocorrelation(frames: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    size = 2 * frames.shape[1]
    raw = np.fft.irfft(np.abs(np.fft.rfft(frames, size, axis=1)) ** 2, axis=1)[:, : frames.shape[1]]
    return raw / np.maximum(raw[:, :1], 1e-12)
