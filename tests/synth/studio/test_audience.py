"""Audiences: which chunk is due when, so that beginnings come before what is heard later."""

from __future__ import annotations

import time

import numpy as np

from voxledger.synth.audio import Preview
from voxledger.synth.emotion import Emotion
from voxledger.synth.studio.audience import Levelling
from voxledger.synth.studio.pieces import Piece
from voxledger.synth.studio.speaking import Spoken

RATE = 22_050


def _spoken(seconds: float) -> Spoken:
    emotion = Emotion.of("calm")
    piece = Piece(text="The tide is turning.", start=0, end=20, emotion=emotion, effective=emotion.weights)
    samples = (0.2 * np.sin(np.arange(round(seconds * RATE)) * 0.05)).astype(np.float32)
    return Spoken(samples=samples, sample_rate=RATE, start=0, end=20, silence=0.0, piece=piece)


def test_a_beginning_is_due_since_it_was_asked_for_and_the_rest_when_it_is_heard() -> None:
    before = time.monotonic()
    levelling = Levelling(lambda rate: Preview(rate, target_rate=rate, level_offset_db=0.0, target_lufs=-16.0), 0.0)
    assert before <= levelling.due <= time.monotonic()
    levelling.chunk(_spoken(4.0))
    assert levelling.given_us > 1_000_000
    heard = levelling.due - time.monotonic()
    assert levelling.given_us / 1e6 - 60 < heard <= levelling.given_us / 1e6
    later = levelling.due
    levelling.chunk(_spoken(4.0))
    assert levelling.due > later + 3
