"""A stand-in for a speech server on loopback, as strict as the documented contract of `POST /v1/audio/speech`.

Rules are cited by the page that states them:
[speech]  https://platform.openai.com/docs/api-reference/audio/createSpeech
[guide]   https://platform.openai.com/docs/guides/text-to-speech
[errors]  https://platform.openai.com/docs/guides/error-codes
[omni]    https://docs.vllm.ai/projects/vllm-omni/en/stable/serving/speech_api/
[index]   https://github.com/vllm-project/vllm-omni/blob/main/recipes/IndexTeam/IndexTTS-2_5.md
"""

from __future__ import annotations

import hashlib
import json
import struct
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

RATE = 24_000
"""Hz, of pcm and of what this server speaks [guide]."""

LONGEST_INPUT = 4096
FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
_OWN = frozenset(("model", "input", "voice", "instructions", "response_format", "speed", "stream_format"))
_OMNI = frozenset(
    ("ref_audio", "ref_text", "language", "task_type", "seed", "extra_params", "max_new_tokens", "stream")
)
_UNKNOWN_SIZE = 0xFFFFFFFF


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What to do in place of the next answer, or to it.

    `status` with `body` and `headers` replaces it. `content_type`, `body` and `headers` without a status change the
    ordinary one. `hold`: answer, or with `after` go on after so many bytes, only when this event is set. `cut`: break
    the connection after so many bytes. `endless`: never stop sending. `sized`: announce the length beforehand.
    `silent`: break the connection without a word. `close`: end the answer by closing the connection.
    """

    status: int = 0
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None
    hold: threading.Event | None = None
    after: int = 0
    cut: int | None = None
    endless: bool = False
    sized: bool = False
    silent: bool = False
    close: bool = False


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it came in, from which port, and what was answered (0 = the connection was broken)."""

    port: int
    path: str
    headers: Mapping[str, str]
    body: Any
    status: int


class SpeechServer:
    """Serves `/v1/audio/speech` in threads until the `with` ends. `url` is what `remote.url` takes."""

    def __init__(
        self,
        *,
        key: str | None = None,
        models: tuple[str, ...] = ("tts-1",),
        voices: tuple[str, ...] = ("alloy", "nova"),
        omni: bool = False,
    ) -> None:
        """`key`: what clients must bring. `omni`: speak vLLM-Omni's dialect, with its further fields."""
        self.key, self.models, self.voices, self.omni = key, models, voices, omni
        self.faults: deque[Fault] = deque()
        self.requests: list[Request] = []
        self.holding = threading.Event()
        """Set when an answer is being held."""
        self.hung_up = threading.Event()
        """Set when a client closed the connection before its answer was over."""
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.speech = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> SpeechServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def next_fault(self) -> Fault:
        """What the next request is to suffer."""
        with self._lock:
            return self.faults.popleft() if self.faults else Fault()

    def record(self, request: Request) -> None:
        """Remember a request."""
        with self._lock:
            self.requests.append(request)

    def refusal(self, path: str, headers: Mapping[str, str], raw: bytes) -> tuple[int, dict[str, Any]] | None:
        """Status and error of a request that is not as documented: address, key, body, then fields in turn."""
        if path != "/v1/audio/speech":
            return 404, self.error(404, f"Invalid URL (POST {path})")
        given = headers.get("Authorization", "")
        if self.key is not None and given != f"Bearer {self.key}":  # [errors] 401
            shown = given.removeprefix("Bearer ")[-4:]
            return 401, self.error(401, f"Incorrect API key provided: ***{shown}.", code="invalid_api_key")
        try:
            body = json.loads(raw)
        except ValueError:
            return 400, self.error(400, "We could not parse the JSON body of your request.")
        if not isinstance(body, dict):
            return 400, self.error(400, "The body must be an object.")
        return self._wrong_field(body)

    def _wrong_field(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        for name in body:
            if name not in (_OWN | _OMNI if self.omni else _OWN):
                return 400, self.error(400, f"Unknown parameter: '{name}'.", param=name)
        needed = ("input",) if self.omni else ("model", "input", "voice")  # [speech]; [omni]: only input
        for name in needed:
            if not isinstance(body.get(name), str):
                return 400, self.error(400, f"Missing required parameter: '{name}'.", param=name)
        if "model" in body and body["model"] not in self.models:  # [errors], [omni] 404
            return 404, self.error(
                404, f"The model `{body['model']}` does not exist.", param="model", code="model_not_found"
            )
        text = body["input"]
        if not text.strip():
            return 400, self.error(400, "Input text cannot be empty", param="input")
        if len(text) > LONGEST_INPUT:  # [speech]
            return 400, self.error(400, f"String too long: at most {LONGEST_INPUT} characters.", param="input")
        if "voice" in body and body["voice"] not in self.voices:
            return 400, self.error(400, f"Invalid voice: {body['voice']!r}", param="voice")
        return self._wrong_manner(body) or self._wrong_extension(body)

    def _wrong_manner(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        speed = body.get("speed", 1.0)
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0.25 <= speed <= 4:  # [speech]
            return 400, self.error(400, "speed must lie between 0.25 and 4.0", param="speed")
        form = body.get("response_format", "wav" if self.omni else "mp3")
        if form not in FORMATS:  # [speech]
            return 400, self.error(400, f"response_format must be one of {', '.join(FORMATS)}", param="response_format")
        if not isinstance(body.get("instructions", ""), str):
            return 400, self.error(400, "instructions must be a string", param="instructions")
        stream = body.get("stream_format")
        if stream not in (None, "audio", "sse"):  # [speech]
            return 400, self.error(400, "stream_format must be audio or sse", param="stream_format")
        if self.omni and stream and (form not in ("pcm", "wav") or speed != 1.0):  # [omni] Response Format
            return 400, self.error(400, "streaming needs pcm or wav, and a speed of 1.0", param="stream_format")
        return None

    def _wrong_extension(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]] | None:
        extra = body.get("extra_params", {})
        if not isinstance(extra, dict):
            return 400, self.error(400, "extra_params must be an object", param="extra_params")
        for name, value in (("ref_audio", body.get("ref_audio")), ("emo_audio", extra.get("emo_audio"))):
            if value is not None and not str(value).startswith(("data:audio/", "http://", "https://", "file://")):
                return 400, self.error(400, f"{name} must be a URL or a base64 data URL", param=name)  # [omni]
        vector = extra.get("emo_vector")
        if vector is not None and (
            not isinstance(vector, list) or len(vector) != 8 or not all(0 <= value <= 1.2 for value in vector)
        ):  # [index]
            return 400, self.error(400, "extra_params.emo_vector must be a list of 8 numbers", param="emo_vector")
        return None

    def error(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> dict[str, Any]:
        """An error's body: `{"error": {message, type, param, code}}`, all four keys [errors]; vLLM-Omni's code is the
        status, and its types are names of exceptions [omni].
        """
        if self.omni:
            kind = {400: "BadRequestError", 404: "NotFoundError"}.get(status, "InternalServerError")
            return {"error": {"message": message, "type": kind, "param": param, "code": status}}
        kind = {401: "invalid_request_error", 429: "rate_limit_error"}.get(status, "invalid_request_error")
        return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def spoken(body: Mapping[str, Any]) -> bytes:
    """What a body is answered with, as 16-bit samples: a tone of 50 ms a character, another for each voice and text."""
    seed = hashlib.sha256(json.dumps([body["input"], body.get("voice"), body.get("extra_params")]).encode()).digest()
    length = round(RATE * 0.05 * len(body["input"]) / body.get("speed", 1.0))
    tone = np.sin(np.arange(length) * 2 * np.pi * (120 + seed[0]) / RATE) * 0.5
    return (tone * 32767).astype("<i2").tobytes()


def wav_header(size: int = _UNKNOWN_SIZE) -> bytes:
    """The 44 bytes before the samples of a WAV file that is streamed."""
    return (
        struct.pack("<4sI4s", b"RIFF", min(size + 36, _UNKNOWN_SIZE), b"WAVE")
        + struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16)
        + struct.pack("<4sI", b"data", size)
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    speech: SpeechServer

    def handle_error(self, *_: object) -> None:
        """Quiet: clients under test hang up in the middle on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        speech = self.server.speech
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = speech.next_fault()
        try:
            body: Any = json.loads(raw)
        except ValueError:
            body = None
        refusal = speech.refusal(self.path, self.headers, raw)
        status = fault.status or (refusal[0] if refusal else 200)
        speech.record(
            Request(
                port=self.client_address[1],
                path=self.path,
                headers=dict(self.headers),
                body=body,
                status=0 if fault.silent else status,
            )
        )
        if fault.hold and not fault.after:
            speech.holding.set()
            fault.hold.wait(30)
        if fault.silent:
            self.close_connection = True
        elif fault.status or refusal:
            told = speech.error(status, f"The server says {status}.") if fault.status else refusal[1] if refusal else {}
            self._whole(status, json.dumps(told).encode() if fault.body is None else fault.body, fault)
        else:
            self._audio(body, fault)

    def _whole(self, status: int, content: bytes, fault: Fault) -> None:
        self.send_response(status)
        self.send_header("Content-Type", fault.content_type or "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _audio(self, body: dict[str, Any], fault: Fault) -> None:
        """Chunked, as it is made [guide]."""
        form = body.get("response_format", "mp3")
        samples = spoken(body)
        content = fault.body if fault.body is not None else (wav_header() if form == "wav" else b"") + samples
        self.send_response(200)
        self.send_header("Content-Type", fault.content_type if fault.content_type is not None else f"audio/{form}")
        for name, value in fault.headers.items():
            self.send_header(name, value)
        if fault.close:
            self.send_header("Connection", "close")
        elif fault.sized:
            self.send_header("Content-Length", str(len(content)))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for piece in self._pieces(content, fault):
                self.wfile.write(piece if fault.sized or fault.close else b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
            if fault.cut is not None or fault.close:
                self.close_connection = True
            elif not fault.sized:
                self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.server.speech.hung_up.set()
            self.close_connection = True

    def _pieces(self, content: bytes, fault: Fault) -> Iterator[bytes]:
        """Odd sizes, so that samples and headers are torn apart."""
        whole = content if fault.cut is None else content[: fault.cut]
        place = 0
        while fault.endless or place < len(whole):
            if fault.hold and fault.after and place >= fault.after:
                self.server.speech.holding.set()
                fault.hold.wait(30)
                fault = Fault(cut=fault.cut, endless=fault.endless, sized=fault.sized, close=fault.close)
            piece = whole[place : place + 4_001] if place < len(whole) else b"\0" * 65_536
            place += len(piece)
            yield piece

    def do_GET(self) -> None:
        self.send_error(405)

    def log_message(self, *_: object) -> None:
        """Quiet."""
