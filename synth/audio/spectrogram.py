"""A spectrogram as a picture: log-mel bands over time, with axes in seconds and hertz."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voxledger.synth.audio.decode import reading
from voxledger.synth.audio.mel import (
    HOP_S,
    LOWEST_HZ,
    Spectrum,
    decibels,
    highest_hz,
    mel,
    mel_powers,
    window_samples,
)
from voxledger.synth.audio.png import GLYPH_HEIGHT, Colour, Picture, encode_png, text_width, write_on
from voxledger.synth.errors import AudioFailed

BANDS = 128
RANGE_DB = 80.0
"""From the loudest point of the picture down to black."""
LOUDEST_DB = -8.0
"""The lightest shade of a picture without axes: what speech of the usual loudness reaches."""
WIDEST, NARROWEST = 1600, 320
"""Pixels of the picture's inside; a longer clip has several frames in a column."""

_BAND_PIXELS = 3
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 66, 12, 28
_TICK = 5
_READ_S = 20.0
_ENOUGH = 8
_ANCHORS = (
    (0.0, (6, 6, 24)), (0.2, (42, 20, 92)), (0.4, (124, 32, 110)), (0.6, (200, 62, 78)), (0.8, (246, 142, 44)), (1.0, (252, 246, 196)),
)  # fmt: skip
"""Dark to light in even steps, so that it reads in grey and without red and green as well."""
_SHADES = 240
_PAPER, _INK = _SHADES, _SHADES + 1

_Read = Callable[[int, int], npt.NDArray[np.floating]]


def spectrogram(samples: npt.NDArray[np.floating], rate: int) -> bytes:
    """The picture of mono samples, shape (n,), as a PNG file. Raises AudioFailed for what has no spectrum."""
    if samples.ndim != 1 or not len(samples) or rate < 1000:
        raise AudioFailed(
            f"a spectrogram is made of mono samples of shape (n,) at 1000 Hz or more, not of {samples.shape}"
        )
    return _picture(lambda start, end: samples[start:end], len(samples), rate)


def spectrogram_of_file(path: Path, *, sample_rate: int | None = None) -> bytes:
    """The picture of a mono file, in flat memory; `sample_rate` is needed for raw PCM. Raises AudioFailed."""
    with reading(path, sample_rate=sample_rate) as file:
        if not file.frames:
            raise AudioFailed(f"{path} holds no sound")

        def read(start: int, end: int) -> npt.NDArray[np.floating]:
            file.seek(start)
            found: npt.NDArray[np.floating] = file.read(end - start, dtype="float32", always_2d=True)[:, 0]
            return found

        return _picture(read, file.frames, file.samplerate)


def plain_spectrogram_of_file(
    path: Path, *, sample_rate: int | None = None, stretch: tuple[float, float] | None = None
) -> bytes:
    """The same without axes, of all or of a `stretch` (s from the beginning): bands are rows, and a shade means the same loudness in
    each picture, so that pictures of stretches lie beside each other. Of a book, each column shows some of its frames, or it would take a
    minute. Raises AudioFailed.
    """
    with reading(path, sample_rate=sample_rate) as file:
        first, last = 0, file.frames
        if stretch is not None:
            first, last = (min(file.frames, round(moment * file.samplerate)) for moment in stretch)
        if last <= first:
            raise AudioFailed(f"{path} holds no sound there")

        def read(start: int, end: int) -> npt.NDArray[np.floating]:
            file.seek(first + start)
            found: npt.NDArray[np.floating] = file.read(end - start, dtype="float32", always_2d=True)[:, 0]
            return found

        columns = _columns(read, last - first, file.samplerate, before=first, after=file.frames - last, enough=_ENOUGH)
        return encode_png(np.ascontiguousarray(_shades(columns, top=LOUDEST_DB).T[::-1]), _palette())


def _picture(read: _Read, count: int, rate: int) -> bytes:
    columns = _columns(read, count, rate)
    stretch = -(-NARROWEST // len(columns))
    inside = np.repeat(np.repeat(_shades(columns).T[::-1], _BAND_PIXELS, axis=0), stretch, axis=1)
    height, width = inside.shape
    picture = np.full((height + _TOP + _BOTTOM, width + _LEFT + _RIGHT), _PAPER, dtype=np.uint8)
    picture[_TOP : _TOP + height, _LEFT : _LEFT + width] = inside
    _time_axis(picture, count / rate, width, _TOP + height)
    _frequency_axis(picture, highest_hz(rate), height)
    _scale(picture, _LEFT + width + 14, height)
    return encode_png(picture, _palette())


def _columns(
    read: _Read, count: int, rate: int, *, before: int = 0, after: int = 0, enough: int | None = None
) -> Spectrum:
    """Bands of every column in dB, shape (columns, BANDS): the mean power of the frames that fall into it.

    There are so many samples more `before` and `after`, into which frames at the ends reach. About `enough` frames of a column are
    looked at, or all.
    """
    hop, width = round(HOP_S * rate), window_samples(rate)
    half = width // 2
    frames = -(-count // hop)
    columns = min(frames, WIDEST)
    powers, hits = np.zeros((columns, BANDS)), np.zeros(columns)
    every = 1 if enough is None else max(1, frames // (columns * enough))
    at_once = max(1, round(_READ_S * min(every, 8) / HOP_S) // every) * every
    for first in range(0, frames, at_once):
        last = min(frames, first + at_once)
        # Frame n has sample n * hop in its middle.
        start, end = first * hop - half, (last - 1) * hop - half + width
        inside = read(max(-before, start), min(count + after, end))
        samples = np.pad(inside, (max(0, -before - start), max(0, end - count - after)))
        places = np.arange(first, last, every) * columns // frames
        np.add.at(powers, places, mel_powers(samples, rate, bands=BANDS, up_to_hz=highest_hz(rate), every=every))
        np.add.at(hits, places, 1)
    return decibels(powers / hits[:, None])


def _shades(columns: Spectrum, *, top: float | None = None) -> Picture:
    """Dark to light; `top` (dB) is the lightest, by default the loudest point."""
    top = max(float(columns.max()), -60.0) if top is None else top
    share = np.clip((columns - (top - RANGE_DB)) / RANGE_DB, 0, 1)
    return np.asarray(np.round(share * (_SHADES - 1)), dtype=np.uint8)


def _time_axis(picture: Picture, seconds: float, width: int, below: int) -> None:
    step = _step(seconds, max(2, width // 70))
    digits = max(0, -math.floor(math.log10(step)))
    for number in range(math.floor(seconds / step) + 1):
        x = _LEFT + min(width - 1, round(number * step / seconds * width))
        picture[below : below + _TICK, x] = _INK
        words = f"{number * step:.{digits}f}" + (" s" if number == 0 else "")
        write_on(picture, words, left=x - text_width(words.split(" ")[0]) // 2, top=below + _TICK + 4, colour=_INK)


def _step(extent: float, parts: int) -> float:
    """A round step that divides an extent into about so many parts."""
    rough = extent / parts
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)


def _frequency_axis(picture: Picture, highest: float, height: int) -> None:
    low, high = mel(LOWEST_HZ), mel(highest)
    for value in (100, 250, 500, 1000, 2000, 4000, 8000, 12_000):
        if value > highest:
            break
        y = _TOP + height - 1 - round((mel(value) - low) / (high - low) * (height - 1))
        picture[y, _LEFT - _TICK : _LEFT] = _INK
        words = f"{value // 1000} kHz" if value >= 1000 else f"{value} Hz"
        write_on(picture, words, left=_LEFT - _TICK - 4 - text_width(words), top=y - GLYPH_HEIGHT // 2, colour=_INK)


def _scale(picture: Picture, left: int, height: int) -> None:
    """What the colours mean, relative to the loudest point."""
    shades = np.round(np.linspace(_SHADES - 1, 0, height)).astype(np.uint8)
    picture[_TOP : _TOP + height, left : left + 10] = shades[:, None]
    for value in (0, -20, -40, -60, -80):
        y = _TOP + round(-value / RANGE_DB * (height - 1))
        picture[y, left + 10 : left + 13] = _INK
        words = f"{value}" + (" dB" if value == 0 else "")
        write_on(picture, words, left=left + 16, top=y - GLYPH_HEIGHT // 2, colour=_INK)


def _palette() -> list[Colour]:
    places = np.linspace(0, 1, _SHADES)
    anchors = [place for place, _ in _ANCHORS]
    parts = [np.interp(places, anchors, [colour[part] for _, colour in _ANCHORS]) for part in range(3)]
    shades = [(round(r), round(g), round(b)) for r, g, b in zip(*parts, strict=True)]
    return [*shades, (255, 255, 255), (60, 60, 66)]
