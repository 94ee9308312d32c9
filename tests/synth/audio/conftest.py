"""Test signals, all seeded, and one core to work with them as it is in the product."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
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


@pytest.fixture(autouse=True)
def one_core(request: pytest.FixtureRequest) -> Iterator[None]:
    """torch keeps to one core, as it does wherever the chain runs (`on_one_core`), but in tests that want `all_cores`.

    With more, each operation ends with threads that wait for each other by spinning: most of the work, where cores are busy.
    """
    here = torch.get_num_threads()
    if "all_cores" not in request.fixturenames:
        torch.set_num_threads(1)
    yield
    torch.set_num_threads(here)


@pytest.fixture
def all_cores() -> None:
    """torch splits its work, as it does unless it is told otherwise."""


@pytest.fixture(scope="session")
def signals() -> Signals:
    """The signal generator; stateless, so that it may be shared."""
    return Signals()


def _resonated(pulses: Signal, centre: float, width: float, rate: int) -> Signal:
    radius = np.exp(-np.pi * width / rate)
    poles = [1.0, -2 * radius * np.cos(2 * np.pi * centre / rate), radius**2]
    tilted = lfilter([1.0], [1.0, -0.9], pulses)
    return np.asarray(lfilter([1 - radius], poles, tilted - tilted.mean()))
