"""Log-mel spectra, and how far two sounds are apart in them.

Bands are triangles, evenly spaced on the mel scale of D. O'Shaughnessy, *Speech Communication: Human and Machine* (1987):
2595 log10(1 + f / 700).
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from voxledger.synth.errors import AudioFailed

Spectrum = npt.NDArray[np.float32]

WINDOW_S, HOP_S = 0.032, 0.01
BANDS = 80
LOWEST_HZ, HIGHEST_HZ = 40.0, 12_000.0
FLOOR_DB = -100.0
"""dB relative to a full-scale sine; nothing is quieter."""
DYNAMIC_DB = 60.0
"""What lies further below the loudest band of a clip is silence to `log_mel_distance`."""
SLACK_S = 2.0
"""How far the alignment may bend time."""

_MOST_FRAMES = 6_000
_AT_ONCE = 4_096


def mel(hertz: float) -> float:
    """Hertz as mel."""
    return 2595 * math.log10(1 + hertz / 700)


def hertz(mels: float) -> float:
    """Mel as hertz."""
    return float(700 * (10 ** (mels / 2595) - 1))


def highest_hz(rate: int) -> float:
    """Where the bands end by default."""
    return min(HIGHEST_HZ, rate / 2)


def log_mel(
    samples: npt.NDArray[np.floating], rate: int, *, bands: int = BANDS, up_to_hz: float | None = None
) -> Spectrum:
    """The spectrum of mono samples, shape (n,), as (frames, bands) in dB; a frame of 32 ms every 10 ms.

    0 dB is a full-scale sine in the middle of a band that is wider than 50 Hz. Bands go from 40 Hz to `up_to_hz`, by
    default 12 kHz or half the rate. Raises AudioFailed for another shape or too low a rate.
    """
    if samples.ndim != 1 or rate < 1000:
        raise AudioFailed(
            f"a spectrum is made of mono samples of shape (n,) at 1000 Hz or more, not of {samples.shape}"
        )
    return decibels(mel_powers(_padded(samples, rate), rate, bands=bands, up_to_hz=up_to_hz or highest_hz(rate)))


def decibels(powers: npt.NDArray[np.floating]) -> Spectrum:
    """Powers of bands in dB, with the floor."""
    return np.asarray(10 * np.log10(np.maximum(powers, 10 ** (FLOOR_DB / 10))), dtype=np.float32)


def window_samples(rate: int) -> int:
    """Samples in a frame."""
    return round(WINDOW_S * rate)


def mel_powers(
    samples: npt.NDArray[np.floating], rate: int, *, bands: int, up_to_hz: float, every: int = 1
) -> npt.NDArray[np.float64]:
    """Powers in the bands of every whole frame, or of one of `every` so many, shape (n,) -> (frames, bands), 1 = a full-scale sine."""
    width, hop = window_samples(rate), round(HOP_S * rate)
    if len(samples) < width:
        return np.zeros((0, bands))
    frames = np.lib.stride_tricks.sliding_window_view(samples, width)[:: hop * every]
    weights, size = _filters(rate, bands, up_to_hz)
    shape = np.hanning(width + 1)[:-1]
    scale = (2 / shape.sum()) ** 2
    parts = []
    for first in range(0, len(frames), _AT_ONCE):
        spectrum = np.fft.rfft(frames[first : first + _AT_ONCE] * shape, size)
        parts.append((spectrum.real**2 + spectrum.imag**2) @ weights * scale)
    return np.concatenate(parts)


def log_mel_distance(
    first: npt.NDArray[np.floating], rate: int, second: npt.NDArray[np.floating], other_rate: int | None = None
) -> float:
    """How far two clips sound apart (dB): 0 for equal ones, about 1 for other roundings, 5 and more for other voices.

    The root mean square, over the bands that both rates have, of the difference of their log-mel spectra, each cut 60 dB
    below its loudest band, then the mean over time. Clips of one length are compared frame by frame. Else time is
    warped (H. Sakoe and S. Chiba, "Dynamic programming algorithm optimization for spoken word recognition", 1978,
    symmetric form without slope constraint) by up to 2 s beyond their difference in length; what has no counterpart
    counts as often as it is held. Of clips longer than a minute, frames are averaged in groups: 6,000 at most.
    """
    up_to = min(highest_hz(rate), highest_hz(other_rate or rate))
    spectra = [log_mel(first, rate, up_to_hz=up_to), log_mel(second, other_rate or rate, up_to_hz=up_to)]
    group = -(-max(map(len, spectra)) // _MOST_FRAMES)
    a, b = (_pooled(np.maximum(each, each.max() - DYNAMIC_DB), group) for each in spectra)
    if len(a) == len(b):
        return round(float(np.sqrt(np.square(a - b).mean(axis=1)).mean()), 3)
    return round(_warped(a, b, math.ceil(SLACK_S / HOP_S / group)), 3)


def _padded(samples: npt.NDArray[np.floating], rate: int) -> npt.NDArray[np.floating]:
    """With half a frame of silence at either end, so that the first and last samples stand in the middle of one."""
    half = window_samples(rate) // 2
    return np.pad(samples, (half, max(half, window_samples(rate) - half - len(samples))))


def _pooled(spectrum: Spectrum, group: int) -> Spectrum:
    if group <= 1:
        return spectrum
    whole = len(spectrum) // group * group
    return np.asarray(spectrum[:whole].reshape(-1, group, spectrum.shape[1]).mean(axis=1), dtype=np.float32)


def _warped(a: Spectrum, b: Spectrum, slack: int) -> float:
    """The least mean distance over all ways to walk through both, a diagonal of the grid at a time."""
    rows, columns = len(a), len(b)
    reach = slack + abs(rows - columns)
    before = last = np.full(rows + 1, np.inf)  # totals on the two diagonals before, by row + 1
    for diagonal in range(rows + columns - 1):
        low = max(0, diagonal - columns + 1, (diagonal - reach + 1) // 2)
        high = min(rows - 1, diagonal, (diagonal + reach) // 2)
        place = np.arange(low, high + 1)
        cost = np.sqrt(np.square(a[place] - b[diagonal - place]).mean(axis=1))
        now = np.full(rows + 1, np.inf)
        if diagonal == 0:
            now[1] = 2 * cost[0]
        else:
            straight = np.minimum(last[place], last[place + 1]) + cost
            now[place + 1] = np.minimum(straight, before[place] + 2 * cost)
        before, last = last, now
    return float(last[rows] / (rows + columns))


@lru_cache(maxsize=8)
def _filters(rate: int, bands: int, up_to_hz: float) -> tuple[npt.NDArray[np.float64], int]:
    """Weights of the spectrum's bins in the bands, shape (size / 2 + 1, bands), and the transform's size."""
    # Twice the window: the lowest bands are narrower than what its own bins resolve.
    size = 2 << math.ceil(math.log2(window_samples(rate)))
    edges = np.array([hertz(each) for each in np.linspace(mel(LOWEST_HZ), mel(up_to_hz), bands + 2)])
    bins = np.arange(size // 2 + 1)[:, None] * (rate / size)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    weights = np.clip(np.minimum(rising, falling), 0, None)
    # A sine spreads over the main lobe of the window, 1.5 bins of its own: summed up it shall read 1.
    return weights * (window_samples(rate) / (1.5 * size)), size
