"""Emotion in the delivered file: what the published acoustic correlates say can be measured in what people hear.

Directions after Juslin & Laukka, "Communication of emotions in vocal expression and music performance", Psychological
Bulletin 129 (2003), table 7: happiness is faster, louder, higher and more varied in pitch, sadness the opposite.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import soundfile
import torch

import voxledger
from tests.building import NOBODY
from tests.synth.engines.pitch import Speech, measure
from voxledger.ledger import Ledger
from voxledger.synth.audio import integrated_loudness

SENTENCES = {
    "en": "The boats are coming home, and everybody is waiting at the harbour.",
    "de": "Die Boote kommen nach Hause, und alle warten unten am Hafen.",
    "es": "Los barcos vuelven a casa, y todos esperan en el puerto.",
}


@pytest.fixture(scope="module")
def vox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with voxledger.open(tmp_path_factory.mktemp("home"), store_endpoint=NOBODY, store_close_wait=0) as ledger:
        yield ledger


def _delivered(vox: Ledger, emotion: str | None, language: str, format: str = "wav") -> tuple[Speech, float]:
    clip = vox.speak(SENTENCES[language], emotion=emotion, language=language, format=format)
    samples, rate = soundfile.read(clip.local(), dtype="float32")
    loudness = integrated_loudness(torch.from_numpy(samples), rate)
    assert loudness is not None
    assert clip.loudness_lufs == pytest.approx(loudness, abs=0.5)
    return measure(samples, rate), loudness


@pytest.mark.parametrize("language", SENTENCES)
def test_happy_and_sad_are_apart_in_pitch_range_rate_and_level(vox: Ledger, language: str) -> None:
    happy, happy_lufs = _delivered(vox, "happy", language)
    neutral, neutral_lufs = _delivered(vox, None, language)
    sad, sad_lufs = _delivered(vox, "sad", language)
    assert happy.mean > 1.08 * neutral.mean > 1.08 * 1.05 * sad.mean
    assert happy.range > neutral.range + 1.0
    assert neutral.range > sad.range + 0.5
    assert happy.duration < 0.95 * neutral.duration < 0.95 * 0.9 * sad.duration
    assert happy_lufs > neutral_lufs + 1 > sad_lufs + 2
    assert neutral_lufs == pytest.approx(-16, abs=0.5)


@pytest.mark.parametrize("format", ["flac", "opus", "mp3"])
def test_the_difference_survives_every_format(vox: Ledger, format: str) -> None:
    happy, happy_lufs = _delivered(vox, "happy", "en", format)
    sad, sad_lufs = _delivered(vox, "sad", "en", format)
    assert happy.mean > 1.2 * sad.mean
    assert happy_lufs > sad_lufs + 3


def test_less_strength_is_less_emotion(vox: Ledger) -> None:
    full = vox.speak(SENTENCES["en"], emotion="sad", language="en")
    half = vox.speak(SENTENCES["en"], emotion="sad", emotion_strength=0.5, language="en")
    none = vox.speak(SENTENCES["en"], emotion="sad", emotion_strength=0.0, language="en")
    assert full.duration > half.duration > none.duration
    assert none.emotion == "neutral"
    assert none.sha256 == vox.speak(SENTENCES["en"], language="en").sha256
