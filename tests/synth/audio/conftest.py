"""Test signals, all seeded."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.signal import lfilter

Signal = npt.NDArray[np.floating[Any]]

FORMANTS = ((600, 90, 1.0), (1300, 120, 0.5), (2600, 180, 0.25))
"""Centre and width in Hz, and gain."""


class Signals:
    """Makes mono signals of shape (n,); full scale = 1."""

    def sine(self, hertz: float, seconds: float, rate: int, *, amplitude: float = 1.0, phase: float = 0.0) -> Signal:
        """A sine that starts and stops abruptly."""
        return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate + phase)

    def noise(self, seconds: float, rate: int, *, amplitude: float = 0.1, seed: int = 0) -> Signal:
        """White Gaussian noise."""
        return amplitude * np.random.default_rng(seed).standard_normal(round(seconds * rate))

    def speech(self, seconds: float, rate: int, *, peak: float = 0.7, seed: int = 0, pauses: bool = True) -> Signal:
        """Something with the statistics of speech: gliding pulses through three formants, syllables, hiss, pauses."""
        rng = np.random.default_rng(seed)
        time = np.arange(round(seconds * rate)) / rate
        pitch = 120 + 30 * np.sin(2 * np.pi * 0.4 * time + rng.uniform(0, 6)) + 8 * np.sin(2 * np.pi * 2.1 * time)
        pulses = np.diff(np.floor(np.cumsum(pitch / rate)), prepend=0.0)
        voiced = sum(gain * _resonated(pulses, centre, width, rate) for centre, width, gain in FORMANTS)
        voiced = voiced / np.abs(voiced).max()
        syllables = np.clip(np.sin(2 * np.pi * 3.7 * time + rng.uniform(0, 6)) + 0.4, 0, 1) ** 0.7
        hiss = 0.08 * rng.standard_normal(len(time)) * np.clip(-np.sin(2 * np.pi * 1.3 * time) - 0.6, 0, 1)
        words = np.clip(4 * np.sin(2 * np.pi * 0.45 * time + 1) + 3, 0, 1) if pauses else 1.0
        signal = (voiced * syllables + hiss) * words
        return peak * signal / np.abs(signal).max()


@pytest.fixture(scope="session")
def signals() -> Signals:
    """The signal generator; stateless, so that it may be shared."""
    return Signals()


def _resonated(pulses: Signal, centre: float, width: float, rate: int) -> Signal:
    radius = np.exp(-np.pi * width / rate)
    poles = [1.0, -2 * radius * np.cos(2 * np.pi * centre / rate), radius**2]
    tilted = lfilter([1.0], [1.0, -0.9], pulses)
    return np.asarray(lfilter([1 - radius], poles, tilted - tilted.mean()))
