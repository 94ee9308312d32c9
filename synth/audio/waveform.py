"""The outline of a waveform: the lowest and the highest sample of each of its parts, small enough for a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voxledger.synth.audio.decode import reading

Peaks = npt.NDArray[np.int8]

_AT_ONCE = 1 << 20


def peaks(samples: npt.NDArray[np.floating], count: int) -> Peaks:
    """Lowest and highest sample of `count` parts of a clip, shape (n,) -> (min(count, n), 2), full scale = ±127.

    Rounded away from zero: what sounds is seen. Parts differ by one sample at most in length. Raises ValueError for
    `count` < 1.
    """
    return _peaks(lambda start, end: samples[start:end], len(samples), count)


def peaks_of_file(
    path: Path, count: int, *, sample_rate: int | None = None, stretch: tuple[float, float] | None = None
) -> Peaks:
    """The same of a mono file, in flat memory; `sample_rate` is needed for raw PCM. Raises AudioFailed.

    Of a `stretch` (s from the beginning) only that is read.
    """
    with reading(path, sample_rate=sample_rate) as file:
        first, last = 0, file.frames
        if stretch is not None:
            first, last = (min(file.frames, round(moment * file.samplerate)) for moment in stretch)
            file.seek(first)
        # Parts come in order, so the file is read once from front to end, without seeking.
        return _peaks(lambda start, end: file.read(end - start, dtype="float32"), last - first, count)


def coarser(fine: Peaks, count: int) -> Peaks:
    """An outline of `count` parts from one that has more, shape (n, 2) -> (min(count, n), 2). Raises ValueError for `count` < 1."""
    starts = _borders(len(fine), count)[:-1]
    if not len(starts):
        return fine
    return np.stack([np.minimum.reduceat(fine[:, 0], starts), np.maximum.reduceat(fine[:, 1], starts)], axis=1)


def _borders(length: int, count: int) -> npt.NDArray[np.int64]:
    """Where `count` parts begin and end, or `length` parts if that is less."""
    if count < 1:
        raise ValueError(f"a waveform has at least one part, not {count}")
    count = min(count, length)
    return np.arange(count + 1, dtype=np.int64) * length // max(1, count)


def _peaks(read: Callable[[int, int], npt.NDArray[np.floating]], length: int, count: int) -> Peaks:
    borders = _borders(length, count)
    count = len(borders) - 1
    found = np.zeros((count, 2))
    first = 0
    while first < count:
        last = max(first + 1, int(np.searchsorted(borders, borders[first] + _AT_ONCE, side="right")) - 1)
        found[first:last] = _outlines(read, borders[first : last + 1])
        first = last
    return np.clip(np.trunc(found * 127 + np.sign(found) * (1 - 1e-6)), -127, 127).astype(np.int8)


def _outlines(
    read: Callable[[int, int], npt.NDArray[np.floating]], borders: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """The lowest and highest sample between each two borders; one part that is too large is read in pieces."""
    if len(borders) == 2:
        pieces = range(int(borders[0]), int(borders[1]), _AT_ONCE)
        found = np.array([[np.inf, -np.inf]])
        for start in pieces:
            part = read(start, min(start + _AT_ONCE, int(borders[1])))
            found = np.array([[min(found[0, 0], part.min()), max(found[0, 1], part.max())]])
        return found
    samples, starts = read(int(borders[0]), int(borders[-1])), borders[:-1] - borders[0]
    return np.stack([np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)], axis=1)
