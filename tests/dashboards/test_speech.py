"""Speech over HTTP, as OpenAI's own client asks for it."""

from __future__ import annotations

import base64
import io
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import httpx
import numpy as np
import openai
import pytest
import torch

import voxledger
from tests.node import PATIENCE, PLAIN, RunningNode, running_node
from tests.speech_server import Fault, SpeechServer
from voxledger.catalog.settings import Remote, Settings
from voxledger.synth.audio import FORMATS, measure
from voxledger.synth.engines import SynthesisRequest, load

SHORT = "The tide is turning. Nobody knows why it does."
LONG = "".join(f"This is sentence number {number} of a text that goes on for a while. " for number in range(1, 9))
DELAY_S = 0.12
"""What encoders put before and behind a clip, at most."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running_node(tmp_path_factory.mktemp("speech") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def server() -> Iterator[SpeechServer]:
    """The engine of the node `slow`: it speaks when it is let."""
    with SpeechServer() as running:
        yield running


@pytest.fixture(scope="module")
def slow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("slow") / "home"


@pytest.fixture(scope="module")
def slow(slow_home: Path, server: SpeechServer) -> Iterator[RunningNode]:
    """A node whose engine works on one request at a time, and can be held."""
    with running_node(slow_home, **_remote(server.url)) as running:
        yield running


def _remote(url: str, **more: Any) -> dict[str, Any]:
    return {
        "synth_engine": "remote", "remote_url": url, "remote_model": "tts-1", "remote_voice": "alloy", "remote_concurrency": 1,
        "remote_retries": 0, "synth_retries": 0, "mixpanel_token": "", **more,
    }  # fmt: skip


def _client(node: RunningNode, token: str | None = None, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{node.url}/v1", api_key=token or node.secret, max_retries=0, timeout=PATIENCE,
        http_client=httpx.Client(trust_env=False, timeout=PATIENCE, verify=PLAIN), **options,
    )  # fmt: skip


def _spoken(node: RunningNode, text: str, *, token: str | None = None, **more: Any) -> Any:
    """The answer to a text, with its headers."""
    with _client(node, token) as client:
        return client.audio.speech.with_raw_response.create(
            **{"model": "tts-1", "voice": "alloy", "input": text, **more}
        )


def _decoded(audio: bytes, kind: str) -> tuple[np.ndarray, int]:
    """Samples and rate, by a decoder that knows nothing of us."""
    if kind == "pcm":
        return np.frombuffer(audio, "<i2") / 32768, 24_000
    with av.open(io.BytesIO(audio), mode="r") as container:
        floats = av.AudioResampler(format="flt", layout="mono")
        frames = [one for frame in container.decode(audio=0) for one in floats.resample(frame)]
        return np.concatenate([frame.to_ndarray()[0] for frame in frames]), frames[0].sample_rate


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _attempts(home: Path, text: str) -> list[dict[str, Any]]:
    """What became of each attempt at a text."""
    with voxledger.open(home) as vox:
        return vox.catalog.sql(
            "SELECT outcome, delivered_us FROM generations WHERE text_length = $length ORDER BY position",
            params={"length": len(text)}, fresh=False,
        ).rows()  # fmt: skip


@pytest.mark.parametrize("kind", FORMATS)
def test_a_short_text_gives_the_recorded_file_in_each_format(node: RunningNode, kind: str) -> None:
    answer = _spoken(node, SHORT, response_format=kind)
    assert answer.headers["content-type"] == FORMATS[kind].content_type
    assert int(answer.headers["content-length"]) == len(answer.content)
    with node.client() as owner:
        clip = owner.get(f"/api/clips/{answer.headers['x-voxledger-clip']}").json()
    samples, rate = _decoded(answer.content, kind)
    assert len(samples) / rate == pytest.approx(clip["duration"], abs=DELAY_S)
    assert measure(torch.from_numpy(samples.astype(np.float64)), rate).loudness_lufs == pytest.approx(-16, abs=0.5)
    assert answer.headers["x-voxledger-key"] == clip["key"]
    assert (clip["format"], clip["text"]) == (kind, SHORT)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_long_text_is_heard_from_its_first_sentence_on_in_each_format(node: RunningNode, kind: str) -> None:
    begun = time.monotonic()
    with (
        _client(node) as client,
        client.audio.speech.with_streaming_response.create(
            model="espeak", voice="alloy", input=f"As {kind}. {LONG}", response_format=kind
        ) as answer,
    ):
        assert answer.headers["content-type"] == FORMATS[kind].content_type
        assert "content-length" not in answer.headers
        blocks, first = [], 0.0
        for block in answer.iter_bytes():
            first = first or time.monotonic() - begun
            blocks.append(block)
        whole = time.monotonic() - begun
    samples, rate = _decoded(b"".join(blocks), kind)
    with node.client() as owner:
        clip = owner.get(f"/api/clips/{answer.headers['x-voxledger-clip']}").json()
    assert clip["format"] == kind
    # The stream is not trimmed, and begins with the encoder's delay.
    assert clip["duration"] - 0.05 <= len(samples) / rate <= clip["duration"] + 1
    assert measure(torch.from_numpy(samples.astype(np.float64)), rate).loudness_lufs == pytest.approx(-16, abs=1.5)
    assert first < whole / 2


def test_a_stream_of_a_wav_says_that_its_length_is_not_known(node: RunningNode) -> None:
    audio = _spoken(node, f"A wave. {LONG}", response_format="wav").content
    assert (audio[4:8], audio[40:44]) == (b"\xff\xff\xff\xff", b"\xff\xff\xff\xff")


@pytest.mark.parametrize("text", [f"Events. {SHORT}", f"Events. {LONG}"], ids=["short", "long"])
def test_events_hold_the_audio_and_end_with_usage(node: RunningNode, text: str) -> None:
    for reused in (False, True):
        with node.client() as owner, owner.stream(
            "POST", "/v1/audio/speech",
            json={"model": "tts-1", "voice": "alloy", "input": text, "response_format": "flac", "stream_format": "sse"},
        ) as answer:  # fmt: skip
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
        events = [httpx.Response(200, content=line).json() for line in lines]
        audio = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
        assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
        done = events[-1]
        assert done["type"] == "speech.audio.done"
        assert (done["clip"], done["reused"]) == (answer.headers["x-voxledger-clip"], reused)
        assert done["usage"]["input_tokens"] == len(text)
        assert done["usage"]["total_tokens"] == len(text) + done["usage"]["output_tokens"]
        samples, rate = _decoded(audio, "flac")
        assert len(samples) / rate == pytest.approx(done["duration"], abs=1)


def test_the_openai_client_reads_the_events(node: RunningNode) -> None:
    with (
        _client(node) as client,
        client.audio.speech.with_streaming_response.create(
            model="tts-1", voice="alloy", input=SHORT, response_format="wav", stream_format="sse"
        ) as answer,
    ):
        said = answer.read().decode()
    assert said.count("speech.audio.done") == 1


def test_the_same_request_is_answered_with_the_same_clip(node: RunningNode) -> None:
    first, again = (_spoken(node, "Once and again.", response_format="wav") for _ in range(2))
    assert first.content == again.content
    assert first.headers["x-voxledger-clip"] == again.headers["x-voxledger-clip"]
    assert [one.headers["x-voxledger-reused"] for one in (first, again)] == ["false", "true"]
    other = _spoken(node, "Once and again.", response_format="wav", extra_body={"reuse": False})
    assert other.headers["x-voxledger-clip"] != first.headers["x-voxledger-clip"]


def test_what_is_asked_for_beyond_openai_is_on_the_record(node: RunningNode) -> None:
    answer = _spoken(
        node, "We won the cup!", voice={"id": "f2"}, speed=1.25,
        extra_body={
            "emotion": {"happy": 0.7}, "emotion_strength": 0.5, "session": "match", "name": "cheer", "tags": ["sport"], "language": "en-GB",
            "take": 2, "priority": "batch",
        },
    )  # fmt: skip
    with node.client() as owner:
        clip = owner.get(f"/api/clips/{answer.headers['x-voxledger-clip']}").json()
    assert (clip["emotion"], clip["session"], clip["name"], clip["tags"]) == ("happy", "match", "cheer", ["sport"])
    assert (clip["voice"], clip["language"], clip["take"], clip["dropped"]) == ("f2", "en-GB", 2, [])
    assert "x-voxledger-dropped" not in answer.headers


def test_what_the_engine_cannot_do_for_an_openai_client_is_left_out_and_said(node: RunningNode) -> None:
    answer = _spoken(node, "Please hold the line.", voice="nova", instructions="Sound bored.")
    assert answer.headers["x-voxledger-dropped"] == "emotion_words,voice"
    plain = _spoken(node, "Please hold the line.", voice="default")
    assert "x-voxledger-dropped" not in plain.headers


@pytest.mark.parametrize(
    ("asked", "kind", "param", "code"),
    [
        ({"voice": "nobody"}, openai.BadRequestError, "voice", "unknown_voice"),
        ({"voice": "/etc/passwd"}, openai.BadRequestError, "voice", "unknown_voice"),
        ({"voice": {"name": "f2"}}, openai.BadRequestError, "voice", "invalid_request"),
        ({"input": ""}, openai.BadRequestError, "input", "invalid_text"),
        ({"input": "…!"}, openai.BadRequestError, "input", "invalid_text"),
        ({"input": "word " * 20_001}, openai.BadRequestError, "input", "invalid_text"),
        ({"input": 7}, openai.BadRequestError, "input", "invalid_request"),
        ({"model": "gpt-9"}, openai.NotFoundError, "model", "unknown_engine"),
        ({"response_format": "wma"}, openai.BadRequestError, "response_format", "invalid_request"),
        ({"speed": 40}, openai.BadRequestError, None, None),
        ({"speed": "fast"}, openai.BadRequestError, "speed", "invalid_request"),
        ({"extra_body": {"emotion": "hangry"}}, openai.BadRequestError, "emotion", "invalid_emotion"),
        ({"extra_body": {"emotoin": "happy"}}, openai.BadRequestError, "emotoin", "unknown_parameter"),
        ({"extra_body": {"language": "xx-nonsense"}}, openai.BadRequestError, "language", "unsupported_language"),
        ({"extra_body": {"preset": "nobody"}}, openai.BadRequestError, "preset", "unknown_preset"),
        ({"extra_body": {"priority": "now"}}, openai.BadRequestError, "priority", "invalid_request"),
        ({"extra_headers": {"Idempotency-Key": "x" * 300}}, openai.BadRequestError, "Idempotency-Key", "idempotency"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_clear_error(
    node: RunningNode, asked: dict[str, Any], kind: type[openai.APIStatusError], param: str | None, code: str | None
) -> None:
    with pytest.raises(kind) as caught:
        _spoken(node, **{"text": "A secret word: xylophone.", **_renamed(asked)})
    error = caught.value
    assert param is None or (error.param, error.code) == (param, code)
    body = error.response.json()["error"]
    assert {"message", "type", "param", "code", "remedy"} == set(body)
    assert body["type"] == "invalid_request_error"
    assert "xylophone" not in error.response.text


def _renamed(asked: dict[str, Any]) -> dict[str, Any]:
    return {"text" if name == "input" else name: value for name, value in asked.items()}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"model": "tts-1"}', b'{"input": "\xff"}', b'{"input": "\\ud800"}', b"7"]
)
def test_a_body_that_is_no_request_is_refused(node: RunningNode, body: bytes) -> None:
    with node.client() as owner:
        answer = owner.post("/v1/audio/speech", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_only_who_may_speak_speaks(node: RunningNode) -> None:
    with node.client() as owner:
        tokens = {
            role: owner.post("/api/tokens", json={"role": role, "name": f"{role}-speaking"}).json()["token"]
            for role in ("viewer", "creator")
        }
    with pytest.raises(openai.AuthenticationError):
        _spoken(node, SHORT, token="nonsense")
    with pytest.raises(openai.PermissionDeniedError):
        _spoken(node, SHORT, token=tokens["viewer"])
    made = _spoken(node, SHORT, token=tokens["creator"])
    with node.client() as owner:
        assert owner.get(f"/api/clips/{made.headers['x-voxledger-clip']}").json()["actor"] == "creator-speaking"
    with pytest.raises(openai.PermissionDeniedError):
        _spoken(node, SHORT, token=tokens["creator"], extra_body={"actor": "somebody else"})


def test_models_and_voices_are_listed(node: RunningNode) -> None:
    with _client(node) as client:
        listed = {model.id for model in client.models.list()}
        assert {"espeak", "tts-1"} <= listed
        assert "remote" not in listed  # it is not set up
        assert client.models.retrieve("espeak").id == "espeak"
        with pytest.raises(openai.NotFoundError):
            client.models.retrieve("gpt-9")
    with node.client() as owner:
        voices = owner.get("/v1/audio/voices").json()["voices"]
        assert "f2" in {voice["id"] for voice in voices}
        assert owner.get("/v1/audio/voices", params={"model": "gpt-9"}).status_code == 404


def test_the_engine_remote_speaks_through_a_node(node: RunningNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_TOKEN", node.secret)
    for form in ("pcm", "wav"):
        engine = load(
            "remote",
            Settings(
                remote=Remote(
                    url=f"{node.url}/v1", model="espeak", voice="alloy", key_variable="NODE_TOKEN", format=form
                )
            ),
        )
        try:
            segments = list(engine.synthesize(SynthesisRequest(text=SHORT, language="en")))
        finally:
            engine.close()
        rates = {segment.sample_rate for segment in segments}
        seconds = sum(len(segment.samples) for segment in segments) / segments[0].sample_rate
        assert rates == ({24_000} if form == "pcm" else {22_050})
        assert 2 < seconds < 6


def test_a_key_leads_to_the_same_clip_again_and_to_no_other(node: RunningNode) -> None:
    headers = {"Idempotency-Key": "order-1"}
    # Without reuse each request makes a clip of its own: only the key can lead back.
    first, again = (_spoken(node, "Only once.", extra_headers=headers, extra_body={"reuse": False}) for _ in range(2))
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["x-voxledger-clip"] == first.headers["x-voxledger-clip"]
    assert again.content == first.content
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        _spoken(node, "Something else.", extra_headers=headers, extra_body={"reuse": False})
    assert caught.value.code == "idempotency"
    with node.client() as owner:
        other = owner.post("/api/tokens", json={"role": "creator", "name": "other"}).json()["token"]
    theirs = _spoken(node, "Something else.", token=other, extra_headers=headers)
    assert "idempotency-replayed" not in theirs.headers


def test_a_key_of_a_request_that_failed_is_free(node: RunningNode) -> None:
    headers = {"Idempotency-Key": "failed-1"}
    with pytest.raises(openai.BadRequestError):
        _spoken(node, "", extra_headers=headers)
    assert _spoken(node, "Now it works.", extra_headers=headers).headers["x-voxledger-reused"] == "false"


def test_keys_outlive_the_node_and_a_killed_request_leaves_its_key_free(tmp_path: Path) -> None:
    home, hold = tmp_path / "home", threading.Event()
    made, body = {"Idempotency-Key": "made"}, {"reuse": False}
    with SpeechServer() as server, ThreadPoolExecutor(1) as pool:
        with running_node(home, **_remote(server.url)) as running:
            first = _spoken(running, "Made before.", extra_headers=made, extra_body=body)
            server.faults.append(Fault(hold=hold))
            lost = pool.submit(_spoken, running, "Killed on the way.", extra_headers={"Idempotency-Key": "killed"})
            _until(server.holding.is_set)
            running.stop(signal.SIGKILL)
            assert isinstance(lost.exception(PATIENCE), openai.APIConnectionError)
            hold.set()
        with running_node(home, **_remote(server.url)) as running:
            again = _spoken(running, "Made before.", extra_headers=made, extra_body=body)
            assert again.headers["idempotency-replayed"] == "true"
            assert again.headers["x-voxledger-clip"] == first.headers["x-voxledger-clip"]
            anew = _spoken(running, "Another text for this key.", extra_headers={"Idempotency-Key": "killed"})
            assert "idempotency-replayed" not in anew.headers


def test_a_key_that_is_being_worked_on_is_told_to_wait(slow: RunningNode, server: SpeechServer) -> None:
    hold, headers = threading.Event(), {"Idempotency-Key": "twice"}
    server.holding.clear()
    server.faults.append(Fault(hold=hold))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(_spoken, slow, "Asked twice at once.", extra_headers=headers)
        _until(server.holding.is_set)
        with pytest.raises(openai.ConflictError) as caught:
            _spoken(slow, "Asked twice at once.", extra_headers=headers)
        assert caught.value.response.headers["retry-after"]
        hold.set()
        assert first.result(PATIENCE).headers["x-voxledger-clip"]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_that_leaves_frees_the_engine(
    slow: RunningNode, slow_home: Path, server: SpeechServer, streamed: bool
) -> None:
    text = f"Left alone, streamed {streamed}. " + (LONG if streamed else "")
    hold, before = threading.Event(), len(server.requests)
    server.holding.clear()
    server.faults.extend([Fault(), Fault(hold=hold)] if streamed else [Fault(hold=hold)])
    connection = _ask(slow, {"input": text, "response_format": "wav"})
    if streamed:
        assert connection.recv(10)  # the first sentence is on its way
    _until(server.holding.is_set)
    looks = time.monotonic() + 0.2
    _until(lambda: time.monotonic() > looks)  # the node begins to look at who leaves a little later
    connection.close()
    with slow.client() as owner:
        assert owner.get("/healthz").is_success  # whatever came before has been seen by then
    hold.set()
    assert _spoken(slow, f"The next one, please, {streamed}.").content
    asked = [request.body["input"] for request in server.requests[before:]]
    assert len(asked) == (3 if streamed else 2), "the rest of what nobody hears was spoken"
    _until(lambda: bool(_attempts(slow_home, text.strip())))
    [attempt] = _attempts(slow_home, text.strip())
    assert attempt["outcome"] == "cancelled"
    assert (attempt["delivered_us"] > 0) is streamed


def _ask(node: RunningNode, body: dict[str, Any]) -> socket.socket:
    """A request over a connection whose receiving side is as small as can be."""
    content = httpx.Request("POST", node.url, json=body).read()
    host, port = node.url.removeprefix("http://").split(":")
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(PATIENCE)
    connection.connect((host, int(port)))
    head = (
        f"POST /v1/audio/speech HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {node.secret}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    connection.sendall(head.encode() + content)
    return connection


def test_a_client_that_does_not_read_holds_nobody_up(node: RunningNode) -> None:
    text = f"Nobody reads this. {LONG * 6}"
    with _ask(node, {"input": text, "response_format": "wav"}) as connection:
        assert _spoken(node, "Somebody else, meanwhile.").content
        with node.client() as owner:

            def made() -> list[dict[str, Any]]:
                found: list[dict[str, Any]] = owner.get("/api/clips", params={"limit": 5}).json()["clips"]
                return [clip for clip in found if clip["text"] == text.strip()]

            _until(lambda: bool(made()))
            clip = made()[0]
        received = b""
        while block := connection.recv(1 << 16):
            received += block
            if received.endswith(b"0\r\n\r\n"):
                break
    assert len(received) > clip["duration"] * 22_050 * 2


def test_batches_let_others_go_first(slow: RunningNode, server: SpeechServer) -> None:
    hold, before = threading.Event(), len(server.requests)
    server.holding.clear()
    server.faults.append(Fault(hold=hold))
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(_spoken, slow, "The one that is spoken.")]
        _until(server.holding.is_set)
        with slow.client() as owner:

            def queued() -> int:
                return int(
                    owner.get("/metrics")
                    .text.partition('voxledger_queue_waiting{engine="remote"} ')[2]
                    .split()[0]
                    .split(".")[0]
                )

            for number in range(2):
                body = {"priority": "batch"}
                waiting.append(pool.submit(_spoken, slow, f"Batch number {number}.", extra_body=body))
            _until(lambda: queued() == 2)
            waiting.append(pool.submit(_spoken, slow, "In a hurry."))
            _until(lambda: queued() == 3)
        hold.set()
        for one in waiting:
            one.result(PATIENCE)
    assert [request.body["input"] for request in server.requests[before:]][1] == "In a hurry."


def test_an_engine_that_fails_on_the_way_breaks_the_answer_off(slow: RunningNode, server: SpeechServer) -> None:
    for kind in ("audio", "sse"):
        server.faults.extend([Fault(), Fault(status=500)])
        body = {"input": f"It fails, as {kind}. {LONG}", "response_format": "wav", "stream_format": kind}
        with slow.client() as owner:
            if kind == "audio":
                with pytest.raises(httpx.RemoteProtocolError):
                    owner.post("/v1/audio/speech", json=body)
            else:
                events = owner.post("/v1/audio/speech", json=body).text.strip().split("\n\n")
                assert '"type":"error"' in events[-1]
                assert '"code":"engine_failed"' in events[-1]
        assert "number" not in slow.said().partition("Traceback")[2]
    assert "Traceback" not in slow.said()


def test_fifty_clients_at_once_all_get_their_clip(node: RunningNode) -> None:
    texts = [f"Client number {number} speaks now." for number in range(50)]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda text: _spoken(node, text, response_format="wav"), texts))
    assert len({answer.headers["x-voxledger-clip"] for answer in answers}) == 50
    assert all(answer.content.startswith(b"RIFF") for answer in answers)


def test_clips_that_are_there_are_given_to_many_at_once_and_each_use_is_recorded(node: RunningNode) -> None:
    texts = [f"Said once, number {number}, and asked for often." for number in range(3)]
    made = {text: _spoken(node, text).headers["x-voxledger-clip"] for text in texts}
    asked = [*texts, "Nobody has asked for this one."] * 15
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda text: _spoken(node, text, extra_body={"tags": ["many"]}), asked))
    for text, answer in zip(asked, answers, strict=True):
        if text in made:
            assert (answer.headers["x-voxledger-clip"], answer.headers["x-voxledger-reused"]) == (made[text], "true")
        assert float(answer.headers["content-length"]) == len(answer.content) > 1000
    assert len({answer.headers["x-voxledger-clip"] for answer in answers}) == 4
    with voxledger.open(node.home, store_close_wait=0) as vox:
        uses = vox.catalog.sql(
            "SELECT id::VARCHAR AS id, reuses, tags FROM clips WHERE contains(text, 'asked for often')"
        ).rows()
    assert {row["id"]: (row["reuses"], row["tags"]) for row in uses} == dict.fromkeys(made.values(), (15, ["many"]))


def test_a_clip_whose_file_is_gone_is_not_given_as_if_it_were_there(node: RunningNode) -> None:
    text = "Somebody has tidied up in the wrong place."
    first = _spoken(node, text).headers["x-voxledger-clip"]
    with node.client() as owner:
        key = owner.get(f"/api/clips/{first}").json()["key"]
    (node.home / "cache" / key).unlink()
    again = _spoken(node, text)
    assert len(again.content) > 1000
