"""Attempts that fail: each is recorded with its class, the stage it had come to, and what to do about it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import voxledger
from tests.building import NOBODY
from tests.speech_server import Fault, SpeechServer
from tests.synth.engines.conftest import needs_package
from tests.synth.watched import Use, Watched
from voxledger.ledger import Ledger
from voxledger.synth import (
    AudioFailed,
    EngineFailed,
    EngineUnavailable,
    InvalidRequest,
    StudioBusy,
    SynthesisError,
    UnknownEngine,
    UnknownVoice,
    VoiceMissing,
)
from voxledger.synth.engines import EngineInfo, Segment, SynthesisRequest, indextts_model

Open = Callable[..., Ledger]
_RATE = 22_050
_TONE = (0.3 * np.sin(np.arange(_RATE) / 10)).astype(np.float32)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens a HOME with these settings, and closes it."""
    made: list[Ledger] = []

    def opened(**settings: Any) -> Ledger:
        made.append(
            voxledger.open(
                tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0, **settings
            )
        )
        return made[-1]

    yield opened
    for ledger in made:
        ledger.close()


def failures(vox: Ledger) -> list[tuple[str, str, str]]:
    """Engine, class and stage of each failure, oldest first; every one has a remedy."""
    rows = vox.catalog.sql("SELECT * FROM generations WHERE outcome = 'failed' ORDER BY time").rows()
    assert all(row["remedy"] and row["text_length"] for row in rows)
    assert all(row["actor"] == "ann" for row in rows)
    return [(row["engine"], row["failure"], row["stage"]) for row in rows]


class Odd(Watched):
    """An engine that gives what a test wants."""

    def __init__(self, give: Callable[[], Any], **info: Any) -> None:
        super().__init__(**info)
        self._give = give

    def synthesize(self, request: SynthesisRequest) -> Any:
        return self._give()


def segment(samples: Any = _TONE, sample_rate: Any = _RATE, text: str = "Hello.") -> Segment:
    return Segment(samples=samples, sample_rate=sample_rate, text=text, start=0.0)


# An engine that cannot start, or cannot say what it is


@pytest.mark.parametrize(
    ("settings", "message", "stage"),
    [
        ({"synth_engine": "remote"}, "remote.url is empty", "load"),
        ({"synth_engine": "remote", "remote_url": "http://h/v1", "remote_key_variable": "NO_SUCH_KEY"}, "NO_SUCH_KEY", "load"),
        ({"synth_engine": "indextts", "indextts_python": "/nowhere/python"}, "no Python that can be run", "load"),
        ({"synth_engine": "indextts", "indextts_model": "indextts@9"}, "cannot be had", "load"),
    ],
)  # fmt: skip
def test_an_engine_that_cannot_start_is_recorded(
    opened: Open, settings: dict[str, Any], message: str, stage: str
) -> None:
    vox = opened(**settings)
    with pytest.raises(EngineUnavailable, match=message):
        vox.speak("Hello there.", language="en", emotion={"sad": 1.0})
    with pytest.raises(EngineUnavailable, match=message):
        vox.studio.stream("Hello there.")
    assert failures(vox) == [(settings["synth_engine"], "engine_unavailable", stage)] * 2
    row = vox.catalog.sql("SELECT channel, language, emotion, text_length FROM generations ORDER BY time").rows()[0]
    assert row == {"channel": "python", "language": "en", "emotion": "sad", "text_length": 12}


@needs_package
def test_a_checkpoint_that_lacks_a_file_is_recorded(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.yaml").write_text("x: 1\n")
    vox = opened(synth_engine="indextts", indextts_model_dir=str(tmp_path / "checkpoint"))
    with pytest.raises(EngineUnavailable, match=r"lacks .*gpt\.pth"):
        vox.speak("Hello there.", voice="ann")
    assert failures(vox) == [("indextts", "engine_unavailable", "load")]


def test_an_engine_that_stops_to_be_describable_is_recorded(vox: Ledger, use: Use) -> None:
    engine = use(Watched())
    vox.speak("Hello.")
    engine.describe = lambda: None  # type: ignore[method-assign,return-value,assignment]
    with pytest.raises(EngineUnavailable, match="its description is no EngineInfo, but NoneType"):
        vox.speak("Hello again.")
    assert failures(vox) == [("espeak", "engine_unavailable", "load")]


def test_an_interrupt_while_an_engine_is_loaded_is_recorded_as_cancelled(
    vox: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(name: str, settings: object) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("voxledger.synth.engines.load", interrupted)
    with pytest.raises(KeyboardInterrupt):
        vox.speak("Hello.")
    assert vox.catalog.sql("SELECT outcome, engine FROM generations").rows() == [
        {"outcome": "cancelled", "engine": "espeak"}
    ]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"engine": "nobody"}, UnknownEngine),
        ({"emotion_words": "in tears"}, InvalidRequest),
        ({"emotion_reference": "nobody"}, InvalidRequest),
    ],
)
def test_what_is_refused_before_an_engine_is_asked_is_no_attempt(
    vox: Ledger, options: dict[str, Any], error: type[SynthesisError]
) -> None:
    with pytest.raises(error):
        vox.speak("Hello.", **options)
    assert vox.catalog.sql("FROM generations").rows() == []


# Stages


def test_a_voice_that_the_engine_refuses_and_a_recording_that_is_gone(
    vox: Ledger, fresh: Ledger, use: Use, speech: Path
) -> None:
    with pytest.raises(UnknownVoice):
        vox.speak("Hello.", voice="nobody")
    voice = vox.voices.add("ann", speech, own=True)
    assert voice.path is not None
    voice.path.chmod(0o600)
    voice.path.unlink()
    use(Watched(reference_voices=True))
    with pytest.raises(VoiceMissing):
        fresh.speak("Hello.", voice="ann")
    assert failures(vox) == [("espeak", "unknown_voice", "request"), ("espeak", "voice_missing", "voice")]


def test_no_turn_in_time_is_a_failure_of_the_queue(opened: Open, use: Use) -> None:
    vox = opened(synth_queue_wait=0.05)
    use(Watched(before=lambda number, request: _refused(vox), concurrency=1))
    vox.speak("The first.")
    assert failures(vox) == [("espeak", "busy", "queue")]


def _refused(vox: Ledger) -> None:
    with pytest.raises(StudioBusy):
        vox.speak("The second.")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(_RATE, dtype=np.float32), "silence"),
        (np.full(_RATE, np.nan, dtype=np.float32), "not numbers"),
    ],
)
def test_sound_that_is_none_is_a_failure_of_the_audio(vox: Ledger, use: Use, samples: Any, message: str) -> None:
    use(Odd(lambda: iter([segment(samples)])))
    with pytest.raises(AudioFailed, match=message):
        vox.speak("Hello.")
    assert failures(vox) == [("espeak", "audio_failed", "audio")]


def test_an_exception_in_the_audio_chain_is_one_of_the_audio(vox: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def falls_over(*_: Any, **__: Any) -> Any:
        raise ArithmeticError("a bug")

    monkeypatch.setattr("voxledger.synth.audio.process", falls_over)
    with pytest.raises(ArithmeticError):
        vox.speak("Hello.")
    assert failures(vox) == [("espeak", "arithmetic_error", "audio")]


def test_memory_that_runs_out_in_the_engine_is_a_failure_of_the_engine(vox: Ledger, use: Use) -> None:
    def give() -> Iterator[Segment]:
        raise MemoryError
        yield

    use(Odd(give))
    with pytest.raises(MemoryError):
        vox.speak("Hello.")
    assert failures(vox) == [("espeak", "memory_error", "engine")]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SpeechServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with SpeechServer() as running:
        yield running


@pytest.mark.parametrize(
    ("fault", "failure", "stage"),
    [
        (Fault(status=401), "engine_unavailable", "answer"),
        (Fault(status=404), "engine_unavailable", "answer"),
        (Fault(status=429, body=b'{"error": {"code": "insufficient_quota"}}'), "engine_unavailable", "answer"),
        (Fault(status=400), "invalid_request", "answer"),
        (Fault(status=503), "engine_failed", "busy"),
        (Fault(silent=True), "engine_failed", "answer"),
        (Fault(cut=3000), "engine_failed", "audio"),
    ],
)
def test_what_a_server_answers_has_its_stage(
    opened: Open, server: SpeechServer, fault: Fault, failure: str, stage: str
) -> None:
    vox = opened(
        synth_engine="remote", remote_url=server.url, remote_model="tts-1", remote_voice="alloy", remote_retries=0
    )
    server.faults += [fault] * 9
    with pytest.raises(SynthesisError):
        vox.speak("Hello.")
    assert failures(vox) == [("remote", failure, stage)]


def test_a_server_that_nobody_runs_is_a_failure_to_connect(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    vox = opened(synth_engine="remote", remote_url="http://127.0.0.1:9/v1", remote_voice="alloy", remote_retries=0)
    with pytest.raises(EngineUnavailable, match="nobody answers"):
        vox.speak("Hello.")
    assert failures(vox) == [("remote", "engine_unavailable", "connect")]


def test_a_busy_server_is_asked_no_sooner_and_no_oftener_than_it_says(opened: Open, server: SpeechServer) -> None:
    vox = opened(
        synth_engine="remote", remote_url=server.url, remote_model="tts-1", remote_voice="alloy", remote_retries=2,
        synth_retries=3,
    )  # fmt: skip
    server.faults += [Fault(status=503, headers={"Retry-After": "99999"})] * 9
    with pytest.raises(EngineFailed, match="too busy"):
        vox.speak("Hello.")
    assert len(server.requests) == 1
    server.faults.clear()
    server.faults += [Fault(status=503, headers={"Retry-After": "0"})] * 9
    with pytest.raises(EngineFailed, match="too busy"):
        vox.speak("Hello.")
    assert len(server.requests) == 1 + 3


# Workers that crash


FRAIL = '''
"""Stands for the model: it hums, and its device is lost when it speaks for the first time and a file says so."""
from pathlib import Path
import numpy as np

class Lost(Exception):
    kind, fatal = "device", True

def versions():
    return {"package": "1"}

def load(options):
    return Model()

class Model:
    def speak(self, asked, part):
        lost = Path(__file__).with_name("lost")
        if lost.exists():
            lost.unlink()
            raise Lost("the device failed")
        return (0.3 * np.sin(np.arange(22_050) / 10)).astype("f4"), 22_050
'''


@pytest.fixture
def frail(opened: Open, tmp_path: Path, speech: Path) -> Callable[[str], Ledger]:
    """Opens a HOME whose engine is indextts with a Python that runs this shell line in place of each worker."""

    def frail(line: str) -> Ledger:
        checkpoint, python = tmp_path / "checkpoint", tmp_path / "python"
        for name in (*indextts_model._NEEDED, *indextts_model._NAMED.values()):
            (checkpoint / name).parent.mkdir(parents=True, exist_ok=True)
            (checkpoint / name).write_text("x: 1\n")
        (tmp_path / "frail.py").write_text(FRAIL)
        found = '{"package": "0.2.0", "torch": "2.0+cpu", "japanese": false, "flash": false}'
        python.write_text(
            f"#!/bin/sh\n[ $# = 1 ] && {{ echo '{found}'; exit 0; }}\necho >> {tmp_path}/starts\n{line}\n"
        )
        python.chmod(0o755)
        vox = opened(
            synth_engine="indextts", synth_retries=5, indextts_python=str(python), indextts_devices="cpu",
            indextts_model_dir=str(checkpoint),
        )  # fmt: skip
        vox.voices.add("ann", speech, own=True)
        return vox

    return frail


def starts(tmp_path: Path) -> int:
    return len((tmp_path / "starts").read_text().splitlines())


def test_a_worker_that_crashes_is_started_once_more_and_no_oftener(
    frail: Callable[[str], Ledger], tmp_path: Path
) -> None:
    vox = frail("exit 3")
    with pytest.raises(EngineFailed, match="it ended with exit code 3") as caught:
        vox.speak("Hello there.", voice="ann", language="en")
    assert not caught.value.may_pass
    assert starts(tmp_path) == 2
    assert failures(vox) == [("indextts", "engine_failed", "load")]


def test_a_device_that_is_lost_is_tried_again_with_a_new_worker(frail: Callable[[str], Ledger], tmp_path: Path) -> None:
    vox = frail(f'exec {sys.executable} "$1" {tmp_path}/frail.py "$3"')
    (tmp_path / "lost").touch()
    assert vox.speak("Hello there.", voice="ann", language="en").duration > 0
    assert starts(tmp_path) == 2
    assert failures(vox) == []


# Engines of others


@pytest.mark.parametrize(
    ("give", "message"),
    [
        (lambda: iter(["rubbish"]), "no segment of speech, but str"),
        (lambda: None, "TypeError"),
        (lambda: iter([segment((_TONE * 32767).astype(np.int16))]), r"samples of int16 in the shape \(22050,\)"),
        (lambda: iter([segment(np.stack([_TONE, _TONE], axis=1))]), r"float32 in the shape \(22050, 2\)"),
        (lambda: iter([segment([0.1] * 100)]), "samples of the type list"),
        (lambda: iter([segment(sample_rate=0)]), "sound of 0 Hz"),
        (lambda: iter([segment(sample_rate=22_050.0)]), "sound of 22050.0 Hz"),
        (lambda: iter([segment(text=None)]), "whose text is none"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_speech_is_a_failure_of_the_engine_in_our_words(
    vox: Ledger, use: Use, give: Callable[[], Any], message: str
) -> None:
    use(Odd(give))
    with pytest.raises(EngineFailed, match=message) as caught:
        vox.speak("Hello.")
    assert "torch" not in str(caught.value)
    assert failures(vox) == [("espeak", "engine_failed", "engine")]
    if "TypeError" not in message:
        assert caught.value.remedy == "Update the package that brings the engine espeak, or choose another engine."
    assert [path for path in vox.home.cache.rglob("*") if path.is_file()] == []


def test_an_engine_that_wants_to_end_the_program_only_fails(vox: Ledger, use: Use) -> None:
    def give() -> Iterator[Segment]:
        yield segment()
        raise SystemExit(3)

    use(Odd(give))
    with pytest.raises(EngineFailed, match="SystemExit: 3"):
        vox.speak("Hello.")
    assert failures(vox) == [("espeak", "engine_failed", "engine")]


def test_what_closing_raises_hides_no_clip_and_no_error(tmp_path: Path, use: Use) -> None:
    class Stubborn(Odd):
        def close(self) -> None:
            raise ZeroDivisionError("cannot close")

    def give() -> Iterator[Segment]:
        try:
            yield segment()
            yield segment(sample_rate=44_100)
        finally:
            raise ZeroDivisionError("cannot break off")

    use(Stubborn(lambda: iter([segment()])))
    with voxledger.open(tmp_path, store_endpoint=NOBODY, store_close_wait=0) as vox:
        assert vox.speak("Hello.").duration > 0
    use(Stubborn(give))
    with (
        pytest.raises(EngineFailed, match="changed its sample rate"),
        voxledger.open(tmp_path, store_endpoint=NOBODY, store_close_wait=0) as vox,
    ):
        vox.speak("Hello again.")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_rate": 0}, "its sample rate is 0 Hz"),
        ({"languages": ()}, "it speaks no language"),
        ({"concurrency": 0}, "its concurrency is 0"),
        ({"emotion_modes": frozenset({"telepathy"})}, "its emotion modes"),
        ({"determinism": "often"}, "its determinism is 'often'"),
        ({"takes_seed": "yes"}, "it takes a seed: 'yes'"),
        ({"voices": ["a"]}, "its voices are no tuple"),
    ],
)
def test_an_engine_that_describes_itself_wrongly_does_not_speak(
    vox: Ledger, use: Use, change: dict[str, Any], message: str
) -> None:
    use(Watched(**change))
    with pytest.raises(EngineUnavailable, match=message):
        vox.speak("Hello.")
    assert failures(vox) == [("espeak", "engine_unavailable", "load")]


class Preparing(Watched):
    """An engine that needs files."""

    def prepare(self, ensure: Callable[[str], Path]) -> None:
        raise SystemExit("no card for the download")

    def close(self) -> None:
        self.closed.set()


def test_an_engine_that_cannot_be_prepared_or_described_is_closed(vox: Ledger, use: Use) -> None:
    preparing = use(Preparing())
    with pytest.raises(
        EngineUnavailable, match="espeak cannot be used: it cannot bring its files here: SystemExit: no card"
    ):
        vox.speak("Hello.")
    assert preparing.closed.is_set()
    wrong = Watched(concurrency=0)
    wrong.close = wrong.closed.set  # type: ignore[method-assign]
    use(wrong)
    with pytest.raises(EngineUnavailable, match="its concurrency is 0"):
        vox.speak("Hello.")
    assert wrong.closed.is_set()
    assert failures(vox) == [("espeak", "engine_unavailable", "load")] * 2


def test_an_engine_that_is_slow_to_describe_itself_holds_up_no_other(
    vox: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    describes, go_on = threading.Event(), threading.Event()

    class Slow(Watched):
        def describe(self) -> EngineInfo:
            describes.set()
            assert go_on.wait(20)
            return super().describe()

    monkeypatch.setattr("voxledger.synth.engines.load", lambda name, _: Slow() if name == "slow" else Watched())
    with ThreadPoolExecutor(2) as threads:
        slow = threads.submit(vox.studio.engine, "slow")
        assert describes.wait(20)
        try:
            assert threads.submit(vox.studio.engine, "quick").result(timeout=10).describe().name == "espeak"
        finally:
            go_on.set()
        assert slow.result(20) is vox.studio.engine("slow")


def test_an_effective_vector_that_is_none_is_a_failure(vox: Ledger, use: Use) -> None:
    engine = use(Watched())
    engine.effective = lambda emotion: (0.5, float("nan"))  # type: ignore[method-assign]
    with pytest.raises(EngineUnavailable, match="8 finite weights"):
        vox.speak("Hello.")
