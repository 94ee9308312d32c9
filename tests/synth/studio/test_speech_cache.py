"""The cache of spoken sentences: exact, bounded, and as good as empty when it is damaged."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxledger.synth.studio.speech_cache import SpeechCache, Stretch


def stretch(samples: np.ndarray, *, start: int = 0, end: int = 5) -> Stretch:
    return Stretch(samples=samples.astype(np.float32), sample_rate=22050, start=start, end=end)


def cache(folder: Path, *, limit: int = 10**9, life: float = 3600.0) -> SpeechCache:
    return SpeechCache(folder, limit=limit, life=life)


@given(st.lists(st.lists(st.floats(-1, 1, width=32), max_size=20), min_size=1, max_size=4), st.booleans())
def test_samples_come_back_as_they_were(parts: list[list[float]], whole: bool) -> None:
    import tempfile

    arrays = [np.array(part, dtype=np.float32) for part in parts]
    if whole:  # what a 16-bit engine gives
        arrays = [np.round(part * 32767).astype(np.float32) / np.float32(32768) for part in arrays]
    stretches = [stretch(part, start=place, end=place + 1) for place, part in enumerate(arrays)]
    with tempfile.TemporaryDirectory() as folder:
        mine = cache(Path(folder))
        mine.put("ann", "k", stretches)
        found = mine.get("ann", "k")
    assert found is not None
    assert [(one.sample_rate, one.start, one.end) for one in found] == [
        (22050, place, place + 1) for place in range(len(parts))
    ]
    for one, part in zip(found, arrays, strict=True):
        assert one.samples.dtype == np.float32
        np.testing.assert_array_equal(one.samples, part)


def test_actors_do_not_share(tmp_path: Path) -> None:
    mine = cache(tmp_path)
    mine.put("ann", "k", [stretch(np.zeros(3))])
    assert mine.get("bob", "k") is None
    assert mine.get("ann", "k") is not None


@pytest.mark.parametrize("cut", [0, 3, 10, -1])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, cut: int) -> None:
    mine = cache(tmp_path)
    mine.put("ann", "k", [stretch(np.linspace(-1, 1, 50))])
    path = next((tmp_path / "ann").iterdir())
    path.write_bytes(path.read_bytes()[:cut])
    assert mine.get("ann", "k") is None
    content = bytearray(200)
    path.write_bytes(content)
    assert mine.get("ann", "k") is None


def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    mine = cache(tmp_path, limit=25_000)
    for number in range(10):
        mine.put("ann", f"k{number}", [stretch(np.zeros(2000))])
        os.utime(tmp_path / "ann" / f"k{number}", (time.time() - 100 + number,) * 2)
    assert mine.get("ann", "k0") is not None  # used just now
    assert mine.sweep() <= 25_000
    assert mine.get("ann", "k0") is not None
    assert mine.get("ann", "k1") is None
    assert mine.get("ann", "k9") is not None


def test_it_gives_way_where_the_disk_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 100_000
    monkeypatch.setattr("voxledger.catalog.platform.free_disk", lambda path: free)
    mine = SpeechCache(tmp_path, limit=1_000_000, life=1000.0, keep_free=50_000)
    for number in range(4):
        mine.put("ann", f"k{number}", [stretch(np.zeros(2000))])
        os.utime(tmp_path / "ann" / f"k{number}", (time.time() - 100 + number,) * 2)
    free = 45_000
    mine.put("ann", "new", [stretch(np.zeros(2000))])
    assert mine.get("ann", "new") is None
    assert [mine.get("ann", f"k{number}") is None for number in range(4)] == [True, True, False, False]


def test_what_was_not_used_for_its_life_is_gone(tmp_path: Path) -> None:
    mine = cache(tmp_path, life=50.0)
    mine.put("ann", "old", [stretch(np.zeros(10))])
    os.utime(tmp_path / "ann" / "old", (time.time() - 60,) * 2)
    assert mine.get("ann", "old") is None
    assert mine.sweep() == 0
    assert not list((tmp_path / "ann").iterdir())


def test_without_life_or_room_nothing_is_kept(tmp_path: Path) -> None:
    for mine in (cache(tmp_path, life=0.0), cache(tmp_path, limit=0)):
        mine.put("ann", "k", [stretch(np.zeros(10))])
        assert mine.get("ann", "k") is None
    assert not list(tmp_path.iterdir())


def test_what_is_there_is_not_given_once_the_cache_is_switched_off(tmp_path: Path) -> None:
    cache(tmp_path).put("ann", "k", [stretch(np.zeros(10))])
    os.utime(tmp_path / "ann" / "k", (time.time() + 1000,) * 2)  # by a clock that was ahead
    assert cache(tmp_path, life=0.0).get("ann", "k") is None
    assert cache(tmp_path, limit=0).get("ann", "k") is None
