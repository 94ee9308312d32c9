"""Long texts are spoken sentence by sentence: what is there is not spoken again, and one failure does not cost the rest."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

import voxledger
from tests import forking
from tests.building import NOBODY
from tests.synth.watched import Use, Watched
from voxledger.catalog import HomeError
from voxledger.ledger import Ledger
from voxledger.synth import EngineFailed, InvalidEmotion, Stopped, audio, engines
from voxledger.synth.engines.base import Segment, SynthesisRequest
from voxledger.synth.studio.request import SpeakRequest
from voxledger.synth.studio.speech_cache import SpeechCache

SENTENCES = [f"Boat number {number} comes home before the storm." for number in range(20)]
CHAPTER = " ".join(SENTENCES)


def test_changing_one_sentence_speaks_one_sentence(vox: Ledger, use: Use) -> None:
    engine = use(Watched())
    first = vox.speak(CHAPTER)
    assert engine.asked == SENTENCES
    engine.asked.clear()
    changed = vox.speak(CHAPTER.replace("Boat number 7", "The last boat"))
    assert engine.asked == ["The last boat comes home before the storm."]
    assert changed.id != first.id
    row = vox.catalog.sql("SELECT segments, segments_cached FROM clips ORDER BY position DESC LIMIT 1").rows()[0]
    assert (row["segments"], row["segments_cached"]) == (20, 19)


def test_a_chapter_from_the_cache_is_the_chapter_byte_for_byte(vox: Ledger) -> None:
    clips = [vox.speak(CHAPTER, reuse=False) for _ in range(2)]
    assert clips[0].sha256 == clips[1].sha256
    assert vox.catalog.sql("SELECT segments_cached FROM clips ORDER BY position").rows()[1]["segments_cached"] == 20


@pytest.mark.parametrize(
    ("keep", "minimum_age", "grace", "is_there"),
    [("7d", "2h", "2h", True), ("7d", "2h", "0s", False), ("7d", "0s", "2h", False), ("2h", "2d", "7d", False)],
)
def test_a_sentence_is_kept_no_longer_than_its_clip_is_at_least(
    tmp_path: Path, use: Use, keep: str, minimum_age: str, grace: str, is_there: bool
) -> None:
    engine = use(Watched())
    with voxledger.open(
        tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0, synth_speech_keep=keep,
        retention_minimum_age=minimum_age, retention_grace=grace,
    ) as vox:  # fmt: skip
        vox.speak(CHAPTER)
        for path in vox.home.speech.rglob("*"):
            os.utime(path, (time.time() - 3 * 3600,) * 2)
        engine.asked.clear()
        vox.speak(CHAPTER, reuse=False)
    assert engine.asked == ([] if is_there else SENTENCES)


def test_other_actors_and_other_emotions_are_spoken_anew(vox: Ledger, use: Use) -> None:
    engine = use(Watched())
    vox.speak(CHAPTER)
    for change in ({"actor": "bob"}, {"emotion": "sad"}, {"speed": 1.3}, {"language": "de"}):
        engine.asked.clear()
        vox.speak(CHAPTER, **change)
        assert len(engine.asked) == 20


def test_an_engine_is_asked_once_what_it_makes_of_an_emotion(vox: Ledger, use: Use) -> None:
    engine, heard = use(Watched()), []
    applied = engine.effective
    engine.effective = lambda emotion: (heard.append(emotion.dominant), applied(emotion))[1]  # type: ignore[method-assign,func-returns-value]
    vox.speak("[sad] It is late.\nBoats come home.\n[sad] It is dark.\n[happy] There is the last one!", emotion="calm")
    assert heard == ["sad", "calm", "happy"]


def test_each_sentence_has_its_place_in_text_and_sound(vox: Ledger) -> None:
    clip = vox.speak(CHAPTER)
    timing = json.loads(vox.catalog.record(clip.id).timing or "")
    assert [CHAPTER[start:end] for start, end, _, _ in timing] == SENTENCES
    times = [moment for _, _, begins, ends in timing for moment in (begins, ends)]
    assert times == sorted(times)
    assert timing[0][2] == pytest.approx(0, abs=60)
    assert timing[-1][3] == pytest.approx(clip.duration * 1000, abs=60)


def test_what_comes_from_the_cache_is_called_off_between_two_sentences(
    vox: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    vox.speak(CHAPTER)
    stop = threading.Event()
    given: list[str] = []
    get = SpeechCache.get

    def third(cache: SpeechCache, actor: str, key: str) -> object:
        given.append(key)
        if len(given) == 3:
            stop.set()
        return get(cache, actor, key)

    monkeypatch.setattr(SpeechCache, "get", third)
    request = SpeakRequest.of(CHAPTER, settings=vox.studio.settings, actor="ann")
    with pytest.raises(Stopped):
        vox.studio.make(request, reuse=False, stop=stop)
    assert len(given) == 3
    rows = vox.catalog.sql("SELECT outcome FROM generations ORDER BY position").rows()
    assert [row["outcome"] for row in rows] == ["completed", "cancelled"]


def test_a_sentence_that_fails_once_is_tried_again(vox: Ledger, use: Use) -> None:
    failed: list[str] = []

    def fail(number: int, request: SynthesisRequest) -> None:
        if request.text == SENTENCES[3] and not failed:
            failed.append(request.text)
            raise RuntimeError("a hiccup")

    engine = use(Watched(fail))
    assert vox.speak(CHAPTER).duration > 20
    assert engine.asked == [*SENTENCES[:4], *SENTENCES[3:]]


def test_a_sentence_that_keeps_failing_ends_the_clip_and_costs_only_itself(vox: Ledger, use: Use) -> None:
    broken = True

    def fail(number: int, request: SynthesisRequest) -> None:
        if broken and request.text == SENTENCES[3]:
            raise RuntimeError("for good")

    engine = use(Watched(fail))
    with pytest.raises(EngineFailed, match="for good"):
        vox.speak(CHAPTER)
    row = vox.catalog.sql("SELECT outcome, failure, stage, remedy FROM generations").rows()[0]
    assert (row["outcome"], row["failure"], row["stage"]) == ("failed", "engine_failed", "engine")
    assert row["remedy"] == EngineFailed.remedy
    assert not [path for path in vox.home.cache.rglob("*") if path.is_file()]
    broken = False
    engine.asked.clear()
    vox.speak(CHAPTER)
    assert engine.asked == SENTENCES[3:]


def test_emotions_in_the_text_hold_for_their_lines(vox: Ledger, use: Use) -> None:
    engine = use(Watched())
    clip = vox.speak("[sad:0.6] The boat is lost.\n[happy] No, there it is!\nIt comes home.")
    moods = [(request.text, request.emotion.dominant) for request in engine.requests]
    assert moods == [("The boat is lost.", "sad"), ("No, there it is!", "happy"), ("It comes home.", "neutral")]
    row = vox.catalog.sql("SELECT marks, emotion, emotion_mode, features FROM clips").rows()[0]
    assert (row["marks"], row["emotion_mode"]) == (True, "vector")
    assert clip.emotion in ("sad", "happy")
    assert "marks" in row["features"]
    passages = vox.catalog.sql("FROM passages ORDER BY number").rows()
    assert [(row["clip"], row["number"], row["emotion"]) for row in passages] == [
        (clip.id, 1, "sad"),
        (clip.id, 2, "happy"),
        (clip.id, 3, "neutral"),
    ]
    assert [list(row["emotion_asked"]) for row in passages] == [[0, 0, 0.6, 0, 0, 0, 0, 0], [1, *[0] * 7], [0] * 8]
    places = [(row["offset_us"], row["offset_us"] + row["duration_us"]) for row in passages]
    assert all(before[1] < after[0] for before, after in pairwise(places))
    assert all(0 <= start < end <= clip.duration_us for start, end in places)


def test_a_text_of_one_emotion_has_no_passages(vox: Ledger, use: Use) -> None:
    use(Watched())
    vox.speak(CHAPTER, emotion="sad")
    assert vox.catalog.sql("FROM passages").rows() == []


def test_brackets_that_name_no_emotion_are_text(vox: Ledger, use: Use) -> None:
    engine = use(Watched())
    text = "[1] See [appendix] and <b>this</b>, &amp; that."
    vox.speak(text)
    vox.speak("[sad] Not heeded.", marks=False)
    assert engine.asked == [text, "[sad] Not heeded."]
    with pytest.raises(InvalidEmotion):
        vox.speak("[sad:1.6] Too much.")


def test_what_an_engine_wrote_anew_has_the_place_of_its_sentence(vox: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    class Rewriting(Watched):
        def synthesize(self, request: SynthesisRequest) -> Iterator[Segment]:
            for segment in super().synthesize(request):
                yield dataclasses.replace(segment, text=segment.text.replace("10 km", "ten kilometres"))

    monkeypatch.setattr(engines, "load", lambda name, settings: Rewriting())
    said = ["It is 10 km.", "Then home.", "All is well."]
    text = " ".join(said)
    timing = json.loads(vox.catalog.record(vox.speak(text).id).timing or "")
    assert [text[start:end] for start, end, _, _ in timing] == said


def test_a_long_text_that_cannot_be_written_is_one_clear_error(vox: Ledger) -> None:
    vox.home.cache.rmdir()
    vox.home.cache.write_text("in the way")
    with pytest.raises(HomeError, match="could not be written"):
        vox.speak(CHAPTER + " " + CHAPTER)


@pytest.mark.parametrize("format", ["wav", "opus"])
def test_encoding_a_long_text_is_counted_apart(vox: Ledger, format: str) -> None:
    clip = vox.speak("The tide is turning, and the boats are going out. " * 25, format=format)
    assert clip.duration > 60
    record = vox.catalog.record(clip)
    assert record.encode_us > 0
    assert record.audio_us > 0


def test_what_killed_processes_left_is_cleared_away_a_day_later(vox: Ledger) -> None:
    vox.home.cache.mkdir(exist_ok=True)
    left = [vox.home.cache / name for name in (".00112233aabbccdd.part", ".ddccbbaa33221100.part", ".another.part")]
    for path, hours in zip(left, (25, 23, 25), strict=True):
        path.write_bytes(b"half")
        os.utime(path, (time.time() - hours * 3600,) * 2)
    vox.speak(CHAPTER + " " + CHAPTER)
    assert [path.exists() for path in left] == [False, True, True]


def test_a_long_clip_that_cannot_be_measured_leaves_no_file(vox: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(audio, "suspects", interrupted)
    with pytest.raises(KeyboardInterrupt):
        vox.speak(CHAPTER + " " + CHAPTER)
    assert not [path for path in vox.home.cache.rglob("*") if path.is_file()]


_KILLED = """
import sys; sys.path[:0] = [{root!r}]
import voxledger
with voxledger.open({home!r}, store_endpoint={nobody!r}, general_actor="ann", store_close_wait=0) as vox:
    print("open", flush=True)
    vox.speak(open({text!r}).read(), format="flac")
"""


def test_a_book_goes_on_after_sigkill(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text(" ".join(f"Sentence number {number} of a long book follows." for number in range(160)))
    home = tmp_path / "home"
    code = _KILLED.format(root=str(Path(__file__).parents[3]), home=str(home), nobody=NOBODY, text=str(book))
    run = forking.spawn(["-c", code], stdout=subprocess.PIPE, whole=True)
    deadline = time.monotonic() + 60
    while sum(len(files) for _, _, files in os.walk(home / "speech")) < 40:
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    with voxledger.open(home, store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as vox:
        clip = vox.speak(book.read_text(), format="flac")
        row = vox.catalog.sql("SELECT segments, segments_cached FROM clips").rows()
        assert vox.catalog.sql("SELECT count(*) AS n FROM generations").rows() == [{"n": 1}]
    assert clip.duration > 160
    assert row[0]["segments"] == 160
    assert row[0]["segments_cached"] >= 40
    assert not list((home / "cache").glob("**/*.part"))
