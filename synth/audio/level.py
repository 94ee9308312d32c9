"""Brings a clip to a loudness and keeps its true peak under a ceiling, both at once.

The limiter takes loudness away, so the gain before it must be higher than the difference in loudness. A forecast finds
it: K-weighting and a slow gain nearly commute, so the loudness behind a gain curve follows from the K-weighted power of
every few samples, which is measured once. The clip is then made, measured, and the forecast corrected by its error.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from voxledger.catalog.lazy import lazy
from voxledger.synth.audio.fir import magnitude
from voxledger.synth.audio.loudness import (
    HOPS_PER_BLOCK,
    block_powers,
    hop_samples,
    integrated_loudness,
    k_weighted,
    loudness_of,
    overlapped,
)
from voxledger.synth.audio.peak import (
    BLOCK,
    Limited,
    aim_of,
    gain_curve,
    limit,
    needs_limiter,
    plain,
    true_peak_envelope,
)
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


class _AtLevel(Protocol):
    @property
    def loudness_lufs(self) -> float:
        """Integrated loudness behind gain and limiter."""

    @property
    def gain_db(self) -> float:
        """The gain before the limiter."""


_L = TypeVar("_L", bound=_AtLevel)
_L_co = TypeVar("_L_co", bound=_AtLevel, covariant=True)


class Leveller(Protocol[_L_co]):
    """A clip before its gain, wherever its samples are."""

    @property
    def loudness(self) -> float:
        """Integrated loudness before the gain, LUFS."""

    @property
    def nominal(self) -> float:
        """The gain (dB) between that and the target. Raises AudioFailed if it has no loudness."""

    @property
    def limits(self) -> bool:
        """Whether the limiter has to work at the nominal gain."""

    def forecast(self, gain_db: float | None) -> Tensor:
        """K-weighted powers of about 400 ms each, shape (blocks,), behind the limiter at this gain, without the gain.

        None: without the limiter as well.
        """

    def unlimited(self) -> _L_co:
        """The clip with the nominal gain, which does not need the limiter.

        A gain alone adds itself to the loudness, and rounding to 16 bits is 98 dB down: nothing is measured again.
        """

    def at(self, gain_db: float) -> _L_co:
        """The clip with this gain and the limiter; its loudness is measured."""


@dataclass(frozen=True, kw_only=True)
class Levelled:
    """One clip at its level: float64 samples on 16-bit steps, shape (n,), their levels, the gain before the limiter."""

    samples: Tensor
    true_peak_dbtp: float
    loudness_lufs: float
    gain_db: float
    limited: bool


def level(samples: Tensor, sample_rate: int, *, target_lufs: float, ceiling_dbtp: float) -> Levelled:
    """Bring one clip, shape (n,), to `target_lufs` with a true peak of at most `ceiling_dbtp`.

    Within 0.1 LU in three rounds or fewer for speech. Where the peaks are so far above the loudness that the limiter
    would have to be driven by more than `MAX_DRIVE_DB` (clicks, a drum), the ceiling wins and the clip stays quieter
    than asked: `loudness_lufs` says what it is. Raises AudioFailed if nothing audible is there to measure.
    """
    with torch.inference_mode():
        return settle(_Clip(samples.to(torch.float64), sample_rate, target_lufs, ceiling_dbtp), target_lufs)


def settle(clip: Leveller[_L], target_lufs: float) -> _L:
    """The clip at its level; see `level`."""
    if not clip.limits:
        return clip.unlimited()
    forecast = _Forecast(clip)
    most = clip.nominal + MAX_DRIVE_DB
    made = clip.at(forecast.gain_for(target_lufs, start=clip.nominal, most=most))
    aim, best = target_lufs, made
    for _ in range(ROUNDS - 1):
        if abs(best.loudness_lufs - target_lufs) <= TOLERANCE_LU or made.gain_db >= most:
            break
        aim += target_lufs - made.loudness_lufs
        made = clip.at(forecast.gain_for(aim, start=made.gain_db, most=most))
        best = min(best, made, key=lambda each: abs(each.loudness_lufs - target_lufs))
    return best


def nominal_gain(loudness: float, target_lufs: float) -> float:
    """The gain (dB) between a loudness and its target. Raises AudioFailed if the loudness is none."""
    if not math.isfinite(loudness):
        raise AudioFailed("the engine returned silence, or sound below hearing: try another text, voice or seed")
    return round(target_lufs - loudness, _GAIN_DECIMALS)


def lowest_of_interest(nominal_db: float, ceiling_dbtp: float) -> float:
    """True peaks (linear) that stay under the ceiling even at the highest gain: the limiter need not know them."""
    return float(aim_of(ceiling_dbtp) * 10 ** (-(nominal_db + MAX_DRIVE_DB) / 20))


def powers_of(weighted: Tensor) -> Tensor:
    """Mean square of every `BLOCK` K-weighted samples, (..., n) -> (..., ceil(n / BLOCK)), as if zeros followed."""
    padded = torch.nn.functional.pad(weighted.square(), (0, -weighted.shape[-1] % BLOCK))
    return torch.unflatten(padded, -1, (-1, BLOCK)).mean(-1)


def forecast_hop(sample_rate: int) -> int:
    """How many `BLOCK`s the forecast takes for 100 ms."""
    return max(1, round(hop_samples(sample_rate) / BLOCK))


def behind(powers: Tensor, curve: Tensor) -> Tensor:
    """Powers of every `BLOCK` samples, shape (..., blocks), behind a gain curve, shape (..., blocks + 1)."""
    return powers * ((curve[..., 1:] + curve[..., :-1]) / 2).square()


@dataclass(frozen=True, eq=False)
class _Clip:
    """A clip in memory."""

    samples: Tensor
    sample_rate: int
    target_lufs: float
    ceiling_dbtp: float

    @lazy
    def weighted(self) -> Tensor:
        return k_weighted(self.samples, self.sample_rate)

    @lazy
    def loudness(self) -> float:
        return loudness_of(block_powers(self.weighted, self.sample_rate))

    @lazy
    def nominal(self) -> float:
        return nominal_gain(self.loudness, self.target_lufs)

    @lazy
    def envelope(self) -> Tensor:
        return true_peak_envelope(self.samples, above=lowest_of_interest(self.nominal, self.ceiling_dbtp))

    @lazy
    def powers(self) -> Tensor:
        return powers_of(self.weighted)

    @lazy
    def plain(self) -> Limited:
        return plain(self.samples, 10 ** (self.nominal / 20))

    @lazy
    def limits(self) -> bool:
        gain = 10 ** (self.nominal / 20)
        if float(magnitude(self.samples)) * gain > aim_of(self.ceiling_dbtp):
            return True  # a sample alone tells, as in most loud clips
        return needs_limiter(self.samples, gain, self.ceiling_dbtp, self.plain.true_peak)

    def forecast(self, gain_db: float | None) -> Tensor:
        powers = self.powers
        if gain_db is not None:
            gain = 10 ** (gain_db / 20)
            powers = behind(powers, gain_curve(self.envelope * gain, self.sample_rate, aim_of(self.ceiling_dbtp)))
        hop = forecast_hop(self.sample_rate)
        hops = powers.shape[-1] // hop
        if hops < HOPS_PER_BLOCK:
            return powers.mean(-1, keepdim=True)
        return overlapped(powers[: hops * hop].reshape(hops, -1).mean(-1))

    def unlimited(self) -> Levelled:
        return self._levelled(self.plain, self.loudness + self.nominal, self.nominal, limited=False)

    def at(self, gain_db: float) -> Levelled:
        gain = 10 ** (gain_db / 20)
        envelope = self.envelope * gain
        made = limit(self.samples * gain, self.sample_rate, ceiling_dbtp=self.ceiling_dbtp, envelope=envelope)
        measured = integrated_loudness(made.samples, self.sample_rate)
        limited = float(envelope.amax()) > aim_of(self.ceiling_dbtp)
        return self._levelled(made, -math.inf if measured is None else measured, gain_db, limited=limited)

    def _levelled(self, made: Limited, loudness_lufs: float, gain_db: float, *, limited: bool) -> Levelled:
        return Levelled(
            samples=made.samples,
            true_peak_dbtp=20 * math.log10(made.true_peak),
            loudness_lufs=loudness_lufs,
            gain_db=gain_db,
            limited=limited,
        )


class _Forecast:
    """Loudness behind gain and limiter, from powers per `BLOCK` samples alone: a thousandth of the work of trying."""

    def __init__(self, clip: Leveller[_AtLevel]) -> None:
        self._clip = clip
        self._offset = clip.loudness - loudness_of(clip.forecast(None))

    def gain_for(self, target_lufs: float, *, start: float, most: float) -> float:
        """The gain (dB, at most `most`) whose forecast loudness is the target."""
        search = gain_search(target_lufs, start=start, most=most)
        gain = next(search)
        while True:
            try:
                gain = search.send(loudness_of(self._clip.forecast(gain)) + self._offset + gain)
            except StopIteration as found:
                return float(found.value)


def gain_search(target_lufs: float, *, start: float, most: float) -> Generator[float, float, float]:
    """Secant steps from `start` to the gain (dB, at most `most`) whose loudness is the target.

    Yields gains, wants the loudness behind each of them sent, and returns the one it found.
    """
    gain, slope = start, 1.0
    value = yield gain
    for _ in range(_FORECAST_ROUNDS):
        if abs(target_lufs - value) <= _FORECAST_TOLERANCE_LU:
            break
        following = round(min(most, gain + (target_lufs - value) / slope), _GAIN_DECIMALS)
        if following == gain:
            break
        reached = yield following
        slope = min(1.0, max(_LEAST_SLOPE, (reached - value) / (following - gain)))
        gain, value = following, reached
    return gain
