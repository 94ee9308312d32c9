"""Silence at the edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voxledger.synth.audio import Silences, trim
from voxledger.synth.audio.trim import sounding
from voxledger.synth.errors import AudioFailed

RATE = 24_000


def with_silence(sound, before_s, after_s, floor=0.0):
    rng = np.random.default_rng(0)
    parts = [np.zeros(round(before_s * RATE)), sound, np.zeros(round(after_s * RATE))]
    joined = np.concatenate(parts)
    return torch.from_numpy(joined + floor * rng.uniform(-1, 1, len(joined)))


@pytest.mark.parametrize("floor", [0.0, 0.0005], ids=["digital silence", "a noise floor 60 dB down"])
def test_keeps_its_margins_and_no_more(signals, floor):
    clip = with_silence(signals.sine(400, 1, RATE, amplitude=0.5), 0.8, 1.1, floor)
    trimmed = trim(clip, RATE)
    assert len(trimmed) / RATE == pytest.approx(1 + 0.05 + 0.12, abs=0.021)
    assert float(trimmed[: round(0.035 * RATE)].abs().max()) <= floor
    assert float(trimmed[-round(0.105 * RATE) :].abs().max()) <= floor


def test_adds_nothing_where_there_is_no_silence(signals):
    clip = with_silence(signals.sine(400, 1, RATE), 0, 0)
    assert len(trim(clip, RATE)) == len(clip)


def test_keeps_a_soft_onset(signals):
    onset = signals.noise(0.2, RATE, amplitude=0.005)
    clip = with_silence(np.concatenate([onset, signals.sine(400, 1, RATE, amplitude=0.5)]), 0.5, 0.5)
    assert len(trim(clip, RATE)) / RATE == pytest.approx(1.2 + 0.17, abs=0.021)


def test_pauses_inside_stay(signals):
    word = signals.sine(400, 0.3, RATE)
    clip = with_silence(np.concatenate([word, np.zeros(RATE), word]), 1, 1)
    assert len(trim(clip, RATE)) / RATE == pytest.approx(1.6 + 0.17, abs=0.021)


def test_edges_are_faded(signals):
    clip = with_silence(0.5 + 0 * signals.sine(1, 0.5, RATE), 0, 0)
    trimmed = trim(clip, RATE)
    fade = round(0.005 * RATE)
    assert abs(float(trimmed[0])) < 0.001
    assert abs(float(trimmed[-1])) < 0.001
    assert bool((trimmed[: fade - 1].diff() > 0).all())
    assert torch.equal(trimmed[fade:-fade], clip[fade:-fade])


def test_input_is_not_written_to(signals):
    clip = with_silence(signals.sine(400, 0.5, RATE), 0, 0)
    before = clip.clone()
    trim(clip, RATE)
    assert torch.equal(clip, before)


@pytest.mark.parametrize("amplitude", [0.0, 1e-7, 0.0009])
def test_silent_clip_is_refused(signals, amplitude):
    with pytest.raises(AudioFailed, match=r"the engine returned silence \(1\.00 s"):
        trim(torch.from_numpy(signals.sine(400, 1, RATE, amplitude=amplitude)), RATE)


def test_silent_clip_is_refused_even_without_trimming():
    with pytest.raises(AudioFailed, match="silence"):
        trim(torch.zeros(RATE), RATE, Silences(trim=False))


def test_trimming_can_be_switched_off(signals):
    clip = with_silence(signals.sine(400, 0.5, RATE), 0.5, 0.5)
    assert torch.equal(trim(clip, RATE, Silences(trim=False)), clip)


@settings(max_examples=60, deadline=None)
@given(
    before=st.integers(0, 9000),
    sound=st.integers(1, 9000),
    after=st.integers(0, 9000),
    level=st.floats(0.002, 1),
    rate=st.sampled_from([8_000, 22_050, 48_000]),
)
def test_trimmed_clip_holds_all_the_sound_and_is_never_longer(before, sound, after, level, rate):
    clip = torch.cat([torch.zeros(before), torch.full((sound,), level), torch.zeros(after)])
    trimmed = trim(clip, rate, Silences(fade_s=0))
    assert int((trimmed != 0).sum()) == sound
    assert len(trimmed) <= min(len(clip), sound + round(0.05 * rate) + round(0.12 * rate) + 2 * round(0.01 * rate))


def test_silence_share_is_the_share_of_silent_frames(signals):
    clip = with_silence(signals.sine(400, 1, RATE), 0.5, 0.5)
    assert sounding(clip, RATE, Silences()).silence_share == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("wrong", [{"lead_s": -0.1}, {"fade_s": float("nan")}, {"threshold_db": 3.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(AudioFailed, match=next(iter(wrong))):
        Silences(**wrong)
