"""The stand-in for a speech server keeps the documented contract."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import requests

from tests.speech_server import RATE, Fault, SpeechServer, spoken

GOOD = {"model": "tts-1", "input": "The tide is turning.", "voice": "alloy", "response_format": "pcm"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SpeechServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with SpeechServer(key="sk-right") as running:
        yield running


def post(server: SpeechServer, body: Any, *, key: str = "sk-right", path: str = "/audio/speech") -> requests.Response:
    return requests.post(server.url + path, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=10)


def test_pcm_is_bare_and_wav_has_a_header_that_tells_the_rate(server: SpeechServer) -> None:
    bare = post(server, GOOD)
    assert (bare.status_code, bare.headers["Content-Type"]) == (200, "audio/pcm")
    assert bare.headers["Transfer-Encoding"] == "chunked"
    assert bare.content == spoken(GOOD)
    headed = post(server, {**GOOD, "response_format": "wav"})
    assert headed.headers["Content-Type"] == "audio/wav"
    with wave.open(io.BytesIO(headed.content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
    assert headed.content.endswith(bare.content)


def test_speed_shortens_and_a_voice_changes_the_sound(server: SpeechServer) -> None:
    plain, fast, other = (post(server, {**GOOD, **more}).content for more in ({}, {"speed": 2.0}, {"voice": "nova"}))
    assert len(fast) == pytest.approx(len(plain) / 2, abs=2)
    assert len(other) == len(plain)
    assert not np.array_equal(np.frombuffer(plain, np.int16), np.frombuffer(other, np.int16))


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"input": None}, 400, "input"),
        ({"input": "  "}, 400, "input"),
        ({"input": "x" * 4097}, 400, "input"),
        ({"model": None}, 400, "model"),
        ({"model": "tts-9"}, 404, "model"),
        ({"voice": None}, 400, "voice"),
        ({"voice": "nobody"}, 400, "voice"),
        ({"speed": 0.2}, 400, "speed"),
        ({"speed": 4.5}, 400, "speed"),
        ({"speed": "fast"}, 400, "speed"),
        ({"response_format": "midi"}, 400, "response_format"),
        ({"instructions": 3}, 400, "instructions"),
        ({"stream_format": "tape"}, 400, "stream_format"),
        ({"ref_audio": "data:audio/wav;base64,AA=="}, 400, "ref_audio"),
        ({"temperature": 1}, 400, "temperature"),
    ],
)
def test_wrong_fields_are_refused_by_name(
    server: SpeechServer, change: dict[str, Any], status: int, param: str
) -> None:
    answer = post(server, {name: value for name, value in {**GOOD, **change}.items() if value is not None})
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["param"] == param


def test_what_is_just_allowed_passes(server: SpeechServer) -> None:
    for change in (
        {"input": "x" * 4096},
        {"speed": 0.25},
        {"speed": 4},
        {"instructions": "in tears"},
        {"stream_format": "audio"},
    ):
        assert post(server, {**GOOD, **change}).status_code == 200


def test_key_and_address(server: SpeechServer) -> None:
    wrong = post(server, GOOD, key="sk-wrong")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "sk-wrong" not in wrong.text
    assert post(server, GOOD, path="/audio/speak").status_code == 404
    assert requests.get(f"{server.url}/audio/speech", timeout=10).status_code == 405
    assert post(server, ["no object"]).status_code == 400


def test_the_other_dialect_takes_its_own_fields_and_streams_at_its_own_speed_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    good = {
        "input": "Hi.",
        "response_format": "pcm",
        "stream_format": "audio",
        "ref_audio": "data:audio/wav;base64,AA==",
    }
    with SpeechServer(omni=True) as server:
        assert post(server, {**good, "extra_params": {"emo_vector": [0.1] * 8, "lang": "en"}}).status_code == 200
        assert post(server, {**good, "extra_params": {"emo_vector": [0.1] * 7}}).status_code == 400
        assert post(server, {**good, "speed": 1.5}).status_code == 400
        assert post(server, {**good, "response_format": "flac"}).status_code == 400
        assert post(server, {**good, "ref_audio": "/etc/passwd"}).status_code == 400
        assert post(server, {**good, "model": "other"}).json()["error"] == {
            "message": "The model `other` does not exist.", "type": "NotFoundError", "param": "model", "code": 404,
        }  # fmt: skip


def test_faults_replace_or_spoil_one_answer(server: SpeechServer) -> None:
    server.faults += [Fault(status=429, headers={"Retry-After": "7"}), Fault(cut=100), Fault(silent=True)]
    busy = post(server, GOOD)
    assert (busy.status_code, busy.headers["Retry-After"]) == (429, "7")
    assert busy.json()["error"]["type"] == "rate_limit_error"
    for _ in range(2):
        with pytest.raises(requests.RequestException):
            post(server, GOOD)
    assert post(server, GOOD).status_code == 200
    assert [request.status for request in server.requests] == [429, 200, 0, 200]
