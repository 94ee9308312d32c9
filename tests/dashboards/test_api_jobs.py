"""Jobs over HTTP: many texts handed in, spoken in the name of who asked, followed line by line, and not lost with the node."""

from __future__ import annotations

import io
import json
import signal
import stat
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import voxledger
from tests.dashboards.conftest import CatalogNode
from tests.node import PATIENCE, running_node
from tests.soak import some
from voxledger.dashboards.jobs.array import elements
from voxledger.synth.errors import ManifestError


def _until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return found


def _lines(count: int, **fields: Any) -> list[dict[str, Any]]:
    """Texts that nobody has spoken yet."""
    mark = uuid.uuid4().hex[:8]
    return [{"text": f"Line {number} of {mark}.", **fields} for number in range(count)]


def _handed_in(client: httpx.Client, lines: Any, **query: Any) -> dict[str, Any]:
    answer = client.post("/api/jobs", json=lines, params=query)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/api/jobs/{found['id']}"
    return found


def _job(client: httpx.Client, identity: str) -> dict[str, Any]:
    answer = client.get(f"/api/jobs/{identity}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _ended(client: httpx.Client, identity: str) -> dict[str, Any]:
    def over() -> dict[str, Any] | None:
        job = _job(client, identity)
        return job if job["state"] not in ("waiting", "running") else None

    found: dict[str, Any] = _until(over)
    return found


def _outcomes(client: httpx.Client, identity: str, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = client.get(f"/api/jobs/{identity}/outcomes", params={"limit": 2, **query}).json()
        found += page["outcomes"]
        if page["next"] is None:
            return found
        query["cursor"] = page["next"]


def _code(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"]["code"])


def test_lines_are_spoken_in_the_name_of_who_asked_and_told_one_by_one(catalog_node: CatalogNode) -> None:
    lines = [*_lines(3, emotion={"happy": 0.6}), {"text": ""}, {"texts": "x"}]
    with catalog_node.client("creator:cleo") as client:
        job = _handed_in(client, lines, format="flac", session="novel")
        ended = _ended(client, job["id"])
        told = _outcomes(client, job["id"])
        clip = client.get(f"/api/clips/{told[0]['clip']}").json()
        again = _ended(client, _handed_in(client, lines, format="flac", session="novel")["id"])
        failed = _outcomes(client, job["id"], outcome="failed")
        record = client.get(f"/api/clips/{told[0]['clip']}/record").json()["record"]
    assert (ended["state"], ended["made"], ended["reused"], ended["failed"], ended["left"]) == ("done", 3, 0, 2, 0)
    assert [(each["line"], each["outcome"]) for each in told] == [
        (1, "made"), (2, "made"), (3, "made"), (4, "failed"), (5, "failed"),
    ]  # fmt: skip
    assert [each["error"]["code"] for each in failed] == ["invalid_text", "manifest"]
    assert (clip["actor"], clip["session"], clip["format"], clip["emotion"]) == ("cleo", "novel", "flac", "happy")
    assert record["channel"] == "batch"
    assert (again["made"], again["reused"]) == (0, 3)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-ndjson", b'\xef\xbb\xbf{"text": "One."}\r\n\r\n{"text": "Two."}'),
        ("application/json; charset=utf-8", b'[\n{"text":\n"One."},\n\n{"text": "Two."}\n]'),
        ("text/csv", b'\xef\xbb\xbftext,emotion,tags,emo_vec_1\nOne.,,a;b,0.4\n"Two.","{""sad"": 0.5}",,\n'),
    ],
)
def test_lines_come_as_json_jsonl_or_csv(catalog_node: CatalogNode, kind: str, body: bytes) -> None:
    with catalog_node.client() as client:
        answer = client.post("/api/jobs", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 201, answer.text
        ended = _ended(client, answer.json()["id"])
        told = _outcomes(client, ended["id"])
        clips = [client.get(f"/api/clips/{each['clip']}").json() for each in told]
    assert (ended["lines"], ended["failed"]) == (2, 0)
    assert [clip["text"] for clip in clips] == ["One.", "Two."]
    if kind == "text/csv":
        assert [clip["emotion"] for clip in clips] == ["happy", "sad"]
        assert sorted(clips[0]["tags"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("kind", "body", "status", "code"),
    [
        ("application/json", b"{}", 400, "manifest"),
        ("application/json", b"[", 400, "manifest"),
        ("application/json", b"[]", 400, "manifest"),
        ("application/json", b"[" * 100_000, 400, "manifest"),
        ("application/x-ndjson", b"\n \n", 400, "manifest"),
        ("text/csv", b"a,b\n1,2\n", 400, "manifest"),
        ("text/csv", b"text\n\xff\n", 400, "manifest"),
        ("text/csv", b'text\n"One.\n', 400, "manifest"),
        ("text/csv", b"text\nOne.,two\n", 400, "manifest"),
        ("text/plain", b"One.", 415, "media_type"),
    ],
)
def test_what_holds_no_lines_is_one_clear_error(
    catalog_node: CatalogNode, kind: str, body: bytes, status: int, code: str
) -> None:
    with catalog_node.client() as client:
        before = client.get("/api/jobs").json()
        answer = client.post("/api/jobs", content=body, headers={"Content-Type": kind})
        assert _code(answer, status) == code
        assert client.get("/api/jobs").json() == before


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="this system does not tell how much memory a process had"
)
def test_no_body_takes_the_memory_of_the_node(catalog_node: CatalogNode) -> None:
    def most() -> int:
        status = Path(f"/proc/{catalog_node.node.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0])

    before = most()
    numbers = b"1," * 5_000_000
    with catalog_node.client() as client:
        for kind, body, why in (
            ("application/json", b"[" + numbers + b"1]", "more than 1,000,000 lines"),
            ("application/json", b'[{"text": "x"}, {"actor": [' + numbers + b"1]}]", "element 2 of the array has more than"),
            ("application/x-ndjson", b'{"text": "x"}\n{"actor": [' + numbers + b"1]}", "line 2 has more than"),
            ("text/csv", b"text\n" + b'"\n",' * 2_000_000, "has more than"),
        ):  # fmt: skip
            answer = client.post("/api/jobs", content=body, headers={"Content-Type": kind})
            assert _code(answer, 400) == "manifest"
            assert why in answer.json()["error"]["message"]
    assert most() - before < 100_000  # kB; each body has ten times as many values as that has bytes to spare


def test_an_array_is_split_wherever_its_pieces_end() -> None:
    for size in range(65_500, 65_560):
        lines = [{"text": "x" * size, "a": '\\",]}'}, {"text": '\\"' * size, "tags": ["[", {"b": []}]}, "", []]
        body = json.dumps(lines, indent=size % 2 or None).encode()
        assert [json.loads(each) for each in elements(io.BytesIO(b"\xef\xbb\xbf \n" + body + b"\n"))] == lines


@pytest.mark.parametrize(
    "body", ["", "[", "{}", "[,]", "[1,]", "[1 2]", '["a]', '["a\\', "[1]]", "[1] 2", "[{]}", "[nope]", "1"]
)
def test_what_is_no_array_is_refused_without_being_quoted(body: str) -> None:
    with pytest.raises(ManifestError) as error:
        list(elements(io.BytesIO(body.encode())))
    assert "nope" not in str(error.value)


def test_options_that_hold_for_no_line_are_refused_at_once(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        for query, code in (({"engine": "nope"}, "unknown_engine"), ({"preset": "nope"}, "unknown_preset")):
            assert _code(client.post("/api/jobs", json=_lines(1), params=query), 400) == code
        assert _code(client.post("/api/jobs", json=_lines(1), params={"voice": "/etc/passwd"}), 400) == "unknown_voice"
        assert _code(client.post("/api/jobs", json=_lines(1), params={"out": "x"}), 422) == "invalid"


def test_no_line_leads_to_a_file_of_the_node(catalog_node: CatalogNode, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("nobody hears this")
    lines = [
        {"text_file": "job.json"}, {"text_file": str(secret)}, {"text": "a", "voice": str(secret)},
        {"text": "b", "prompt_audio": str(secret)}, {"text": "c", "emo_audio": "../manifest.jsonl"},
    ]  # fmt: skip
    with catalog_node.client() as client:
        job = _ended(client, _handed_in(client, lines)["id"])
        told = _outcomes(client, job["id"])
    assert [each["outcome"] for each in told] == ["failed"] * len(lines)
    assert {each["error"]["code"] for each in told} == {"manifest", "unknown_voice"}


def test_nobody_speaks_for_others_nor_sees_or_ends_their_jobs(catalog_node: CatalogNode) -> None:
    with catalog_node.client("creator:cleo") as cleo, catalog_node.client("creator:dora") as dora:
        for name in ('"actor"', '"\\u0061ctor"'):
            body = b'{"text": "x"}\n{"text": "y", %s: "dora"}' % name.encode()
            answer = cleo.post("/api/jobs", content=body, headers={"Content-Type": "application/x-ndjson"})
            assert _code(answer, 403) == "role"
        job = _handed_in(cleo, _lines(1))
        for path in (f"/api/jobs/{job['id']}", f"/api/jobs/{job['id']}/outcomes"):
            assert _code(dora.get(path), 404) == "job_not_found"
        assert _code(dora.delete(f"/api/jobs/{job['id']}"), 404) == "job_not_found"
        assert job["id"] not in [each["id"] for each in dora.get("/api/jobs").json()["jobs"]]
        assert job["id"] in [each["id"] for each in cleo.get("/api/jobs").json()["jobs"]]
    with catalog_node.client("curator:cora") as cora:
        assert _job(cora, job["id"])["by"] == "cleo"
        assert _code(cora.delete(f"/api/jobs/{job['id']}"), 403) == "role"
    with catalog_node.client("viewer:vera") as vera:
        assert _code(vera.post("/api/jobs", json=_lines(1)), 403) == "role"


def test_a_cancelled_job_ends_and_keeps_what_it_made(catalog_node: CatalogNode) -> None:
    with catalog_node.client("creator:cleo") as client:
        job = _handed_in(client, _lines(3000))
        _until(lambda: _job(client, job["id"])["done"] >= 2)
        assert client.delete(f"/api/jobs/{job['id']}").is_success
        ended = _ended(client, job["id"])
        kept = _outcomes(client, job["id"], limit=1000)
        assert client.delete(f"/api/jobs/{job['id']}").json() == ended
    assert ended["state"] == "cancelled"
    assert 2 <= ended["done"] == len(kept) < 3000
    assert {each["outcome"] for each in kept} == {"made"}
    assert [path.name for path in (catalog_node.node.home / "jobs" / job["id"]).glob("manifest*")] == []


def test_pages_of_jobs_go_on_where_the_last_one_ended(catalog_node: CatalogNode) -> None:
    with catalog_node.client("creator:eve") as client:
        ids = [_handed_in(client, _lines(1))["id"] for _ in range(5)]
        first = client.get("/api/jobs", params={"limit": 3}).json()
        second = client.get("/api/jobs", params={"limit": 3, "cursor": first["next"]}).json()
        for identity in ids:
            _ended(client, identity)
        assert client.get("/api/jobs", params={"state": "open"}).json()["jobs"] == []
    assert [job["id"] for page in (first, second) for job in page["jobs"]] == ids[::-1]
    assert second["next"] is None


def test_a_job_waits_for_the_next_day_of_its_token_and_ends_when_that_is_revoked(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as owner:
        limits = {"role": "creator", "name": "frugal", "limits": {"requests": 4}}
        made = owner.post("/api/tokens", json=limits)
        assert made.status_code == 201, made.text
        with catalog_node.node.client(made.json()["token"]) as client:
            job = _handed_in(client, _lines(10))
        waiting = _until(lambda: (found := _job(owner, job["id"]))["said"] and found)
        assert "used up" in waiting["said"]
        assert waiting["done"] <= 4
        assert owner.delete(f"/api/tokens/{made.json()['id']}").is_success
        owner.delete(f"/api/jobs/{job['id']}")
        assert _ended(owner, job["id"])["state"] in ("cancelled", "failed")


def test_who_is_erased_is_not_spoken_for_any_more(catalog_node: CatalogNode) -> None:
    # One job of a name at a time: the others wait for the first, which after some lines has used up what its token may.
    with catalog_node.client() as client:
        frugal = {"role": "creator", "name": "ada", "limits": {"requests": 20}}
        limited = client.post("/api/tokens", json=frugal).json()["token"]
    with catalog_node.client("admin:ada") as client:
        with catalog_node.node.client(limited) as sparing:
            first = _handed_in(sparing, _lines(300))
        job = _handed_in(client, _lines(3, actor="zoe"))
        last = _handed_in(client, _lines(1))
        with voxledger.open(catalog_node.node.home, store_close_wait=0) as vox:
            done = vox.erasure.apply(vox.erasure.plan(actor="zoe"))
        assert done.outcomes["jobs"] == "done"
        assert _code(client.get(f"/api/jobs/{job['id']}"), 404) == "job_not_found"
        client.delete(f"/api/jobs/{first['id']}")
        assert _ended(client, last["id"])["state"] == "done"
        assert client.get("/api/clips", params={"actor": "zoe"}).json()["clips"] == []
        assert job["id"] not in [each["id"] for each in client.get("/api/jobs").json()["jobs"]]
    assert not (catalog_node.node.home / "jobs" / job["id"]).exists()
    assert "Traceback" not in catalog_node.node.said()


@pytest.mark.parametrize("by", some([signal.SIGKILL, signal.SIGTERM]))
def test_a_job_goes_on_where_it_was_when_the_node_starts_again(tmp_path: Path, by: signal.Signals) -> None:
    home, count = tmp_path / "home", 20
    with running_node(home, store_close_wait=0, general_actor="ann") as node, node.client() as client:
        job = _handed_in(client, [*_lines(count), {"text": "Zeppelin.", "actor": "bob"}])
        queued = _handed_in(client, _lines(1))
        _until(lambda: _job(client, job["id"])["done"] >= 5)
        before = _outcomes(client, job["id"], limit=5)
        node.stop(by)
    folder = home / "jobs" / job["id"]
    for path in (home / "jobs", folder, *folder.iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    with (folder / "outcomes.jsonl").open("ab") as torn:
        torn.write(b'{"line": 19, "outco')
    with running_node(home, store_close_wait=0, general_actor="ann") as node, node.client() as client:
        ended = _ended(client, job["id"])
        told = _outcomes(client, job["id"], limit=1000)
        assert _ended(client, queued["id"])["state"] == "done"
        clips = client.get("/api/clips", params={"limit": 500, "actor": "ann"}).json()["clips"]
        texts = [clip["text"] for clip in clips if clip["session"] == f"job-{job['id'][-8:]}"]
    assert (ended["state"], ended["done"], ended["failed"]) == ("done", count + 1, 0)
    assert [each["line"] for each in told] == list(range(1, count + 2))
    assert told[: len(before)] == before
    assert len(texts) == len(set(texts)) == count, "no line is spoken twice"
    with voxledger.open(home, store_close_wait=0) as vox:
        plan = vox.erasure.plan(actor="bob")
        assert "1 batch job goes" in str(plan.as_dict())
        assert vox.erasure.apply(plan).outcomes["jobs"] == "done"
    assert not folder.exists()
    assert json.loads((home / "jobs" / queued["id"] / "job.json").read_text())["state"] == "done"
