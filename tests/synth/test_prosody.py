"""The emotion table: its directions, its blending, its level offset."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxledger.catalog.events import EMOTIONS
from voxledger.synth.emotion import ZERO, Emotion, Weights
from voxledger.synth.prosody import LEVEL_LIMIT, NEUTRAL, TABLE, blend, effective, level_offset, pause, revision

weights = st.tuples(*[st.floats(0, 1)] * 8)


def alone(name: str, weight: float = 1.0) -> Weights:
    return Emotion.of({name: weight}).weights


def test_table_has_every_emotion_and_no_other():
    assert tuple(TABLE) == EMOTIONS


def test_no_emotion_changes_nothing():
    assert blend(ZERO) == NEUTRAL
    assert level_offset(ZERO) == 0


@pytest.mark.parametrize("name", EMOTIONS)
def test_full_weight_gives_the_row_of_the_table(name):
    row, blended = TABLE[name], blend(alone(name))
    assert blended.rate == pytest.approx(row.rate)
    assert blended.pitch == pytest.approx(row.pitch)
    assert blended.tremor == pytest.approx(row.tremor)
    assert level_offset(alone(name)) == pytest.approx(row.level)


def test_directions_agree_with_the_literature():
    happy, angry, sad, afraid, disgusted, melancholic, surprised, calm = TABLE.values()
    assert happy.pitch > 0
    assert happy.range > 1
    assert happy.rate > 1
    assert happy.level > 0
    assert happy.brightness > 0
    assert angry.rate > 1
    assert angry.range > 1
    assert angry.roughness > 0
    assert angry.level == LEVEL_LIMIT
    assert sad.pitch < 0
    assert sad.range < 1
    assert sad.rate < 1
    assert sad.level < 0
    assert sad.breath > 0
    assert afraid.pitch > happy.pitch
    assert afraid.rate > 1
    assert afraid.tremor > 0
    assert -2 <= afraid.level < 0
    assert disgusted.pitch < 0
    assert disgusted.rate < 1
    assert disgusted.roughness > 0
    assert melancholic.rate < sad.rate
    assert sad.pitch < melancholic.pitch < 0
    assert sad.level < melancholic.level < 0
    assert surprised.pitch > happy.pitch
    assert surprised.range > happy.range
    assert surprised.rise == 1
    assert calm.rate < 1
    assert calm.range < 1
    assert calm.level < 0
    assert calm.roughness == 0


def test_mixture_lies_between_its_parts():
    mixed = blend(effective(Emotion.of("happy=0.5, sad=0.5")))
    assert TABLE["sad"].rate < mixed.rate < TABLE["happy"].rate
    assert mixed.pitch == pytest.approx((TABLE["sad"].pitch + TABLE["happy"].pitch) / 2)


def test_strength_scales_and_sums_above_one_are_scaled_down():
    assert effective(Emotion.of("calm", strength=0.25)) == alone("calm", 0.25)
    assert effective(Emotion.of("happy, angry")) == pytest.approx((0.5, 0.5, 0, 0, 0, 0, 0, 0))
    assert effective(Emotion.of("happy", strength=0)) == ZERO


@given(weights)
def test_effective_weights_sum_to_one_at_most_and_the_level_stays_within_its_limit(asked):
    applied = effective(Emotion(weights=asked))
    assert sum(applied) <= 1 + 1e-9
    assert abs(level_offset(applied)) <= LEVEL_LIMIT
    assert 0.7 < blend(applied).rate < 1.3


def test_level_offset_is_clamped_even_for_weights_that_sum_above_one():
    assert level_offset(Emotion.of("angry, happy, surprised").weights) == LEVEL_LIMIT


def test_a_pause_follows_the_emotion_and_the_speed_and_is_longer_before_a_paragraph():
    assert pause(NEUTRAL, paragraph=False) == 0.35
    assert pause(NEUTRAL, paragraph=True, speed=2.0) == 0.35
    assert pause(TABLE["sad"], paragraph=False) == pytest.approx(0.35 * 1.6 / 0.84)
    assert pause(TABLE["sad"], paragraph=False, speed=0.5) == pytest.approx(2 * 0.35 * 1.6 / 0.84)


def test_revision_changes_with_the_table(monkeypatch):
    before = revision()
    monkeypatch.setitem(TABLE, "calm", NEUTRAL)
    assert len(before) == 8
    assert revision() != before
