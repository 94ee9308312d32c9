"""The whole chain: what is delivered."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyloudnorm
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from tests.soak import examples, some
from voxledger.synth.audio import Silences, join, measure, process
from voxledger.synth.engines.base import Segment
from voxledger.synth.errors import AudioFailed

RATE = 22_050


def on_16_bit_steps(samples):
    return np.array_equal(samples, np.round(samples.astype(np.float64) * 32768) / 32768)


@pytest.mark.parametrize("target_rate", [None, 16_000, 24_000, 48_000])
@pytest.mark.parametrize("peak", [0.003, 0.1, 0.99])
@pytest.mark.parametrize("seed", some([0, 1]))
def test_speech_arrives_at_the_target_loudness_and_under_the_ceiling(signals, target_rate, peak, seed):
    speech = signals.speech(4, RATE, peak=peak, seed=seed).astype(np.float32)
    done = process(speech, RATE, target_rate=target_rate)
    assert done.sample_rate == (target_rate or RATE)
    delivered = pyloudnorm.Meter(done.sample_rate).integrated_loudness(done.samples.astype(np.float64))
    assert delivered == pytest.approx(-16, abs=0.3)
    assert done.measures.loudness_lufs == pytest.approx(-16, abs=0.1)
    assert done.measures.true_peak_dbtp <= -1
    assert 20 * np.log10(np.abs(resample_poly(done.samples, 8, 1)).max()) < -0.8
    assert done.samples.dtype == np.float32
    assert on_16_bit_steps(done.samples)


@pytest.mark.parametrize("offset", [-4.0, -2.5, 0.0, 1.0])
def test_level_offset_of_an_emotion_is_kept(signals, offset):
    done = process(signals.speech(4, RATE), RATE, level_offset_db=offset)
    assert done.target_lufs == -16 + offset
    assert done.measures.loudness_lufs == pytest.approx(-16 + offset, abs=0.1)


def test_loudness_is_reached_through_the_limiter(signals):
    """Peaks 15 dB above the loudness do not fit between -14 LUFS and -1 dBTP: the limiter makes them fit."""
    clip = signals.speech(5, RATE, seed=4) + signals.noise(5, RATE, amplitude=0.05)
    done = process(clip, RATE, target_lufs=-14)
    assert done.limited
    assert done.measures.true_peak_dbtp <= -1
    assert done.measures.loudness_lufs == pytest.approx(-14, abs=0.5)
    assert done.gain_db > -14 - measure(torch.from_numpy(clip), RATE).loudness_lufs


def test_offset_is_clamped(signals):
    speech = signals.speech(3, RATE)
    assert np.array_equal(
        process(speech, RATE, level_offset_db=-30).samples, process(speech, RATE, level_offset_db=-4).samples
    )
    assert process(speech, RATE, level_offset_db=30).target_lufs == -12


def test_clicks_stay_quieter_than_asked_and_say_so():
    clicks = np.zeros(3 * RATE)
    clicks[::4000] = 1.0
    done = process(clicks, RATE)
    assert done.measures.true_peak_dbtp <= -1
    assert done.limited
    assert done.measures.loudness_lufs < done.target_lufs - 3
    assert done.measures == measure(torch.from_numpy(done.samples), RATE)


@pytest.mark.parametrize("target_rate", [None, 48_000])
def test_measures_are_those_of_the_delivered_samples(signals, target_rate):
    for offset in (-4, 4):
        done = process(signals.speech(2, RATE), RATE, target_rate=target_rate, level_offset_db=offset)
        again = measure(torch.from_numpy(done.samples), done.sample_rate)
        assert done.measures.loudness_lufs == pytest.approx(again.loudness_lufs, abs=0.002)
        assert done.measures.true_peak_dbtp == pytest.approx(again.true_peak_dbtp, abs=0.001)
        assert done.measures.duration_s == again.duration_s == len(done.samples) / done.sample_rate
        assert (done.measures.clipped_samples, again.clipped_samples) == (0, 0)


def test_gain_is_relative_to_what_the_engine_returned(signals):
    speech = signals.speech(3, RATE, peak=0.011)
    done = process(speech, RATE, target_lufs=-30)
    assert done.gain_db == pytest.approx(-30 - measure(torch.from_numpy(speech), RATE).loudness_lufs, abs=0.05)


def test_clipping_in_the_engine_is_counted(signals):
    done = process(np.clip(signals.speech(2, RATE, peak=1.5), -1, 1), RATE)
    assert done.clipped_at_source > 0
    assert done.measures.clipped_samples == 0


def test_segments_are_joined_in_order_with_silence_between(signals):
    first, second = signals.sine(300, 0.5, RATE, amplitude=0.25), signals.sine(500, 0.5, RATE, amplitude=0.5)
    segments = [
        Segment(samples=part.astype(np.float32), sample_rate=RATE, text="", start=0.0) for part in (first, second)
    ]
    joined = join(iter(segments), RATE, between_s=0.1).numpy()
    assert np.array_equal(joined, np.concatenate([first, np.zeros(2205), second]).astype(np.float32))
    done = process(segments, RATE, silences=Silences(between_s=0.1))
    assert done.measures.duration_s == pytest.approx(1.1, abs=0.001)


def test_one_segment_an_array_and_a_tensor_are_the_same(signals):
    samples = signals.speech(1, RATE).astype(np.float32)
    samples.setflags(write=False)
    expected = process(samples, RATE).samples
    segment = Segment(samples=samples, sample_rate=RATE, text="", start=0.0)
    for sound in (segment, [segment], [samples], torch.from_numpy(samples.copy()), samples.astype(">f4")):
        assert np.array_equal(process(sound, RATE).samples, expected)


@pytest.mark.parametrize(
    ("sound", "message"),
    [
        (np.zeros(0, np.float32), "no samples"),
        ([], "no samples"),
        (np.zeros(RATE, np.float32), "silence"),
        (np.full(RATE, 1e-6), "silence"),
        (0.5 * np.hanning(4 * RATE), "below hearing"),
        (np.array([0.1, np.nan, 0.2]), "not numbers"),
        (np.array([0.1, np.inf, 0.2]), "not numbers"),
        (np.zeros((2, 100)), "mono floating-point"),
        (np.zeros(100, np.int16), "mono floating-point"),
        (Segment(samples=np.ones(9, np.float32), sample_rate=8_000, text="", start=0.0), "8000 Hz"),
    ],
)
def test_what_cannot_be_delivered_is_refused(sound, message):
    with pytest.raises(AudioFailed, match=message):
        process(sound, RATE)


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"target_rate": 100}, "100 Hz"),
        ({"target_rate": 10**6}, "1000000 Hz"),
        ({"level_offset_db": float("nan")}, "offset"),
        ({"target_lufs": 3.0}, "loudness"),
        ({"target_lufs": float("nan")}, "loudness"),
        ({"ceiling_dbtp": 0.5}, "ceiling"),
    ],
)
def test_impossible_settings_are_refused(signals, settings_, message):
    with pytest.raises(AudioFailed, match=message):
        process(signals.speech(0.5, RATE), RATE, **settings_)


@settings(max_examples=examples(60), deadline=None)
@given(
    pieces=st.lists(
        st.tuples(st.sampled_from(["silence", "noise", "tone", "click"]), st.integers(1, 4000), st.floats(0.01, 3)),
        min_size=1,
        max_size=8,
    ),
    rate=st.sampled_from([8_000, 16_000, 22_050, 24_000]),
    target_rate=st.sampled_from([None, 16_000, 24_000, 44_100]),
    offset=st.floats(-6, 6),
    seed=st.integers(0, 99),
)
def test_whatever_comes_in_what_goes_out_is_sound(pieces, rate, target_rate, offset, seed):
    rng = np.random.default_rng(seed)
    make = {
        "silence": lambda count: np.zeros(count),
        "noise": rng.standard_normal,
        "tone": lambda count: np.sin(np.arange(count) * 0.3),
        "click": lambda count: np.eye(1, count)[0],
    }
    clip = np.concatenate([amplitude * make[kind](count) for kind, count, amplitude in pieces])
    try:
        done = process(clip, rate, target_rate=target_rate, level_offset_db=offset)
    except AudioFailed as error:
        assert "silence" in str(error)  # noqa: PT017  (whether a clip is silent is not for this test to decide)
        return
    out_rate = target_rate or rate
    assert np.isfinite(done.samples).all()
    assert 0 < len(done.samples) <= -(-len(clip) * out_rate // rate)
    assert done.measures.true_peak_dbtp <= -1
    assert np.abs(done.samples).max() <= 10 ** (-1 / 20)
    again = measure(torch.from_numpy(done.samples), out_rate)
    assert done.measures.loudness_lufs == pytest.approx(again.loudness_lufs, abs=0.002)
    assert on_16_bit_steps(done.samples)


def test_input_is_not_written_to(signals):
    speech = signals.speech(1, RATE)
    before = speech.copy()
    process(speech, RATE, target_rate=24_000)
    assert np.array_equal(speech, before)


def test_many_threads_get_what_one_gets(all_cores, signals):
    clips = [signals.speech(1.5, RATE, seed=seed) for seed in range(6)]
    alone = [process(clip, RATE, target_rate=48_000) for clip in clips]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda clip: process(clip, RATE, target_rate=48_000), clips * 3))
    for index, done in enumerate(together):
        assert done.measures == alone[index % 6].measures
        assert np.array_equal(done.samples, alone[index % 6].samples)


_DIGEST = """
import hashlib, sys, numpy, torch
torch.set_num_threads(int(sys.argv[1]))
from voxledger.synth.audio import encode, process
digest = hashlib.sha256()
clips = numpy.load(sys.argv[2])
for name in clips.files:
    for rate in (None, 24_000, 48_000):
        for offset in (-4.0, 2.0):
            done = process(clips[name], 22_050, target_rate=rate, level_offset_db=offset)
            digest.update(done.samples.tobytes() + repr(done.measures).encode())
for format_name in ("wav", "flac", "opus", "mp3"):
    digest.update(encode(done.samples[:48_000], done.sample_rate, format_name).data)
assert torch.get_num_threads() == int(sys.argv[1])
print(digest.hexdigest())
"""


def test_bytes_do_not_depend_on_threads_or_process(signals, tmp_path):
    np.savez(
        tmp_path / "clips.npz",
        long=signals.speech(9, RATE, seed=1),
        short=signals.speech(0.3, RATE, seed=2, pauses=False),
        hiss=signals.noise(3, RATE),
    )
    digests = set()
    for threads in ("1", "2"):
        result = subprocess.run(
            [sys.executable, "-c", _DIGEST, threads, str(tmp_path / "clips.npz")],
            capture_output=True,
            text=True,
            check=True,
            env={name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"},
        )
        digests.add(result.stdout.strip())
    assert len(digests) == 1
    assert len(digests.pop()) == len(hashlib.sha256().hexdigest())


def test_offsets_say_where_each_sound_lies_in_the_delivered_clip(signals):
    """Three tones with their own silences; what trimming took from the ends is no longer there."""
    quiet = np.zeros(RATE // 2, np.float32)
    tones = [signals.sine(hertz, 0.5, RATE, amplitude=0.4).astype(np.float32) for hertz in (300, 600, 1200)]
    done = process(
        [quiet, tones[0], tones[1], tones[2], quiet], RATE, silences=Silences(between_s=0.2), target_rate=48_000
    )
    assert done.offsets[0] == (0, 0)
    for hertz, (start, end) in zip((300, 600, 1200), done.offsets[1:4], strict=True):
        tone = done.samples[round(start * 0.048) + 960 : round(end * 0.048) - 960].astype(np.float64)
        spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
        assert np.argmax(spectrum) * 48_000 / len(tone) == pytest.approx(hertz, abs=3)
        assert end - start == pytest.approx(500_000, abs=50)
    assert done.offsets[4][1] == pytest.approx(done.measures.duration_s * 1e6, abs=50)


def test_one_sound_spans_the_clip(signals):
    done = process(signals.speech(1, RATE), RATE)
    assert done.offsets == ((0, round(done.measures.duration_s * 1e6)),)
