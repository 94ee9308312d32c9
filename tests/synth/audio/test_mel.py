"""Log-mel spectra and the distance in them."""

from __future__ import annotations

import numpy as np
import pytest

from voxledger.synth.audio import log_mel, log_mel_distance, resample
from voxledger.synth.audio.mel import BANDS, FLOOR_DB
from voxledger.synth.errors import AudioFailed

RATE = 24_000


def test_a_full_scale_sine_reads_nought_in_its_band_at_any_rate(signals):
    for rate in (16_000, 22_050, 48_000):
        spectrum = log_mel(signals.sine(3000, 1, rate), rate, up_to_hz=8000)
        assert spectrum.shape == (100, BANDS) or spectrum.shape == (101, BANDS)
        assert spectrum[20:80].max() == pytest.approx(0, abs=1.0)


def test_higher_tones_lie_in_higher_bands(signals):
    loudest = [log_mel(signals.sine(hertz, 0.5, RATE), RATE)[20].argmax() for hertz in (100, 400, 1600, 6400)]
    assert loudest == sorted(set(loudest))


def test_silence_lies_on_the_floor():
    assert (log_mel(np.zeros(RATE), RATE) == FLOOR_DB).all()


def test_equal_clips_are_nought_apart(signals):
    speech = signals.speech(2, RATE)
    assert log_mel_distance(speech, RATE, speech.copy()) == 0


def test_a_quieter_clip_is_as_far_as_it_is_quieter(signals):
    speech = signals.speech(2, RATE)
    assert log_mel_distance(speech, RATE, speech * 0.5) == pytest.approx(6.02, abs=0.01)


def test_rounding_and_rate_are_near_and_another_voice_is_far(signals):
    import torch

    speech = signals.speech(3, RATE, seed=1)
    rounded = np.round(speech * 32768) / 32768
    converted = resample(torch.from_numpy(speech), RATE, 16_000).numpy()
    near = [log_mel_distance(speech, RATE, rounded), log_mel_distance(speech, RATE, converted, 16_000)]
    far = log_mel_distance(speech, RATE, signals.speech(3, RATE, seed=2))
    assert max(near) < 2
    assert far > 4 * max(near)


def test_a_pause_more_is_nearer_than_other_sound(signals):
    """Time is warped, so that what follows the pause is compared with its like."""
    speech = signals.speech(3, RATE, seed=1)
    half = len(speech) // 2
    paused = np.concatenate([speech[:half], np.zeros(RATE // 2), speech[half:]])
    other = np.concatenate([signals.speech(3, RATE, seed=2), np.zeros(RATE // 2)])
    assert log_mel_distance(speech, RATE, paused) < 0.4 * log_mel_distance(speech, RATE, other)


def test_distance_is_the_same_both_ways(signals):
    first, second = signals.speech(1, RATE), signals.speech(1.3, RATE, seed=3)
    assert log_mel_distance(first, RATE, second) == log_mel_distance(second, RATE, first)


def test_long_clips_are_compared_in_reasonable_time(signals):
    long = np.tile(signals.speech(10, 8_000), 30)
    assert log_mel_distance(long, 8_000, long[:-4_000]) < 3


@pytest.mark.parametrize("samples", [np.zeros(1), np.zeros(0)])
def test_the_shortest_clips_have_spectra(samples):
    assert log_mel(samples, RATE).shape[1] == BANDS


def test_what_has_no_spectrum_is_refused():
    with pytest.raises(AudioFailed, match="mono"):
        log_mel(np.zeros((2, 100)), RATE)
