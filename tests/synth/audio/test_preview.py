"""What a listener hears while a clip is made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxledger.synth.audio import Preview, measure, process, resample
from voxledger.synth.audio import preview as preview_module
from voxledger.synth.errors import AudioFailed

RATE = 22_050


def heard(preview, parts):
    return np.concatenate([*(preview.push(part) for part in parts), preview.flush()])


@pytest.mark.parametrize("peak", [0.01, 0.7])
@pytest.mark.parametrize("offset", [-4.0, 0.0])
def test_a_listener_hears_the_loudness_that_the_clip_will_have(signals, peak, offset):
    parts = [signals.speech(2, RATE, peak=peak, seed=seed).astype(np.float32) for seed in range(4)]
    preview = Preview(RATE, target_rate=48_000, level_offset_db=offset)
    sound = heard(preview, parts)
    found = measure(torch.from_numpy(sound), 48_000)
    made = process(parts, RATE, target_rate=48_000, level_offset_db=offset)
    assert found.loudness_lufs == pytest.approx(made.measures.loudness_lufs, abs=1.5)
    assert found.true_peak_dbtp <= -1
    assert (sound.dtype, preview.sample_rate) == (np.float32, 48_000)


def test_the_first_segment_is_heard_at_once(signals):
    preview = Preview(RATE, target_rate=24_000)
    first = preview.push(signals.speech(1, RATE).astype(np.float32))
    assert 24_000 - len(first) < 0.02 * 24_000


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(0, 40_000), max_size=8),
    rates=st.sampled_from([(22_050, 48_000), (22_050, 22_050), (24_000, 16_000), (16_000, 24_000)]),
)
def test_joining_segments_leaves_no_seam(signals, monkeypatch, cuts, rates):
    """While the gain is held, what comes out is what one piece would give, wherever it was cut."""
    monkeypatch.setattr(preview_module, "STEP_DB", 0.0)
    speech = signals.speech(1.8, rates[0], peak=0.2).astype(np.float32)
    first = rates[0] // 2
    parts = np.split(speech[first:], sorted(cut for cut in cuts if cut < len(speech) - first))
    sound = heard(Preview(rates[0], target_rate=rates[1], target_lufs=-40), [speech[:first], *parts])
    expected = resample(torch.from_numpy(speech), *rates).numpy()
    assert len(sound) == len(expected)
    gain = np.dot(sound, expected) / np.dot(expected, expected)
    assert np.abs(sound - gain * expected).max() < 1.5 / 32768


def test_the_gain_moves_slowly(signals):
    quiet, loud = signals.speech(2, RATE, peak=0.05), signals.speech(2, RATE, peak=0.4)
    preview = Preview(RATE, target_lufs=-40)
    first, second = preview.push(quiet), preview.push(loud)
    found = [measure(torch.from_numpy(part), RATE).loudness_lufs for part in (first, second)]
    assert found[0] == pytest.approx(-40, abs=0.5)
    assert 16.5 < found[1] - found[0] < 18.5  # 18 dB apart, and a decibel less after a segment


def test_sudden_loudness_is_limited_not_clipped(signals):
    preview = Preview(RATE)
    sound = heard(preview, [signals.speech(1, RATE, peak=0.01), signals.speech(1, RATE, peak=0.9), np.ones(0)])
    found = measure(torch.from_numpy(sound), RATE)
    assert found.true_peak_dbtp <= -1
    assert found.clipped_samples == 0


def test_silence_in_front_stays_silence_and_sets_no_gain(signals):
    preview = Preview(RATE, target_lufs=-20)
    speech = signals.speech(2, RATE, peak=0.1)
    sound = heard(preview, [np.zeros(RATE), speech])
    assert not sound[: RATE - 100].any()
    assert measure(torch.from_numpy(sound[RATE:]), RATE).loudness_lufs == pytest.approx(-20, abs=0.6)


def test_nothing_pushed_gives_nothing():
    preview = Preview(RATE)
    assert len(preview.push(np.zeros(0, np.float32))) == len(preview.flush()) == 0


@pytest.mark.parametrize("part", [np.array([np.nan]), np.zeros((2, 3)), np.zeros(3, np.int16)])
def test_what_is_no_sound_is_refused(part):
    with pytest.raises(AudioFailed):
        Preview(RATE).push(part)
