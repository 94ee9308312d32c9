"""What the catalog keeps about a clip."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from voxledger.synth.audio import measure
from voxledger.synth.audio.long_measure import measure_raw

RATE = 24_000


def test_tone_between_silences(signals):
    tone = signals.sine(1000, 2, RATE, amplitude=0.5)
    found = measure(torch.from_numpy(np.concatenate([np.zeros(RATE), tone, np.zeros(RATE)])), RATE)
    assert found.duration_s == 4
    assert found.loudness_lufs == pytest.approx(-6.02 - 3.01, abs=0.7)
    assert found.true_peak_dbtp == pytest.approx(-6.02, abs=0.1)
    assert found.sample_peak_dbfs == pytest.approx(-6.02, abs=0.01)
    assert found.silence_share == pytest.approx(0.5, abs=0.01)
    assert found.clipped_samples == 0


@pytest.mark.parametrize("count", [0, 1, RATE])
def test_silence_has_no_levels(count):
    found = measure(torch.zeros(count), RATE)
    assert (found.loudness_lufs, found.true_peak_dbtp, found.sample_peak_dbfs) == (None, None, None)
    assert (found.clipped_samples, found.silence_share) == (0, 1)


def test_samples_at_full_scale_are_counted():
    samples = torch.tensor([0.0, 32767 / 32768, -1.0, 1.2, -1.5, 32766 / 32768])
    assert measure(samples, RATE).clipped_samples == 4


@pytest.mark.parametrize("seconds", [0.0, 0.3, 3.9, 4.001, 13.37])
@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_what_lies_in_a_file_is_measured_alike_in_stretches(signals, tmp_path, seconds, rate):
    samples = signals.speech(seconds, rate).astype(np.float32) if seconds else np.zeros(0, dtype=np.float32)
    samples[: len(samples) // 3] *= 0.0
    samples[-1000:] *= 1.6  # beyond full scale
    samples.tofile(tmp_path / "raw.f32")
    found, whole = measure_raw(tmp_path / "raw.f32", rate), measure(torch.from_numpy(samples), rate)
    for field in dataclasses.fields(whole):
        assert getattr(found, field.name) == pytest.approx(getattr(whole, field.name), abs=0.0011), field.name


def test_measures_do_not_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        measure(torch.zeros(1), RATE).duration_s = 2.0
