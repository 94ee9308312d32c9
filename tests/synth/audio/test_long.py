"""A clip that comes in segments is the same clip, however long it is."""

from __future__ import annotations

import hashlib

import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.soak import FULL, examples
from voxledger.catalog.errors import HomeError
from voxledger.synth.audio import FORMATS, LongClip, Silences, encode, long, process, stretches
from voxledger.synth.errors import AudioFailed

RATE = 22_050
SAME = ("measures", "target_lufs", "gain_db", "limited", "clipped_at_source", "offsets")


@pytest.fixture
def on_disk(monkeypatch):
    """Every clip is long, and is cut into many stretches and blocks."""
    monkeypatch.setattr(long, "SHORT_S", 0.0)
    monkeypatch.setattr(long, "_BLOCK", 4096)
    monkeypatch.setattr(stretches, "STRETCH_S", 0.4)


def segments(signals, seconds, rate, *, seed=0, hiss=0.0):
    quiet = np.zeros(rate // 3, np.float32)
    speech = signals.speech(seconds, rate, seed=seed).astype(np.float32)
    speech += signals.noise(seconds, rate, amplitude=hiss).astype(np.float32)
    third = len(speech) // 3
    return [quiet, speech[:third], speech[third : 2 * third], speech[2 * third :], quiet]


def made(folder, parts, rate, format_name, *, silences=None, **others):
    with LongClip(folder, rate, silences=silences) as clip:
        for index, part in enumerate(parts):
            assert clip.add(part) == index
        return clip.finish(folder / "made", format_name, **others)


LEVELS = [(-4.0, 0.0, False), (2.0, 0.0, True), (4.0, 0.05, True)]


# Each format and each level, and in a soak each with each.
@pytest.mark.parametrize(
    ("name", "offset", "hiss", "limited"),
    [
        (name, *level)
        for row, name in enumerate(FORMATS)
        for column, level in enumerate(LEVELS)
        if FULL or row % len(LEVELS) == column
    ],
)
def test_a_long_clip_has_the_bytes_and_measures_of_a_short_one(signals, tmp_path, on_disk, name, offset, hiss, limited):
    parts = segments(signals, 3, RATE, hiss=hiss)
    rate = FORMATS[name].rate_for(RATE)
    expected = process(parts, RATE, target_rate=rate, level_offset_db=offset)
    file = encode(expected.samples, rate, name)
    done = made(tmp_path, parts, RATE, name, level_offset_db=offset)
    data = (tmp_path / "made").read_bytes()
    assert data == file.data
    assert [getattr(done, field) for field in SAME] == [getattr(expected, field) for field in SAME]
    assert done.limited is limited
    assert (done.sample_rate, done.frames, done.duration_us) == (rate, file.frames, file.duration_us)
    assert (done.size, done.sha256) == (len(data), hashlib.sha256(data).hexdigest())


@settings(max_examples=examples(12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seconds=st.floats(0.45, 1.6),
    rates=st.sampled_from([(8_000, 24_000), (16_000, 16_000), (22_050, 48_000), (24_000, 16_000), (24_000, 22_051)]),
    offset=st.floats(-4, 4),
    seed=st.integers(0, 99),
)
def test_wherever_the_cuts_fall_the_samples_are_the_same(signals, tmp_path, on_disk, seconds, rates, offset, seed):
    parts = [signals.speech(seconds, rates[0], seed=seed, pauses=False).astype(np.float32)]
    expected = process(parts, rates[0], target_rate=rates[1], level_offset_db=offset)
    made(tmp_path, parts, rates[0], "pcm", target_rate=rates[1], level_offset_db=offset)
    samples = np.frombuffer((tmp_path / "made").read_bytes(), "<i2") / np.float32(32768)
    assert np.array_equal(samples, expected.samples)


def test_up_to_its_length_a_clip_is_made_in_memory_to_the_same_bytes(signals, tmp_path):
    parts = segments(signals, 2, RATE)
    silences = Silences(between_s=0.3)
    done = made(tmp_path, parts, RATE, "flac", silences=silences)
    expected = process(parts, RATE, silences=silences)
    assert (tmp_path / "made").read_bytes() == encode(expected.samples, RATE, "flac").data
    assert [getattr(done, field) for field in SAME] == [getattr(expected, field) for field in SAME]


def test_memory_does_not_grow_with_the_clip(signals, tmp_path):
    """105 seconds at 48 kHz are 40 MB as float64; the chain in memory needs eight times that."""
    half = np.tile(signals.speech(5, RATE).astype(np.float32), 7)
    made(tmp_path, [half], RATE, "wav", target_rate=48_000)
    before = psutil.Process().memory_info().rss
    done = made(tmp_path, [half] * 3, RATE, "wav", target_rate=48_000)
    assert done.measures.duration_s == pytest.approx(105, abs=2)
    assert psutil.Process().memory_info().rss - before < 100e6


def test_breaking_off_leaves_no_file(signals, tmp_path, on_disk):
    calls = []

    def between():
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, segments(signals, 3, RATE), RATE, "wav", between=between)
    assert list(tmp_path.iterdir()) == []


def test_a_very_peaky_clip_stays_under_the_ceiling(tmp_path, on_disk):
    clicks = np.zeros(2 * RATE, np.float32)
    clicks[::4000] = 1.0
    done = made(tmp_path, [clicks], RATE, "wav", level_offset_db=4)
    expected = process(clicks, RATE, level_offset_db=4)
    assert done.measures == expected.measures
    assert done.measures.true_peak_dbtp <= -1


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (np.zeros((2, 9), np.float32), "mono"),
        (np.array([np.nan], np.float32), "not numbers"),
        (np.zeros(9, int), "mono"),
    ],
)
def test_what_is_no_sound_is_refused_when_it_is_added(tmp_path, part, message):
    with LongClip(tmp_path, RATE) as clip, pytest.raises(AudioFailed, match=message):
        clip.add(part)


@pytest.mark.parametrize("parts", [[], [np.zeros(0, np.float32)], [np.zeros(RATE, np.float32)]])
def test_silence_is_refused_and_leaves_no_file(tmp_path, on_disk, parts):
    with pytest.raises(AudioFailed, match=r"silence|no samples"):
        made(tmp_path, parts, RATE, "wav")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(HomeError, match="nowhere"):
        LongClip(tmp_path / "nowhere", RATE)
