"""The engine remote, through a stand-in that speaks the documented contract over a real connection."""

from __future__ import annotations

import base64
import logging
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.speech_server import RATE, Fault, SpeechServer, spoken, wav_header
from voxledger.catalog.settings import Remote, Settings
from voxledger.synth import (
    Emotion,
    EngineFailed,
    EngineUnavailable,
    InvalidRequest,
    InvalidText,
    NotSupported,
    SynthesisError,
    UnknownVoice,
    UnsupportedLanguage,
)
from voxledger.synth.engines import Engine, Segment, SynthesisRequest, load, remote_connection
from voxledger.synth.engines.remote import RemoteEngine
from voxledger.synth.engines.remote_audio import Pcm, Wav

SECRET = "sk-a-secret-that-nobody-sees"
TEXT = "The tide is turning. Nobody knows why."
Make = Callable[..., RemoteEngine]


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(remote_connection, "_FIRST_WAIT", 0.001)


@pytest.fixture
def server() -> Iterator[SpeechServer]:
    with SpeechServer() as running:
        yield running


@pytest.fixture
def make(server: SpeechServer) -> Iterator[Make]:
    made: list[RemoteEngine] = []

    def make(**settings: Any) -> RemoteEngine:
        known = {"url": server.url, "model": "tts-1", "voice": "alloy"}
        engine = RemoteEngine(Settings(remote=Remote(**{**known, **settings})))
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()


def request(text: str = TEXT, language: str = "en", **more: Any) -> SynthesisRequest:
    return SynthesisRequest(text=text, language=language, **more)


def samples_of(segments: list[Segment]) -> bytes:
    whole = np.concatenate([segment.samples for segment in segments])
    return np.round(whole * 32768).astype("<i2").tobytes()


def fails(engine: RemoteEngine, **more: Any) -> SynthesisError:
    with pytest.raises(SynthesisError) as caught:
        list(engine.synthesize(request(**more)))
    return caught.value


# What it says of itself


def test_describes_the_settings_without_asking_the_server(make: Make, server: SpeechServer) -> None:
    info = make(voices=("alloy", "nova"), languages=("en", "zh"), concurrency=7).describe()
    assert isinstance(make(), Engine)
    assert (info.name, info.model, info.voices, info.languages) == ("remote", "tts-1", ("alloy", "nova"), ("en", "zh"))
    assert (info.sample_rate, info.streaming, info.determinism, info.concurrency) == (RATE, True, "none", 7)
    assert not info.takes_seed
    assert (info.emotion_modes, info.reference_voices, info.sampling) == ({"none"}, False, ("speed",))
    assert len(make().describe().languages) == 57
    assert server.requests == []


def test_abilities_follow_the_settings(make: Make) -> None:
    info = make(fields=("ref_audio", "emo_vector", "emo_audio"), instructions=True).describe()
    assert info.reference_voices
    assert info.emotion_modes == {"none", "vector", "reference", "words"}
    revisions = {
        make(**more).describe().model_revision
        for more in ({}, {"format": "wav"}, {"voice": "nova"}, {"request": "text"})
    }
    assert len(revisions) == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": ""}, "remote.url is empty"),
        ({"url": "ftp://x"}, "no plain URL"),
        ({"url": "http://user:word@x/v1"}, "no plain URL"),
        ({"url": "http://x/v1?key=word"}, "no plain URL"),
        ({"url": "http://x:port"}, "no plain URL"),
        ({"key_variable": "NO_SUCH_KEY"}, "NO_SUCH_KEY"),
        ({"url": "https://api.openai.com/v1"}, "OPENAI_API_KEY"),
    ],
)
def test_without_address_or_key_it_is_unavailable_and_says_why(
    make: Make, settings: dict[str, Any], message: str
) -> None:
    engine = make(**settings)
    with pytest.raises(EngineUnavailable, match=message) as caught:
        engine.describe()
    assert "word" not in str(caught.value)


def test_the_registry_knows_it(server: SpeechServer) -> None:
    engine = load("remote", Settings(remote=Remote(url=server.url)))
    assert engine.describe().name == "remote"


@pytest.mark.parametrize("url", ["http://h", "http://h/", "http://h/v1", "http://h/v1/", "http://h/v1/audio/speech"])
def test_the_address_may_be_written_short(url: str) -> None:
    assert remote_connection.address(url) == "http://h/v1/audio/speech"
    assert remote_connection.address("http://h/proxy/v1") == "http://h/proxy/v1/audio/speech"


# What it says, and what comes back


@pytest.mark.parametrize("form", ["pcm", "wav"])
def test_each_sentence_is_a_request_and_its_audio_comes_whole(make: Make, server: SpeechServer, form: str) -> None:
    segments = list(make(format=form).synthesize(request()))
    first, second = (asked.body for asked in server.requests)
    assert first == {"response_format": form, "model": "tts-1", "voice": "alloy", "input": "The tide is turning."}
    assert second["input"] == "Nobody knows why."
    assert samples_of(segments) == spoken(first) + b"\0\0" * (RATE // 4) + spoken(second)
    assert [segment.text for segment in segments if segment.text] == [first["input"], second["input"]]
    assert {segment.sample_rate for segment in segments} == {RATE}
    ends = np.cumsum([segment.duration for segment in segments])
    assert [segment.start for segment in segments] == pytest.approx([0, *ends[:-1]])


def test_a_whole_text_goes_into_as_few_requests_as_it_fits(make: Make, server: SpeechServer) -> None:
    text = "\n\n".join(["This goes on and on."] * 400)
    list(make(request="text").synthesize(request(text)))
    inputs = [asked.body["input"] for asked in server.requests]
    assert len(inputs) == 3
    assert max(map(len, inputs)) <= 4096
    assert "".join("".join(inputs).split()) == "".join(text.split())


def test_the_first_audio_is_there_while_the_rest_is_made(make: Make, server: SpeechServer) -> None:
    go_on = threading.Event()
    server.faults.append(Fault(hold=go_on, after=20_000))
    running = make().synthesize(request("A sentence that takes its time."))
    first = next(running)
    assert server.holding.wait(10)
    assert 0.1 < first.duration < 1
    assert not go_on.is_set()
    go_on.set()
    rest = list(running)
    assert samples_of([first, *rest]) == spoken(server.requests[0].body)
    assert {segment.text for segment in rest} == {""}


def test_sentences_without_anything_to_say_cost_no_request(make: Make, server: SpeechServer) -> None:
    segments = list(make().synthesize(request("Yes. ... ?! No.")))
    assert [segment.text for segment in segments if segment.text] == ["Yes.", "No."]
    assert len(server.requests) == 2
    with pytest.raises(InvalidText, match="nothing in this text can be spoken"):
        list(make().synthesize(request("... !")))


def test_markup_is_sent_as_text(make: Make, server: SpeechServer) -> None:
    list(make().synthesize(request('<speak>Say [sad] "this" & \\n 你好</speak>')))
    assert server.requests[0].body["input"] == '<speak>Say [sad] "this" & \\n 你好</speak>'


def test_speed_and_voice_are_passed_on(make: Make, server: SpeechServer) -> None:
    list(make().synthesize(replace(request("One."), voice="nova", sampling={"speed": 1.5})))
    assert (server.requests[0].body["voice"], server.requests[0].body["speed"]) == ("nova", 1.5)


def test_instructions_carry_an_emotion_in_words_where_the_settings_allow_it(make: Make, server: SpeechServer) -> None:
    list(make(instructions=True).synthesize(request("One.", emotion_words="in tears")))
    assert server.requests[0].body["instructions"] == "in tears"
    assert fails(make(), emotion_words="in tears").failure_class == "not_supported"


def test_further_fields_are_sent_only_where_the_settings_name_them(tmp_path: Path) -> None:
    clip = tmp_path / "ann.wav"
    clip.write_bytes(wav_header(4) + b"\1\0\2\0")
    fields = ("stream_format", "seed", "lang", "ref_audio", "emo_vector", "emo_audio", "emo_text")
    asked = request("One.", "zh", seed=7, voice_audio=clip, emotion=Emotion.of("sad", strength=0.5))
    with SpeechServer(omni=True) as server:
        engine = RemoteEngine(Settings(remote=Remote(url=server.url, fields=fields)))
        list(engine.synthesize(asked))
        body = server.requests[0].body
        encoded = base64.b64encode(clip.read_bytes()).decode()
        assert body == {
            "input": "One.", "response_format": "pcm", "stream_format": "audio", "seed": 7,
            "ref_audio": f"data:audio/wav;base64,{encoded}",
            "extra_params": {"lang": "zh", "emo_vector": [0, 0, 0.5, 0, 0, 0, 0, 0]},
        }  # fmt: skip
        assert engine.effective(asked.emotion)[2] == 0.5
        list(engine.synthesize(replace(asked, emotion=Emotion(), emotion_audio=clip, sampling={"speed": 1.2})))
        assert server.requests[1].body["extra_params"]["emo_audio"] == body["ref_audio"]
        assert "stream_format" not in server.requests[1].body
        list(engine.synthesize(replace(asked, emotion=Emotion(), emotion_words="in tears")))
        assert server.requests[2].body["extra_params"]["emo_text"] == "in tears"
        engine.close()


@pytest.mark.parametrize(
    ("more", "feature"),
    [
        ({"emotion": Emotion.of("sad")}, "emotion"),
        ({"emotion_words": "in tears"}, "emotion_words"),
        ({"voice_audio": Path("me.wav")}, "speaker_clip"),
        ({"emotion_audio": Path("cry.wav")}, "emotion_clip"),
        ({"sampling": {"temperature": 0.8}}, "sampling"),
        ({"sampling": {"speed": 9.0}}, "sampling"),
    ],
)
def test_what_the_settings_do_not_allow_is_refused_at_once(make: Make, more: dict[str, Any], feature: str) -> None:
    with pytest.raises(NotSupported) as caught:
        make().synthesize(request(**more))
    assert caught.value.feature == feature


def test_unknown_voices_and_languages_are_refused_at_once(make: Make) -> None:
    with pytest.raises(UnknownVoice, match="did you mean 'nova'"):
        make(voices=("alloy", "nova")).synthesize(request(voice="novo"))
    with pytest.raises(UnsupportedLanguage):
        make(languages=("en",)).synthesize(request(language="zh"))


# When it goes wrong


def test_a_busy_server_is_asked_again_and_no_audio_is_lost(make: Make, server: SpeechServer) -> None:
    server.faults += [Fault(status=429, headers={"Retry-After": "0"}), Fault(status=503), Fault()]
    segments = list(make().synthesize(request("One.")))
    assert [asked.status for asked in server.requests] == [429, 503, 200]
    assert samples_of(segments) == spoken(server.requests[0].body)


def test_patience_with_a_busy_server_has_an_end(make: Make, server: SpeechServer) -> None:
    server.faults += [Fault(status=503)] * 3
    error = fails(make(retries=2), text="One.")
    assert isinstance(error, EngineFailed)
    assert (error.stage, len(server.requests)) == ("busy", 3)
    assert "The server says 503." in str(error)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=429, headers={"Retry-After": "60"}),
        Fault(status=429, headers={"Retry-After": "Wed, 01 Jan 2200 00:00:00 GMT"}),
        Fault(status=429, body=b'{"error": {"message": "You exceeded", "type": "insufficient_quota", "code": null}}'),
    ],
)
def test_what_waiting_does_not_help_is_said_at_once(make: Make, server: SpeechServer, fault: Fault) -> None:
    server.faults.append(fault)
    begun = time.monotonic()
    fails(make(), text="One.")
    assert time.monotonic() - begun < 5
    assert len(server.requests) == 1


def test_a_date_in_the_past_means_now() -> None:
    assert remote_connection._retry_after("Wed, 01 Jan 2020 00:00:00 GMT") == 0
    assert remote_connection._retry_after("soon") is None
    assert remote_connection._retry_after(None) is None


def test_nobody_listening_is_tried_again_and_then_said() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    engine = RemoteEngine(Settings(remote=Remote(url=url, retries=2)))
    assert "nobody answers at 127.0.0.1" in str(fails(engine, text="One."))
    assert fails(engine, text="One.").failure_class == "engine_unavailable"


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        (Fault(status=400), InvalidRequest, "refuses the request .400: The server says 400"),
        (Fault(status=401), EngineUnavailable, "does not accept the key"),
        (Fault(status=404), EngineUnavailable, "no such model or address"),
        (Fault(status=422, body=b'{"detail": "input too odd"}'), InvalidRequest, "input too odd"),
        (
            Fault(status=500, body=b"<html><body>Bad gateway</body></html>", content_type="text/html"),
            EngineFailed,
            r"failed .500.",
        ),
        (Fault(status=500, body=b'{"error": "' + b"x" * 5000 + b'"}'), EngineFailed, "x{199}…"),
        (Fault(status=500, body=b"\xff\xfe{["), EngineFailed, "failed .500."),
        (Fault(status=302, headers={"Location": "http://elsewhere/"}), EngineFailed, "sends the request elsewhere"),
    ],
)
def test_refusals_are_errors_with_the_servers_words(
    make: Make, server: SpeechServer, fault: Fault, kind: type[SynthesisError], message: str
) -> None:
    server.faults.append(fault)
    error = fails(make(), text="One.")
    assert type(error) is kind
    assert len(server.requests) == 1
    assert len(str(error)) < 400
    with pytest.raises(kind, match=message):
        raise error


@pytest.mark.parametrize(
    ("fault", "stage", "message"),
    [
        (Fault(silent=True), "answer", "closed the connection without an answer"),
        (Fault(cut=3000), "audio", "broke off its answer"),
        (Fault(cut=3000, sized=True), "audio", "broke off its answer"),
        (Fault(cut=0), "answer", "broke off its answer"),
        (Fault(endless=True), "audio", "more than 36 s of audio for 4 characters"),
        (Fault(body=b""), "audio", "without any audio"),
        (Fault(body=b"\1\2\3\4\5"), "audio", "middle of a sample"),
        (Fault(content_type="audio/mpeg"), "audio", "audio/mpeg where pcm was asked for"),
        (Fault(content_type="text/html", body=b"<html>"), "audio", "text/html where pcm"),
        (Fault(content_type="", body=b"<!DOCTYPE html><html>"), "audio", "with a text where audio"),
        (
            Fault(content_type="application/octet-stream", body=wav_header() + b"\0" * 90),
            "audio",
            "remote.format = 'wav'",
        ),
        (Fault(content_type="", body=b"ID3\4\0\0\0\0\0"), "audio", "MP3"),
        (Fault(headers={"Content-Encoding": "gzip"}), "answer", "packed its answer"),
    ],
)
def test_broken_answers_are_errors_with_their_stage(
    make: Make, server: SpeechServer, fault: Fault, stage: str, message: str
) -> None:
    server.faults.append(fault)
    error = fails(make(), text="One.")
    assert isinstance(error, EngineFailed)
    assert message in str(error)
    assert error.stage == stage
    assert "server" in error.remedy or "remote." in error.remedy
    assert len(server.requests) == 1  # and never asked again: audio may have been delivered


@pytest.mark.parametrize(
    "body",
    [
        b"RIFF", b"no wave file at all", wav_header()[:30], wav_header(1000) + b"\0" * 500, wav_header(2000) + b"\0" * 999,
        wav_header()[:20] + struct.pack("<HHIIHH", 7, 1, 8000, 8000, 1, 8) + wav_header()[36:],
        wav_header()[:12] + b"LIST" + struct.pack("<I", 10**9) + b"x" * 100,
        wav_header()[:12] + wav_header()[36:] + b"\0" * 100,
    ],
)  # fmt: skip
def test_broken_wav_files_are_errors(make: Make, server: SpeechServer, body: bytes) -> None:
    server.faults.append(Fault(body=body, content_type="audio/wav"))
    error = fails(make(format="wav"), text="One.")
    assert isinstance(error, EngineFailed)
    assert error.stage == "audio"


@pytest.mark.parametrize("limits", [{"first_timeout": 0.1}, {"total_timeout": 0.1}])
def test_a_server_that_never_begins_is_given_up(make: Make, server: SpeechServer, limits: dict[str, float]) -> None:
    never = threading.Event()
    server.faults.append(Fault(hold=never))
    error = fails(make(**limits), text="One.")
    never.set()
    assert isinstance(error, EngineFailed)
    assert error.stage == "answer"


def test_a_server_that_falls_silent_in_the_middle_is_given_up(make: Make, server: SpeechServer) -> None:
    never = threading.Event()
    server.faults.append(Fault(hold=never, after=8_000))
    error = fails(make(pause_timeout=0.1), text="One sentence.")
    never.set()
    assert isinstance(error, EngineFailed)
    assert error.stage == "audio"
    assert "sent nothing for 0.1 s" in str(error)


def test_an_answer_that_ends_with_its_connection_is_whole(make: Make, server: SpeechServer) -> None:
    server.faults.append(Fault(close=True))
    assert samples_of(list(make().synthesize(request("One.")))) == spoken(server.requests[0].body)


def test_closing_the_iterator_closes_the_connection(make: Make, server: SpeechServer) -> None:
    server.faults.append(Fault(endless=True))
    engine = make()
    running = engine.synthesize(request("A sentence that never ends."))
    next(running)
    running.close()
    assert server.hung_up.wait(10)
    assert samples_of(list(engine.synthesize(request("One.")))) == spoken({"input": "One.", "voice": "alloy"})


def test_it_may_be_closed_and_used_again(make: Make, server: SpeechServer) -> None:
    engine = make()
    for _ in range(2):
        list(engine.synthesize(request("One.")))
        engine.close()
        engine.close()
    assert len(server.requests) == 2


def test_many_threads_at_once_get_their_own_audio(make: Make) -> None:
    engine = make(concurrency=8)
    texts = [f"Thread {n} says hello" for n in range(16)]
    with ThreadPoolExecutor(8) as pool:
        heard = list(pool.map(lambda text: samples_of(list(engine.synthesize(request(text)))), texts))
    assert heard == [spoken({"input": text, "voice": "alloy"}) for text in texts]


def test_a_forked_child_speaks_on_a_connection_of_its_own(server: SpeechServer) -> None:
    script = f"""
import os
from voxledger.catalog.settings import Remote, Settings
from voxledger.synth.engines import SynthesisRequest
from voxledger.synth.engines.remote import RemoteEngine
engine = RemoteEngine(Settings(remote=Remote(url={server.url!r}, model="tts-1", voice="alloy")))
def say(text):
    list(engine.synthesize(SynthesisRequest(text=text, language="en")))
say("One.")
child = os.fork()
if child == 0:
    say("Two.")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
say("Three.")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    came_from = [asked.port for asked in server.requests]
    assert came_from[0] == came_from[2] != came_from[1]


# The key


def test_the_key_reaches_the_server_and_nobody_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SPEECH_KEY", SECRET)
    caplog.set_level(logging.DEBUG)
    with SpeechServer(key=SECRET) as server:
        server.faults += [Fault(status=503), Fault()]
        engine = RemoteEngine(
            Settings(remote=Remote(url=server.url, model="tts-1", voice="alloy", key_variable="SPEECH_KEY"))
        )
        list(engine.synthesize(request("One.")))
        assert [asked.status for asked in server.requests] == [503, 200]
        told = f'{{"error": {{"message": "Bad key {SECRET}"}}}}'.encode()
        server.faults.append(Fault(status=401, body=told))
        error = fails(engine, text="One.")
        assert SECRET not in f"{error} {error.remedy} {engine.describe()} {caplog.text}"
        assert "Bad key …" in str(error)
        for echo in (f"sk-*****{SECRET[-4:]}", f"{SECRET[:8]}…", f"'{SECRET[-4:]}'", "sk-**ees"):
            told = f'{{"error": {{"message": "Incorrect API key provided: {echo}. You can find it"}}}}'.encode()
            server.faults.append(Fault(status=401, body=told))
            said = str(fails(engine, text="One."))
            assert "Incorrect API key provided: " in said
            assert not any(part in said for part in (SECRET[:8], SECRET[-3:], "*"))
        monkeypatch.setenv("SPEECH_KEY", f"{SECRET}\n")
        assert SECRET not in str(fails(engine, text="One."))
        engine.close()


def test_no_key_is_sent_where_none_is_named(
    make: Make, server: SpeechServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ann password word\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    list(make().synthesize(request("One.")))
    assert "Authorization" not in server.requests[0].headers


# Decoding


@given(st.binary(max_size=400), st.lists(st.integers(1, 50), max_size=20))
def test_pcm_may_be_torn_anywhere(data: bytes, sizes: list[int]) -> None:
    whole, torn = Pcm(RATE), Pcm(RATE)
    data = b"\0\0" + data + b"\0" * (len(data) % 2) + b"\0\0"
    pieces, place = [], 0
    for size in [*sizes, len(data)]:
        pieces.append(torn.feed(data[place : place + size]))
        place += size
    torn.end()
    assert np.array_equal(np.concatenate(pieces), whole.feed(data))


@pytest.mark.parametrize(
    ("tag", "bits", "channels", "data"),
    [
        (1, 16, 1, struct.pack("<2h", 16384, -32768)),
        (1, 16, 2, struct.pack("<4h", 16384, 16384, -32768, -32768)),
        (1, 24, 1, b"\0\0\x40" + b"\0\0\x80"),
        (1, 32, 1, struct.pack("<2i", 2**30, -(2**31))),
        (3, 32, 1, struct.pack("<2f", 0.5, -1.0)),
    ],
)
def test_wav_of_every_usual_width_is_read_byte_by_byte(tag: int, bits: int, channels: int, data: bytes) -> None:
    form = struct.pack("<HHIIHH", tag, channels, 44_100, 0, 0, bits)
    file = wav_header()[:20] + form + b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"data" + struct.pack("<I", len(data))
    wav = Wav()
    heard = np.concatenate([wav.feed(bytes([byte])) for byte in file + data + b"LIST\1\0\0\0x"])
    wav.end()
    assert wav.rate == 44_100
    assert heard.tolist() == [0.5, -1.0]
