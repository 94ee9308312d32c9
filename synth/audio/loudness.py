"""Integrated loudness as ITU-R BS.1770-4, annex 1, defines it: K-weighting, 400 ms blocks, two gates.

The standard prints filter coefficients for 48 kHz only and asks for the same response at other rates. Other meters
redesign the filters per rate, which bends the response towards the Nyquist frequency: they read a sine of 997 Hz up to
0.05 LU off at 16 kHz and 0.2 LU at 8 kHz. Here the filter is sampled in the frequency domain from the printed one, so
that the reading is the same at every rate.
"""

from __future__ import annotations

import math
from array import array
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
HOPS_PER_BLOCK = 4
"""400 ms blocks that overlap by 75 % (annex 1, section 4)."""

_OFFSET = -0.691
"""Makes a 0 dBFS sine of 997 Hz in one channel read -3.01 LUFS (annex 1, equation 2)."""
_PRINTED_RATE = 48_000
_SHELF_NUMERATOR = (1.53512485958697, -2.69169618940638, 1.19839281085285)
_SHELF_DENOMINATOR = (1.0, -1.69065929318241, 0.73248077421585)
"""Annex 1, table 1: a high shelf of 4 dB, for the acoustics of a head."""
_HIGHPASS_HZ, _HIGHPASS_Q = 38.13547087613982, 0.5003270373253953
"""The prototype of annex 1, table 2: at 48 kHz it gives the printed coefficients to 1e-12."""
_SHELF_RESPONSE_S, _HIGHPASS_RESPONSE_S = 0.005, 0.06
"""After these times the responses have fallen below -100 dB."""
_FRAMES_AT_ONCE = 64
"""Bounds the memory of long clips; fewer would make the set-up of every transform show."""


def integrated_loudness(samples: Tensor, sample_rate: int) -> float | None:
    """Integrated loudness of one clip, shape (n,), in LUFS; None if nothing is above the absolute gate (silence).

    A clip shorter than 400 ms counts as one block of its own length: padding it with silence would make it read
    quieter, and the chain would then make short words louder than long ones.
    """
    with torch.inference_mode():
        value = loudness_of(block_powers(k_weighted(samples, sample_rate), sample_rate))
    return None if math.isinf(value) else value


def k_weighted(samples: Tensor, sample_rate: int) -> Tensor:
    """Samples, shape (..., n), behind the K-weighting filter (annex 1, section 2); same shape and dtype.

    Fast convolution (overlap-save) with the filter's impulse response, cut where it has died away.
    """
    with torch.inference_mode():
        spectrum, before, after, size = _spectrum(sample_rate)
        spectrum = spectrum.to(device=samples.device, dtype=samples.dtype.to_complex())
        count, step = samples.shape[-1], size - before - after
        frames = max(1, -(-count // step))
        padded = torch.nn.functional.pad(samples, (after, frames * step - count + before))
        parts = [
            torch.fft.irfft(torch.fft.rfft(chunk).mul_(spectrum), size)[..., after : size - before]
            for chunk in padded.unfold(-1, size, step).chunk(math.ceil(frames / _FRAMES_AT_ONCE), dim=-2)
        ]
        joined = torch.cat(parts, dim=-2) if len(parts) > 1 else parts[0]
        return joined.flatten(-2)[..., :count]


def k_context(sample_rate: int) -> tuple[int, int]:
    """Samples before and after a stretch that its K-weighting depends on."""
    _, before, after, _ = _spectrum(sample_rate)
    return after, before


def block_powers(weighted: Tensor, sample_rate: int) -> Tensor:
    """Mean square of every 400 ms block of K-weighted samples, shape (..., n) -> (..., blocks).

    An unfinished block at the end is left out, as the standard says, unless it is the only one.
    """
    hop = hop_samples(sample_rate)
    hops = weighted.shape[-1] // hop
    if hops < HOPS_PER_BLOCK:
        return weighted.square().mean(-1, keepdim=True)
    return overlapped(torch.unflatten(weighted[..., : hops * hop].square(), -1, (hops, hop)).mean(-1))


class HopPowers:
    """Gathers the mean squares of 100 ms hops from K-weighted samples, float64, that come in stretches, in order."""

    def __init__(self, sample_rate: int) -> None:
        self._hop = hop_samples(sample_rate)
        self._rest: Tensor | None = None
        self._powers = array("d")

    def add(self, weighted: Tensor) -> None:
        """The next stretch, shape (n,)."""
        weighted = weighted if self._rest is None else torch.cat([self._rest, weighted])
        hops = weighted.shape[-1] // self._hop
        self._rest = weighted[hops * self._hop :].clone()
        if hops:
            powers = weighted[: hops * self._hop].square().reshape(hops, self._hop).mean(-1)
            self._powers.frombytes(powers.numpy().tobytes())

    @property
    def loudness(self) -> float:
        """Integrated loudness (LUFS) of what came so far, at least 400 ms; -inf for less, and for silence."""
        if len(self._powers) < HOPS_PER_BLOCK:
            return -math.inf
        return loudness_of(overlapped(torch.from_numpy(np.array(self._powers))))


def overlapped(hop_powers: Tensor) -> Tensor:
    """Powers of 100 ms hops, shape (..., hops), as powers of overlapping 400 ms blocks, shape (..., hops - 3)."""
    return hop_powers.unfold(-1, HOPS_PER_BLOCK, 1).mean(-1)


def gated_loudness(powers: Tensor) -> Tensor:
    """Loudness in LUFS of block powers, shape (..., blocks) -> (...); -inf where no block passes the absolute gate.

    Annex 1, equations 4 to 7.
    """
    absolute = _power(ABSOLUTE_GATE_LUFS)
    relative = _gated_mean(powers, powers > absolute).mul_(10 ** (RELATIVE_GATE_LU / 10))
    return _gated_mean(powers, powers > relative.clamp_min_(absolute)).squeeze(-1).log10_().mul_(10).add_(_OFFSET)


def loudness_of(powers: Tensor) -> float:
    """`gated_loudness` of one clip, shape (blocks,): its few numbers are sooner added up here than in a dozen calls of torch."""
    absolute = _power(ABSOLUTE_GATE_LUFS)
    above = [power for power in powers.tolist() if power > absolute]
    if not above:
        return -math.inf
    threshold = math.fsum(above) / len(above) * 10 ** (RELATIVE_GATE_LU / 10)
    passed = [power for power in above if power > threshold]
    return _OFFSET + 10 * math.log10(math.fsum(passed) / len(passed))


def hop_samples(sample_rate: int) -> int:
    """Samples in 100 ms, rounded where the rate is no multiple of ten."""
    return max(1, round(sample_rate / 10))


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET) / 10))


def _gated_mean(powers: Tensor, passed: Tensor) -> Tensor:
    """The mean of the powers that passed, shape (..., 1); 0 where none did."""
    return (powers * passed).sum(-1, keepdim=True).div_(passed.sum(-1, keepdim=True).clamp_min_(1))


@lru_cache(maxsize=16)
def _spectrum(sample_rate: int) -> tuple[Tensor, int, int, int]:
    """The filter's spectrum over `size` points, its taps before and after time zero, and `size`, a power of two."""
    before, after = math.ceil(_SHELF_RESPONSE_S * sample_rate), math.ceil(_HIGHPASS_RESPONSE_S * sample_rate)
    size = 1 << math.ceil(math.log2(4 * (before + after)))
    hertz = np.arange(size // 2 + 1, dtype=np.float64) * (sample_rate / size)
    impulse = np.fft.irfft(_shelf(hertz) * _highpass(hertz, sample_rate), size)
    impulse[after : size - before] = 0
    return torch.from_numpy(np.fft.rfft(impulse)), before, after, size


def _shelf(hertz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """First stage, the magnitude of the printed filter; above 24 kHz it stays what it is there.

    Its phase is left out: it moves no power from one block to another, and ends at lower rates in the middle of a turn.
    """
    z = np.exp(-2j * np.pi * np.minimum(hertz, _PRINTED_RATE / 2) / _PRINTED_RATE)
    return np.asarray(np.abs(np.polyval(_SHELF_NUMERATOR[::-1], z) / np.polyval(_SHELF_DENOMINATOR[::-1], z)))


def _highpass(hertz: npt.NDArray[np.float64], sample_rate: int) -> npt.NDArray[np.complex128]:
    """Second stage: the prototype of the printed filter through the bilinear transform, with the printed one's gain.

    The printed numerator 1, -2, 1 has a gain of 0.04 dB. Meters that print the same three numbers at every rate have
    0.13 dB at 16 kHz.
    """
    k, printed_k = (math.tan(math.pi * _HIGHPASS_HZ / rate) for rate in (sample_rate, _PRINTED_RATE))
    z = np.exp(-2j * np.pi * hertz / sample_rate)
    gain = 1 + printed_k / _HIGHPASS_Q + printed_k**2
    poles = (1 + k / _HIGHPASS_Q + k * k) + 2 * (k * k - 1) * z + (1 - k / _HIGHPASS_Q + k * k) * z**2
    return np.asarray(gain * (1 - z) ** 2 / poles)
