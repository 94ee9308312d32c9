"""Integrated loudness against the standard's own check, and against pyloudnorm."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest
import torch
from scipy.signal import lfilter

from voxledger.synth.audio import integrated_loudness
from voxledger.synth.audio.loudness import block_powers, gated_loudness, k_weighted

RATES = (16_000, 22_050, 24_000, 44_100, 48_000)


def loudness(samples, rate):
    return integrated_loudness(torch.from_numpy(samples), rate)


@pytest.mark.parametrize("rate", [8_000, 11_025, *RATES, 96_000])
def test_full_scale_sine_of_997_hz_reads_minus_3_01_lufs(signals, rate):
    assert loudness(signals.sine(997, 5, rate), rate) == pytest.approx(-3.01, abs=0.002)


@pytest.mark.parametrize("hertz", [25, 60, 200, 1_500, 3_000, 7_000])
@pytest.mark.parametrize("rate", [16_000, 22_050])
def test_reads_the_same_at_every_rate(signals, hertz, rate):
    here, at_48_khz = (loudness(signals.sine(hertz, 4, each, amplitude=0.5), each) for each in (rate, 48_000))
    assert here == pytest.approx(at_48_khz, abs=0.01)


def test_weighting_is_the_one_of_the_printed_filters(signals):
    noise = signals.noise(6, 48_000)
    shelf = lfilter(
        [1.53512485958697, -2.69169618940638, 1.19839281085285], [1, -1.69065929318241, 0.73248077421585], noise
    )
    weighted = lfilter([1, -2, 1], [1, -1.99004745483398, 0.99007225036621], shelf)
    assert loudness(noise, 48_000) == pytest.approx(-0.691 + 10 * np.log10(np.mean(weighted**2)), abs=0.01)


@pytest.mark.parametrize("gain_db", [-40, -20, -6])
def test_loudness_follows_gain(signals, gain_db):
    speech = signals.speech(3, 24_000)
    difference = loudness(speech * 10 ** (gain_db / 20), 24_000) - loudness(speech, 24_000)
    assert difference == pytest.approx(gain_db, abs=0.01)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda s, r: s.sine(100, 4, r, amplitude=0.3), id="100 Hz"),
        pytest.param(lambda s, r: s.sine(440, 4, r, amplitude=0.1), id="440 Hz"),
        pytest.param(lambda s, r: s.sine(1000, 4, r, amplitude=0.5), id="1 kHz"),
        pytest.param(lambda s, r: s.noise(4, r), id="noise"),
        pytest.param(lambda s, r: np.cumsum(s.noise(4, r, amplitude=0.001)), id="brown noise"),
        pytest.param(lambda s, r: s.speech(5, r), id="speech"),
        pytest.param(lambda s, r: s.speech(4, r, seed=7, peak=0.05), id="quiet speech"),
        pytest.param(lambda s, r: s.speech(4, r, seed=2, pauses=False), id="speech without pauses"),
    ],
)
def test_agrees_with_pyloudnorm_within_a_tenth_of_a_unit(signals, rate, make):
    samples = make(signals, rate)
    assert loudness(samples, rate) == pytest.approx(pyloudnorm.Meter(rate).integrated_loudness(samples), abs=0.1)


@pytest.mark.parametrize("seconds", [0.4, 0.41, 0.73, 1.0, 2.95, 12.0])
def test_agrees_with_pyloudnorm_at_any_length_of_steady_sound(signals, seconds):
    noise = signals.noise(seconds, 22_050)
    assert loudness(noise, 22_050) == pytest.approx(pyloudnorm.Meter(22_050).integrated_loudness(noise), abs=0.1)


def test_absolute_gate_ignores_silence_around_speech(signals):
    speech = signals.speech(3, 24_000, pauses=False)
    padded = np.concatenate([np.zeros(240_000), speech, np.zeros(240_000)])
    assert loudness(padded, 24_000) == pytest.approx(loudness(speech, 24_000), abs=0.5)


def test_relative_gate_ignores_what_is_far_quieter(signals):
    tone = signals.sine(1000, 4, 48_000, amplitude=0.3)
    with_murmur = np.concatenate([tone, signals.sine(1000, 8, 48_000, amplitude=0.3 * 0.05)])
    assert loudness(with_murmur, 48_000) == pytest.approx(loudness(tone, 48_000), abs=0.25)


@pytest.mark.parametrize("count", [1, 100, 48_000])
def test_silence_has_no_loudness(count):
    assert integrated_loudness(torch.zeros(count), 48_000) is None


def test_sound_below_the_absolute_gate_has_no_loudness(signals):
    assert loudness(signals.sine(1000, 2, 48_000, amplitude=1e-4), 48_000) is None


@pytest.mark.parametrize("seconds", [0.15, 0.3, 0.399, 0.4, 0.401])
def test_short_clip_counts_as_one_block_of_its_own_length(signals, seconds):
    tone = signals.sine(1000, seconds, 24_000, amplitude=0.25)
    assert loudness(tone, 24_000) == pytest.approx(-12.04 - 3.01, abs=0.1)


def test_float32_and_float64_agree(signals):
    speech = signals.speech(3, 22_050)
    assert loudness(speech.astype(np.float32), 22_050) == pytest.approx(loudness(speech, 22_050), abs=0.001)


def test_batch_gives_what_its_rows_give(signals):
    rows = [signals.speech(2, 24_000, seed=seed) for seed in range(3)] + [np.zeros(48_000)]
    batch = gated_loudness(block_powers(k_weighted(torch.from_numpy(np.stack(rows)), 24_000), 24_000))
    expected = [loudness(row, 24_000) for row in rows]
    assert batch[:3].tolist() == pytest.approx(expected[:3], abs=1e-9)
    assert expected[3] is None
    assert batch[3] == -torch.inf


def test_long_clip_is_measured_in_chunks_without_a_seam(signals):
    rate = 8_000
    tone = signals.sine(1000, 120, rate, amplitude=0.5)
    assert loudness(tone, rate) == pytest.approx(loudness(tone[: 4 * rate], rate), abs=0.01)
