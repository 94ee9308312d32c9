"""A webhook on loopback that takes what Slack's take: JSON with `text`, by POST, with the limits of its blocks.

Source: https://docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

SECRET = "/services/T000/B000/hunter2"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the next request is answered with, once. `hold`: only when this event is set. `cut`: the line breaks instead.
    `trickle`: seconds between two bytes.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None
    cut: bool = False
    trickle: float = 0.0


class WebhookServer:
    """In a `with` block. `taken` are the messages that were answered with 200; `asked` counts all requests."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.taken: list[dict[str, Any]] = []
        self.asked = 0
        self.ending = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> WebhookServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ending.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Where to post to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{SECRET}"


def refusal(path: str, headers: Mapping[str, str], body: bytes) -> str:
    """Why Slack would not take a message; empty when it would."""
    if path != SECRET:
        return "no_service"
    if headers.get("Content-Type") != "application/json":
        return "invalid_payload"
    message = json.loads(body)
    blocks = message.get("blocks", [])
    if not message.get("text") or len(blocks) > 50:
        return "no_text"
    for block in blocks:
        texts = [block["text"]] if "text" in block else block.get("fields", [])
        limit = {"header": 150, "section": 3000 if "text" in block else 2000}[block["type"]]
        if not texts or len(texts) > 10 or any(not 0 < len(text["text"]) <= limit for text in texts):
            return "invalid_blocks"
        if block["type"] == "header" and block["text"]["type"] != "plain_text":
            return "invalid_blocks"
    return ""


def _handler(server: WebhookServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            server.asked += 1
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = server.answers.pop(0) if server.answers else Answer()
            while answer.hold is not None and not answer.hold.is_set() and not server.ending.is_set():
                time.sleep(0.01)
            if answer.cut:
                self.connection.close()
                return
            wrong = refusal(self.path, self.headers, body)
            status = 400 if wrong and answer.status == 200 else answer.status
            if status == 200:
                server.taken.append(json.loads(body))
            head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
            whole = f"HTTP/1.1 {status} X\r\n{head}Content-Length: {len(wrong)}\r\nConnection: close\r\n\r\n{wrong}".encode()
            for place in range(len(whole)) if answer.trickle else ():
                if server.ending.wait(answer.trickle):
                    return
                self.wfile.write(whole[place : place + 1])
            if not answer.trickle:
                self.wfile.write(whole)

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                return  # the other side went away, as it may

        def log_message(self, format: str, *args: Any) -> None:
            return

    return Handler
