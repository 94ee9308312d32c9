"""What is said of a recording: from numbers, and of sounds that are speech or are not."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.synth.conftest import RATE
from voxledger.synth.voices import decoder
from voxledger.synth.voices.checks import Measured, forced, judge

GOOD = Measured(
    extension="wav", rate=24_000, channels=1, frames=240_000, peak_dbfs=-3.0, clipped=0, cancels_db=0.0, speech_us=8_000_000,
    speech_dbfs=-20.0, noise_dbfs=-60.0,
)  # fmt: skip

_LEVEL = st.floats(-200, 40)
measured = st.builds(
    Measured, extension=st.just("wav"), rate=st.sampled_from([8_000, 16_000, 24_000, 192_000]), channels=st.integers(1, 2),
    frames=st.integers(1, decoder.MOST_FRAMES), peak_dbfs=_LEVEL, clipped=st.integers(0, decoder.MOST_FRAMES),
    cancels_db=st.floats(0, 200), speech_us=st.integers(0, 600_000_000), speech_dbfs=_LEVEL, noise_dbfs=_LEVEL,
)  # fmt: skip


def test_nothing_is_said_of_a_good_recording() -> None:
    assert judge(GOOD) == (None, ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": 24_000 * 20}, "IndexTTS hears only the first 15 s"),
        ({"speech_us": 2_000_000}, "only 2.0 s of speech"),
        ({"speech_dbfs": -40.0}, "quiet: -40 dBFS"),
        ({"clipped": 200}, r"some of it is clipped \(0.08 %"),
        ({"noise_dbfs": -30.0}, "background is loud, 10 dB below"),
        ({"rate": 8_000}, "8,000 Hz"),
    ],
)
def test_what_could_be_better_is_a_warning(change: dict[str, float], message: str) -> None:
    import re

    refusal, warnings = judge(msgspec.structs.replace(GOOD, **change))
    assert refusal is None
    assert any(re.search(message, warning) for warning in warnings)


@given(measured)
def test_force_refuses_nothing_and_hides_nothing(found: Measured) -> None:
    verdict, overruled = judge(found), forced(found)
    assert overruled.refusal is None
    assert set(overruled.warnings) == {*verdict.warnings, *([verdict.refusal] if verdict.refusal else [])}


@given(measured, st.integers(0, 100_000_000))
def test_more_speech_is_never_worse(found: Measured, more: int) -> None:
    better = msgspec.structs.replace(found, speech_us=found.speech_us + more)
    assert judge(found).refusal is not None or judge(better).refusal is None


@given(measured)
def test_every_word_of_it_can_be_printed(found: Measured) -> None:
    verdict = judge(found)
    assert all(line.isprintable() and "nan" not in line for line in (verdict.refusal or "", *verdict.warnings))


def _speech(samples: npt.NDArray[np.float64]) -> float:
    """Seconds of speech that are found in samples at 8 kHz."""
    return float(decoder.speech(samples.astype(np.float32), 8_000)["speech_us"]) / 1e6


@given(st.floats(0.01, 1.0), st.integers(0, 2**32 - 1))
def test_noise_is_no_speech(level: float, seed: int) -> None:
    assert _speech(np.random.default_rng(seed).normal(0, level, 16_000)) < 0.5


@settings(deadline=None)
@given(st.floats(20, 1000), st.floats(0.001, 1.0))
def test_a_tone_is_no_speech(hertz: float, level: float) -> None:
    assert _speech(level * np.sin(2 * math.pi * hertz * np.arange(16_000) / 8_000)) < 0.5


@settings(deadline=None)
@given(st.floats(-20, 6))
def test_speech_is_found_at_any_level(voice: npt.NDArray[np.float32], decibels: float) -> None:
    slow = voice[: len(voice) // 2 * 2].reshape(-1, 2).mean(axis=1) * 10 ** (decibels / 20)
    found = decoder.speech(slow, RATE / 2)["speech_us"] / 1e6
    assert 0.5 < found / (len(voice) / RATE) <= 1.0
