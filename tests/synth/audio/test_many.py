"""Many clips at once are the clips that they are one by one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from voxledger.synth.audio import Silences, many, on_one_core, process, process_many
from voxledger.synth.errors import AudioFailed

RATE = 22_050


def assert_same(made, expected):
    assert len(made) == len(expected)
    for one, other in zip(made, expected, strict=True):
        assert np.array_equal(one.samples, other.samples)
        for name in ("sample_rate", "measures", "target_lufs", "gain_db", "limited", "clipped_at_source", "offsets"):
            assert getattr(one, name) == getattr(other, name), name


@pytest.fixture(scope="module")
def clips(signals):
    rng = np.random.default_rng(0)
    lengths = [0.1, 0.3, 0.5, 0.51, *rng.uniform(0.4, 3, 20)]
    return [signals.speech(each, RATE, seed=seed, peak=rng.uniform(0.01, 1)) for seed, each in enumerate(lengths)]


@pytest.mark.parametrize("target_rate", [None, 24_000, 48_000])
@pytest.mark.parametrize("offset", [-4.0, 0.0, 4.0])
def test_many_are_what_they_are_alone(clips, target_rate, offset):
    made = process_many(clips, RATE, target_rate=target_rate, level_offsets_db=offset)
    assert_same(made, [process(clip, RATE, target_rate=target_rate, level_offset_db=offset) for clip in clips])


def test_one_large_batch_of_padded_rows_is_the_same(clips, monkeypatch):
    monkeypatch.setitem(many.AT_ONCE, "cpu", 1 << 24)
    monkeypatch.setattr(many, "_PADDING", 100.0)
    offsets = [float(each) for each in np.linspace(-4, 4, len(clips))]
    made = process_many(clips, RATE, target_rate=24_000, level_offsets_db=offsets)
    assert_same(
        made,
        [
            process(clip, RATE, target_rate=24_000, level_offset_db=each)
            for clip, each in zip(clips, offsets, strict=True)
        ],
    )


@settings(max_examples=25, deadline=None)
@given(
    kinds=st.lists(
        st.tuples(st.sampled_from(["noise", "tone", "clicks"]), st.integers(12_000, 16_000), st.floats(0.01, 3)),
        min_size=2,
        max_size=5,
    ),
    rate=st.sampled_from([8_000, 16_000, 22_050]),
    offset=st.floats(-4, 4),
)
def test_clips_that_need_the_limiter_more_than_once_are_the_same(kinds, rate, offset):
    make = {
        "noise": lambda count: np.random.default_rng(count).standard_normal(count),
        "tone": lambda count: np.sin(np.arange(count) * 0.3),
        "clicks": lambda count: (np.arange(count) % 4000 == 0).astype(float),
    }
    clips = [amplitude * make[kind](count) for kind, count, amplitude in kinds]
    made = process_many(clips, rate, target_rate=24_000, level_offsets_db=offset)
    assert_same(made, [process(clip, rate, target_rate=24_000, level_offset_db=offset) for clip in clips])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("offset", [-4.0, 4.0])
def test_on_a_gpu_they_are_what_they_are_alone_but_for_a_rounding_border(clips, offset):
    made = process_many(clips, RATE, target_rate=24_000, level_offsets_db=offset, device="cuda")
    for one, clip in zip(made, clips, strict=True):
        other = process(clip, RATE, target_rate=24_000, level_offset_db=offset)
        assert (one.offsets, one.limited) == (other.offsets, other.limited)
        assert one.gain_db == pytest.approx(other.gain_db, abs=0.0011)
        assert one.samples == pytest.approx(other.samples, abs=5e-4)


def test_segments_and_silences_are_joined_as_for_one(clips):
    lists = [clips[5:7], clips[7:8], clips[8:11]]
    silences = Silences(between_s=0.2)
    assert_same(
        process_many(lists, RATE, silences=silences), [process(each, RATE, silences=silences) for each in lists]
    )


def test_it_works_from_within_a_thread_of_the_chain_and_from_many(all_cores, clips):
    expected = [process(clip, RATE) for clip in clips[:8]]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: on_one_core(lambda: process_many(clips[:8], RATE)), range(4)))
    for made in found:
        assert_same(made, expected)


def test_no_clips_are_no_work():
    assert process_many([], RATE) == []


def test_a_silent_clip_is_refused_as_it_is_alone(clips):
    with pytest.raises(AudioFailed, match="silence"):
        process_many([clips[0], np.zeros(RATE)], RATE)


def test_each_clip_has_its_offset_or_all_have_one(clips):
    with pytest.raises(ValueError, match="2 clips and 1 level offsets"):
        process_many(clips[:2], RATE, level_offsets_db=[0.0])
