"""What every engine promises, as tests. A subclass gives them a `case`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from voxledger.catalog.events import EMOTIONS
from voxledger.synth import Emotion, EngineFailed, InvalidText, NotSupported, UnknownVoice, UnsupportedLanguage
from voxledger.synth.engines import Engine, Segment, SynthesisRequest

TEXT = "潮水正在转向。\n\n船要出去了。\n\n码头上没有人说话。"


@dataclass(frozen=True, kw_only=True)
class Case:
    """An engine, and how to ask it.

    `engine` is shared by many tests, `make` gives one of its own. `recording` is a voice for those that take one;
    `more` stands in every request.
    """

    engine: Engine
    make: Callable[[], Engine]
    recording: Path
    language: str = "zh"
    more: Mapping[str, Any] = field(default_factory=dict)

    def request(self, text: str = TEXT, **changes: Any) -> SynthesisRequest:
        return SynthesisRequest(**{"text": text, "language": self.language, "seed": 7, **self.more, **changes})

    def say(self, text: str = TEXT, **changes: Any) -> list[Segment]:
        return list(self.engine.synthesize(self.request(text, **changes)))

    def sound(self, text: str = TEXT, **changes: Any) -> bytes:
        return np.concatenate([segment.samples for segment in self.say(text, **changes)]).tobytes()


class EngineContract:
    """The tests; all of them through the protocol."""

    def test_it_describes_itself_at_once_and_starts_nothing(self, case: Case) -> None:
        engine = case.make()
        before = set(psutil.Process().children(recursive=True))
        begun = time.perf_counter()
        info = engine.describe()
        assert time.perf_counter() - begun < 2
        assert set(psutil.Process().children(recursive=True)) <= before
        assert info == engine.describe()
        assert info.name
        assert info.version
        assert info.model_revision
        assert info.concurrency >= 1
        assert info.languages
        assert "none" in info.emotion_modes
        engine.close()

    def test_segments_follow_each_other_and_cover_the_text(self, case: Case) -> None:
        info, segments = case.engine.describe(), case.say()
        ends = np.cumsum([segment.duration for segment in segments])
        assert [segment.start for segment in segments] == pytest.approx([0.0, *ends[:-1]])
        assert "".join("".join(segment.text for segment in segments).split()) == "".join(TEXT.split())
        for segment in segments:
            assert segment.samples.dtype == np.float32
            assert segment.samples.ndim == 1
            assert len(segment.samples)
            assert np.isfinite(segment.samples).all()
            assert np.abs(segment.samples).max() <= 1
            assert segment.sample_rate == info.sample_rate
        assert any(segment.samples.any() for segment in segments)
        if info.streaming:
            assert len([segment for segment in segments if segment.text]) == 3

    def test_the_same_request_gives_the_same_samples_as_far_as_it_says(self, case: Case) -> None:
        promised = case.engine.describe().determinism
        first = case.sound()
        case.sound("别的话。", seed=11)
        if promised != "none":
            assert case.sound() == first
        if promised == "bytes":
            assert case.sound(seed=None) == first
        if promised == "seeded":
            assert case.sound(seed=8) != first

    @pytest.mark.parametrize(
        ("mode", "feature", "change"),
        [
            ("vector", "emotion", lambda case: {"emotion": Emotion.of("sad")}),
            ("reference", "emotion_clip", lambda case: {"emotion_audio": case.recording}),
            ("words", "emotion_words", lambda case: {"emotion_words": "in tears"}),
        ],
        ids=["vector", "reference", "words"],
    )
    def test_emotions_are_taken_as_it_says_and_refused_otherwise(
        self, case: Case, mode: Any, feature: str, change: Callable[[Case], dict[str, Any]]
    ) -> None:
        if mode in case.engine.describe().emotion_modes:
            assert case.say(**change(case))
            return
        with pytest.raises(NotSupported) as caught:
            case.say(**change(case))
        assert caught.value.feature == feature
        assert str(caught.value).count(". ") == 0  # one sentence

    def test_what_is_applied_of_an_emotion_stays_in_bounds_and_follows_its_strength(self, case: Case) -> None:
        takes = "vector" in case.engine.describe().emotion_modes
        assert not any(case.engine.effective(Emotion()))
        assert not any(case.engine.effective(Emotion.of("happy", strength=0.0)))
        whole = case.engine.effective(Emotion.of(dict.fromkeys(EMOTIONS, 1.0)))
        half = case.engine.effective(Emotion.of(dict.fromkeys(EMOTIONS, 1.0), strength=0.5))
        assert len(whole) == len(EMOTIONS)
        assert all(0 <= small <= large <= 1 for small, large in zip(half, whole, strict=True))
        assert any(whole) == takes

    def test_recordings_are_taken_as_it_says_and_refused_otherwise(self, case: Case) -> None:
        if case.engine.describe().reference_voices:
            assert case.say(voice=None, voice_audio=case.recording)
            return
        with pytest.raises(NotSupported) as caught:
            case.say(voice_audio=case.recording)
        assert caught.value.feature == "speaker_clip"

    def test_each_parameter_that_it_names_is_taken_and_no_other(self, case: Case) -> None:
        given = dict(case.more.get("sampling", {}))
        for name in case.engine.describe().sampling:
            assert case.say("船。", sampling={**given, name: 1.0})
        with pytest.raises(NotSupported) as caught:
            case.say(sampling={"sparkle": 1.0})
        assert caught.value.feature == "sampling"

    def test_what_it_cannot_speak_has_an_error_of_its_own(self, case: Case) -> None:
        with pytest.raises(UnsupportedLanguage):
            case.say(language="qqq")
        with pytest.raises(InvalidText):
            case.say("…?!")
        with pytest.raises(UnknownVoice):
            case.say(voice="nobody-has-this-voice", voice_audio=None)
        assert case.say()

    def test_closing_the_iterator_stops_it_and_it_speaks_again(self, case: Case) -> None:
        expected = len(case.say())
        running = case.engine.synthesize(case.request(TEXT + "\n\n还有一句话。" * 2000))
        assert next(running).samples.any()
        begun = time.perf_counter()
        running.close()  # type: ignore[attr-defined]  # a generator
        assert len(case.say()) == expected
        assert time.perf_counter() - begun < 30  # all of it would take minutes

    def test_closing_it_twice_does_no_harm_and_it_speaks_afterwards(self, case: Case) -> None:
        case.engine.close()
        case.engine.close()
        assert case.say()

    def test_threads_are_served_as_if_each_were_alone(self, case: Case) -> None:
        texts = [f"{number}艘船回来了。" for number in "一二三四五六"]
        expected = [case.sound(text) for text in texts]
        with ThreadPoolExecutor(len(texts)) as pool:
            found = list(pool.map(case.sound, texts))
        if case.engine.describe().determinism != "none":
            assert found == expected
        assert [len(one) for one in found] == [len(one) for one in expected]

    def test_errors_have_a_remedy_that_names_nothing_personal(self, case: Case) -> None:
        for error in (UnknownVoice, UnsupportedLanguage, EngineFailed, InvalidText):
            assert error.remedy.endswith(".")
        with pytest.raises(UnknownVoice) as caught:
            case.say(voice="nobody-has-this-voice", voice_audio=None)
        assert "nobody-has-this-voice" not in caught.value.remedy
