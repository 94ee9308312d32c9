"""Reports: the weeks, one of them read in place in its sandbox, and sent again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import pytest
from playwright.sync_api import Browser

import voxledger
from tests.building import completed
from tests.dashboards.pages.browser import accessible, expect, visiting
from tests.dashboards.pages.seeded import XSS
from tests.node import PATIENCE, RunningNode, running_node
from tests.webhook_server import WebhookServer
from voxledger.analytics.report import Week
from voxledger.catalog.events import new_id, now

_WEEK = Week.of(now())
_SLOW = PATIENCE * 1000
_LAST, _BEFORE = str(_WEEK.previous()), str(_WEEK.previous(2))


@pytest.fixture(scope="module")
def webhook() -> Iterator[WebhookServer]:
    with WebhookServer() as server:
        yield server


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, webhook: WebhookServer) -> Iterator[RunningNode]:
    """A node with two weeks that were published, the last one twice, and a webhook."""
    home = tmp_path_factory.mktemp("reports") / "home"
    with voxledger.open(home, store_close_wait=0, report_at="") as vox:
        for weeks, nasty in ((2, XSS[0]), (1, XSS[1]), (0, "now")):
            actor, moment = vox.vault.actor(nasty), now() - timedelta(weeks=weeks)
            fact = completed(actor_label=nasty, name=nasty, text=nasty)
            vox.journal.emit(vox.recorder.draft(fact, subject=new_id(), actor=actor, time=moment))
        for week in (_BEFORE, _LAST, _LAST):
            vox.reports.publish(week=week)
    with running_node(home, store_close_wait=0, report_at="", report_bucket="", webhook_url=webhook.url) as running:
        yield running


def _asked(node: RunningNode, path: str, token: str | None = None) -> httpx.Response:
    with node.client(token) as client:
        return client.get(path, headers={"Accept": "text/html"})


def test_a_week_is_read_in_place_and_beside_it_are_the_others(browser: Browser, node: RunningNode) -> None:
    with visiting(browser, node) as visit:
        page = visit.sign_in()
        page.get_by_role("navigation", name="Pages").get_by_role(
            "link", name="Reports"
        ).click()  # with the policy of the page before
        report = page.frame_locator("iframe.report")
        expect(report.locator("h1")).to_be_visible(timeout=_SLOW)
        expect(report.locator("body")).to_contain_text(_LAST)
        expect(page.locator(".weeks li")).to_have_count(3)
        expect(page.locator(".segments [aria-current]")).to_have_text("Revision 2")
        accessible(page)
        page.get_by_role("link", name="The week before").click()
        expect(page.locator(".reader h2")).to_have_text(f"Week {_WEEK.previous(2).number}", timeout=_SLOW)
        page.wait_for_url(f"**/reports/{_BEFORE}")
        expect(report.locator("body")).to_contain_text(XSS[0], timeout=_SLOW)
        page.get_by_role("link", name="The week after").click()
        page.wait_for_url(f"**/reports/{_LAST}")
        page.get_by_role("link", name="As it is known now").click()
        expect(page.locator(".facts-line")).to_contain_text("it was not published so", timeout=_SLOW)
        page.locator(".weeks a").first.click()
        expect(page.locator(".reader h2")).to_have_text("This week so far", timeout=_SLOW)
        expect(report.locator("body")).to_contain_text(str(_WEEK), timeout=_SLOW)
        page.get_by_text("Download", exact=True).click()
        with page.expect_download() as saved:
            page.get_by_role("link", name="Text (Markdown)").click()
        assert saved.value.suggested_filename == f"voxledger-{_WEEK}.md"
        page.emulate_media(color_scheme="dark")
        accessible(page)
        visit.check()


def test_a_report_may_nothing_but_show_itself(node: RunningNode) -> None:
    answer = _asked(node, f"/reports/{_LAST}/page?revision=1")
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200
    assert policy.endswith("; sandbox")
    assert "frame-ancestors 'self'" in policy
    assert "script" not in policy
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert re.search(r'<iframe [^>]*sandbox=""', _asked(node, "/reports").text)
    with node.client() as client:
        again = client.get(f"/reports/{_LAST}/page?revision=1", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_it_is_sent_again_to_whom_somebody_says(browser: Browser, node: RunningNode, webhook: WebhookServer) -> None:
    with visiting(browser, node) as visit:
        page = visit.sign_in(path=f"/reports/{_LAST}")
        page.get_by_role("button", name="Send …").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Webhook")
        accessible(page)
        dialog.get_by_role("button", name="Send now").click()
        expect(page.locator(".toast").first).to_contain_text("webhook: arrived", timeout=_SLOW)
        expect(page.locator(".channels")).to_contain_text("arrived", timeout=_SLOW)
        assert webhook.taken
        visit.check()


def test_who_may_not_send_has_no_button_and_creators_read_none(node: RunningNode, tokens: Callable[..., str]) -> None:
    assert "Send …" not in _asked(node, "/reports", tokens("viewer")).text
    assert _asked(node, "/reports", tokens("creator", name="maren")).status_code == 403
    assert _asked(node, f"/reports/{_LAST}/page", tokens("creator", name="maren")).status_code == 403


def test_what_is_not_there_is_said(node: RunningNode) -> None:
    assert _asked(node, f"/reports/{_LAST}?revision=9").status_code == 404
    assert _asked(node, f"/reports/{_LAST}/page?revision=9").status_code == 404
    assert _asked(node, "/reports/2026-W99").status_code in (400, 404, 422)
    assert _asked(node, "/reports/%3Cscript%3E").status_code in (400, 404, 422)
    old = _asked(node, "/reports/2001-W07")
    assert old.status_code == 200
    assert "Week 7" in old.text
