"""Tokens over HTTP, on a real node: who gets in, how far, how often, and until when."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

import voxledger
from tests.node import PATIENCE, RunningNode, running_node
from voxledger.catalog.access import ROLES, Permission, Principal
from voxledger.catalog.events.access import Role
from voxledger.cli import main

ROUTES: dict[Permission, tuple[str, str]] = {
    "read": ("GET", "/api/clips"),
    "usage": ("GET", "/api/metrics"),
    "sql": ("GET", "/api/events"),
    "speak": ("POST", "/api/clips"),
    "curate": ("PUT", "/api/clips/00000000/pin"),
    "voices": ("POST", "/api/voices"),
    "retain": ("POST", "/api/holds"),
    "admin": ("GET", "/api/tokens"),
}
"""A route for each permission. What is sent along says nothing, so whoever may is told that it is wrong, and nothing is done."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    with running_node(tmp_path_factory.mktemp("tokens") / "home", store_close_wait=0) as found:
        yield found


def make(node: RunningNode, role: str, **asked: Any) -> str:
    """A token, made by the owner."""
    with node.client() as owner:
        answer = owner.post("/api/tokens", json={"role": role, **asked})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def identity(token: str) -> str:
    return token.split("_")[1]


def code(answer: httpx.Response) -> str:
    """The code of an error, in the one shape that they have."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code", "remedy"}
    return str(error["code"])


def gone(client: httpx.Client) -> httpx.Response:
    """The first answer to somebody who is not let in any more."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = client.get("/api/me")
        if answer.status_code != 200:
            return answer
    raise AssertionError("the token still opens the node")


@pytest.mark.parametrize(("role", "scope"), [*((role, None) for role in get_args(Role)), ("curator", "own")])
def test_each_role_reaches_what_it_permits_and_nothing_else(node: RunningNode, role: Role, scope: str | None) -> None:
    token = make(node, role, scope=scope)
    with node.client(token) as client:
        me = client.get("/api/me").json()
        principal = Principal(id=me["id"], name=me["name"], role=me["role"], scope=me["scope"])
        assert set(me["permissions"]) == {permission for permission in ROUTES if principal.may(permission)}
        for permission, (method, path) in ROUTES.items():
            answer = client.request(method, path)
            lacks = principal.lacks(permission)
            if lacks:
                assert (answer.status_code, code(answer)) == (403, lacks), permission
            else:
                assert answer.status_code in (200, 400, 404, 422), (permission, answer.text)
    assert principal.role == role
    assert (scope or ("own" if role == "creator" else "all")) == principal.scope
    assert set(ROUTES) == set(ROLES["admin"])


def test_nobody_gets_in_without_a_token_that_is_known(node: RunningNode) -> None:
    token = make(node, "admin")
    wrong = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    sent = {
        "": "no_token", "Bearer": "no_token", f"Basic {token}": "no_token", token: "no_token", f"Bearer {wrong}": "unknown_token",
        f"Bearer {token}x": "unknown_token", "Bearer ü\u00ff": "unknown_token", f"Bearer {identity(token)}": "unknown_token",
        f"Bearer {node.secret[:-1]}": "unknown_token",
    }  # fmt: skip
    with node.client("") as client:
        for header, meant in sent.items():
            for method, path in ROUTES.values():
                answer = client.request(
                    method, path, headers={"Authorization": header.encode("latin-1")} if header else {}
                )
                assert (answer.status_code, code(answer)) == (401, meant), header
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                assert token not in answer.text
                assert wrong not in answer.text
        assert client.get("/api/me", headers={"Authorization": f"bearer  {token}"}).status_code == 200


def test_a_revoked_token_opens_nothing_within_a_second(node: RunningNode) -> None:
    """Whoever revokes it: the API, or another process."""
    token = make(node, "viewer")
    with node.client(token) as client, node.client() as owner:
        assert client.get("/api/me").status_code == 200
        ended = owner.delete(f"/api/tokens/{identity(token)}?reason=lost")
        began = time.monotonic()
        assert (ended.status_code, ended.json()["state"]) == (200, "revoked")
        assert code(gone(client)) == "revoked"
        assert time.monotonic() - began < 1
        again = owner.delete(f"/api/tokens/{identity(token)}")
        assert (again.status_code, code(again)) == (400, "token")
        assert owner.delete("/api/tokens/0000").status_code == 404
        misplaced = owner.delete(f"/api/tokens/{token}")
        assert misplaced.status_code == 404
        assert token not in misplaced.text
    with voxledger.open(node.home) as vox:
        made = vox.tokens.create("viewer")
        with node.client(made.written) as client:  # known at once, too
            assert client.get("/api/me").status_code == 200
            vox.tokens.revoke(made.token.id)
            began = time.monotonic()
            assert code(gone(client)) == "revoked"
            assert time.monotonic() - began < 1


def test_a_token_expires_by_itself(node: RunningNode) -> None:
    with voxledger.open(node.home) as vox:
        made = vox.tokens.create("viewer", expires=datetime.now(UTC) + timedelta(seconds=1))
    with node.client(made.written) as client:
        answer = gone(client)
        assert (answer.status_code, code(answer)) == (401, "expired")
    assert made.token.expires is not None
    assert datetime.now(UTC) >= made.token.expires


def test_whoever_asks_too_fast_is_told_when_to_come_back(node: RunningNode) -> None:
    with node.client(make(node, "viewer", limits={"rate": "3/h"})) as client, node.client() as owner:
        assert [client.get("/api/clips").status_code for _ in range(3)] == [200, 200, 200]
        answer = client.get("/api/clips")
        assert (answer.status_code, code(answer)) == (429, "rate")
        assert answer.json()["error"]["type"] == "rate_limit_error"
        assert 1190 < int(answer.headers["Retry-After"]) <= 1200
        assert client.get("/api/tokens").status_code == 429  # and what it may not do does not matter then
        assert owner.get("/api/clips").status_code == 200


def test_limits_of_a_day_are_answered_with_429_before_any_work(node: RunningNode) -> None:
    token = make(node, "creator", name="cleo", limits={"requests": 6, "audio_s": 0.001, "bytes": 10_000_000})
    with node.client(token) as client:
        asked = {"text": "The tide is turning.", "engine": "espeak"}
        made = client.post("/api/clips", json=asked)
        assert made.status_code == 201, made.text
        duration = made.json()["clip"]["duration_us"] / 1e6
        me = client.get("/api/me").json()
        assert me["today"]["requests"] == 1
        assert me["today"]["audio_s"] == pytest.approx(duration)
        assert me["today"]["bytes"] >= len(made.content)
        assert me["left"] == {"requests": 5, "audio_s": 0.0, "bytes": 10_000_000 - me["today"]["bytes"]}
        again = client.post("/api/clips", json={**asked, "text": "And it turns again."})
        assert (again.status_code, code(again)) == (429, "quota")
        assert 0 < int(again.headers["Retry-After"]) <= 25 * 3600
        assert int(again.headers["Retry-After"]) == pytest.approx(me["resets"] - time.time(), abs=30)
        speech = client.post("/v1/audio/speech", json={"model": "tts-1", "voice": "alloy", "input": "Hello."})
        assert (speech.status_code, code(speech)) == (429, "quota")
        # Listening goes on, until the requests of the day are used up, too.
        assert [client.get("/api/clips").status_code for _ in range(6)] == [200] * 5 + [429]
        assert client.get("/api/me").status_code == 200
        assert [clip["actor"] for clip in node_clips(node, "cleo")] == ["cleo"]


def node_clips(node: RunningNode, actor: str) -> list[dict[str, Any]]:
    with node.client() as owner:
        found: list[dict[str, Any]] = owner.get("/api/clips", params={"actor": actor}).json()["clips"]
        return found


def test_bytes_that_are_sent_count(node: RunningNode) -> None:
    with node.client(make(node, "viewer", limits={"bytes": 1})) as client:
        assert client.get("/api/clips").status_code == 200
        answer = client.get("/api/clips")
        assert (answer.status_code, code(answer)) == (429, "quota")
        assert "bytes" in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/api/clips", "/api/clips/stream", "/v1/audio/speech", "/api/jobs"])
def test_whoever_speaks_much_at_once_goes_beyond_the_limit_by_little(node: RunningNode, path: str) -> None:
    token = make(node, "creator", name=f"crowd{path.replace('/', '-')}", limits={"audio_s": 5})
    said = "The tide is turning, and it goes on turning for as long as anybody says so. " * 3

    def body(number: int) -> dict[str, Any]:
        text = f"Voice {number} in {path[1:3]}. {said}"
        return {"model": "espeak", "input": text} if path.startswith("/v1") else {"text": text, "engine": "espeak"}

    with node.client(token) as client:
        if path == "/api/jobs":
            lines = "".join(json.dumps({"text": body(number)["text"]}) + "\n" for number in range(12))
            answer = client.post(f"{path}?engine=espeak", content=lines, headers={"Content-Type": "application/jsonl"})
            assert answer.status_code == 201, answer.text
            deadline = time.monotonic() + PATIENCE
            while (
                "audio of today" not in client.get(f"/api/jobs/{answer.json()['id']}").json()["said"]
                or client.get("/api/me").json()["today"]["audio_s"] < 5  # what is under way holds the others up, too
            ):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert client.delete(f"/api/jobs/{answer.json()['id']}").status_code == 200
        else:
            with ThreadPoolExecutor(12) as pool:
                answers = list(pool.map(lambda number: client.post(path, json=body(number)), range(12)))
            assert {answer.status_code for answer in answers} <= {200, 201, 429}
            refused = [answer for answer in answers if '"quota"' in answer.text[-1000:]]
            assert len(refused) >= 9
        used = client.get("/api/me").json()["today"]["audio_s"]
    assert 5 <= used < 60, "one clip has about 15 s"


def test_what_fails_or_was_there_gives_back_the_audio_that_was_held_for_it(node: RunningNode) -> None:
    """Three of the nine long ones would use up the day; what was spoken before somebody went away counts, and is far less."""
    deadline = time.monotonic() + PATIENCE

    def begun(client: httpx.Client, text: str) -> None:
        """Asked again while what was held for the one before is not given back yet."""
        while True:
            with client.stream("POST", "/api/clips/stream", json={"text": text, "engine": "espeak"}) as answer:
                if answer.status_code == 200:
                    return  # and goes away
                assert answer.status_code == 429
                assert int(answer.headers["Retry-After"]) < 10, "by what was let go no limit is used up"
            assert time.monotonic() < deadline
            time.sleep(0.1)

    with node.client(make(node, "creator", name="dino", limits={"audio_s": 600})) as client:
        long = "It goes on and on. " * 200  # about 250 s
        for _ in range(3):
            for path, asked in (
                ("/api/clips", {"text": long, "engine": "espeak"}),
                ("/v1/audio/speech", {"input": long, "model": "espeak"}),
            ):
                while (refused := client.post(path, json={**asked, "voice": "nobody"})).status_code == 429:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
                assert refused.status_code >= 400
            begun(client, long)
        asked = {"text": "And it turns back.", "engine": "espeak"}
        while (answered := client.post("/api/clips", json=asked)).status_code == 429:
            assert int(answered.headers["Retry-After"]) < 10, "by what was let go no limit is used up"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert answered.status_code in (200, 201)
        assert client.post("/api/clips", json=asked).status_code == 200


def test_a_clip_that_was_there_costs_no_audio(node: RunningNode) -> None:
    with node.client(make(node, "creator", name="dora", limits={"audio_s": 1000})) as client:
        asked = {"text": "Twice the same.", "engine": "espeak"}
        assert client.post("/api/clips", json=asked).status_code == 201
        once = client.get("/api/me").json()["today"]["audio_s"]
        assert once > 0
        assert client.post("/api/clips", json=asked).status_code == 200
        assert client.get("/api/me").json()["today"]["audio_s"] == once


def test_a_creator_sees_the_own_clips_and_everybodys_when_that_is_granted(node: RunningNode) -> None:
    whole = make(node, "creator", name="gil", scope="all")
    for name in ("emil", "fay"):
        with node.client(make(node, "creator", name=name)) as client:
            assert client.post("/api/clips", json={"text": f"I am {name}.", "engine": "espeak"}).status_code == 201
            seen = client.get("/api/clips").json()["clips"]
            assert {clip["actor"] for clip in seen} == {name}
            other = client.post("/api/clips", json={"text": "x", "engine": "espeak", "actor": "emil"})
            assert other.status_code == (200 if name == "emil" else 403) or other.status_code == 201
    with node.client(whole) as client:
        assert {"emil", "fay"} <= {clip["actor"] for clip in client.get("/api/clips").json()["clips"]}


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({}, 422),
        ({"role": "king"}, 422),
        ({"role": "viewer", "colour": "red"}, 422),
        ({"role": "admin", "scope": "own"}, 400),
        ({"role": "viewer", "expires": "yesterday"}, 400),
        ({"role": "viewer", "expires": "2020-01-01"}, 400),
        ({"role": "viewer", "name": "../../etc"}, 400),
        ({"role": "viewer", "name": "\ud800"}, 422),
        ({"role": "viewer", "limits": {"rate": "fast"}}, 400),
        ({"role": "viewer", "limits": {"requests": 0}}, 422),
        ({"role": "viewer", "limits": {"audio_s": 1e300}}, 422),
    ],
)
def test_what_cannot_be_made_is_refused(node: RunningNode, asked: dict[str, Any], status: int) -> None:
    with node.client() as owner:
        before = owner.get("/api/tokens?every=true").json()
        answer = owner.post("/api/tokens", content=json.dumps(asked), headers={"Content-Type": "application/json"})
        assert answer.status_code == status, answer.text
        assert code(answer)
        assert owner.get("/api/tokens?every=true").json() == before


def test_the_command_line_makes_lists_and_revokes(node: RunningNode, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*arguments: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(node.home), "tokens", *arguments])
        assert ended.value.code == code
        return capsys.readouterr().out

    made = json.loads(told(
        "create", "--role", "creator", "--name", "hal", "--expires", "30d", "--scope", "all", "--rate", "60/min", "--requests", "100",
        "--audio", "2h", "--bytes", "5GB", "--json",
    ))  # fmt: skip
    assert made["limits"] == {"rate": "60/min", "requests": 100, "audio_s": 7200.0, "bytes": 5_000_000_000}
    assert (made["name"], made["role"], made["scope"], made["state"]) == ("hal", "creator", "all", "valid")
    end = datetime.fromisoformat(made["expires"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < end < timedelta(days=30)
    with node.client(made["token"]) as client:
        assert client.get("/api/me").json()["name"] == "hal"
    plain = told("create", "--role", "viewer").strip()
    with node.client(plain) as client:
        assert client.get("/api/me").json()["role"] == "viewer"
    listed = json.loads(told("list", "--json"))
    assert {"token", "secret", "hash"}.isdisjoint(listed[0])
    assert {made["id"], identity(plain)} <= {token["id"] for token in listed}
    assert made["id"] in told("list")
    assert made["token"] not in told("list", "--every")
    assert made["id"] in told("revoke", made["id"], "--reason", "lost")
    assert made["id"] not in told("list")
    assert told("revoke", made["id"], code=1) == ""
    for wrong in (
        ("--rate", "fast"),
        ("--audio", "long"),
        ("--bytes", "0"),
        ("--expires", "never"),
        ("--requests", "-1"),
    ):
        assert told("create", "--role", "viewer", *wrong, code=1) == ""


def test_the_first_start_prints_one_token_and_what_happened_is_recorded(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running_node(home, store_close_wait=0) as node:
        token = node.printed().strip()
        assert token.startswith("vox_")
        assert token not in node.said()
        assert identity(token) in node.said()
        with node.client(token) as admin, node.client("") as nobody:
            made = admin.post("/api/tokens", json={"role": "viewer", "name": "Quillfeather"}).json()["token"]
            for _ in range(4):
                assert nobody.get("/api/clips").status_code == 401
            with node.client(made) as viewer:
                for _ in range(3):
                    assert viewer.get("/api/tokens").status_code == 403
                assert viewer.get("/api/clips").status_code == 200
        assert node.stop() == 0
    with running_node(home, store_close_wait=0) as node:
        assert node.printed() == ""
        with node.client(token) as admin:
            assert admin.get("/api/me").json()["role"] == "admin"
            (used,) = [each for each in admin.get("/api/tokens").json()["tokens"] if each["name"] == "Quillfeather"]
            assert used["today"]["requests"] == 1
            assert used["used"] is not None
            found = admin.get("/api/events", params={"type": "AccessDenied"}).json()["events"]
        counted = Counter[tuple[str, str]]()
        for event in found:
            counted[event["data"]["principal"], event["data"]["reason"]] += event["data"]["count"]
        assert counted.pop((identity(made), "role")) == 3
        assert list(counted.values()) == [4]
        assert {reason for _, reason in counted} == {"no token"}
        assert len(found) <= 4  # 7 denials, in one minute or on both sides of its end
        assert node.stop() == 0
    for path in (path for path in home.rglob("*") if path.is_file()):
        content = path.read_bytes()
        for secret in (token, made):
            assert secret.split("_", 2)[2].encode() not in content, path
    with running_node(home, store_close_wait=0, serve_tokens="loopback") as node, node.client("") as anybody:
        me = anybody.get("/api/me").json()
        assert (me["id"], me["role"]) == ("local", "admin")
        assert anybody.get("/api/me", headers={"Authorization": "Bearer wrong"}).status_code == 401
        for header in ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "Via"):
            answer = anybody.get("/api/me", headers={header: "127.0.0.1"})
            assert (answer.status_code, code(answer)) == (401, "no_token"), header
        for host, status in (("localhost:8460", 200), ("[::1]:8460", 200), ("192.168.7.9", 401), ("0.0.0.0", 401)):
            assert anybody.get("/api/me", headers={"Host": host}).status_code == status, host
        asks = {
            ("same-origin", "cors", "empty"): 200, ("none", "navigate", "document"): 200, ("cross-site", "navigate", "document"): 200,
            ("cross-site", "no-cors", "image"): 401, ("same-site", "no-cors", "script"): 401, ("cross-site", "navigate", "iframe"): 401,
        }  # fmt: skip
        for (site, mode, place), status in asks.items():
            heads = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": place}
            assert anybody.get("/api/me", headers=heads).status_code == status, heads
        for header in ("", "Bearer"):  # says nothing, and so a page may send it as if it were nothing
            foreign = {"Authorization": header, "Origin": "https://evil.example"}
            answer = anybody.post("/api/tokens", json={"role": "admin"}, headers=foreign)
            assert (answer.status_code, code(answer)) == (403, "origin"), header


@pytest.mark.parametrize("further", [{"serve_url": "https://speech.example.org"}, {"serve_names": "speech.internal"}])
def test_a_proxy_and_no_tokens_do_not_go_together(tmp_path: Path, further: dict[str, str]) -> None:
    with (
        pytest.raises(AssertionError, match="did not start") as ended,
        running_node(tmp_path / "home", serve_tokens="loopback", **further),
    ):
        pass
    said = str(ended.value)
    assert 'serve.tokens = "loopback" does not go with serve.' in said
    assert "Traceback" not in said
