"""Sample rate conversion against sines and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from voxledger.synth.audio import resample
from voxledger.synth.errors import AudioFailed

PAIRS = [
    (22_050, 48_000),
    (22_050, 24_000),
    (24_000, 48_000),
    (16_000, 48_000),
    (48_000, 22_050),
    (44_100, 16_000),
    (48_000, 16_000),
    (24_000, 16_000),
    (11_025, 48_000),
]


def converted(samples, from_rate, to_rate):
    return resample(torch.from_numpy(samples), from_rate, to_rate).numpy()


def levels(samples, rate, hertz):
    """Level of the tone at `hertz` and of everything else, in dB relative to a sine of amplitude 1."""
    angle = 2 * np.pi * hertz * np.arange(len(samples)) / rate
    basis, middle = np.stack([np.sin(angle), np.cos(angle)], axis=1), slice(len(samples) // 8, -len(samples) // 8)
    weights, *_ = np.linalg.lstsq(basis[middle], samples[middle], rcond=None)
    rest = samples[middle] - basis[middle] @ weights
    return 20 * np.log10(np.hypot(*weights)), 10 * np.log10(2 * np.mean(rest**2))


@pytest.mark.parametrize(("from_rate", "to_rate"), PAIRS)
@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.7, 0.85])
def test_pass_band_is_flat_and_free_of_images(signals, from_rate, to_rate, share):
    hertz = share * min(from_rate, to_rate) / 2
    tone, rest = levels(converted(signals.sine(hertz, 1, from_rate), from_rate, to_rate), to_rate, hertz)
    assert tone == pytest.approx(0, abs=0.001)
    assert rest < -90


@pytest.mark.parametrize(("from_rate", "to_rate"), [pair for pair in PAIRS if pair[0] > pair[1]])
@pytest.mark.parametrize("share", [1.005, 1.1, 1.3])
def test_what_the_lower_rate_cannot_hold_is_gone(signals, from_rate, to_rate, share):
    sine = signals.sine(min(share * to_rate, 0.99 * from_rate) / 2, 1, from_rate)
    middle = converted(sine, from_rate, to_rate)[to_rate // 8 : -to_rate // 8]
    assert 20 * np.log10(np.sqrt(2 * np.mean(middle**2))) < -95


@pytest.mark.parametrize(("from_rate", "to_rate"), PAIRS)
def test_agrees_with_scipy_on_speech(signals, from_rate, to_rate):
    """Both are linear-phase low-passes, so a band-limited signal must come out the same, without delay."""
    speech = signals.speech(1, from_rate)
    spectrum = np.fft.rfft(speech)
    spectrum[np.fft.rfftfreq(len(speech), 1 / from_rate) > 0.6 * min(from_rate, to_rate) / 2] = 0
    speech = np.fft.irfft(spectrum, len(speech))
    divisor = np.gcd(from_rate, to_rate)
    ours, theirs = (
        converted(speech, from_rate, to_rate),
        resample_poly(speech, to_rate // divisor, from_rate // divisor),
    )
    assert ours.shape == theirs.shape
    middle = slice(len(ours) // 10, -len(ours) // 10)
    assert np.sqrt(np.mean((ours - theirs)[middle] ** 2)) < 0.002 * np.sqrt(np.mean(theirs[middle] ** 2))


@settings(max_examples=40, deadline=None)
@given(count=st.integers(0, 3000), from_rate=st.integers(4_000, 48_000), to_rate=st.integers(4_000, 48_000))
def test_length_follows_the_ratio_for_any_rates(count, from_rate, to_rate):
    out = resample(torch.ones(count), from_rate, to_rate)
    assert len(out) == -(-count * to_rate // from_rate)
    assert bool(torch.isfinite(out).all())


def test_rates_without_a_common_divisor_are_converted_as_well(signals):
    sine = signals.sine(997, 0.5, 44_100, amplitude=0.5)
    tone, rest = levels(converted(sine, 44_100, 47_999), 47_999, 997)
    assert tone == pytest.approx(-6.02, abs=0.02)
    assert rest < -86


def test_constant_stays_constant():
    middle = converted(np.ones(4000), 22_050, 48_000)[2000:6000]
    assert np.abs(middle - 1).max() < 1e-5


def test_same_rate_returns_the_samples(signals):
    speech = signals.speech(0.5, 24_000)
    assert np.array_equal(converted(speech, 24_000, 24_000), speech)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept(dtype):
    assert resample(torch.ones(100, dtype=dtype), 16_000, 24_000).dtype == dtype


def test_batch_gives_what_its_rows_give(signals):
    rows = torch.from_numpy(np.stack([signals.speech(0.5, 22_050, seed=seed, peak=10.0**-seed) for seed in range(3)]))
    batch = resample(rows.reshape(3, 1, -1), 22_050, 24_000)
    assert torch.equal(batch[:, 0], torch.stack([resample(row, 22_050, 24_000) for row in rows]))


def test_cutting_the_work_differently_gives_the_same_bits(signals):
    """The filters are exact, so a stretch from the middle equals the same stretch of the whole, bit for bit."""
    speech = torch.from_numpy(signals.speech(2, 22_050, pauses=False))
    speech[0] = speech[14_700] = 0.9
    whole, part = resample(speech, 22_050, 24_000), resample(speech[14_700:], 22_050, 24_000)
    assert torch.equal(whole[16_000 + 200 :], part[200:])


@pytest.mark.parametrize("rates", [(0, 48_000), (48_000, -1), (48_000, 10**7)])
def test_impossible_rates_are_refused(rates):
    with pytest.raises(AudioFailed, match="cannot be converted"):
        resample(torch.ones(10), *rates)
