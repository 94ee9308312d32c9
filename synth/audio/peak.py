"""True peaks as ITU-R BS.1770-4, annex 2, measures them, and a limiter that keeps them under a ceiling."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from voxledger.synth.audio.fir import (
    COEFFICIENT_STEP,
    Gridded,
    filtered,
    highest_around,
    magnitude,
    to_coefficients,
    to_grid,
)

BLOCK = 16
"""Samples that share one value of the envelope and of the gain curve: 0.3 ms at 48 kHz, 0.7 ms at 22.05 kHz."""
ATTACK_S = 0.005
"""Look-ahead: the gain begins to fall this long before a peak."""
RELEASE_S = 0.08
"""The gain would need this long to rise from 0 to 1; after a peak 3 dB too high it is back in 23 ms. Longer, and the
limiter turns whole syllables down, for which more gain would have to make up; shorter, and it follows the pitch."""
SAFETY_DB = 0.005
"""Distance the limiter keeps from the ceiling: more than what rounding to 16 bits can add to a true peak."""
ROUNDS = 4

_PCM_STEP = 2.0**-15
_CURVE_STEPS = 2.0**32
"""Sums of reductions and of the ramp stay exact for 40 hours at 48 kHz."""
_OVERSAMPLING = 4
_TAPS = 12
# Annex 2, table of the order-48 interpolator: phases 0 and 1; phases 3 and 2 are the same, backwards. In 2 ** -13.
_PHASE_0 = (14, 90, -161, 272, -487, 1125, 7964, -838, 390, -218, 122, -68)
_PHASE_1 = (-239, 240, -424, 730, -1364, 3810, 6388, -1641, 832, -477, 271, -155)
_LARGEST_OVERSHOOT = sum(map(abs, _PHASE_1)) / 8192
"""No interpolated value can exceed the samples around it by more than this factor: 2.02."""
_MOST_ROUNDED = _LARGEST_OVERSHOOT * _PCM_STEP
"""Rounding to 16 bits moves a true peak by less: half of this, and as much again for the sums on the way."""
_LEAD = 5
"""Samples needed before a block: an output lies between the 6th and the 7th of the 12 samples it is made of."""


def true_peak_dbtp(samples: Tensor) -> float | None:
    """True peak of one clip, shape (n,), in dB relative to full scale (dBTP); None for digital silence."""
    peak = float(true_peak(samples))
    return 20 * math.log10(peak) if peak > 0 else None


def true_peak(samples: Tensor) -> Tensor:
    """True peak of every clip, shape (..., n) -> (...), float64, full scale = 1."""
    if samples.shape[-1] == 0:
        return torch.zeros(samples.shape[:-1], dtype=torch.float64, device=samples.device)
    with torch.inference_mode():
        return Oversampled(samples).peak()


def true_peak_envelope(samples: Tensor, *, above: Tensor | float = 0.0, peak: Tensor | None = None) -> Tensor:
    """The true peak of every `BLOCK` samples, shape (..., n) -> (..., ceil(n / BLOCK)), float64, full scale = 1.

    Four-fold oversampling through the interpolator of annex 2, and the samples themselves: its phases lie between
    the samples, so it may miss a peak just where a sample lies on it. Overshoot before the first and after the last
    sample belongs to the outer blocks. Exact, hence the same bits for any number of threads.

    Blocks whose true peak cannot exceed `above` (a number, or shape (..., 1)) show their highest sample only: in
    speech that saves most of the work. `peak`, shape (...): that of the whole clip, where this is a stretch of it; but
    for the blocks next to where it was cut, the envelope then has the very bits of the whole one.
    """
    with torch.inference_mode():
        return Oversampled(samples, peak=peak).envelope(above)


class Oversampled:
    """Clips whose true peaks are measured no more closely than is asked for; see `true_peak_envelope`."""

    def __init__(self, samples: Tensor | Gridded, *, peak: Tensor | None = None) -> None:
        grid = samples if isinstance(samples, Gridded) else to_grid(samples, peak)
        count = grid.values.shape[-1]
        # One block more on either side catches what the interpolator rings outside the clip.
        frames = -(-count // BLOCK) + 2
        width = BLOCK + _TAPS - 1
        behind = (frames - 1) * BLOCK + width - (BLOCK + _LEAD) - count
        padded = torch.nn.functional.pad(grid.values, (BLOCK + _LEAD, behind))
        self._step = grid.step
        self._windows = padded.unfold(-1, width, BLOCK)
        self._highest = magnitude(torch.unflatten(padded[..., _LEAD : _LEAD + frames * BLOCK], -1, (frames, BLOCK)))
        self._reachable = highest_around(torch.nn.functional.pad(self._highest, (1, 1)), 3) * _LARGEST_OVERSHOOT

    def envelope(self, above: Tensor | float) -> Tensor:
        """The true peak of every `BLOCK` samples, where it can exceed `above`; elsewhere the highest sample."""
        envelope = self._oversampled(above / self._step).mul_(self._step)
        inner = envelope[..., 1:-1]
        # The outer blocks hold what rings before and after the clip; that counts with the blocks beside them.
        inner[..., 0] = torch.maximum(inner[..., 0], envelope[..., 0])
        inner[..., -1] = torch.maximum(inner[..., -1], envelope[..., -1])
        return inner

    def peak(self) -> Tensor:
        """The true peak of each clip, shape (...)."""
        # Only where the samples come near the highest one can a higher peak lie between them.
        return self._oversampled(self._highest.amax(-1, keepdim=True)).amax(-1) * self._step.squeeze(-1)

    def _oversampled(self, above: Tensor | float) -> Tensor:
        """The true peaks, in steps, of all blocks and the two outer ones; `above` is in steps as well."""
        wanted = torch.nonzero(self._reachable > above, as_tuple=True)
        between = [magnitude(part) for part in filtered(self._windows[wanted], _kernel())]
        found = (between[0] if len(between) == 1 else torch.cat(between)).mul_(COEFFICIENT_STEP)
        highest = self._highest.clone()
        highest[wanted] = torch.maximum(highest[wanted], found)
        return highest


def gain_curve(envelope: Tensor, sample_rate: int, ceiling: float) -> Tensor:
    """The gain that keeps an envelope under `ceiling` (linear), at the borders of its blocks.

    Shape (..., blocks) -> (..., blocks + 1), values in [0, 1]. The gain falls smoothly over `ATTACK_S` before a peak
    and rises in a straight line after it. Only sums, products and maxima in a fixed order: no bit depends on threads.
    """
    with torch.inference_mode():
        # In whole steps, so that a fall from one peak is the same wherever in the clip the counting begins.
        over = envelope.clamp_min(ceiling)
        reduction = (over - ceiling).div_(over).mul_(_CURVE_STEPS).ceil_()
        ramp = torch.arange(envelope.shape[-1], dtype=torch.float64, device=envelope.device).mul_(_release(sample_rate))
        held = reduction.add_(ramp).cummax(-1).values.sub_(ramp).mul_(1 / _CURVE_STEPS)
        ahead = _ahead(sample_rate)
        # A border has the higher of its two blocks. The maximum over the look-ahead comes first: every term of the
        # moving average after it then covers the peak.
        widened = highest_around(torch.nn.functional.pad(held, (ahead + 1, ahead + 1)), ahead + 2)
        windows = widened.unfold(-1, held.shape[-1] + 1, 1)
        smooth, *terms = (windows * _look_ahead(ahead, held.device)).unbind(-2)
        for term in terms:
            smooth.add_(term)
        return 1 - smooth


def curve_context(sample_rate: int) -> tuple[int, int]:
    """Blocks of the envelope before and after a stretch that its gain curve depends on."""
    ahead = _ahead(sample_rate)
    return math.ceil(_CURVE_STEPS / _release(sample_rate)) + ahead + 3, ahead + 3


def _ahead(sample_rate: int) -> int:
    return max(1, math.ceil(ATTACK_S * sample_rate / BLOCK))


def _release(sample_rate: int) -> float:
    """What a reduction falls by in each block, in whole steps."""
    return float(max(1, round(BLOCK / sample_rate / RELEASE_S * _CURVE_STEPS)))


def apply_curve(samples: Tensor, curve: Tensor) -> Tensor:
    """Multiply samples, shape (..., n), by a gain curve, shape (..., ceil(n / BLOCK) + 1), joined by straight lines."""
    with torch.inference_mode():
        count, blocks = samples.shape[-1], curve.shape[-1] - 1
        padded = torch.unflatten(torch.nn.functional.pad(samples, (0, blocks * BLOCK - count)), -1, (blocks, BLOCK))
        start = curve[..., :-1]
        gain = ((curve[..., 1:] - start)[..., None] * _along(samples.device)).add_(start[..., None])
        return gain.mul_(padded).flatten(-2)[..., :count]


def to_pcm16_grid(samples: Tensor) -> Tensor:
    """Round samples to the steps of 16-bit PCM, full scale = 32768 steps; float64, never beyond -32768 or 32767.

    No dither: the rounding error lies 98 dB under full scale, far below what any engine or voice brings along, and
    without noise the same samples give the same bytes.
    """
    with torch.inference_mode():
        return _in_steps(samples, 1.0).mul_(_PCM_STEP)


def _in_steps(samples: Tensor, gain: Tensor | float) -> Tensor:
    """Samples behind a gain, in whole steps of 16-bit PCM. The steps are a power of two, so no bit is lost to them."""
    return (samples.to(torch.float64) * (gain / _PCM_STEP)).round_().clamp_(-32768, 32767)


class Limited(NamedTuple):
    """One clip on 16-bit PCM steps, float64, shape (n,), and its true peak (linear, full scale = 1)."""

    samples: Tensor
    true_peak: float


def limit(samples: Tensor, sample_rate: int, *, ceiling_dbtp: float = -1.0, envelope: Tensor | None = None) -> Limited:
    """Turn the peaks of one clip, shape (n,), down to a true peak of at most `ceiling_dbtp`, on 16-bit PCM steps.

    Where the clip is under the ceiling already it is only rounded. The gain curve is computed from the envelope
    (`true_peak_envelope` of the samples, measured here if not given); the true peak of the rounded result is then
    measured and the curve tightened while it is too high. Nothing is clipped: should `ROUNDS` rounds not suffice, which
    takes a signal that is all peaks, the whole clip is turned down by what is left.
    """
    with torch.inference_mode():
        samples = samples.to(torch.float64)
        aim = aim_of(ceiling_dbtp)
        peaks = true_peak_envelope(samples, above=aim) if envelope is None else envelope
        if float(peaks.amax()) <= aim:
            return plain(samples)

        def render(threshold: float, scale: float) -> Limited:
            return plain(apply_curve(samples, gain_curve(peaks, sample_rate, threshold)), scale)

        return under(ceiling_dbtp, render)


class _Peaking(Protocol):
    @property
    def true_peak(self) -> float:
        """Linear, full scale = 1."""


_P = TypeVar("_P", bound=_Peaking)


def under(ceiling_dbtp: float, render: Callable[[float, float], _P]) -> _P:
    """What `render(threshold, scale)` gives once its true peak is at most `ceiling_dbtp`.

    `threshold` (linear) is what the gain curve aims at, `scale` a factor behind it: 1, unless tightening the curve
    `ROUNDS` times did not suffice.
    """
    ceiling = 10 ** (ceiling_dbtp / 20)
    aim = threshold = aim_of(ceiling_dbtp)
    for _ in range(ROUNDS):
        result = render(threshold, 1.0)
        if result.true_peak <= ceiling:
            return result
        last, threshold = threshold, threshold * (aim / result.true_peak)
    return render(last, aim / result.true_peak)


def aim_of(ceiling_dbtp: float) -> float:
    """The true peak the limiter aims at, linear: a little under the ceiling."""
    return float(10 ** ((ceiling_dbtp - SAFETY_DB) / 20))


def plain(samples: Tensor, gain: float = 1.0) -> Limited:
    """One clip, shape (n,), behind a gain and nothing else."""
    made, peak = plain_rows(samples, gain)
    return Limited(made, float(peak))


def plain_rows(samples: Tensor, gain: Tensor | float) -> tuple[Tensor, Tensor]:
    """Samples, shape (..., n), behind a gain on 16-bit PCM steps, and their true peaks, shape (...)."""
    with torch.inference_mode():
        steps = _in_steps(samples, gain)
        # Whole steps are on a grid already: that spares `true_peak` from looking for one.
        peak = Oversampled(Gridded(steps, steps.new_full((*steps.shape[:-1], 1), _PCM_STEP))).peak()
        return steps.mul_(_PCM_STEP), peak


def needs_limiter(samples: Tensor, gain: float, ceiling_dbtp: float, plain_peak: float) -> bool:
    """Whether the true peak of one clip, shape (n,), exceeds behind a gain what the limiter aims at.

    `plain_peak`, the true peak of `plain`, nearly always tells: it was wanted anyway if the answer is no.
    """
    aim = aim_of(ceiling_dbtp)
    if abs(plain_peak - aim) > _MOST_ROUNDED:
        return plain_peak > aim
    # Few blocks come near the limit, and only those are looked at.
    return float(true_peak_envelope(samples, above=aim / gain).amax()) > aim / gain


@lru_cache(maxsize=32)
def _look_ahead(ahead: int, device: torch.device) -> Tensor:
    """The weights of the moving average over the look-ahead, shape (ahead + 1, 1)."""
    window = np.hanning(ahead + 3)[1:-1]
    return torch.from_numpy(window / window.sum()).unsqueeze(-1).to(device)


@lru_cache(maxsize=8)
def _along(device: torch.device) -> Tensor:
    """Where the samples of a block lie between its borders, from 0 on, shape (BLOCK,)."""
    return torch.arange(BLOCK, dtype=torch.float64, device=device) / BLOCK


@lru_cache(maxsize=1)
def _kernel() -> Tensor:
    """The interpolator for a block: BLOCK + 11 samples in, 4 * BLOCK values out, shape (BLOCK + 11, 4 * BLOCK)."""
    phases = np.array([_PHASE_0, _PHASE_1, _PHASE_1[::-1], _PHASE_0[::-1]], dtype=np.float64) * 2.0**-13
    matrix = np.zeros((BLOCK + _TAPS - 1, BLOCK, _OVERSAMPLING))
    for output in range(BLOCK):
        # Output n of phase p is the sum over k of phase[p][k] * x[n - k].
        matrix[output : output + _TAPS, output, :] = phases[:, ::-1].T
    return to_coefficients(matrix.reshape(BLOCK + _TAPS - 1, -1))
