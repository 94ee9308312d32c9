"""Clips that a speech server makes, through the public door: recorded like all others, its failures too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import voxledger
from tests.building import NOBODY
from tests.speech_server import RATE, Fault, SpeechServer
from voxledger.ledger import Ledger
from voxledger.synth import EngineFailed, EngineUnavailable, NotSupported

KEY = "sk-a-secret-that-nobody-sees"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SpeechServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("SPEECH_KEY", KEY)
    with SpeechServer(key=KEY) as running:
        yield running


@pytest.fixture
def vox(server: SpeechServer, tmp_path: Path) -> Iterator[Ledger]:
    with voxledger.open(
        tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0, synth_engine="remote",
        remote_url=server.url, remote_model="tts-1", remote_voice="alloy", remote_key_variable="SPEECH_KEY",
        remote_instructions=True, remote_retries=0,
    ) as ledger:  # fmt: skip
        yield ledger


def test_a_clip_of_a_server_is_a_clip_with_subtitles(vox: Ledger, server: SpeechServer) -> None:
    clip = vox.speak("The tide is turning. Nobody knows why.", voice="nova", speed=1.5)
    assert (clip.engine, clip.sample_rate) == ("remote", RATE)
    assert [(asked.body["voice"], asked.body["speed"]) for asked in server.requests] == [("nova", 1.5)] * 2
    cues = [line for line in vox.studio.subtitles(clip.id).splitlines() if line and not line[0].isdigit()]
    assert cues == ["The tide is turning.", "Nobody knows why."]
    row = vox.catalog.sql("SELECT model, device FROM generations").rows()[0]
    assert (row["model"], row["device"]) == ("tts-1", "remote")
    assert vox.speak("The tide is turning. Nobody knows why.", voice="nova", speed=1.5).reused
    assert len(server.requests) == 2


def test_an_emotion_in_words_is_an_instruction_and_one_as_weights_is_refused(vox: Ledger, server: SpeechServer) -> None:
    vox.speak("I lost it.", emotion_words="in tears")
    assert server.requests[0].body["instructions"] == "in tears"
    with pytest.raises(NotSupported, match=r"remote\.fields"):
        vox.speak("I lost it.", emotion="sad")


def test_what_the_settings_lack_for_an_emotion_is_said_at_once(tmp_path: Path, server: SpeechServer) -> None:
    with voxledger.open(
        tmp_path / "plain", store_endpoint=NOBODY, store_close_wait=0, synth_engine="remote", remote_url=server.url
    ) as vox:
        with pytest.raises(NotSupported, match=r"set remote\.instructions = true") as caught:
            vox.speak("I lost it.", emotion_words="in tears")
        assert "weights" not in str(caught.value)
        with pytest.raises(NotSupported, match=r"emo_audio, name it in remote\.fields"):
            vox.speak("I lost it.", emotion_reference="ann")
        with pytest.raises(NotSupported, match=r"field seed, name it in remote\.fields"):
            vox.speak("I lost it.", seed=7)
        with pytest.raises(NotSupported, match=r"supported by the engine espeak: give the emotion as weights$"):
            vox.speak("I lost it.", emotion_words="in tears", engine="espeak")
        assert vox.catalog.sql("FROM generations").rows() == []
    assert server.requests == []


def test_failures_are_recorded_with_class_stage_and_remedy_and_without_the_key(
    vox: Ledger, server: SpeechServer
) -> None:
    server.faults += [Fault(cut=3000)] * 5
    with pytest.raises(EngineFailed, match="broke off its answer"):
        vox.speak("It breaks off.")
    server.faults.clear()
    server.faults.append(Fault(status=401, body=f'{{"error": {{"message": "no {KEY}"}}}}'.encode()))
    with pytest.raises(EngineUnavailable, match="does not accept the key"):
        vox.speak("It is refused.")
    rows = vox.catalog.sql("SELECT failure, stage, remedy FROM generations ORDER BY time").rows()
    assert [(row["failure"], row["stage"]) for row in rows] == [
        ("engine_failed", "audio"),
        ("engine_unavailable", "answer"),
    ]
    assert "log of the speech server" in rows[0]["remedy"]
    assert "remote.key_variable" in rows[1]["remedy"]
    assert [path for path in vox.home.cache.rglob("*") if path.is_file()] == []
    assert not any(KEY.encode() in path.read_bytes() for path in vox.home.path.rglob("*") if path.is_file())
