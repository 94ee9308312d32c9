"""The way of one clip: made once, recorded once, and nothing half done when it goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile

import voxledger
from tests import forking
from tests.building import NOBODY
from tests.synth.watched import Use, Watched
from voxledger.catalog import ClipNotFound, DiskFull, HomeError, StoreError
from voxledger.ledger import Ledger
from voxledger.synth import engines
from voxledger.synth.engines.base import EngineInfo, Segment, SynthesisRequest
from voxledger.synth.engines.espeak import EspeakEngine
from voxledger.synth.errors import (
    EngineFailed,
    GenerationTimeout,
    InvalidEmotion,
    InvalidRequest,
    InvalidText,
    NotSupported,
    SynthesisError,
    UnknownEngine,
    UnknownVoice,
    UnsupportedFormat,
    UnsupportedLanguage,
)


def _count(vox: Ledger, outcome: str | None = None) -> int:
    where = f"WHERE outcome = '{outcome}'" if outcome else ""
    return int(vox.catalog.sql(f"SELECT count(*) AS n FROM generations {where}").rows()[0]["n"])


def _files(vox: Ledger) -> list[Path]:
    return [path for path in vox.home.cache.rglob("*") if path.is_file()]


def test_a_clip_is_a_file_that_the_catalog_knows(vox: Ledger) -> None:
    clip = vox.speak("The tide is turning.", emotion={"happy": 0.8}, session="radio", name="tide", tags=["draft", "b"])
    assert clip.path is not None
    info = soundfile.info(str(clip.path))
    assert (info.samplerate, info.channels) == (22050, 1)
    assert clip.duration == pytest.approx(info.frames / info.samplerate, abs=1e-6)
    assert clip.sha256 == hashlib.sha256(clip.path.read_bytes()).hexdigest()
    assert clip.key == f"ann/radio/tide-{clip.id}.wav"
    found = vox.catalog.clip(clip.short)
    assert (found.id, found.sha256, found.path, found.tags, found.emotion) == (
        clip.id, clip.sha256, clip.path, ("b", "draft"), "happy",
    )  # fmt: skip
    row = vox.catalog.sql("SELECT * FROM generations").rows()[0]
    assert (row["outcome"], row["channel"], row["language"]) == ("completed", "python", "en")
    assert set(row["features"]) == {"emotion", "session", "name", "tags", "language_detected"}
    assert row["synthesis_us"] > 0


@pytest.mark.parametrize("name", ["wav", "flac", "opus", "mp3"])
def test_every_format_can_be_read_back(vox: Ledger, name: str) -> None:
    clip = vox.speak("The tide is turning.", format=name)
    info = soundfile.info(str(clip.path))
    assert info.frames / info.samplerate == pytest.approx(clip.duration, abs=0.08)
    assert info.samplerate == clip.sample_rate
    assert clip.path is not None
    assert clip.path.suffix == f".{name}"


def test_the_same_request_gives_the_same_clip_and_costs_nothing(vox: Ledger) -> None:
    first = vox.speak("Once only.", emotion="sad")
    again = vox.speak("Once only.", emotion="sad", session="elsewhere")
    assert again.id == first.id
    assert again.reused
    assert not first.reused
    assert len(_files(vox)) == 1
    row = vox.catalog.sql("SELECT * FROM generations WHERE outcome = 'reused'").rows()[0]
    assert row["saved_us"] > 0
    assert vox.catalog.clip(first.id).id == first.id


def test_new_tags_of_a_repeated_request_are_put_on_the_clip(vox: Ledger) -> None:
    first = vox.speak("Tag me.", tags=["a"], session="one")
    again = vox.speak("Tag me.", tags=["b"], session="two")
    assert (again.id, again.tags, again.session) == (first.id, ("a", "b"), "one")
    found = vox.catalog.clip(first.id)
    assert (found.tags, found.session) == (("a", "b"), "one")


def test_a_link_to_what_is_not_in_the_store_is_refused(vox: Ledger) -> None:
    clip = vox.speak("Nowhere yet.")
    with pytest.raises(StoreError, match="not in the store yet"):
        clip.url()
    assert vox.catalog.sql("FROM plays").rows() == []


@pytest.mark.parametrize(
    "change",
    [
        {"take": 2}, {"reuse": False}, {"actor": "bob"}, {"emotion": "happy"}, {"format": "flac"}, {"language": "en-GB"},
        {"voice": "f3"}, {"emotion_strength": 0.5}, {"text": "Once more."},
    ],
)  # fmt: skip
def test_whatever_decides_the_audio_or_the_actor_makes_another_clip(vox: Ledger, change: dict[str, Any]) -> None:
    request = {"text": "Once only.", "emotion": "sad"}
    first = vox.speak(**request)
    assert vox.speak(**{**request, **change}).id != first.id


def test_a_clip_whose_file_is_lost_before_its_upload_is_made_again(vox: Ledger) -> None:
    first = vox.speak("Lost and found.")
    assert first.path is not None
    first.path.unlink()
    again = vox.speak("Lost and found.")
    assert again.id != first.id
    assert again.sha256 == first.sha256


def test_without_reuse_an_engine_that_takes_a_seed_draws_another(vox: Ledger, use: Use) -> None:
    engine = use(Watched(determinism="seeded"))
    asked = ({}, {"take": 2}, {"reuse": False}, {"reuse": False}, {"reuse": False, "seed": 7})
    clips = [vox.speak("The tide is turning.", **options) for options in asked]  # type: ignore[arg-type]
    seeds = [request.seed for request in engine.requests]
    assert (seeds[0], seeds[1], seeds[4]) == (1, 2, 7)
    assert len(set(seeds)) == 5
    assert None not in seeds
    assert [vox.catalog.record(clip.id).seed for clip in clips] == seeds  # so that the record alone can repeat it


def test_a_seed_that_decides_nothing_stands_in_no_record_and_makes_no_other_clip(vox: Ledger, use: Use) -> None:
    engine = use(Watched())
    clip = vox.speak("The tide is turning.", seed=7)
    assert vox.speak("The tide is turning.", seed=8).id == clip.id
    assert vox.speak("The tide is turning.").id == clip.id
    assert [request.seed for request in engine.requests] == [None]
    assert vox.catalog.record(clip.id).seed is None


def test_a_seed_is_refused_where_no_engine_heeds_it_and_passed_on_where_one_does(vox: Ledger, use: Use) -> None:
    engine = use(Watched(determinism="none", hints={"seed": "name it elsewhere"}))
    with pytest.raises(NotSupported, match="a seed is not supported by the engine espeak: name it elsewhere"):
        vox.speak("The tide is turning.", seed=7)
    assert engine.asked == []
    assert _count(vox) == 0
    engine.describe = lambda: dataclasses.replace(Watched.describe(engine), takes_seed=True)  # type: ignore[method-assign]
    assert vox.catalog.record(vox.speak("The tide is turning.", seed=7).id).seed == 7
    assert [request.seed for request in engine.requests] == [7]


def test_two_threads_asking_at_once_synthesize_once(vox: Ledger) -> None:
    clips: list[Any] = []
    threads = [threading.Thread(target=lambda: clips.append(vox.speak("All at once."))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({clip.id for clip in clips}) == 1
    assert (_count(vox, "completed"), _count(vox, "reused")) == (1, 7)


def test_two_processes_on_one_home_both_speak_and_agree(vox: Ledger) -> None:
    code = (
        "import sys, voxledger\n"
        f"with voxledger.open({str(vox.home.path)!r}, store_endpoint={NOBODY!r}, general_actor='ann', store_close_wait=0) as vox:\n"
        "    vox.speak('Shared by both.')\n"
        "    for number in range(4): vox.speak(f'{sys.argv[1]} says {number}.')\n"
        "    vox.catalog.totals()\n"
    )
    processes = [forking.spawn(["-c", code, name], whole=True) for name in ("Left", "Right")]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert vox.catalog.totals()["clips"] == 9
    assert (_count(vox, "completed"), _count(vox, "reused")) == (9, 1)
    assert vox.catalog.sql("SELECT count(DISTINCT position) = max(position) AS whole FROM events").rows()[0]["whole"]


def test_a_claim_of_a_killed_process_does_not_block(vox: Ledger) -> None:
    code = (
        "import os, signal, voxledger\n"
        "from voxledger.synth.engines.espeak import EspeakEngine\n"
        "EspeakEngine.synthesize = lambda self, request: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"voxledger.open({str(vox.home.path)!r}, store_endpoint={NOBODY!r}, general_actor='ann').speak('Who will say it?')\n"
    )
    assert forking.run(["-c", code]).returncode == -9
    clip = vox.speak("Who will say it?")
    assert not clip.reused
    assert _count(vox) == 1


@pytest.fixture(scope="module")
def one_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A ledger for many tests one after another that leave nothing behind."""
    home = tmp_path_factory.mktemp("one") / "home"
    with voxledger.open(home, store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as ledger:
        yield ledger


@pytest.mark.parametrize(
    ("request_", "error", "message"),
    [
        ({"text": ""}, InvalidText, "empty"),
        ({"text": " \n\t "}, InvalidText, "empty"),
        ({"text": "… — !?"}, InvalidText, "nothing in this text can be spoken"),
        ({"text": "x" * 1_000_000}, InvalidText, "1,000,000 characters, more than synth.max_text"),
        ({"text": "bell\x07"}, InvalidText, r"U\+0007 at character 5"),
        ({"text": "lone \ud800"}, InvalidText, r"U\+D800"),
        ({"text": b"bytes"}, InvalidText, "must be a string"),
        ({"text": "not UTF-8: \udcff"}, InvalidText, "byte 0xFF at character 12"),
        ({"text": "[sad:0,6] I lost it."}, InvalidEmotion, "nearly a mark"),
        ({"emotion": {"sad": True}}, InvalidEmotion, "between 0 and 1, not True"),
        ({"emotion": {"sad": "0.5"}}, InvalidEmotion, "between 0 and 1, not '0.5'"),
        ({"emotion": "0,0,0.5"}, InvalidEmotion, "8 weights"),
        ({"emotion": "sad=0.5,sad=0.6"}, InvalidEmotion, "stands twice"),
        ({"emotion_strength": 0.4}, InvalidEmotion, "nothing to scale"),
        ({"marks": "no"}, InvalidRequest, "marks must be True or False"),
        ({"emotion": "hapy"}, InvalidEmotion, "did you mean 'happy'"),
        ({"emotion": {"sad": 1.5}}, InvalidEmotion, "between 0 and 1, not 1.5"),
        ({"emotion": {"sad": -0.1}}, InvalidEmotion, "between 0 and 1"),
        ({"emotion": {"sad": float("nan")}}, InvalidEmotion, "between 0 and 1, not nan"),
        ({"emotion": [0.1] * 7}, InvalidEmotion, "8 weights"),
        ({"emotion": "sad", "emotion_strength": 2}, InvalidEmotion, "strength"),
        ({"language": "klingon!"}, UnsupportedLanguage, "no language tag"),
        ({"language": "xx"}, UnsupportedLanguage, "no voice for the language"),
        ({"format": "aiff"}, UnsupportedFormat, "wav, flac, opus, mp3"),
        ({"voice": "f33"}, UnknownVoice, "f3"),
        ({"name": "../../etc/passwd"}, InvalidRequest, "climbs"),
        ({"name": "a\0b"}, InvalidRequest, "control character"),
        ({"session": "/abs"}, InvalidRequest, "climbs"),
        ({"actor": "\n"}, InvalidRequest, "empty"),
        ({"name": "n" * 300}, InvalidRequest, "300 characters"),
        ({"tags": ["ok", ""]}, InvalidRequest, "tag is empty"),
        ({"speed": 0}, InvalidRequest, "more than 0, not 0"),
        ({"sampling": {"speed": -1}}, InvalidRequest, "more than 0, not -1"),
        ({"speed": 1.2, "sampling": {"speed": 1.1}}, InvalidRequest, "given twice, as speed = 1.2 and in the sampling as 1.1"),
        ({"take": 0}, InvalidRequest, "take must be a whole number"),
        ({"seed": -1}, InvalidRequest, "seed must be a whole number"),
        ({"language": 5}, InvalidRequest, "language must be a string, not 5"),
        ({"format": None}, UnsupportedFormat, "format must be a string, not None"),
        ({"engine": 5}, InvalidRequest, "engine must be a string, not 5"),
        ({"preset": 5}, InvalidRequest, "preset must be a string, not 5"),
        ({"actor": 5}, InvalidRequest, "actor must be a string, not 5"),
        ({"session": 0}, InvalidRequest, "session must be a string, not 0"),
        ({"name": b"x"}, InvalidRequest, "name must be a string, not b'x'"),
        ({"voice": 5}, InvalidRequest, "voice must be a name or a path, not 5"),
        ({"emotion": 5}, InvalidEmotion, "not 5"),
        ({"emotion_reference": 5}, InvalidRequest, "emotion reference must be a name or a path"),
        ({"emotion_words": 5}, InvalidRequest, "emotion in words must be a string, not 5"),
        ({"tags": 5}, InvalidRequest, "tags must be a list of strings, not 5"),
        ({"tags": [5]}, InvalidRequest, "tag must be a string, not int"),
        ({"tags": {"a": 1}}, InvalidRequest, "tags must be a list"),
        ({"sampling": [1]}, InvalidRequest, r"sampling must be a mapping .* not \[1\]"),
        ({"sampling": {1: 1.0}}, InvalidRequest, "has a name, not 1"),
        ({"speed": "fast"}, InvalidRequest, "speed must be a number, not 'fast'"),
        ({"seed": "7"}, InvalidRequest, "seed must be a whole number"),
        ({"take": 1.5}, InvalidRequest, "take must be a whole number"),
        ({"reuse": "maybe"}, InvalidRequest, "reuse must be True or False"),
        ({"channel": "fax"}, InvalidRequest, "channel must be one of python, cli"),
        ({"engine": "nobody"}, UnknownEngine, "known are espeak"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_error_and_makes_nothing(
    one_for_all: Ledger, request_: dict[str, Any], error: type[SynthesisError], message: str
) -> None:
    vox = one_for_all
    before = _files(vox), vox.catalog.totals()["clips"]
    with pytest.raises(error, match=message) as caught:
        vox.speak(**{"text": "The tide is turning.", **request_})
    assert "\n" not in str(caught.value)
    assert (_files(vox), vox.catalog.totals()["clips"]) == before
    assert vox.speak("Still here.").duration > 0


@pytest.mark.parametrize("options", [{"language": 5}, {"tags": 5}, {"engine": 5}, {"sampling": [1]}, {"reuse": 1}])
def test_every_door_of_the_studio_refuses_wrong_types_alike(vox: Ledger, options: dict[str, Any]) -> None:
    async def awaited() -> None:
        with pytest.raises(InvalidRequest):
            await vox.studio.aspeak("Hello.", **options)
        with pytest.raises(InvalidRequest):
            async for _ in vox.studio.astream("Hello.", **options):
                pass

    with pytest.raises(InvalidRequest):
        vox.studio.stream("Hello.", **options)
    asyncio.run(awaited())
    assert vox.catalog.sql("FROM generations").rows() == []


def test_a_clip_stands_for_its_id_wherever_one_is_named(vox: Ledger) -> None:
    clip = vox.speak("The tide is turning.")
    assert vox.studio.rerender(clip).equal
    assert "The tide is turning." in vox.studio.subtitles(clip)
    assert vox.catalog.record(clip).sha256 == clip.sha256
    assert vox.catalog.tag(clip, "a").tags == ("a",)
    assert vox.catalog.untag(clip, "a").tags == ()
    assert vox.catalog.pin(clip).pinned
    assert not vox.catalog.unpin(clip).pinned
    assert vox.catalog.clip(clip).id == clip.id
    assert len(vox.catalog.history(clip)) == 5
    assert vox.retention.explain(clip) == vox.retention.explain(clip.short.upper())
    doors: list[Any] = [
        vox.studio.rerender, vox.studio.subtitles, vox.catalog.clip, vox.catalog.record, vox.catalog.history, vox.catalog.pin,
        vox.catalog.fetch, vox.catalog.url, vox.retention.explain,
    ]  # fmt: skip
    for door in doors:
        with pytest.raises(ClipNotFound, match="named by its id, or by a Clip, not by 5"):
            door(5)


def test_less_free_disk_than_wanted_is_refused_before_synthesis(tmp_path: Path) -> None:
    with voxledger.open(tmp_path, store_endpoint=NOBODY, general_min_free_disk="1000TB") as vox:
        with pytest.raises(DiskFull, match="Nothing was generated"):
            vox.speak("No room.")
        assert _files(vox) == []
        failed = vox.catalog.sql("SELECT failure, stage, remedy FROM generations").rows()
        assert [(row["failure"], row["stage"]) for row in failed] == [("disk_full", "storage")]
        assert "Free some space" in failed[0]["remedy"]


def test_a_full_disk_while_writing_leaves_nothing_and_recovers(vox: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxledger.catalog import platform

    def full(path: Path, content: bytes, *, mode: int = 0o644) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(platform, "write_atomic", full)
        with pytest.raises(DiskFull, match="disk is full"):
            vox.speak("Almost.")
    assert _files(vox) == []
    assert _count(vox, "failed") == 1
    assert not vox.speak("Almost.").reused


def test_a_cache_that_cannot_be_written_is_named(vox: Ledger) -> None:
    vox.home.cache.rmdir()
    vox.home.cache.write_text("in the way")
    with pytest.raises(HomeError, match="could not be written"):
        vox.speak("Nowhere to go.")


class _Faulty:
    """An engine whose behaviour a test decides."""

    def __init__(self, behave: Any) -> None:
        self._behave = behave
        self._inner = EspeakEngine()

    def describe(self) -> EngineInfo:
        return self._inner.describe()

    def effective(self, emotion: Any) -> Any:
        return self._inner.effective(emotion)

    def synthesize(self, request: SynthesisRequest) -> Iterator[Segment]:
        yield from self._behave(self._inner.synthesize(request))

    def close(self) -> None:
        self._inner.close()


def test_an_engine_that_breaks_is_recorded_and_the_next_request_is_made(
    vox: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = threading.Event()

    def breaks(segments: Iterator[Segment]) -> Iterator[Segment]:
        yield next(segments)
        if not whole.is_set():
            raise RuntimeError("the model fell over")
        yield from segments

    monkeypatch.setattr(engines, "load", lambda name, settings: _Faulty(breaks))
    with pytest.raises(EngineFailed, match="RuntimeError: the model fell over"):
        vox.speak("One. Two.")
    whole.set()
    assert vox.catalog.sql("SELECT failure, stage FROM generations").rows() == [
        {"failure": "engine_failed", "stage": "engine"}
    ]
    assert vox.speak("One. Two.").duration > 0


def test_an_engine_that_breaks_before_it_begins_is_told_in_our_words(
    vox: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing(_Faulty):
        def synthesize(self, request: SynthesisRequest) -> Iterator[Segment]:
            raise OSError("no such device")

    monkeypatch.setattr(engines, "load", lambda name, settings: Refusing(None))
    with pytest.raises(EngineFailed, match="OSError: no such device"):
        vox.speak("One. Two.")
    assert vox.catalog.sql("SELECT failure, stage FROM generations").rows() == [
        {"failure": "engine_failed", "stage": "engine"}
    ]


def test_an_engine_that_changes_its_sample_rate_is_refused(vox: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def changes(segments: Iterator[Segment]) -> Iterator[Segment]:
        yield next(segments)
        yield dataclasses.replace(next(segments), sample_rate=44100)

    monkeypatch.setattr(engines, "load", lambda name, settings: _Faulty(changes))
    with pytest.raises(EngineFailed, match="from 22050 to 44100 Hz"):
        vox.speak("One. Two.")
    assert _files(vox) == []


def test_a_caller_who_goes_away_is_recorded_as_cancelled(vox: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(segments: Iterator[Segment]) -> Iterator[Segment]:
        yield next(segments)
        raise KeyboardInterrupt

    monkeypatch.setattr(engines, "load", lambda name, settings: _Faulty(interrupted))
    with pytest.raises(KeyboardInterrupt):
        vox.speak("One. Two.")
    assert _count(vox, "cancelled") == 1
    assert _files(vox) == []


def test_an_interrupt_right_after_the_commit_keeps_the_clip(vox: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    real = vox.journal.transaction

    @contextlib.contextmanager
    def interrupted() -> Iterator[Any]:
        before = vox.journal.head()
        with real() as write:
            yield write
        if vox.journal.head() > before:
            monkeypatch.undo()
            raise KeyboardInterrupt

    monkeypatch.setattr(vox.journal, "transaction", interrupted)
    with pytest.raises(KeyboardInterrupt):
        vox.speak("Just in time.")
    assert len(_files(vox)) == 1
    assert (_count(vox), _count(vox, "completed")) == (1, 1)
    assert vox.speak("Just in time.").reused


def test_waiting_for_another_caller_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(segments: Iterator[Segment]) -> Iterator[Segment]:
        started.set()
        go_on.wait(30)
        yield from segments

    monkeypatch.setattr(engines, "load", lambda name, settings: _Faulty(slow))
    with voxledger.open(tmp_path, store_endpoint=NOBODY, synth_wait=0.1, store_close_wait=0) as vox:
        first = threading.Thread(target=vox.speak, args=("Patience.",))
        first.start()
        started.wait(30)
        with pytest.raises(GenerationTimeout, match="another caller has been making this clip"):
            vox.speak("Patience.")
        go_on.set()
        first.join()
        assert vox.speak("Patience.").reused
        failed = vox.catalog.sql("SELECT failure, stage FROM generations WHERE outcome = 'failed'").rows()
        assert failed == [{"failure": "timeout", "stage": "queue"}]


def test_text_is_not_stored_when_it_must_not_be(tmp_path: Path) -> None:
    with voxledger.open(tmp_path, store_endpoint=NOBODY, general_store_text=False, store_close_wait=0) as vox:
        clip = vox.speak("Nobody may read this sentence.")
        assert clip.text is None
        vox.catalog.totals()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"Nobody may read this" not in path.read_bytes(), path


def test_the_journal_and_the_log_hold_no_personal_words(tmp_path: Path) -> None:
    with voxledger.open(tmp_path, store_endpoint=NOBODY, general_actor="canary-actor", store_close_wait=0) as vox:
        vox.speak("Canary in the text.", session="canary-session", name="canary-name", tags=["canary-tag"])
        vox.keeper.drain()
    for name in ("journal.sqlite", "journal.sqlite-wal", "log.duckdb"):
        if (tmp_path / name).exists():
            assert b"anary" not in (tmp_path / name).read_bytes(), name
