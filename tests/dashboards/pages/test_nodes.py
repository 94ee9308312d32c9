"""Node and health: how the node stands, what is under way, and what an admin may do about it."""

from __future__ import annotations

import itertools
import json
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from playwright.sync_api import Browser

import voxledger
from tests.building import NOBODY, completed
from tests.dashboards.pages.browser import COLOURS, Visit, accessible, expect, visiting
from tests.dashboards.pages.seeded import XSS
from tests.node import PATIENCE, RunningNode, running_node
from voxledger.catalog.events import DeliveryQuarantined, new_id
from voxledger.dashboards.operations import Kind
from voxledger.dashboards.pages.nodes import condition
from voxledger.dashboards.pages.nodes.timetable import WHAT
from voxledger.dashboards.pages.nodes.work import KINDS
from voxledger.dashboards.schedule import jobs

_SLOW = PATIENCE * 1000


def _asked(node: RunningNode, token: str | None, method: str, path: str) -> httpx.Response:
    with node.client(token) as client:
        return client.request(method, path, headers={"Accept": "text/html"})


def test_it_tells_how_the_node_stands_and_follows_what_is_under_way(visit: Visit) -> None:
    page = visit.go("/nodes")
    expect(page.locator("h1")).to_have_text("Node and health")
    expect(page.locator(".pulse")).to_have_attribute("data-live-state", "on")
    for said in ("Journal, log and tables", "The embedded one", "Nothing is sent: mixpanel.token is not set."):
        expect(page.locator("#condition")).to_contain_text(said)
    expect(page.locator("#engines")).to_contain_text("espeak", timeout=_SLOW)
    expect(page.locator("#timetable li")).to_have_count(len(WHAT))
    expect(page.locator("#timetable li").first).to_contain_text("ended well", timeout=_SLOW)
    expect(page.locator("#machine")).to_contain_text("Below 500.0 MB nothing is generated.")

    lines = "\n".join(json.dumps({"text": f"Line {number} of a long batch."}) for number in range(300))
    with visit.node.client() as owner:
        taken = owner.post("/api/jobs", content=lines, headers={"Content-Type": "application/x-ndjson"})
        assert taken.status_code == 201, taken.text
    batch = page.locator("#work li", has_text="Batch of").first
    expect(batch).to_contain_text("of 300 lines", timeout=_SLOW)
    batch.get_by_role("button", name="Cancel").click()
    expect(page.locator(".toast")).to_contain_text("The batch is called off")
    page.locator("h1").click()  # a part that somebody is in is left alone
    expect(batch.locator(".badge")).to_have_text("cancelled", timeout=_SLOW)

    page.get_by_role("button", name="Look now").click()
    expect(page.locator("#doctor")).to_contain_text("more findings", timeout=_SLOW)
    accessible(page)
    page.emulate_media(color_scheme="dark")
    accessible(page, only=COLOURS)
    page.get_by_role("link", name="Metrics for Prometheus").click()
    expect(page.locator("body")).to_contain_text("voxledger_clips ")


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node whose store is away, with uploads that were given up and events that Mixpanel refused."""
    home = tmp_path_factory.mktemp("troubled") / "home"
    with voxledger.open(home, store_endpoint=NOBODY, store_close_wait=0) as vox:
        ann = vox.vault.actor("ann")
        (event,) = vox.journal.emit(vox.recorder.draft(completed(), subject=new_id(), actor=ann))
        refused = DeliveryQuarantined(
            subscription="mixpanel", refused_type="GenerationCompleted", field="time", reason=f"too far ahead {XSS[1]}"
        )  # fmt: skip
        vox.journal.emit(vox.recorder.draft(refused, subject=event.id, actor=ann))
        for text in ("One.", "Two."):
            vox.speak(text, engine="espeak")
    with closing(sqlite3.connect(home / "journal.sqlite", isolation_level=None)) as journal:
        parked = "UPDATE tasks SET state = 'parked', owner = NULL, lease_until = NULL, error = ?"
        journal.execute(parked, (f"the store refused {XSS[0]}",))
    with running_node(home, store_endpoint=NOBODY, store_close_wait=0) as node:
        yield node


def test_what_is_wrong_is_told_with_its_cause_and_what_to_do(browser: Browser, troubled: RunningNode) -> None:
    with visiting(browser, troubled) as visit:
        page = visit.sign_in(path="/nodes")
        condition = page.locator("#condition")
        expect(page.locator("#vitals")).to_contain_text("to look at")
        expect(condition).to_contain_text(f"2 given up: the store refused {XSS[0]}", timeout=_SLOW)
        expect(condition).to_contain_text("Clips are made and kept here meanwhile", timeout=_SLOW)
        quarantine = page.locator("#quarantine")
        expect(quarantine).to_contain_text(f"too far ahead {XSS[1]}", timeout=_SLOW)
        expect(quarantine).to_contain_text("Set mixpanel.token first.")
        accessible(page)
        condition.get_by_role("button", name="Try again now").click()
        expect(page.locator(".toast")).to_contain_text("All uploads are tried again now.")
        page.locator("h1").click()
        expect(condition).not_to_contain_text("given up", timeout=_SLOW)
        visit.check()


def test_only_admins_begin_something_and_creators_see_nothing_of_it(
    node: RunningNode, tokens: Callable[..., str]
) -> None:
    viewer = _asked(node, tokens("viewer"), "GET", "/nodes")
    assert viewer.status_code == 200
    assert "Look now" not in viewer.text
    assert "Cancel" not in viewer.text
    assert _asked(node, tokens("creator", name="maren"), "GET", "/nodes").status_code == 403
    for path in ("/nodes/doctor", "/nodes/uploads", "/nodes/quarantine", "/nodes/models?reference=a@1"):
        assert _asked(node, tokens("curator"), "POST", path).status_code == 403


def test_without_scripts_a_form_does_the_same(node: RunningNode) -> None:
    begun = _asked(node, None, "POST", "/nodes/uploads")
    assert (begun.status_code, begun.headers["location"]) == (303, "/nodes")


def test_a_stream_ends_with_its_token(node: RunningNode, tokens: Callable[..., str]) -> None:
    token = tokens("viewer")
    with node.client(token) as client, client.stream("GET", "/nodes/live") as lines, node.client() as owner:
        assert owner.delete(f"/api/tokens/{token.split('_')[1]}").is_success
        heard = list(lines.iter_lines())
    assert "event: end" in heard


def test_many_look_at_its_pace_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(deque[Any]):
        """One in whose every step others come between."""

        def __getitem__(self, at: Any) -> Any:
            time.sleep(0.0005)
            return super().__getitem__(at)

        def popleft(self) -> Any:
            found = super().popleft()
            time.sleep(0.0005)
            return found

    monkeypatch.setattr(condition, "deque", Slow)
    monkeypatch.setattr(condition, "_WINDOW", -1.0)  # nothing is young enough to stay
    head = itertools.count().__next__
    looked = condition.Condition(cast("Any", SimpleNamespace(door=SimpleNamespace(journal=SimpleNamespace(head=head)))))
    with ThreadPoolExecutor(4) as many:
        assert set(many.map(lambda _: looked._pace(), range(40))) == {0.0}


def test_every_job_and_operation_is_told_in_words() -> None:
    from typing import get_args

    from voxledger.catalog.settings import Settings

    assert {job.name for job in jobs(Settings())} == set(WHAT)
    assert set(get_args(Kind)) == set(KINDS)
