"""The overview: what was made, what is made now, what waits and what somebody should look at, each for whoever may see it."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

import voxledger
from tests.dashboards.pages.browser import COLOURS, Visit, accessible, expect, visiting
from tests.dashboards.pages.seeded import XSS, age
from tests.node import PATIENCE, RunningNode, running_node
from voxledger.cli import build
from voxledger.dashboards.pages import overview
from voxledger.dashboards.pages.kept import Kept
from voxledger.dashboards.pages.overview.figures import of

ROOT = Path(overview.__file__).parent
_TURN = """away => {
  Object.defineProperty(document, "hidden", { value: away, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
"""The page is hidden, or seen again."""


def test_it_tells_what_was_made_and_what_failed(visit: Visit) -> None:
    page = visit.go("/")
    expect(page.locator(".figures li").first).to_contain_text("62")
    expect(page.get_by_role("heading", name="Needs attention")).to_be_visible()
    expect(page.locator(".matters")).to_contain_text("2 attempts failed: engine_unavailable (remote)")
    expect(page.locator(".attempt")).to_have_count(12)
    for nasty in XSS:
        expect(page.locator(".attempt .name", has_text=nasty)).to_have_count(1)
    accessible(page)
    page.emulate_media(color_scheme="dark")
    accessible(page, only=COLOURS)


def test_what_is_made_appears_as_it_happens(visit: Visit) -> None:
    page = visit.go("/")
    expect(page.locator(".pulse")).to_have_attribute("data-live-state", "on")
    with visit.node.client() as client:
        for name in ("<img src=x onerror=voxXss('live')>", "second"):
            made = client.post(
                "/api/clips", json={"text": f"Just now: {name}", "name": name, "engine": "espeak", "take": 7}
            )
            assert made.is_success, made.text
    first = page.locator(".attempt").first
    expect(first).to_contain_text("second", timeout=PATIENCE * 1000)
    expect(page.locator(".attempt")).to_have_count(12)
    with page.expect_event("requestfailed", lambda request: "/live" in request.url):  # which its reader has ended
        page.evaluate(_TURN, True)
    with visit.node.client() as client:
        assert client.post("/api/clips", json={"text": "Meanwhile.", "name": "third", "engine": "espeak"}).is_success
    page.evaluate(_TURN, False)
    expect(first).to_contain_text("third", timeout=PATIENCE * 1000)
    assert sum(path.startswith("/live?after=") for path in visit.asked) == 2
    first.get_by_role("button").click()
    expect(first.get_by_role("button")).to_have_attribute("aria-pressed", "true")


def test_the_player_plays_a_list_and_goes_on_from_page_to_page(visit: Visit) -> None:
    page = visit.go("/")
    player = page.locator("#player")
    rows = page.locator(".attempt [data-play]")
    rows.nth(1).click()
    expect(player).to_have_attribute("data-playing", "")
    expect(page.locator(".player-title")).to_have_text(
        page.locator(".attempt:has([data-play]) .name").nth(1).inner_text()
    )
    page.evaluate("voxPlayer.seek(0.2); globalThis.same = voxPlayer")
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page.locator(".pulse")).to_have_attribute("data-live-state", "on")
    assert page.evaluate("globalThis.same === voxPlayer && voxPlayer.clip !== null")
    player.get_by_role("button", name="Next").click()
    expect(rows.nth(2)).to_have_class(re.compile(r"\bcurrent\b"))
    accessible(page)
    seek = player.get_by_role("slider")
    page.evaluate("voxPlayer.pause()")
    expect(player).not_to_have_attribute("data-playing", "")
    seek.press("Home")
    seek.press("ArrowRight")
    assert 0 < page.evaluate("voxPlayer.at") <= 2
    player.get_by_role("button", name="Close the player").click()
    expect(player).to_be_hidden()


def test_space_plays_what_has_the_focus(visit: Visit) -> None:
    page = visit.go("/")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press(" ")
    expect(page.locator("#player")).to_have_attribute("data-playing", "")
    page.locator("body").press(" ")
    expect(page.locator("#player")).not_to_have_attribute("data-playing", "")


def _page(node: RunningNode, token: str | None = None, path: str = "/") -> httpx.Response:
    with node.client(token) as client:
        return client.get(path, headers={"Accept": "text/html"})


def test_whoever_sees_only_the_own_clips_sees_nothing_of_others(node: RunningNode, tokens: Callable[..., str]) -> None:
    own = tokens("creator", name="maren")
    page = _page(node, own).text
    assert "forecast" in page
    assert "mallory" not in page
    for told in ("Storage", "Under way", "voxledger "):  # how the node stands is for those who may see usage
        assert told not in page
    assert "1 attempt failed" in page


@pytest.mark.parametrize("role", ["viewer", "creator", "admin"])
def test_a_failure_leads_to_a_page_that_its_reader_may_see(
    node: RunningNode, tokens: Callable[..., str], role: str
) -> None:
    token = tokens(role, name="maren")
    with node.client() as owner:
        for actor in ("maren", "mallory"):
            wrong = owner.post(
                "/api/clips", json={"text": "Wrong.", "actor": actor, "engine": "espeak", "voice": "nobody"}
            )
            assert not wrong.is_success
    _until(lambda: "unknown_voice (espeak)" in _page(node, token).text)
    matters = re.findall(r'<li class="bad">.*?</li>', _page(node, token).text, re.DOTALL)
    failures = [matter for matter in matters if "failed:" in matter]
    assert failures
    for matter in failures:
        (path,) = re.findall(r'<a class="button small" href="([^"]+)"', matter)
        assert _page(node, token, unescape(path)).status_code == 200, path


def test_a_stream_tells_only_what_its_reader_may_see(node: RunningNode, tokens: Callable[..., str]) -> None:
    token, heard = tokens("creator", name="maren"), list[str]()

    def listen() -> None:
        with node.client(token) as client, client.stream("GET", "/live") as lines:
            for line in lines.iter_lines():
                heard.append(line)
                if "by maren" in line:
                    return

    listening = threading.Thread(target=listen)
    listening.start()
    _until(lambda: any(line.startswith("retry") for line in heard))
    with node.client() as owner:
        for actor in ("lena", "maren"):
            made = owner.post("/api/clips", json={"text": f"Said by {actor}.", "actor": actor, "engine": "espeak"})
            assert made.is_success, made.text
    listening.join(PATIENCE)
    assert any("by maren" in line for line in heard)
    assert not any("by lena" in line or "event: state" in line for line in heard)


def test_a_stream_ends_with_its_token(node: RunningNode, tokens: Callable[..., str]) -> None:
    token = tokens("viewer")
    with node.client(token) as client, client.stream("GET", "/live") as lines, node.client() as owner:
        assert owner.delete(f"/api/tokens/{token.split('_')[1]}").is_success
        assert "event: end" in list(lines.iter_lines())


def test_a_stream_ends_when_its_reader_may_something_else(node: RunningNode, tokens: Callable[..., str]) -> None:
    token = tokens("viewer")
    with ExitStack() as stack:
        client = stack.enter_context(node.client(token))
        streams = [stack.enter_context(client.stream("GET", path)) for path in ("/live", "/nodes/live")]
        with closing(sqlite3.connect(node.home / "journal.sqlite", timeout=PATIENCE)) as journal, journal:
            journal.execute("UPDATE tokens SET scope = 'own' WHERE id = ?", (token.split("_")[1],))
        for stream in streams:
            assert "event: end" in list(stream.iter_lines())


def _until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_place_that_was_not_given_is_no_place(node: RunningNode, tokens: Callable[..., str]) -> None:
    assert _page(node, tokens("creator", name="maren"), "/live?after=3").status_code == 400
    assert _page(node, None, "/live?after=999999").status_code == 400


@pytest.mark.parametrize("role", ["viewer", "analyst", "curator", "admin"])
def test_every_role_has_a_page(node: RunningNode, tokens: Callable[..., str], role: str) -> None:
    answer = _page(node, tokens(role))
    assert answer.status_code == 200
    assert "Storage" in answer.text


def test_the_client_that_has_it_is_not_sent_it_again(node: RunningNode) -> None:
    with node.client() as client:
        first = client.get("/")
        again = client.get("/", headers={"If-None-Match": first.headers["etag"]})
        assert again.status_code in (200, 304)
        assert again.status_code == 200 or not again.content


@pytest.fixture(scope="module")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    home = tmp_path_factory.mktemp("aged") / "home"
    age(home)
    with running_node(home, store_close_wait=0) as node:
        yield node


def test_doubts_what_goes_next_and_the_forecast_are_shown(browser: Browser, aged: RunningNode) -> None:
    with visiting(browser, aged) as visit:
        page = visit.sign_in()
        matters = page.locator(".matters")
        expect(matters).to_contain_text("1 clip of this week may sound wrong")
        expect(matters.locator(".doubted li")).to_have_count(1)
        expect(matters.locator(".doubted .name")).to_have_text(f"doubted {XSS[1]}")
        expect(matters.locator(".doubted .soft")).to_have_text("clipping, silence")
        going = page.locator("section:has(#expiring-title)")
        expect(going).to_contain_text("1 clip is marked, 66.2 kB")
        expect(going.locator(".expiring .name")).to_have_text(f"marked {XSS[0]}")
        expect(going.locator(".expiring time")).to_have_text("in 3 days")
        expect(page.locator(".foretold svg.forecast")).to_be_visible()
        expect(page.locator(".foretold figcaption")).to_contain_text("In four weeks about")
        accessible(page)
        listed = _page(aged, None, matters.get_by_role("link", name="Listen to all").get_attribute("href") or "").text
        assert set(re.findall(r">(doubted|marked|week) ", listed.partition('id="results"')[2])) == {"doubted"}
        visit.check()


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    home = tmp_path_factory.mktemp("empty") / "home"
    with voxledger.open(home):
        pass
    with running_node(home, store_close_wait=0, serve_tokens="loopback") as node:
        yield node


def test_an_empty_ledger_says_how_to_fill_it_and_nobody_signs_in_on_loopback(
    browser: Browser, empty: RunningNode
) -> None:
    with visiting(browser, empty) as visit:
        page = visit.go("/")
        expect(page.locator("main")).to_contain_text("Nothing has been said yet")
        expect(page.locator("main code").first).to_contain_text("voxledger speak")
        accessible(page)
        page.locator(".me summary").click()
        expect(page.get_by_role("button", name="Sign out")).to_have_count(0)
        visit.check()


def test_every_command_that_is_named_exists() -> None:
    said = set(re.findall(r'command="voxledger ([\w -]+)"', "".join(file.read_text() for file in ROOT.glob("*.py"))))
    assert len(said) > 5
    for command in said:
        app = build()
        for word in command.split():
            app = app[word]


def test_stretches_are_as_long_as_those_that_they_are_compared_with() -> None:
    now = datetime(2026, 3, 31, 10, tzinfo=UTC)  # two days after the clocks of Berlin went forward
    found = {each.name: each for each in of(now, "Europe/Berlin")}
    assert found["today"].start == datetime(2026, 3, 30, 22, tzinfo=UTC)
    assert found["yesterday"].stop - found["yesterday"].start == now - found["today"].start
    assert found["week"].start == datetime(2026, 3, 29, 22, tzinfo=UTC)
    assert found["week_before"].start == datetime(2026, 3, 22, 23, tzinfo=UTC)
    sunday = found["day 11"]  # of 23 hours
    assert (sunday.stop - sunday.start).total_seconds() == 23 * 3600


def test_a_dear_answer_is_given_again_and_renewed_beside_whoever_asks() -> None:
    now, asked = [0.0], list[float]()
    kept: Kept[int] = Kept(5.0, oldest=100.0, clock=lambda: now[0])

    def ask() -> int:
        asked.append(now[0])
        return len(asked)

    assert [kept.get("a", ask), kept.get("a", ask)] == [1, 1]
    now[0] = 6.0
    assert kept.get("a", ask) == 1
    _until(lambda: kept.get("a", ask) == 2)
    now[0] = 500.0
    assert kept.get("a", ask) == 3  # too old to be shown
    assert kept.get("b", ask) == 4


def test_a_question_that_fails_is_asked_again_by_the_next() -> None:
    kept: Kept[int] = Kept(5.0)
    with pytest.raises(ZeroDivisionError):
        kept.get("a", lambda: 1 // 0)
    assert kept.get("a", lambda: 7) == 7
