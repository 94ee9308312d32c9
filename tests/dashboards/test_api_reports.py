"""Reports over HTTP: as they are now, as they were published, and sent again by an admin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import voxledger
from tests.building import NOBODY, completed
from tests.node import RunningNode, running_node
from tests.webhook_server import WebhookServer
from voxledger.analytics.report import Week
from voxledger.catalog.events import new_id, now

_LAST = str(Week.of(now()).previous())


@pytest.fixture(scope="module")
def webhook() -> Iterator[WebhookServer]:
    with WebhookServer() as server:
        yield server


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, webhook: WebhookServer) -> Iterator[RunningNode]:
    """A node whose last week was published as a revision, before something arrived that belonged to it."""
    home: Path = tmp_path_factory.mktemp("reports") / "home"
    with voxledger.open(home, store_endpoint=NOBODY, store_close_wait=0, report_at="") as vox:
        ann, earlier = vox.vault.actor("ann"), now() - timedelta(days=7)
        for published in (True, False):
            vox.journal.emit(vox.recorder.draft(completed(), subject=new_id(), actor=ann, time=earlier))
            if published:
                vox.reports.publish(week=_LAST)
    with running_node(
        home, store_endpoint=NOBODY, store_close_wait=0, report_at="", report_bucket="", webhook_url=webhook.url
    ) as running:
        yield running


def _told(client: httpx.Client, path: str, **query: Any) -> Any:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_revision_is_as_it_was_published_and_the_week_as_it_is_known_now(node: RunningNode) -> None:
    def clips(report: dict[str, Any]) -> int:
        return int(next(one["value"] for one in report["headlines"] if one["metric"] == "clips"))

    with node.client() as client:
        (listed,) = _told(client, "/api/reports")["reports"]
        assert (listed["week"], listed["revision"]) == (_LAST, 1)
        assert clips(_told(client, f"/api/reports/{_LAST}", revision=1)) == 1
        assert clips(_told(client, f"/api/reports/{_LAST}")) == 2
        missing = client.get(f"/api/reports/{_LAST}", params={"revision": 7})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "not_published")


def test_a_page_runs_nothing_and_asks_for_nothing(node: RunningNode) -> None:
    with node.client() as client:
        page = client.get(f"/api/reports/{_LAST}", params={"format": "html"})
        text = client.get("/api/reports/current", params={"format": "md"})
    assert page.headers["content-type"].startswith("text/html")
    assert "sandbox" in page.headers["content-security-policy"]
    assert "script-src" not in page.headers["content-security-policy"]
    assert text.text.startswith("# ")


@pytest.mark.parametrize(
    ("week", "query"),
    [("2026-W99", {}), ("1", {}), ("9998-W01", {}), (_LAST, {"as_of": "9000-01-01"}), (_LAST, {"as_of": "x"})],
)
def test_what_is_no_week_or_moment_is_one_clear_error(node: RunningNode, week: str, query: dict[str, str]) -> None:
    with node.client() as client:
        answer = client.get(f"/api/reports/{week}", params=query)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["remedy"]


def test_an_admin_sends_one_again_and_is_told_how_it_went(node: RunningNode, webhook: WebhookServer) -> None:
    with node.client() as client:
        before = len(webhook.taken)
        sent = client.post(f"/api/reports/{_LAST}/send", json={"channels": ["webhook"]}, params={"wait": 60})
        assert sent.status_code == 200, sent.text
        assert [(each["channel"], each["outcome"]) for each in sent.json()["result"]["sent"]] == [
            ("webhook", "delivered")
        ]
        assert len(webhook.taken) == before + 1
        unset = client.post(f"/api/reports/{_LAST}/send", json={"channels": ["mail"]}, params={"wait": 60})
        assert unset.status_code == 400
        assert "mail" in unset.json()["error"]["message"]
        token = client.post("/api/tokens", json={"role": "curator", "name": "cora"}).json()["token"]
    with node.client(token) as curator:
        assert curator.post(f"/api/reports/{_LAST}/send", json={}).status_code == 403
