"""Retention over HTTP: looked at page by page, carried out as it was seen, undone and made up for; and holds."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import voxledger
from tests.building import NOBODY, completed
from tests.node import PATIENCE, RunningNode, running_node
from voxledger.catalog import platform
from voxledger.catalog.events import new_id, now
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.operations import Kind, Operations

_OLD = 25
_RULES = """
[retention]
schedule = ""
max_percent = 100.0
minimum_age = "1d"
[[retention.rules]]
name = "drafts"
match = "session = 'drafts'"
keep_for = "30d"
[[retention.rules]]
name = "rest"
match = "all"
keep_for = "1000d"
"""


def _record(home: Path, count: int, session: str = "drafts") -> list[str]:
    """Record clips that were made long ago; gives their ids. What was unmarked once is spared for a while, so tests make their own."""
    with voxledger.open(home, store_endpoint=NOBODY, store_close_wait=0) as vox:
        ann, long_ago = vox.vault.actor("ann"), now() - timedelta(days=90)
        ids = [new_id() for _ in range(count)]
        for clip in ids:
            fact = completed(session=session, name=clip, key=f"ann/{clip}.wav", fingerprint=clip.replace("-", ""))
            vox.journal.emit(vox.recorder.draft(fact, subject=clip, actor=ann, time=long_ago))
    return ids


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """Clips that are long over, and one that is not."""
    home = tmp_path_factory.mktemp("retention") / "home"
    home.mkdir()
    (home / "voxledger.toml").write_text(_RULES)
    _record(home, _OLD)
    _record(home, 1, session="sea")
    with running_node(home, store_endpoint=NOBODY, store_close_wait=0) as running:
        yield running


def _ok(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _code(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"]["code"])


def _seen(client: httpx.Client) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plan, and what applying it asks for."""
    plan = _ok(client.get("/api/retention/plan"))
    return plan, {"plan": plan["plan"], "deeds": plan["deeds"]}


def _done(client: httpx.Client, path: str, body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = _ok(client.post(path, json=body, params={"wait": 60}))["result"]
    return found


@pytest.fixture
def client(node: RunningNode) -> Iterator[httpx.Client]:
    with node.client() as made:
        yield made


def test_a_plan_tells_how_much_and_its_pages_tell_why(client: httpx.Client) -> None:
    plan, _ = _seen(client)
    assert plan["deeds"] == {"mark": _OLD, "unmark": 0, "purge": 0}
    assert plan["affected"] == plan["amounts"]["mark"]["clips"] == _OLD
    found: list[dict[str, Any]] = []
    query: dict[str, Any] = {"view": plan["view"], "limit": 7}
    while True:
        page = _ok(client.get("/api/retention/plan/clips", params=query))
        found += page["clips"]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert len({clip["id"] for clip in found}) == len(found) == _OLD
    assert [clip["id"] for clip in found] == sorted(clip["id"] for clip in found)
    assert {clip["rule"] for clip in found} == {"drafts"}
    assert all("rule 'drafts'" in clip["reason"] for clip in found)


def test_pages_are_those_of_the_plan_that_was_made_whatever_happens_meanwhile(client: httpx.Client) -> None:
    first = _ok(client.get("/api/retention/plan/clips", params={"limit": 3, "decision": "mark"}))
    held = _done(client, "/api/holds", {"clips": [first["clips"][0]["id"]], "reason": "wait"})
    again = _ok(client.get("/api/retention/plan/clips", params={"view": first["view"], "limit": 3, "decision": "mark"}))
    assert again == first
    assert _seen(client)[0]["deeds"]["mark"] == _OLD - 1
    _ok(client.delete(f"/api/holds/{held['id']}"))
    kept = _ok(client.get("/api/retention/plan/clips", params={"every": True, "decision": "keep"}))
    assert [clip["decision"] for clip in kept["clips"]] == ["keep"]


def test_what_leads_to_no_plan_is_one_clear_error(client: httpx.Client) -> None:
    page = _ok(client.get("/api/retention/plan/clips", params={"limit": 1}))
    other = _ok(client.get("/api/retention/plan/clips", params={"limit": 1, "every": True}))
    ask = "/api/retention/plan/clips"
    assert _code(client.get(ask, params={"view": "0" * 12}), 404) == "view_not_found"
    assert _code(client.get(ask, params={"cursor": page["next"]}), 400) == "query"
    assert _code(client.get(ask, params={"cursor": page["next"], "view": other["view"]}), 400) == "query"
    assert _code(client.get(ask, params={"cursor": "p", "view": other["view"]}), 400) == "query"


def test_a_plan_is_carried_out_only_as_it_was_seen_and_can_be_undone(client: httpx.Client, node: RunningNode) -> None:
    plan, seen = _seen(client)
    stale = {**seen, "plan": "0" * 16}
    more = {**seen, "deeds": {**seen["deeds"], "mark": _OLD - 1}}
    for wrong in (stale, more, {**seen, "deeds": {}}):
        assert _code(client.post("/api/retention/apply", json=wrong), 409) == "plan_stale"
    assert _seen(client)[0]["plan"] == plan["plan"]
    with platform.locked(node.home / "retention.lock") as mine:
        assert mine
        assert _code(client.post("/api/retention/apply", json=seen), 409) == "retention_busy"
    done = _done(client, "/api/retention/apply", seen)
    assert (done["marked"], done["purged"], done["in_grace"]) == (_OLD, 0, _OLD)
    after, again = _seen(client)
    assert after["plan"] == plan["plan"], "an id stays the same when its marks are set"
    assert after["idle"]
    assert _code(client.post("/api/retention/apply", json=seen), 409) == "plan_stale"
    assert _done(client, "/api/retention/apply", again)["marked"] == 0
    undone = _done(client, "/api/retention/undo", {"plan": plan["plan"]})
    assert (undone["unmarked"], undone["gone_count"]) == (_OLD, 0)
    assert _code(client.post("/api/retention/undo", json={"plan": "0" * 16}), 409) == "policy"


def test_marks_are_restored_clip_by_clip(client: httpx.Client, node: RunningNode) -> None:
    ids = _record(node.home, 2)
    _done(client, "/api/retention/apply", _seen(client)[1])
    page = _ok(client.get("/api/retention/plan/clips", params={"decision": "wait"}))
    assert [clip["id"] for clip in page["clips"]] == ids
    told = _ok(client.get(f"/api/retention/explain/{ids[0][-8:]}"))
    assert (told["decision"], told["decides"], told["state"]) == ("wait", "drafts", "marked")
    back = _done(client, "/api/retention/restore", {"clips": [ids[0]]})
    assert [(each["clip"], each["source"]) for each in back["restored"]] == [(ids[0], "grace")]
    _done(client, "/api/retention/restore", {"plan": page["plan"]})
    assert _ok(client.get("/api/retention/plan/clips", params={"decision": "wait"}))["clips"] == []


def test_operations_are_followed_by_whoever_began_them_and_others(client: httpx.Client) -> None:
    begun = _ok(client.post("/api/retention/backtest", json={"family": "keep_for=7d:90d:3"}, params={"wait": 0}), 202)
    answer = client.get(f"/api/operations/{begun['id']}", params={"wait": 60})
    ended = _ok(answer)
    assert (ended["state"], ended["kind"], ended["error"]) == ("done", "backtest", None)
    assert len(ended["result"]["policies"]) >= 3
    failed = client.post("/api/retention/apply", json={"plan": "x", "deeds": {}}, params={"wait": 0})
    identity = failed.json().get("id") or _ok(client.get("/api/operations"))["operations"][0]["id"]
    found = _ok(client.get(f"/api/operations/{identity}", params={"wait": 60}))
    assert (found["state"], found["error"]["code"]) == ("failed", "plan_stale")
    assert _code(client.get("/api/operations/nothing"), 404) == "operation_not_found"


def test_what_takes_long_leaves_room_for_others() -> None:
    """Not over HTTP: nothing that runs there takes as long as a test wants."""
    operations, end = Operations(threading.Event()), threading.Event()

    def began(by: str, *kinds: Kind) -> list[Kind]:
        taken = list[Kind]()
        for kind in kinds:
            with contextlib.suppress(Refused):
                operations.begin(kind, lambda _: {"waited": end.wait(PATIENCE)}, by=by)
                taken.append(kind)
        return taken

    try:
        assert began("ann", "rerender", "backtest", "backtest", "rerender") == ["rerender", "backtest"]
        assert began("eva", "examine", "pull", "pull") == ["examine", "pull"]
        assert began("ben", "rerender", "hold", "restore", "undo") == ["hold", "restore", "undo"]
        assert began("ann", "hold", "undo") == ["hold"]
    finally:
        end.set()
        operations.finish()


def test_two_runs_at_once_are_one(node: RunningNode) -> None:
    _record(node.home, 3)
    with node.client() as looking:
        seen = _seen(looking)[1]
    answers: list[httpx.Response] = []

    def apply() -> None:
        with node.client() as client:
            answers.append(client.post("/api/retention/apply", json=seen, params={"wait": 60}))

    threads = [threading.Thread(target=apply) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    with node.client() as client:
        _done(client, "/api/retention/undo", {"plan": seen["plan"]})
    assert [answer.status_code for answer in answers].count(200) == 1
    refused = {answer.json()["error"]["code"] for answer in answers if answer.status_code != 200}
    assert refused <= {"retention_busy", "plan_stale"}


def test_holds_are_placed_renewed_and_released(client: httpx.Client) -> None:
    placed = _done(
        client, "/api/holds", {"where": "session = 'sea'", "reason": "the trailer is not out", "until": "30d"}
    )
    assert (placed["standing"], placed["kind"]) == (1, "ordinary")
    assert placed["id"] in [hold["id"] for hold in _ok(client.get("/api/holds"))["holds"]]
    renewed = _ok(client.patch(f"/api/holds/{placed['id'][-4:]}", json={"until": "60d"}))["result"]
    assert renewed["until"] > placed["until"]
    assert _ok(client.delete(f"/api/holds/{placed['id']}", params={"reason": "it is out"}))["result"]["clips"] == 1
    assert _code(client.delete(f"/api/holds/{placed['id']}"), 409) == "hold"
    assert _code(client.post("/api/holds", json={"reason": "nothing is named"}), 409) == "hold"
    assert _code(client.post("/api/holds", json={"where": "getenv('HOME') = ''", "reason": "x"}), 400) == "query"
    assert _code(client.post("/api/holds", json={"clips": ["ffffffff"], "reason": "x"}), 404) == "clip_not_found"


def test_only_an_admin_touches_legal_holds_and_only_those_who_may_touch_others(
    client: httpx.Client, node: RunningNode
) -> None:
    tokens = {
        role: client.post("/api/tokens", json={"role": role, "name": role}).json()["token"]
        for role in ("curator", "viewer")
    }
    legal = {"where": "session = 'sea'", "reason": "a case", "legal": True, "review": "30d"}
    with node.client(tokens["curator"]) as curator:
        assert _code(curator.post("/api/holds", json=legal), 403) == "role"
        placed = _done(client, "/api/holds", legal)
        assert _code(curator.patch(f"/api/holds/{placed['id']}", json={"review": "60d"}), 403) == "role"
        assert _code(curator.delete(f"/api/holds/{placed['id']}"), 403) == "role"
        ordinary = _done(curator, "/api/holds", {"where": "session = 'sea'", "reason": "mine"})
        assert ordinary["owner"] == "curator"
        _ok(curator.delete(f"/api/holds/{ordinary['id']}"))
    with node.client(tokens["viewer"]) as viewer:
        assert viewer.get("/api/retention/plan").status_code == 200
        for path in ("/api/retention/apply", "/api/retention/undo", "/api/retention/restore", "/api/holds"):
            assert viewer.post(path, json={}).status_code == 403, path
    _ok(client.delete(f"/api/holds/{placed['id']}"))


def test_the_policy_is_looked_over_and_a_plan_is_a_page_too(client: httpx.Client) -> None:
    found = _ok(client.get("/api/retention/policy"))
    assert (found["valid"], found["findings"]) == (True, [])
    assert _ok(client.get("/api/retention"))["overdue_holds"] == 0
    page = client.get("/api/retention/plan", params={"format": "html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "sandbox" in page.headers["content-security-policy"]
    past = _ok(client.get("/api/retention/plan", params={"as_of": "1d"}))
    assert past["live"] == 0
