"""Sample rate conversion with a polyphase Kaiser-windowed sinc.

The pass band is flat to 0.01 dB up to 0.88 of the lower Nyquist frequency; from the whole of it on, aliases and images
are at least 95 dB down. Method: R. Crochiere and L. Rabiner, *Multirate Digital Signal Processing*, chapter 4;
window: J. Kaiser and R. Schafer, "On the use of the I0-sinh window for spectrum analysis", 1980.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from voxledger.synth.audio.fir import COEFFICIENT_STEP, Gridded, filtered, to_coefficients, to_grid
from voxledger.synth.errors import AudioFailed

HIGHEST_RATE = 768_000
ZERO_CROSSINGS = 48
ATTENUATION_DB = 96.0
KAISER_BETA = 0.1102 * (ATTENUATION_DB - 8.7)
TRANSITION = (ATTENUATION_DB - 7.95) / (14.36 * ZERO_CROSSINGS)
"""Width of the transition band, as a share of the lower Nyquist frequency; the stop band begins at that frequency."""

_MATRIX_LIMIT = 1 << 21
_DIRECT_OUTPUTS = 2048
_PART_OUTPUTS = 48
"""Smaller parts waste fewer products with nothing; larger ones keep a matrix product busy."""


def resample(samples: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Convert samples, shape (..., n), between two integer rates in Hz; the result has ceil(n * to / from) samples.

    Zero phase: nothing is delayed. The signal counts as silent outside its ends. Returns the dtype it was given, and
    the very same bits for any number of threads. Raises AudioFailed for a rate outside 1..768000 Hz.
    """
    for rate in (from_rate, to_rate):
        if not 1 <= rate <= HIGHEST_RATE:
            raise AudioFailed(f"a sample rate of {rate} Hz cannot be converted: give one between 1 and {HIGHEST_RATE}")
    if from_rate == to_rate or samples.shape[-1] == 0:
        return samples
    with torch.inference_mode():
        divisor = math.gcd(from_rate, to_rate)
        up, down = to_rate // divisor, from_rate // divisor
        count = -(-samples.shape[-1] * up // down)
        convert = _by_blocks if _has_matrix(up, down) else _directly
        return convert(to_grid(samples), up, down, count).to(samples.dtype)


def window(start: int, end: int, count: int, from_rate: int, to_rate: int) -> tuple[int, int, int]:
    """Which of `count` inputs the outputs `start` to `end` are made of: first, end (exclusive), and outputs to skip.

    `resample(inputs[first:last], …)[skip:skip + end - start]` has the very bits of that stretch of the whole.
    """
    if from_rate == to_rate:
        return start, end, 0
    divisor = math.gcd(from_rate, to_rate)
    up, down = to_rate // divisor, from_rate // divisor
    step, outputs = (_kernel(up, down).step, _kernel(up, down).outputs) if _has_matrix(up, down) else (down, up)
    blocks = max(0, start // outputs - -(-_reach(up, down) // step))
    last = min(count, -(-end * down // up) + _reach(up, down) + 1)
    return blocks * step, last, start - blocks * outputs


def reach(from_rate: int, to_rate: int) -> int:
    """Inputs on each side of an output that it is made of; 0 where nothing is converted."""
    divisor = math.gcd(from_rate, to_rate)
    return 0 if from_rate == to_rate else _reach(to_rate // divisor, from_rate // divisor)


def _has_matrix(up: int, down: int) -> bool:
    return up * (down + 2 * _reach(up, down) + 1) <= _MATRIX_LIMIT


@dataclass(frozen=True, eq=False)
class _Kernel:
    """Every `step` inputs give `outputs` outputs, in parts that each look at few of them: first input, and weights."""

    parts: tuple[tuple[int, Tensor], ...]
    step: int
    outputs: int
    reach: int


def _by_blocks(grid: Gridded, up: int, down: int, count: int) -> Tensor:
    """Every block of `step` inputs gives `outputs` outputs through some matrices, which the cache keeps per ratio."""
    kernel = _kernel(up, down)
    frames = -(-count // kernel.outputs)
    end = (frames - 1) * kernel.step + max(first + len(weights) for first, weights in kernel.parts) - kernel.reach
    padded = torch.nn.functional.pad(grid.values, (kernel.reach, max(0, end - grid.values.shape[-1])))
    made = torch.empty((*padded.shape[:-1], frames, kernel.outputs), dtype=padded.dtype, device=padded.device)
    filled = 0
    for first, weights in kernel.parts:
        windows = padded[..., first:].unfold(-1, len(weights), kernel.step)[..., :frames, :]
        begin = 0
        for part in filtered(windows, weights):
            made[..., begin : begin + part.shape[-2], filled : filled + part.shape[-1]] = part
            begin += part.shape[-2]
        filled += weights.shape[1]
    return made.flatten(-2)[..., :count].mul_(grid.step * COEFFICIENT_STEP)


def _directly(grid: Gridded, up: int, down: int, count: int) -> Tensor:
    """For ratios such as 44100:48001, whose matrix would not fit into memory: the taps of each output on their own.

    Slower by a factor of about 50; no engine has such a rate.
    """
    reach = _reach(up, down)
    end = (count - 1) * down // up + reach + 1
    padded = torch.nn.functional.pad(grid.values, (reach, max(0, end - grid.values.shape[-1])))
    taps = torch.arange(2 * reach + 1, device=padded.device)
    parts = []
    for first in range(0, count, _DIRECT_OUTPUTS):
        position = np.arange(first, min(first + _DIRECT_OUTPUTS, count), dtype=np.int64) * down
        weights = to_coefficients(_taps(position % up / up, 2 * reach + 1, reach, up, down)).to(padded.device)
        windows = padded[..., torch.from_numpy(position // up).to(padded.device)[:, None] + taps]
        parts.append((windows * weights).sum(-1) * (grid.step * COEFFICIENT_STEP))
    return torch.cat(parts, dim=-1)


@lru_cache(maxsize=32)
def _kernel(up: int, down: int) -> _Kernel:
    reach = _reach(up, down)
    # So long that no window is longer than a step: then the matrix product need not copy what windows share.
    repeats = -(-(2 * reach + 3 + _PART_OUTPUTS * down // up) // down)
    step, outputs = down * repeats, up * repeats
    parts = []
    for begin in range(0, outputs, _PART_OUTPUTS):
        end = min(begin + _PART_OUTPUTS, outputs)
        first = begin * down // up
        width = (end - 1) * down // up - first + 2 * reach + 1
        positions = (np.arange(begin, end, dtype=np.float64) * down - first * up) / up
        weights = _taps(positions, width + 1, reach, up, down)
        parts.append((first, to_coefficients(np.ascontiguousarray(weights.T))))
    return _Kernel(tuple(parts), step, outputs, reach)


def _reach(up: int, down: int) -> int:
    """Taps on each side of an output, in input samples."""
    return math.ceil(ZERO_CROSSINGS * max(1.0, down / up))


def _taps(positions: npt.NDArray[np.float64], width: int, reach: int, up: int, down: int) -> npt.NDArray[np.float64]:
    """The weight of inputs -reach, -reach + 1, … (width of them) in outputs at `positions`, shape (outputs, width)."""
    lower = min(1.0, up / down)
    cutoff = lower * (1 - TRANSITION / 2)
    distance = (np.arange(width) - reach)[None, :] - positions[:, None]
    inside = np.clip(1 - (distance * (lower / ZERO_CROSSINGS)) ** 2, 0, None)
    weights = np.sinc(cutoff * distance) * np.i0(KAISER_BETA * np.sqrt(inside)) * (inside > 0)
    # Every phase passes a constant unchanged; otherwise the phases' differences would be heard as an image of it.
    weights /= weights.sum(axis=1, keepdims=True)
    return weights
