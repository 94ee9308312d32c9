"""Waveforms and spectrograms to look at."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxledger.synth.audio import (
    coarser,
    encode,
    peaks,
    peaks_of_file,
    process,
    spectrogram,
    spectrogram_of_file,
    waveform,
)
from voxledger.synth.errors import AudioFailed

RATE = 24_000


def picture_of(png):
    """Width, height and colours, shape (height, width, 3), of an indexed PNG, checked as the standard says."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, position = {}, 8
    while position < len(png):
        (length,) = struct.unpack_from(">I", png, position)
        kind, content = png[position + 4 : position + 8], png[position + 8 : position + 8 + length]
        assert struct.unpack_from(">I", png, position + 8 + length) == (zlib.crc32(kind + content),)
        chunks[kind] = content
        position += 12 + length
    assert position == len(png)
    assert kind == b"IEND"
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert rest == [8, 3, 0, 0, 0]
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)[rows[:, 1:]]


def brightness(picture):
    """Of the inside, whatever surrounds it: rows from the top, columns from the left."""
    return picture[12:-28, 58:-66].astype(int).sum(axis=2)


def test_a_tone_is_a_bright_line_where_its_frequency_is(signals):
    inside = brightness(picture_of(spectrogram(signals.sine(1000, 2, RATE, amplitude=0.5), RATE)))
    low = brightness(picture_of(spectrogram(signals.sine(250, 2, RATE, amplitude=0.5), RATE)))
    rows = [each[:, each.shape[1] // 2].argmax() for each in (inside, low)]
    assert rows[0] < rows[1]  # higher up
    assert rows[0] == pytest.approx(inside.shape[0] * (1 - (1000 - 60) / (3204 - 60)), abs=6)  # mel of 1 kHz: 1000


def test_time_goes_from_left_to_right(signals):
    clip = np.concatenate([np.zeros(RATE), signals.noise(1, RATE)])
    inside = brightness(picture_of(spectrogram(clip, RATE))).mean(axis=0)
    half = len(inside) // 2
    assert inside[: half - 5].max() < inside[half + 5 :].min()


@pytest.mark.parametrize("count", [1, 100, RATE // 10, 130 * 8_000])
def test_clips_of_any_length_make_a_picture_of_a_moderate_size(signals, count):
    picture = picture_of(spectrogram(signals.noise(count / 8_000, 8_000), 8_000))
    assert 300 < picture.shape[1] < 1800
    assert picture.shape[0] == 3 * 128 + 40


def test_equal_sound_gives_equal_bytes(signals):
    speech = signals.speech(1, RATE)
    assert spectrogram(speech, RATE) == spectrogram(speech.copy(), RATE)


@pytest.mark.parametrize("name", ["wav", "flac", "pcm"])
def test_a_file_gives_the_picture_and_the_outline_of_its_samples(signals, tmp_path, name):
    samples = process(signals.speech(25, 8_000), 8_000).samples
    path = tmp_path / f"clip.{name}"
    path.write_bytes(encode(samples, 8_000, name).data)
    assert spectrogram_of_file(path, sample_rate=8_000) == spectrogram(samples, 8_000)
    assert np.array_equal(peaks_of_file(path, 300, sample_rate=8_000), peaks(samples, 300))


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros((2, 9))])
def test_what_has_no_picture_is_refused(samples):
    with pytest.raises(AudioFailed, match="mono"):
        spectrogram(samples, RATE)


@settings(max_examples=60, deadline=None)
@given(length=st.integers(0, 500), count=st.integers(1, 600), at_once=st.integers(1, 200), seed=st.integers(0, 9))
def test_an_outline_holds_each_sample_and_reaches_no_further(length, count, at_once, seed):
    samples = np.random.default_rng(seed).uniform(-1.2, 1.2, length)
    before, waveform._AT_ONCE = waveform._AT_ONCE, at_once
    try:
        found = peaks(samples, count)
    finally:
        waveform._AT_ONCE = before
    assert found.dtype == np.int8
    assert len(found) == min(count, length)
    for part, (low, high) in zip(np.array_split(samples, len(found)) if len(found) else [], found, strict=True):
        assert len(part)
        assert low <= high
    if length:
        assert found.max() == min(
            127, max(-127, np.ceil(samples.max() * 127) if samples.max() > 0 else np.floor(samples.max() * 127))
        )
        assert found.min() == max(
            -127, min(127, np.floor(samples.min() * 127) if samples.min() < 0 else np.ceil(samples.min() * 127))
        )


def test_a_single_click_is_seen():
    clip = np.zeros(10_000)
    clip[5_000] = 0.001
    assert peaks(clip, 10).tolist() == [[0, 0]] * 5 + [[0, 1]] + [[0, 0]] * 4


@settings(max_examples=60, deadline=None)
@given(length=st.integers(0, 2000), fine=st.integers(1, 400), count=st.integers(1, 500), seed=st.integers(0, 9))
def test_a_coarser_outline_is_one_of_the_same_clip(length, fine, count, seed):
    outline = peaks(np.random.default_rng(seed).uniform(-1, 1, length), fine)
    found = coarser(outline, count)
    assert (found.dtype, len(found)) == (np.int8, min(count, len(outline)))
    borders = np.arange(len(found) + 1) * len(outline) // max(1, len(found))
    parts = [outline[start:end] for start, end in pairwise(borders)]
    assert found.tolist() == [[part[:, 0].min(), part[:, 1].max()] for part in parts]


def test_an_outline_has_at_least_one_part():
    with pytest.raises(ValueError, match="at least one part"):
        peaks(np.zeros(9), 0)
    with pytest.raises(ValueError, match="at least one part"):
        coarser(peaks(np.zeros(9), 3), 0)
