"""Limits: what is refused before it comes to a route, and what of it a client sees."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.node import PATIENCE, RunningNode, running_node
from voxledger.catalog.settings import Serve
from voxledger.dashboards.server.hosts import Hosts

_MOST = 50_000
_BODY = "/api/clips/x/url"
"""A route that reads a body before it asks who sends it."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    home = tmp_path_factory.mktemp("limits") / "home"
    with running_node(
        home, store_close_wait=0, serve_at_once=2, serve_connections=12, serve_max_body=_MOST, serve_max_upload=2 * _MOST,
        serve_names="speech.example.org", serve_stop_wait="1s",
    ) as running:  # fmt: skip
        yield running


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def _address(node: RunningNode) -> tuple[str, int]:
    url = httpx.URL(node.url)
    assert url.port is not None
    return url.host, url.port


@contextlib.contextmanager
def _said(node: RunningNode, content: bytes) -> Iterator[socket.socket]:
    """A bare connection that has sent so much."""
    with socket.create_connection(_address(node), timeout=PATIENCE) as line:
        line.sendall(content)
        yield line


def _heard(line: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One answer, from a connection that ends with it or tells its length."""
    content = b""
    while b"\r\n\r\n" not in content and (more := line.recv(65536)):
        content += more
    head, _, body = content.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rest)}
    while len(body) < int(headers.get("content-length", "0")) and (more := line.recv(65536)):
        body += more
    return int(first.split()[1]), headers, body


@contextlib.contextmanager
def _held(node: RunningNode, count: int) -> Iterator[list[socket.socket]]:
    """So many requests that stay under way, because their bodies never end."""
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(_said(node, _head(node, _BODY, length=100) + b"x")) for _ in range(count)]
        yield lines


def _head(node: RunningNode, path: str, *, length: int | None = None) -> bytes:
    """The head of a POST, with a body of so many bytes or one in chunks."""
    rows = (
        f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {node.secret}", "Content-Type: application/json",
        "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}", "", "",
    )  # fmt: skip
    return "\r\n".join(rows).encode()


def test_every_answer_has_an_id_and_makes_browsers_careful(node: RunningNode) -> None:
    with node.client() as client:
        made = [client.get(path) for path in ("/healthz", "/nowhere", "/healthz")]
        given = client.get("/healthz", headers={"X-Request-Id": "proxy:1234-abcd"})
        odd = client.get("/healthz", headers={"X-Request-Id": 'x" onload="y'})
        long = client.get("/healthz", headers={"X-Request-Id": "x" * 500})
    ids = {answer.headers["x-request-id"] for answer in [*made, odd, long]}
    assert len(ids) == 5
    assert all(len(identity) == 36 for identity in ids)
    assert given.headers["x-request-id"] == "proxy:1234-abcd"
    for answer in made:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"


def test_a_strange_host_is_refused_and_health_is_not(node: RunningNode) -> None:
    with node.client() as client:
        for host in (
            "evil.example",
            "evil.example:8460",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "a b",
            "",
            "x@localhost",
        ):
            answer = client.get("/nowhere", headers={"Host": host})
            assert (answer.status_code, answer.json()["error"]["code"]) == (421, "host"), host
            assert "evil" not in answer.text
        for host in ("localhost", "LOCALHOST.", "127.0.0.1:9", "[::1]:9", "192.168.7.9", "speech.example.org:443"):
            assert client.get("/nowhere", headers={"Host": host}).status_code == 404, host
        assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 200


def test_a_page_from_elsewhere_writes_nothing_without_a_token(node: RunningNode) -> None:
    foreign = (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://speech.example.org:3000"},
        {"Sec-Fetch-Site": "cross-site"},
    )
    own = httpx.URL(node.url).copy_with(host="speech.example.org")
    ours = (
        {},
        {"Origin": node.url},
        {"Origin": "https://speech.example.org"},
        {"Origin": str(own).rstrip("/")},
        {"Sec-Fetch-Site": "same-origin"},
    )
    with node.client("") as client:
        for headers in foreign:
            answer = client.post("/nowhere", headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin"), headers
            assert client.get("/nowhere", headers=headers).status_code == 404, (
                "reading is left to tokens and to the browser"
            )
        for headers in ours:
            assert client.post("/nowhere", headers=headers).status_code == 404, headers
    with node.client() as client:
        assert client.post("/nowhere", headers={"Origin": "https://evil.example"}).status_code == 404, (
            "a token is no cookie"
        )


def test_a_large_body_is_refused_before_it_is_read(node: RunningNode) -> None:
    with node.client() as client:
        answer = client.post(_BODY, content=b"x" * (_MOST + 1))
        assert client.post("/nowhere", content=b"x" * _MOST).status_code == 404
        assert client.post("/api/voices", content=b"x" * (2 * _MOST + 1)).status_code == 413
        assert client.post("/api/voices", content=b"x" * (2 * _MOST)).status_code not in (413, 500)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    assert "serve.max_body" in answer.json()["error"]["remedy"]
    with _said(node, _head(node, _BODY, length=10**12)) as line:
        status, headers, _ = _heard(line)
    assert (status, headers["connection"]) == (413, "close")


def test_a_chunked_body_is_counted_while_it_comes(node: RunningNode) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(200):
            yield b" " * 1000

    with node.client() as client:
        answer = client.post(_BODY, content=endless(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    # Said without a length and never ended: refused as soon as it is too long, and the line is closed.
    with _said(node, _head(node, _BODY) + b"30d40\r\n" + b" " * 200_000) as line:
        status, _, body = _heard(line)
    assert (status, json.loads(body)["error"]["code"]) == (413, "body_too_large")


def test_further_requests_are_asked_to_come_back_and_health_answers(node: RunningNode) -> None:
    with node.client() as client, _held(node, 2) as lines:
        _until(lambda: client.get("/nowhere").status_code == 503)
        began = time.monotonic()
        busy = client.post("/nowhere", json={})
        assert time.monotonic() - began < 5
        assert (busy.status_code, busy.json()["error"]["code"], busy.headers["retry-after"]) == (503, "busy", "1")
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 200
        assert client.get("/metrics").status_code != 503
        lines.pop().close()
        _until(lambda: client.get("/nowhere").status_code == 404)
    with node.client() as client:
        _until(lambda: client.get("/nowhere").status_code == 404)


def test_further_connections_are_turned_away(node: RunningNode) -> None:
    with contextlib.ExitStack() as stack:
        lines = [stack.enter_context(socket.create_connection(_address(node), timeout=PATIENCE)) for _ in range(12)]
        with socket.create_connection(_address(node), timeout=PATIENCE) as line:
            status, headers, body = _heard(line)
        assert (status, headers["connection"], json.loads(body)["error"]["code"]) == (503, "close", "busy")
        assert len(lines) == 12

    def answers() -> bool:
        with contextlib.suppress(httpx.TransportError), node.client() as client:
            return client.get("/healthz").status_code == 200
        return False

    _until(answers)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: " + b"x" * 400_000, 431),
        (b"this is not HTTP\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404),
        (b"GET /nowhere HTTP/1.1\r\n\r\n", 421),
    ],
)
def test_what_is_no_request_gets_an_answer_in_our_shape(node: RunningNode, sent: bytes, status: int) -> None:
    with socket.create_connection(_address(node), timeout=PATIENCE) as line:
        with contextlib.suppress(ConnectionError):  # a long head is cut off before it is sent
            line.sendall(sent[:300_000])
            line.sendall(sent[300_000:])
        answered, _, body = _heard(line)
    assert answered == status
    assert set(json.loads(body)["error"]) == {"message", "type", "param", "code", "remedy"}


def test_names_that_are_ours() -> None:
    hosts = Hosts(Serve(host="0.0.0.0", url="https://Speech.Example.org:8443"))  # compared, not bound
    assert hosts.knows(b"speech.example.org")
    assert not hosts.knows(b"speech.example.org:port")
    assert not hosts.knows(None)
    assert hosts.wrote(b"https://speech.example.org:8443", b"10.0.0.1:8460")
    assert hosts.wrote(b"http://10.0.0.1:8460", b"10.0.0.1:8460")
    for foreign in (
        b"http://10.0.0.2:8460",
        b"http://10.0.0.1:3000",
        b"http://speech.example.org:8443",
        b"https://speech.example.org",
    ):
        assert not hosts.wrote(foreign, b"10.0.0.1:8460"), foreign


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node with room for eight requests, four of each principal."""
    home = tmp_path_factory.mktemp("narrow") / "home"
    with running_node(
        home, store_close_wait=0, serve_at_once=8, serve_connections=200, serve_stop_wait="300s"
    ) as running:
        yield running


def _strange(path: str, authorization: str = "", kind: str = "application/json") -> bytes:
    """The head of a POST by nobody known, which promises a long body."""
    rows = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {kind}", "Content-Length: 1000000"]
    return "\r\n".join([*rows, *([f"Authorization: {authorization}"] if authorization else []), "", ""]).encode()


@pytest.mark.parametrize("path", ["/api/clips/bulk", "/v1/audio/speech", "/api/clips", "/api/sql"])
@pytest.mark.parametrize("authorization", ["", "Bearer vox_nothing", "Basic eDp5"])
def test_nobody_without_a_token_holds_a_slot_with_a_body(narrow: RunningNode, path: str, authorization: str) -> None:
    began = time.monotonic()
    with contextlib.ExitStack() as stack, narrow.client() as owner:
        lines = [stack.enter_context(_said(narrow, _strange(path, authorization) + b"{")) for _ in range(20)]
        for line in lines:
            status, headers, body = _heard(line)
            assert (status, headers["www-authenticate"], headers["connection"]) == (401, "Bearer", "close")
            assert json.loads(body)["error"]["code"] == ("unknown_token" if "Bearer" in authorization else "no_token")
        assert owner.get("/api/clips").status_code == 200
    assert time.monotonic() - began < 20, "nobody waited for a body"


def test_an_upload_of_nobody_known_is_not_read(narrow: RunningNode) -> None:
    kind = "multipart/form-data; boundary=B"
    part = b'--B\r\nContent-Disposition: form-data; name="recording"; filename="a.wav"\r\n\r\n' + b"\0" * 10_000
    for authorization in ("", "Bearer vox_nothing"):
        with _said(narrow, _strange("/api/voices", authorization, kind) + part) as line:
            assert _heard(line)[0] == 401


def test_whoever_asks_too_fast_is_told_before_the_body_is_read(narrow: RunningNode) -> None:
    with narrow.client() as owner:
        token = owner.post("/api/tokens", json={"role": "creator", "limits": {"rate": "1/h"}}).json()["token"]
    with narrow.client(token) as client:
        assert client.get("/api/clips").status_code == 200
    with _said(narrow, _strange("/api/clips/bulk", f"Bearer {token}") + b"{") as line:
        status, headers, body = _heard(line)
    assert (status, json.loads(body)["error"]["code"]) == (429, "rate")
    assert int(headers["retry-after"]) > 3000


def test_one_principal_takes_no_more_than_half_of_the_slots(narrow: RunningNode) -> None:
    with narrow.client() as owner:
        token = owner.post("/api/tokens", json={"role": "creator"}).json()["token"]
    head = _head(narrow, "/api/clips/bulk", length=100).replace(narrow.secret.encode(), token.encode())
    with contextlib.ExitStack() as stack, narrow.client(token) as client, narrow.client() as owner:
        for _ in range(4):
            stack.enter_context(_said(narrow, head + b"{"))
        _until(lambda: client.get("/api/clips").status_code == 503)
        assert client.get("/api/clips").json()["error"]["code"] == "busy"
        assert owner.get("/api/clips").status_code == 200
    with narrow.client(token) as client:
        _until(lambda: client.get("/api/clips").status_code == 200)


def test_a_stop_waits_for_no_body_that_drips(tmp_path: Path) -> None:
    with running_node(tmp_path / "home", store_close_wait=0, serve_stop_wait="300s") as node:
        with node.client() as owner:
            assert owner.get("/api/clips").status_code == 200
        with _said(node, _head(node, "/api/clips/bulk", length=100) + b"{") as line:
            with node.client() as owner:
                _until(lambda: "voxledger_http_slots_taken 1.0" in owner.get("/metrics").text)
            began = time.monotonic()
            assert node.stop() == 0
            assert time.monotonic() - began < PATIENCE
            status, _, body = _heard(line)
            assert (status, json.loads(body)["error"]["code"]) == (503, "stopping")
