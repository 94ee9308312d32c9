"""The node under examination: what the doctor says of the process that serves a HOME, and of tokens that end soon."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from typing import Any

import msgspec
import pytest

from tests.building import Parts
from voxledger.catalog import platform
from voxledger.catalog.access.tokens import Tokens
from voxledger.catalog.doctor.finding import Finding
from voxledger.catalog.doctor.node import node_findings
from voxledger.catalog.events import now
from voxledger.catalog.log import link

_READY = (200, {"status": "ready"})


@contextmanager
def _node(parts: Parts, health: dict[str, Any], ready: tuple[int, dict[str, Any]] = _READY) -> Iterator[None]:
    """A node in this process that gives these answers, and is named in `node.json`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, told = (200, health) if self.path == "/healthz" else ready
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(told).encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        _say_where(parts, f"http://127.0.0.1:{server.server_address[1]}")
        yield
        server.shutdown()


def _say_where(parts: Parts, url: str) -> None:
    discovery = link.Discovery(
        pid=os.getpid(), started=platform.started(os.getpid()) or 0.0, port=1, instance="i", secret="s", url=url
    )
    platform.write_atomic(link.path(parts.home), msgspec.json.encode(discovery))


def _found(parts: Parts) -> dict[str, Finding]:
    return {finding.name: finding for finding in node_findings(parts.home, parts.journal)}


def test_without_a_node_nothing_runs_by_itself(parts: Parts) -> None:
    found = _found(parts)
    assert (found["node"].state, found["node"].found) == ("note", "nobody serves this HOME")


def test_a_node_that_answers_is_in_order(parts: Parts) -> None:
    with _node(parts, {"status": "ok", "version": version("voxledger")}):
        found = _found(parts)
    assert (found["node"].state, found["readiness"].state) == ("ok", "ok")


def test_a_node_of_another_version_should_be_started_again(parts: Parts) -> None:
    with _node(parts, {"status": "ok", "version": "0.0.7"}):
        found = _found(parts)["node"]
    assert found.state == "warning"
    assert "0.0.7" in found.found
    assert version("voxledger") in found.follows


def test_what_keeps_it_from_its_work_is_said(parts: Parts) -> None:
    reasons = [{"code": "disk", "reason": "the disk is full"}, {"code": "log", "reason": "the log falls behind"}]
    unready = (503, {"status": "not ready", "reasons": reasons})
    with _node(parts, {"status": "ok", "version": version("voxledger")}, unready):
        found = _found(parts)["readiness"]
    assert (found.state, found.found) == ("bad", "the disk is full; the log falls behind")


def test_a_process_that_does_not_answer_is_bad(parts: Parts) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as gone:
        url = f"http://127.0.0.1:{gone.server_address[1]}"
    _say_where(parts, url)
    found = _found(parts)["node"]
    assert found.state == "bad"
    assert url in found.found


@pytest.mark.parametrize(("days", "state"), [(3, "warning"), (15, "ok"), (None, "ok")])
def test_tokens_that_end_within_two_weeks_are_named_by_their_ids(parts: Parts, days: int | None, state: str) -> None:
    tokens = Tokens(parts.recorder, actor="ann", zone="UTC")
    expires = now() + timedelta(days=days) if days else None
    made = tokens.create("viewer", name="somebody", expires=expires)
    found = _found(parts)["tokens"]
    assert found.state == state
    assert (made.token.id in found.found) == (state == "warning")
    assert "somebody" not in found.found
    tokens.revoke(made.token.id)
    assert "tokens" not in _found(parts)
