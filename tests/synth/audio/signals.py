"""Test signals, all seeded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Signal = npt.NDArray[np.float64]


def sine(hertz: float, seconds: float, rate: int, *, amplitude: float = 1.0, phase: float = 0.0) -> Signal:
    """A sine that starts and stops abruptly."""
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate + phase)


def noise(seconds: float, rate: int, *, amplitude: float = 0.1, seed: int = 0) -> Signal:
    """White Gaussian noise."""
    return amplitude * np.random.default_rng(seed).standard_normal(round(seconds * rate))


def speech(seconds: float, rate: int, *, peak: float = 0.7, seed: int = 0, pauses: bool = True) -> Signal:
    """Something with the statistics of speech: a gliding pulse train through three formants, syllables, hiss, pauses."""
    rng = np.random.default_rng(seed)
    count = round(seconds * rate)
    time = np.arange(count) / rate
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.4 * time + rng.uniform(0, 6)) + 8 * np.sin(2 * np.pi * 2.1 * time)
    phase = np.cumsum(pitch / rate)
    pulses = np.diff(np.floor(phase), prepend=0.0)
    spectrum = np.fft.rfft(pulses)
    hertz = np.fft.rfftfreq(count, 1 / rate)
    tract = sum(
        gain / (1 + ((hertz - centre) / width) ** 2)
        for centre, width, gain in ((600, 90, 1.0), (1300, 120, 0.5), (2600, 180, 0.25))
    )
    voiced = np.fft.irfft(spectrum * tract * np.exp(-1j * hertz / 700), count)
    voiced /= np.abs(voiced).max()
    syllables = np.clip(np.sin(2 * np.pi * 3.7 * time + rng.uniform(0, 6)) + 0.4, 0, 1) ** 0.7
    hiss = 0.08 * rng.standard_normal(count) * np.clip(-np.sin(2 * np.pi * 1.3 * time) - 0.6, 0, 1)
    words = np.clip(4 * np.sin(2 * np.pi * 0.45 * time + 1) + 3, 0, 1) if pauses else 1.0
    signal = (voiced * syllables + hiss) * words
    return peak * signal / np.abs(signal).max()
