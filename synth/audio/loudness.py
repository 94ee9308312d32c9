"""Integrated loudness as ITU-R BS.1770-4, annex 1, defines it: K-weighting, 400 ms blocks, two gates.

The standard prints filter coefficients for 48 kHz only and asks for the same response at other rates. They are derived
here from the analogue prototypes behind the printed ones, through the bilinear transform; at 48 kHz that gives the
printed coefficients to 1e-9.
"""

from __future__ import annotations

import math
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
_SHELF_HZ, _SHELF_Q, _SHELF_DB, _SHELF_SLOPE = 1681.9744509555319, 0.7071752369554193, 3.99984385397, 0.4996667741545416
_HIGHPASS_HZ, _HIGHPASS_Q = 38.13547087613982, 0.5003270373253953
_RESPONSE_S = 0.085
"""After this time the response of the 38 Hz high-pass has fallen below -120 dB."""
_FRAMES_AT_ONCE = 32


def integrated_loudness(samples: Tensor, sample_rate: int) -> float | None:
    """Integrated loudness of one clip, shape (n,), in LUFS; None if nothing is above the absolute gate (silence).

    A clip shorter than 400 ms counts as one block of its own length: padding it with silence would make it read
    quieter, and the chain would then make short words louder than long ones.
    """
    with torch.inference_mode():
        value = float(gated_loudness(block_powers(k_weighted(samples, sample_rate), sample_rate)))
    return None if math.isinf(value) else value


def k_weighted(samples: Tensor, sample_rate: int) -> Tensor:
    """Samples, shape (..., n), behind the K-weighting filter (annex 1, section 2); same shape and dtype.

    Fast convolution (overlap-save) with the filter's impulse response, cut where it has died away.
    """
    with torch.inference_mode():
        spectrum, taps, size = _spectrum(sample_rate)
        spectrum = spectrum.to(device=samples.device, dtype=samples.dtype.to_complex())
        count, step = samples.shape[-1], size - taps + 1
        frames = max(1, -(-count // step))
        padded = torch.nn.functional.pad(samples, (taps - 1, frames * step - count))
        parts = [
            torch.fft.irfft(torch.fft.rfft(chunk) * spectrum, size)[..., taps - 1 :]
            for chunk in padded.unfold(-1, size, step).split(_FRAMES_AT_ONCE, dim=-2)
        ]
        return torch.cat(parts, dim=-2).flatten(-2)[..., :count]


def block_powers(weighted: Tensor, sample_rate: int) -> Tensor:
    """Mean square of every 400 ms block of K-weighted samples, shape (..., n) -> (..., blocks).

    An unfinished block at the end is left out, as the standard says, unless it is the only one.
    """
    hop = hop_samples(sample_rate)
    hops = weighted.shape[-1] // hop
    if hops < HOPS_PER_BLOCK:
        return weighted.square().mean(-1, keepdim=True)
    squares = weighted[..., : hops * hop].square().unflatten(-1, (hops, hop)).mean(-1)
    return overlapped(squares)


def overlapped(hop_powers: Tensor) -> Tensor:
    """Powers of 100 ms hops, shape (..., hops), as powers of overlapping 400 ms blocks, shape (..., hops - 3)."""
    return hop_powers.unfold(-1, HOPS_PER_BLOCK, 1).mean(-1)


def gated_loudness(powers: Tensor) -> Tensor:
    """Loudness in LUFS of block powers, shape (..., blocks) -> (...); -inf where no block passes the absolute gate.

    Annex 1, equations 4 to 7.
    """
    absolute = powers > _power(ABSOLUTE_GATE_LUFS)
    threshold = _gated_mean(powers, absolute) * 10 ** (RELATIVE_GATE_LU / 10)
    return _OFFSET + 10 * torch.log10(_gated_mean(powers, absolute & (powers > threshold.unsqueeze(-1))))


def hop_samples(sample_rate: int) -> int:
    """Samples in 100 ms, rounded where the rate is no multiple of ten."""
    return max(1, round(sample_rate / 10))


def _power(lufs: float) -> float:
    return float(10 ** ((lufs - _OFFSET) / 10))


def _gated_mean(powers: Tensor, passed: Tensor) -> Tensor:
    return torch.where(passed, powers, 0.0).sum(-1) / passed.sum(-1).clamp_min(1)


@lru_cache(maxsize=16)
def _spectrum(sample_rate: int) -> tuple[Tensor, int, int]:
    """The filter's spectrum over `size` points, its length in taps, and `size`: a power of two of four lengths."""
    taps = math.ceil(_RESPONSE_S * sample_rate)
    size = 1 << math.ceil(math.log2(4 * taps))
    z = np.exp(-2j * np.pi * np.arange(size // 2 + 1) / size)
    response = np.ones_like(z)
    for numerator, denominator in (_shelf(sample_rate), _highpass(sample_rate)):
        response *= np.polyval(numerator[::-1], z) / np.polyval(denominator[::-1], z)
    impulse = np.fft.irfft(response, size)[:taps]
    return torch.from_numpy(np.fft.rfft(impulse, size)), taps, size


_Section = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def _shelf(sample_rate: int) -> _Section:
    """First stage (annex 1, figure 2): a high shelf of 4 dB, for the acoustics of a head."""
    k = math.tan(math.pi * _SHELF_HZ / sample_rate)
    high = 10 ** (_SHELF_DB / 20)
    band = high**_SHELF_SLOPE
    numerator = np.array([high + band * k / _SHELF_Q + k * k, 2 * (k * k - high), high - band * k / _SHELF_Q + k * k])
    return numerator / _scale(k, _SHELF_Q), _poles(k, _SHELF_Q)


def _highpass(sample_rate: int) -> _Section:
    """Second stage (annex 1, figure 4): a high-pass of second order.

    The standard prints the numerator 1, -2, 1 for 48 kHz, a gain of 0.04 dB. Other meters print the same three numbers
    at every rate, which makes them read up to 0.04 LU high at 16 kHz; here the gain is the one of 48 kHz at every rate.
    """
    k, k_printed = (math.tan(math.pi * _HIGHPASS_HZ / rate) for rate in (sample_rate, 48_000))
    gain = _scale(k_printed, _HIGHPASS_Q) / _scale(k, _HIGHPASS_Q)
    return np.array([1.0, -2.0, 1.0]) * gain, _poles(k, _HIGHPASS_Q)


def _poles(k: float, q: float) -> npt.NDArray[np.float64]:
    return np.array([1.0, 2 * (k * k - 1) / _scale(k, q), (1 - k / q + k * k) / _scale(k, q)])


def _scale(k: float, q: float) -> float:
    return 1 + k / q + k * k
