"""Audiences: which chunk is due when, so that beginnings come before what is heard later."""

from __future__ import annotations

import os
import threading
import time

import numpy as np
import pytest

from voxledger.synth.audio import Preview
from voxledger.synth.emotion import Emotion
from voxledger.synth.studio.audience import Chunk, Hearing, Levelling
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


class _Ears:
    """Hears, and remembers when each part came."""

    def __init__(self, name: str, heard: list[tuple[str, Chunk]], on_first: threading.Event | None = None) -> None:
        self._name, self._heard, self._on_first = name, heard, on_first

    def begins(self, clip: str) -> None:
        pass

    def rate(self, sample_rate: int) -> int:
        return sample_rate

    def hears(self, chunk: Chunk) -> None:
        self._heard.append((self._name, chunk))
        if self._on_first is not None:
            self._on_first.set()
            time.sleep(0.01)  # as an encoder takes its time

    def heard_us(self) -> int:
        return 0


def _hearing(name: str, heard: list[tuple[str, Chunk]], on_first: threading.Event | None = None) -> Hearing:
    levelling = Levelling(lambda rate: Preview(rate, target_rate=rate, level_offset_db=0.0, target_lufs=-16.0), 0.0)
    return Hearing(_Ears(name, heard, on_first), levelling)


def test_a_sentence_is_given_in_parts_that_join_without_a_gap() -> None:
    heard: list[tuple[str, Chunk]] = []
    hearing = _hearing("one", heard)
    hearing.heard(_spoken(4.0))
    hearing.heard(_spoken(0.1))
    hearing.ended()
    parts = [chunk for _, chunk in heard]
    assert len(parts) > 4
    assert [part.text for part in parts if part.text] == ["The tide is turning."] * 2
    assert parts[0].text
    assert parts[0].duration <= 0.5
    at = 0.0
    for part in parts:
        assert part.start == pytest.approx(at, abs=2 / RATE)
        at += part.duration
    assert at == pytest.approx(4.1, abs=0.01)
    alone = Levelling(lambda rate: Preview(rate, target_rate=rate, level_offset_db=0.0, target_lufs=-16.0), 0.0)
    whole = [alone.chunk(_spoken(4.0)), alone.chunk(_spoken(0.1)), alone.rest()]
    assert np.array_equal(
        np.concatenate([part.samples for part in parts]), np.concatenate([chunk.samples for chunk in whole if chunk])
    )


def test_others_begin_before_a_sentence_is_given_whole() -> None:
    """As many as there are cores are in the midst of long sentences when one more begins."""
    heard: list[tuple[str, Chunk]] = []
    busy = [threading.Event() for _ in range(os.cpu_count() or 1)]
    threads = [
        threading.Thread(target=_hearing(f"long {number}", heard, begun).heard, args=(_spoken(60.0),))
        for number, begun in enumerate(busy)
    ]
    for thread in threads:
        thread.start()
    for begun in busy:
        assert begun.wait(60)
    _hearing("late", heard).heard(_spoken(4.0))
    for thread in threads:
        thread.join(60)
    order = [name for name, _ in heard]
    assert order.index("late") < min(
        len(order) - 1 - order[::-1].index(f"long {number}") for number in range(len(busy))
    )
