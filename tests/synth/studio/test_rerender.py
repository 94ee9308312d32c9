"""A clip is rendered again from its record alone: the same bytes, or what is different and by how much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import voxledger
from tests.building import NOBODY
from tests.synth.watched import Watched
from voxledger.ledger import Ledger
from voxledger.synth import InvalidRequest, engines


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"emotion": {"happy": 0.7, "calm": 0.2}, "emotion_strength": 0.8, "format": "flac"},
        {"format": "opus", "speed": 1.2, "language": "de", "seed": 5, "take": 3},
        {"format": "mp3", "voice": "f3"},
    ],
)
def test_an_equal_engine_gives_equal_bytes(vox: Ledger, asked: dict[str, Any]) -> None:
    clip = vox.speak("The tide is turning. Boats come home.", **asked)
    before = vox.journal.head()
    again = vox.studio.rerender(clip.short)
    assert again.equal
    assert (again.sha256, again.differences, again.distance_db) == (clip.sha256, (), None)
    assert vox.journal.head() == before


def test_marks_and_long_texts_are_rendered_again_without_the_cache(vox: Ledger) -> None:
    text = "[sad:0.6] The boat is lost.\n[happy] No, there it is!\n" + "It comes home at last. " * 30
    clip = vox.speak(text, emotion="calm")
    assert vox.studio.rerender(clip.id).equal


def test_other_settings_of_today_do_not_matter(vox: Ledger, tmp_path: Path) -> None:
    clip = vox.speak("The tide is turning.", emotion="angry")
    with voxledger.open(
        vox.home.path,
        store_endpoint=NOBODY,
        general_actor="ann",
        store_close_wait=0,
        synth_loudness=-23.0,
        synth_sample_rate=16000,
        synth_max_text=5,
    ) as other:
        assert other.studio.rerender(clip.id).equal


def test_another_engine_version_is_named_and_the_distance_said(
    vox: Ledger, fresh: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = vox.speak("The tide is turning.")

    def quieter(engine: Watched) -> Watched:
        inner = engine._inner.synthesize
        engine._inner.synthesize = lambda request: inner(  # type: ignore[method-assign]
            type(request)(text="The tide is burning.", language="en")
        )
        return engine

    monkeypatch.setattr(
        engines, "load", lambda name, settings: quieter(Watched(version="9.9", model_revision="another"))
    )
    again = fresh.studio.rerender(clip.id)
    assert not again.equal
    assert [(found.what, found.now) for found in again.differences] == [
        ("engine version", "9.9"),
        ("model revision", "another"),
    ]
    assert again.distance_db is not None
    assert 0.1 < again.distance_db < 60


def test_without_its_text_a_clip_cannot_be_rendered_again(tmp_path: Path) -> None:
    with voxledger.open(
        tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0, general_store_text=False
    ) as vox:
        clip = vox.speak("Keep this to yourself.")
        with pytest.raises(InvalidRequest, match="text was not kept"):
            vox.studio.rerender(clip.id)
