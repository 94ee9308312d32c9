"""A clip is heard from its first segment on, recorded once, and breaking off is recorded with what was delivered."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import voxledger
from tests.building import NOBODY
from tests.synth.watched import Use, Watched
from voxledger.ledger import Ledger
from voxledger.synth import EngineFailed, Stopped, SynthesisError, audio
from voxledger.synth.engines.base import SynthesisRequest
from voxledger.synth.studio import attempt, streaming
from voxledger.synth.studio.filing import record

TEXT = "The tide is turning. Two boats come home before the storm. The third one stays out."


def assert_called_off(vox: Ledger) -> None:
    """Waits until what is being made is called off."""
    assert all(attempt.stop.wait(20) for attempt in list(vox.studio._making))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def outcomes(vox: Ledger) -> list[tuple[str, bool, int]]:
    rows = vox.catalog.sql("SELECT outcome, streamed, delivered_us FROM generations ORDER BY position").rows()
    return [(row["outcome"], row["streamed"], row["delivered_us"]) for row in rows]


def test_the_first_chunk_is_there_while_the_engine_still_speaks(vox: Ledger, use: Use) -> None:
    go_on = threading.Event()

    def hold(number: int, request: SynthesisRequest) -> None:
        assert number == 0 or go_on.wait(20)

    use(Watched(hold))
    with vox.studio.stream(TEXT) as stream:
        first = next(stream)
        assert first.samples.dtype == np.float32
        assert first.text == "The tide is turning."
        assert outcomes(vox) == []
        go_on.set()
        rest = list(stream)
    assert [chunk.text for chunk in (first, *rest) if chunk.text][1:] == [
        "Two boats come home before the storm.",
        "The third one stays out.",
    ]
    starts = [chunk.start for chunk in (first, *rest)]
    assert starts == sorted(starts)
    assert outcomes(vox) == [("completed", True, None)]
    assert vox.catalog.clip(stream.clip.id).sha256 == stream.clip.sha256


def test_what_is_recorded_is_what_speak_makes(vox: Ledger) -> None:
    with vox.studio.stream(TEXT) as stream:
        heard = np.concatenate([chunk.samples for chunk in stream])
    spoken = vox.speak(TEXT, reuse=False)
    assert stream.clip.sha256 == spoken.sha256
    assert len(heard) / stream.clip.sample_rate == pytest.approx(spoken.duration, abs=0.5)
    assert np.abs(heard).max() <= 1
    assert np.abs(heard).max() > 0.05


def test_a_clip_that_is_there_comes_from_its_file(vox: Ledger, fresh: Ledger, use: Use) -> None:
    clip = vox.speak(TEXT)
    engine = use(Watched())
    with fresh.studio.stream(TEXT) as stream:
        assert stream.clip.id == clip.id
        heard = np.concatenate([chunk.samples for chunk in stream])
    np.testing.assert_array_equal(heard, soundfile.read(str(clip.path), dtype="float32")[0])
    assert engine.asked == []
    assert [outcome for outcome, *_ in outcomes(vox)] == ["completed", "reused"]


@pytest.mark.parametrize("format", ["wav", "mp3", "pcm"])
def test_a_clip_that_is_there_says_its_sentences_where_they_begin(vox: Ledger, format: str) -> None:
    marked = f"[sad] {TEXT}\n[happy] There it is!"
    with vox.studio.stream(marked, format=format) as stream:
        spoken = [chunk.text for chunk in stream if chunk.text]
    with vox.studio.stream(marked, format=format) as stream:
        chunks = list(stream)
    said = [chunk for chunk in chunks if chunk.text]
    assert [chunk.text for chunk in said] == spoken
    cues = vox.studio.subtitles(stream.clip)
    assert all(f"00:00:{chunk.start:06.3f}".replace(".", ",") in cues for chunk in said)
    assert [chunk.start for chunk in chunks] == sorted(chunk.start for chunk in chunks)
    assert max(chunk.duration for chunk in chunks) <= 0.5


def test_where_texts_are_not_kept_a_clip_that_is_there_says_nothing(tmp_path: Path) -> None:
    with voxledger.open(tmp_path / "home", store_endpoint=NOBODY, store_close_wait=0, general_store_text=False) as vox:
        vox.speak(TEXT)
        with vox.studio.stream(TEXT) as stream:
            assert {chunk.text for chunk in stream} == {""}


def test_breaking_off_stops_the_engine_and_is_recorded_with_what_was_heard(vox: Ledger, use: Use) -> None:
    def hold(number: int, request: SynthesisRequest) -> None:
        if number and not engine.closed.is_set():
            assert_called_off(vox)

    engine = use(Watched(hold))
    stream = vox.studio.stream("word. " * 60)
    first = next(stream)
    with pytest.raises(SynthesisError, match="last chunk") as caught:
        stream.clip  # noqa: B018  # asking is the test
    assert caught.value.remedy == "Take the stream's chunks to their end first."
    stream.close()
    assert engine.closed.wait(10)
    ((outcome, streamed, delivered),) = outcomes(vox)
    assert (outcome, streamed) == ("cancelled", None)
    assert delivered == pytest.approx(first.duration * 1e6, abs=1)
    with pytest.raises(Stopped, match="closed before its last chunk") as ended:
        stream.clip  # noqa: B018  # asking is the test
    assert ended.value.remedy == "Ask for it again."
    assert not [path for path in vox.home.cache.rglob("*") if path.is_file()]
    assert vox.speak("word. " * 60).duration > 0  # nobody waits for the one that left


def test_a_failure_comes_at_the_chunk_where_it_happens(vox: Ledger, use: Use) -> None:
    def fail(number: int, request: SynthesisRequest) -> None:
        if number == 1:
            raise RuntimeError("out of luck")

    use(Watched(fail))
    with vox.studio.stream(TEXT) as stream:
        assert next(stream).text == "The tide is turning."
        with pytest.raises(EngineFailed, match="out of luck"):
            list(stream)
    ((outcome, _, delivered),) = outcomes(vox)
    assert outcome == "failed"
    assert delivered > 0
    assert vox.catalog.sql("SELECT remedy FROM generations").rows()[0]["remedy"]


def test_clips_are_awaited(vox: Ledger) -> None:
    async def many() -> list[str]:
        clips = await asyncio.gather(*(vox.studio.aspeak(f"Line number {number % 5}.") for number in range(20)))
        return [clip.id for clip in clips]

    assert len(set(asyncio.run(many()))) == 5


def test_a_cancelled_task_stops_the_engine_and_is_recorded(vox: Ledger, use: Use) -> None:
    speaking, go_on = threading.Event(), threading.Event()

    def hold(number: int, request: SynthesisRequest) -> None:
        speaking.set()
        assert go_on.wait(20)

    engine = use(Watched(hold))

    async def give_up() -> None:
        task = asyncio.create_task(vox.studio.aspeak(TEXT))
        await asyncio.to_thread(speaking.wait, 20)
        task.cancel()
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(give_up())
    assert [outcome for outcome, *_ in outcomes(vox)] == ["cancelled"]
    assert engine.closed.is_set()


def test_chunks_are_awaited(vox: Ledger) -> None:
    async def listen() -> list[str]:
        return [chunk.text async for chunk in vox.studio.astream(TEXT) if chunk.text]

    assert len(asyncio.run(listen())) == 3
    assert [outcome for outcome, *_ in outcomes(vox)] == ["completed"]


def test_leaving_an_asynchronous_stream_breaks_off(vox: Ledger) -> None:
    async def leave() -> None:
        chunks = vox.studio.astream("word. " * 200)
        async for _ in chunks:
            break
        await chunks.aclose()

    asyncio.run(leave())
    assert [outcome for outcome, *_ in outcomes(vox)] == ["cancelled"]


def test_closing_a_ledger_calls_off_what_is_being_made_and_records_it(tmp_path: Path, use: Use) -> None:
    speaking = threading.Event()
    ends: list[BaseException] = []

    def slowly(number: int, request: SynthesisRequest) -> None:
        speaking.set()
        if number:
            assert not vox.studio._making or next(iter(vox.studio._making)).stop.wait(20)

    use(Watched(slowly))
    vox = voxledger.open(tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0)

    def speak() -> None:
        try:
            vox.speak(TEXT)
        except Stopped as error:
            ends.append(error)

    caller = threading.Thread(target=speak)
    caller.start()
    assert speaking.wait(20)
    vox.close()
    caller.join(20)
    assert len(ends) == 1
    assert "called off" in str(ends[0])
    with voxledger.open(tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as again:
        assert [outcome for outcome, *_ in outcomes(again)] == ["cancelled"]
        assert again.speak(TEXT).duration > 0  # nobody waits for the one that was called off


def test_a_stream_that_nobody_closes_holds_up_no_closing(tmp_path: Path) -> None:
    vox = voxledger.open(tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0)
    stream = vox.studio.stream(" ".join(f"Sentence number {number} follows." for number in range(300)))
    next(stream)
    begun = time.monotonic()
    vox.close()
    assert time.monotonic() - begun < 9
    with pytest.raises(Stopped):
        list(stream)


def test_nothing_more_is_heard_after_closing(vox: Ledger) -> None:
    stream = vox.studio.stream("word. " * 200)
    next(stream)
    stream.close()
    assert list(stream) == []
    clip = vox.speak(TEXT)
    again = vox.studio.stream(TEXT)
    next(again)
    again.close()
    assert list(again) == []
    assert again.clip.id == clip.id


def test_a_listener_who_waits_is_let_go_when_another_thread_closes(vox: Ledger, use: Use) -> None:
    waiting = threading.Event()

    def hold(number: int, request: SynthesisRequest) -> None:
        if number:
            waiting.set()
            assert_called_off(vox)

    use(Watched(hold))
    stream = vox.studio.stream(TEXT)
    heard: list[str] = []

    def listen() -> None:
        for chunk in stream:
            heard.append(chunk.text)

    listener = threading.Thread(target=listen)
    listener.start()
    assert waiting.wait(20)
    until(lambda: bool(heard))
    stream.close()
    listener.join(20)
    assert not listener.is_alive()
    assert heard == ["The tide is turning."]
    assert [outcome for outcome, *_ in outcomes(vox)] == ["cancelled"]


def test_a_clip_from_its_file_is_closed_by_another_thread_while_it_is_read(
    vox: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = vox.speak(TEXT)
    opened, reads, go_on = [], threading.Event(), threading.Event()

    def held(*arguments: Any, **options: Any) -> soundfile.SoundFile:
        opened.append(reading(*arguments, **options))
        reads.set()
        assert go_on.wait(20)
        return opened[-1]

    reading = audio.reading
    monkeypatch.setattr(audio, "reading", held)
    stream = vox.studio.stream(TEXT)
    heard: list[str] = []
    listener = threading.Thread(target=lambda: heard.extend(chunk.text for chunk in stream))
    listener.start()
    assert reads.wait(20)
    stream.close()
    go_on.set()
    listener.join(20)
    assert (heard, list(stream), stream.clip.id) == ([], [], clip.id)
    assert opened[0].closed
    again = vox.studio.stream(TEXT)
    next(again)
    again.close()
    assert opened[1].closed


def test_a_listener_who_comes_back_too_late_is_told(vox: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_STALLED", 0.05)
    monkeypatch.setattr(streaming, "_AHEAD", 3)
    with vox.studio.stream(" ".join(f"Sentence number {number} follows." for number in range(40))) as stream:
        until(lambda: not vox.studio._making)
        assert next(stream).text == "Sentence number 0 follows."
        with pytest.raises(Stopped, match="nobody listened"):
            list(stream)
    assert [outcome for outcome, *_ in outcomes(vox)] == ["cancelled"]


def test_a_short_text_keeps_its_turn_for_no_slow_listener(vox: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_AHEAD", 1)
    with vox.studio.stream("One. Two. Three. Four. Five.") as stream:
        until(lambda: not vox.studio._making)
        assert outcomes(vox) == [("completed", True, None)]
        assert [chunk.text for chunk in stream if chunk.text] == ["One.", "Two.", "Three.", "Four.", "Five."]


def test_a_stream_that_cannot_begin_leaves_no_claim(vox: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(streaming.threading.Thread, "start", full)
        with pytest.raises(RuntimeError):
            vox.studio.stream(TEXT)
    begun = time.monotonic()
    assert vox.speak(TEXT).duration > 0
    assert time.monotonic() - begun < 20


def test_closing_before_a_streams_thread_runs_calls_it_off_and_leaves_no_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def late(*arguments: Any) -> None:
        assert go_on.wait(20)
        runs(*arguments)

    runs = streaming._Making._run
    monkeypatch.setattr(streaming._Making, "_run", late)
    vox = voxledger.open(tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0)
    stream = vox.studio.stream(TEXT)
    closer = threading.Thread(target=vox.close)
    closer.start()
    until(lambda: vox.studio._closed)
    go_on.set()
    closer.join(20)
    with pytest.raises(Stopped):
        list(stream)
    with voxledger.open(
        tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0, synth_wait=1
    ) as again:
        assert [outcome for outcome, *_ in outcomes(again)] == ["cancelled"]
        assert again.speak(TEXT).duration > 0


def test_a_cancelled_listener_leaves_the_queue(vox: Ledger, use: Use) -> None:
    speaking, go_on = threading.Event(), threading.Event()

    def hold(number: int, request: SynthesisRequest) -> None:
        speaking.set()
        assert go_on.wait(60)

    use(Watched(hold, concurrency=1))
    other = threading.Thread(target=vox.speak, args=("Somebody else speaks.",))
    other.start()
    assert speaking.wait(20)

    async def give_up() -> None:
        async def listen() -> None:
            async for _ in vox.studio.astream(TEXT):
                pass

        task = asyncio.create_task(listen())
        await asyncio.to_thread(until, lambda: vox.studio.waiting() > 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 20)

    asyncio.run(give_up())
    assert not go_on.is_set()
    go_on.set()
    other.join(20)
    assert sorted(outcome for outcome, *_ in outcomes(vox)) == ["cancelled", "completed"]


def test_a_cancelled_task_does_not_wait_for_another_who_makes_its_clip(vox: Ledger, use: Use) -> None:
    speaking, go_on = threading.Event(), threading.Event()

    def hold(number: int, request: SynthesisRequest) -> None:
        speaking.set()
        assert go_on.wait(60)

    use(Watched(hold))
    other = threading.Thread(target=vox.speak, args=(TEXT,))
    other.start()
    assert speaking.wait(20)

    async def give_up() -> None:
        task = asyncio.create_task(vox.studio.aspeak(TEXT))
        await asyncio.to_thread(until, lambda: len(vox.studio._making) > 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 20)

    asyncio.run(give_up())
    go_on.set()
    other.join(20)
    assert sorted(outcome for outcome, *_ in outcomes(vox)) == ["cancelled", "completed"]


def test_a_closed_studio_makes_nothing(tmp_path: Path) -> None:
    with voxledger.open(tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as vox:
        studio = vox.studio
    with pytest.raises(Stopped, match=r"voxledger\.open"):
        studio.speak(TEXT)


def test_closing_waits_for_a_clip_that_is_just_being_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vox = voxledger.open(tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0)
    recording = threading.Event()

    def slowly(*arguments: Any, **options: Any) -> None:
        recording.set()
        assert next(iter(vox.studio._making)).stop.wait(20)
        record(*arguments, **options)

    monkeypatch.setattr(attempt, "record", slowly)
    caller = threading.Thread(target=vox.speak, args=(TEXT,))
    caller.start()
    assert recording.wait(20)
    begun = time.monotonic()
    vox.close()
    assert time.monotonic() - begun < 5
    caller.join(20)
    with voxledger.open(tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as again:
        assert [outcome for outcome, *_ in outcomes(again)] == ["completed"]
