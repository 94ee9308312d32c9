"""Stopping: what ends in time, what is called off, and what a stop or a kill leaves for the next start."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import voxledger
from tests.building import NOBODY
from tests.node import PATIENCE, RunningNode, running_node
from tests.s3 import S3Server
from tests.speech_server import Fault, SpeechServer
from voxledger.catalog.journal import UPLOAD

_TEXT = {"text": "The tide is turning, and nobody on the pier has noticed it yet.", "engine": "remote"}

_OPENAI = {
    "model": "remote", "voice": "alloy", "input": _TEXT["text"], "response_format": "pcm", "stream_format": "audio",
}  # fmt: skip


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def speech() -> Iterator[SpeechServer]:
    with SpeechServer() as running:
        yield running


class _Asking:
    """A request in a thread of its own."""

    def __init__(self, node: RunningNode, path: str, content: Any) -> None:
        self.answer: httpx.Response | None = None
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._ask, args=(node, path, content), daemon=True)
        self._thread.start()

    def _ask(self, node: RunningNode, path: str, content: Any) -> None:
        try:
            with node.client() as client:
                self.answer = client.post(path, json=content)
        except httpx.TransportError as error:
            self.error = error

    def ended(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


def _outcomes(home: Path) -> list[str]:
    with voxledger.open(home, store_endpoint=NOBODY, store_close_wait=0) as vox:
        return [row["outcome"] for row in vox.catalog.sql("SELECT outcome FROM generations ORDER BY position").rows()]


def _node(home: Path, speech: SpeechServer, **settings: Any) -> contextlib.AbstractContextManager[RunningNode]:
    given = {
        "store_close_wait": 0,
        "store_endpoint": NOBODY,
        "remote_url": speech.url,
        "remote_model": "tts-1",
        "remote_voice": "alloy",
        **settings,
    }
    return running_node(home, **given)


def test_what_is_under_way_ends_while_new_work_is_refused(tmp_path: Path, speech: SpeechServer) -> None:
    go_on = threading.Event()
    speech.faults.append(Fault(hold=go_on))
    with _node(tmp_path / "home", speech, serve_stop_wait="50s") as node:
        asked = _Asking(node, "/api/clips", _TEXT)
        assert speech.holding.wait(PATIENCE)
        with node.client() as client:
            assert client.get("/readyz").status_code == 200
            node.process.send_signal(signal.SIGTERM)
            _until(lambda: client.get("/readyz").status_code == 503)
            assert client.get("/readyz").json()["status"] == "stopping"
            assert client.get("/healthz").status_code == 200
            refused = client.get("/api/clips")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "stopping")
        assert refused.headers["connection"] == "close"
        assert "retry-after" in refused.headers
        assert node.process.poll() is None
        go_on.set()
        asked.ended()
        assert node.process.wait(PATIENCE) == 0, node.log.read_text()
    assert asked.answer is not None
    assert asked.answer.status_code == 201
    assert not (tmp_path / "home" / "node.json").exists()
    assert _outcomes(tmp_path / "home") == ["completed"]


@pytest.mark.parametrize(("path", "content"), [("/api/clips/stream", _TEXT), ("/v1/audio/speech", _OPENAI)])
def test_what_does_not_end_in_time_is_called_off_and_recorded(
    tmp_path: Path, speech: SpeechServer, path: str, content: dict[str, Any]
) -> None:
    go_on = threading.Event()
    speech.faults.append(Fault(hold=go_on, after=20_000))
    home = tmp_path / "home"
    try:
        with (
            _node(home, speech, serve_stop_wait="0.5s") as node,
            node.client() as client,
            contextlib.ExitStack() as lines,
            client.stream("POST", path, json=content) as stream,
        ):
            assert stream.status_code == 200
            assert speech.holding.wait(PATIENCE)
            # One that sends its body for ever, and one that never reads its answer.
            lines.enter_context(_unfinished(node))
            began = time.monotonic()
            assert node.stop() == 0
            took = time.monotonic() - began
            assert "stopped cleanly" in node.said()
            with contextlib.suppress(httpx.TransportError):
                stream.read()
    finally:
        go_on.set()
    assert took < 20, "half a second for requests, and a few for what was called off"
    assert not (home / "node.json").exists()
    assert _outcomes(home) == ["cancelled"]


@contextlib.contextmanager
def _unfinished(node: RunningNode) -> Iterator[socket.socket]:
    url = httpx.URL(node.url)
    with socket.create_connection((url.host, url.port or 0), timeout=PATIENCE) as line:
        line.sendall(
            f"POST /api/clips HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {node.secret}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
        )
        yield line


def test_a_second_signal_ends_it_at_once(tmp_path: Path, speech: SpeechServer) -> None:
    go_on = threading.Event()
    speech.faults.append(Fault(hold=go_on))
    home = tmp_path / "home"
    try:
        with _node(home, speech, serve_stop_wait="1h") as node:
            asked = _Asking(node, "/api/clips", _TEXT)
            assert speech.holding.wait(PATIENCE)
            node.process.send_signal(signal.SIGTERM)
            with node.client() as client:
                _until(lambda: client.get("/readyz").status_code == 503)
            assert node.stop(signal.SIGINT) == 130
            asked.ended()
    finally:
        go_on.set()
    assert not (home / "node.json").exists()


@contextlib.contextmanager
def _silent() -> Iterator[str]:
    """An endpoint that takes calls and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _leases(home: Path) -> dict[str, int]:
    """Upload tasks by state, as they lie in the journal."""
    with contextlib.closing(sqlite3.connect(home / "journal.sqlite")) as journal:
        return dict(journal.execute("SELECT state, count(*) FROM tasks WHERE kind = ? GROUP BY 1", (UPLOAD,)))


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_the_next_start_goes_on_at_once_with_what_was_being_uploaded(
    tmp_path: Path, rclone_store: S3Server, by: signal.Signals
) -> None:
    home = tmp_path / "home"
    with (
        _silent() as endpoint,
        running_node(
            home,
            store_endpoint=endpoint,
            store_access_key="k",
            store_secret_key="s",
            store_close_wait=0,
            serve_stop_wait="1s",
        ) as node,
    ):
        with node.client() as client:
            clips = [
                client.post("/api/clips", json={"text": text}).json()["clip"]["id"]
                for text in ("One.", "Two.", "Three.")
            ]
        _until(lambda: _leases(home).get("leased", 0) >= 1)
        node.stop(by)
    assert len(clips) == 3
    left = _leases(home)
    assert sum(left.values()) >= 3, "the clips, and what is sealed of the log"
    if by == signal.SIGTERM:
        assert set(left) == {"waiting"}, "handed back"
    settings = rclone_store.settings()
    began = time.monotonic()
    with running_node(
        home,
        store_endpoint=settings.endpoint,
        store_access_key=settings.access_key,
        store_secret_key=settings.secret_key,
        store_close_wait=0,
    ):
        _until(lambda: not _leases(home))
    assert time.monotonic() - began < 60, "no lease was waited for"


def test_what_a_node_of_a_container_that_is_gone_held_is_free_at_once(tmp_path: Path) -> None:
    """Its process counts in a space that nobody sees from here: only `node.json`, and the lock on it, tell that it has ended."""
    home = tmp_path / "home"
    with voxledger.open(home, store_endpoint=NOBODY, store_close_wait=0) as vox:
        vox.speak("Left behind.")
    with contextlib.closing(sqlite3.connect(home / "journal.sqlite")) as journal, journal:
        journal.execute(
            "UPDATE tasks SET state = 'leased', owner = '7:123.45:abcdef01:1', lease_until = ? WHERE kind = ?",
            (time.time() + 300, UPLOAD),
        )
    left = {"pid": 7, "started": 123.45, "port": 1, "instance": "gone", "secret": "x"}
    (home / "node.json").write_text(json.dumps(left))
    with (
        running_node(home, store_endpoint=NOBODY, store_close_wait=0),
        contextlib.closing(sqlite3.connect(home / "journal.sqlite")) as journal,
    ):
        owners = {owner for (owner,) in journal.execute("SELECT owner FROM tasks WHERE kind = ?", (UPLOAD,))}
    assert not any(owner and owner.startswith("7:123.45:") for owner in owners)
