"""True peak and the limiter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from tests.soak import examples
from voxledger.synth.audio import limit, true_peak_dbtp
from voxledger.synth.audio.peak import aim_of, curve_context, gain_curve, true_peak, true_peak_envelope


def peak_dbtp(samples):
    return true_peak_dbtp(torch.from_numpy(samples))


def decibels(amplitude):
    return 20 * np.log10(amplitude)


def faded(samples, count=500):
    window = np.hanning(2 * count)
    samples = samples.copy()
    samples[:count] *= window[:count]
    samples[-count:] *= window[count:]
    return samples


def test_finds_the_peak_between_the_samples(signals):
    sine = faded(signals.sine(12_000, 0.2, 48_000, amplitude=0.5, phase=np.pi / 4))
    assert decibels(np.abs(sine).max()) == pytest.approx(-9.03, abs=0.01)
    assert peak_dbtp(sine) == pytest.approx(-6.02, abs=0.1)


@pytest.mark.parametrize("hertz", [100, 997, 3_000, 6_000, 9_000, 12_000, 15_000, 18_000])
@pytest.mark.parametrize("phase", [0.0, 0.7, 1.9])
def test_reads_a_sine_within_the_tolerance_of_ebu_tech_3341(signals, hertz, phase):
    sine = faded(signals.sine(hertz, 0.2, 48_000, amplitude=0.5, phase=phase))
    assert -0.4 <= peak_dbtp(sine) - decibels(0.5) <= 0.2


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_sixteenfold_oversampling_on_speech(signals, seed):
    speech = faded(signals.speech(1, 24_000, seed=seed))
    assert peak_dbtp(speech) == pytest.approx(decibels(np.abs(resample_poly(speech, 16, 1)).max()), abs=0.1)


@settings(deadline=None)
@given(samples=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=200).map(np.array), scale=st.floats(1e-6, 100))
def test_never_reads_less_than_the_highest_sample(samples, scale):
    peak = float(true_peak(torch.from_numpy(samples * scale)))
    # The grid is 22 bits below the peak, so the reading may be half a step low.
    assert peak >= np.abs(samples * scale).max() * (1 - 2**-22)


@pytest.mark.parametrize("position", [0, 1, 15, 16, 17, 98, 99])
def test_sees_peaks_at_the_edges(position):
    samples = torch.zeros(100)
    samples[position] = 0.5
    assert float(true_peak(samples)) == pytest.approx(0.5, rel=1e-6)


def test_silence_has_no_peak():
    assert true_peak_dbtp(torch.zeros(1000)) is None
    assert true_peak_dbtp(torch.zeros(0)) is None


def test_batch_gives_what_its_rows_give(signals):
    rows = torch.from_numpy(np.stack([signals.noise(0.5, 24_000, seed=seed) * 10.0**-seed for seed in range(4)]))
    assert torch.equal(true_peak_envelope(rows), torch.stack([true_peak_envelope(row) for row in rows]))


@pytest.mark.parametrize("seed", range(3))
def test_leaving_out_quiet_blocks_changes_none_above_the_threshold(signals, seed):
    speech = torch.from_numpy(signals.speech(2, 24_000, seed=seed))
    full = true_peak_envelope(speech)
    for above in (0.05, 0.3, 0.6):
        partial = true_peak_envelope(speech, above=above)
        assert torch.equal(torch.where(full > above, partial, 0.0), torch.where(full > above, full, 0.0))
        assert bool((partial <= full).all())
    assert float(true_peak(speech)) == float(full.amax())


def test_scaling_by_a_power_of_two_scales_the_envelope_exactly(signals):
    noise = torch.from_numpy(signals.noise(0.5, 24_000))
    assert torch.equal(true_peak_envelope(noise * 0.125), true_peak_envelope(noise) * 0.125)


LOUD = [
    pytest.param(lambda s: s.speech(1, 24_000) * 10, id="speech, 17 dB too loud"),
    pytest.param(lambda s: s.noise(1, 24_000, amplitude=3), id="noise"),
    pytest.param(lambda s: np.sign(s.sine(440, 1, 24_000)) * 2, id="square"),
    pytest.param(lambda s: s.sine(11_900, 1, 24_000, amplitude=5), id="just below Nyquist"),
    pytest.param(lambda s: s.sine(30, 1, 24_000, amplitude=2), id="30 Hz"),
    pytest.param(lambda s: np.eye(1, 24_000, 12_000)[0] * 4, id="one click"),
    pytest.param(lambda s: np.full(1000, 3.0), id="constant"),
    pytest.param(lambda s: np.array([7.0]), id="one sample"),
    pytest.param(lambda s: np.tile([2.0, -2.0, 2.0, 0.0], 500), id="alternating"),
]


@pytest.mark.parametrize("ceiling", [-1.0, -6.0])
@pytest.mark.parametrize("make", LOUD)
def test_limited_sound_stays_under_the_ceiling(signals, make, ceiling):
    limited = limit(torch.from_numpy(make(signals)), 24_000, ceiling_dbtp=ceiling)
    assert true_peak_dbtp(limited.samples) <= ceiling
    assert decibels(limited.true_peak) == pytest.approx(true_peak_dbtp(limited.samples))
    assert torch.equal(limited.samples, (limited.samples * 32768).round() / 32768)


@settings(max_examples=examples(60), deadline=None)
@example(gains=[2.2e-313], seed=0, rate=8_000, ceiling=-1.0)
@example(gains=[1e-200, 0.0, 20.0], seed=0, rate=8_000, ceiling=-1.0)
@given(
    gains=st.lists(st.floats(0, 20), min_size=1, max_size=30),
    seed=st.integers(0, 1000),
    rate=st.sampled_from([8_000, 22_050, 48_000]),
    ceiling=st.floats(-12, -0.1),
)
def test_no_burst_gets_over_the_ceiling(gains, seed, rate, ceiling):
    rng = np.random.default_rng(seed)
    bursts = np.concatenate([gain * rng.standard_normal(rng.integers(1, 400)) for gain in gains])
    limited = limit(torch.from_numpy(bursts), rate, ceiling_dbtp=ceiling).samples
    assert limited.shape == bursts.shape
    assert bool(torch.isfinite(limited).all())
    assert true_peak_dbtp(limited) is None or true_peak_dbtp(limited) <= ceiling


def test_sound_under_the_ceiling_is_only_rounded(signals):
    speech = torch.from_numpy(signals.speech(1, 24_000, peak=0.5))
    assert float((limit(speech, 24_000).samples - speech).abs().max()) <= 0.5 / 32768


def test_limiter_turns_down_instead_of_clipping(signals):
    """A sine 6 dB too loud stays a sine: what is added is 60 dB below it. Clipping it would add some at -13 dB."""
    sine = signals.sine(1000, 1, 48_000, amplitude=2)
    limited = limit(torch.from_numpy(sine), 48_000).samples.numpy()
    middle = limited[12_000:36_000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
    tone = spectrum[490:511].sum()
    assert 10 * np.log10((spectrum.sum() - tone) / tone) < -60
    assert np.abs(middle).max() == pytest.approx(10 ** (-1 / 20), rel=0.01)


def test_gain_changes_smoothly_around_a_peak(signals):
    """A quiet tone shows the gain that a loud burst in its middle causes: no step, and back to one after it."""
    rate = 24_000
    quiet = 0.4 + 0 * signals.sine(1, 1, rate)
    loud = quiet.copy()
    loud[12_000:12_100] = 2.0
    gain = limit(torch.from_numpy(loud), rate).samples.numpy() / loud
    assert gain[:11_500] == pytest.approx(1, abs=1e-4)
    assert gain[16_000:] == pytest.approx(1, abs=1e-4)
    assert np.abs(np.diff(gain)).max() < 0.01
    assert gain[11_990] < 0.5
    assert gain[12_200] < gain[13_000] < gain[14_000]


@given(ceiling_dbtp=st.floats(-60, -0.1), share=st.floats(0, 1))
def test_what_is_under_the_ceiling_is_left_exactly_as_it_is(ceiling_dbtp, share):
    ceiling = aim_of(ceiling_dbtp)
    assert (gain_curve(torch.full((500,), ceiling * share, dtype=torch.float64), 24_000, ceiling) == 1).all()


def test_a_gain_curve_is_the_same_wherever_its_envelope_was_cut():
    envelope = torch.from_numpy(np.random.default_rng(0).uniform(0, 2, 3000) ** 4)
    whole = gain_curve(envelope, 24_000, 0.9)
    before, after = curve_context(24_000)
    for start, end in ((700, 701), (before, 1500), (1200, 3000)):
        part = gain_curve(envelope[start - before : end + after], 24_000, 0.9)
        assert torch.equal(part[before : before + end - start], whole[start:end])
