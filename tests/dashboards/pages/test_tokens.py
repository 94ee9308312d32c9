"""Tokens and roles: made and shown once, revoked, and for everybody who they are."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
from playwright.sync_api import Browser

from tests.dashboards.pages.browser import Visit, accessible, expect, visiting
from tests.node import PATIENCE, RunningNode
from voxledger.catalog.access import PERMISSIONS, ROLES
from voxledger.dashboards.pages.tokens import FOR, MAY

_SLOW = PATIENCE * 1000
_NASTY = "<img src=x onerror=voxXss('token')>"


def _page(node: RunningNode, token: str | None = None, path: str = "/tokens") -> httpx.Response:
    with node.client(token) as client:
        return client.get(path, headers={"Accept": "text/html"})


def test_a_token_is_made_shown_once_and_revoked(visit: Visit) -> None:
    page = visit.go("/tokens")
    accessible(page)
    page.get_by_role("button", name="Make a token").click()
    dialog = page.locator("#make")
    dialog.get_by_role("textbox", name="Name").fill(_NASTY)
    dialog.get_by_role("radio", name=re.compile("^Admin")).check()
    expect(dialog.get_by_role("radio", name="own clips")).to_be_disabled()
    dialog.get_by_role("radio", name=re.compile("^Creator")).check()
    expect(dialog.get_by_role("radio", name="own clips")).to_be_checked()
    dialog.get_by_text("Limits", exact=False).first.click()
    dialog.get_by_label("Rate limit").fill("a lot")
    accessible(page)
    dialog.get_by_role("button", name="Make it").click()
    expect(dialog.locator("[data-wrong]")).to_contain_text("such as 60/min", timeout=_SLOW)
    dialog.get_by_label("Rate limit").fill("60/min")
    dialog.get_by_label("Minutes of audio a day").fill("90")
    dialog.get_by_label("Requests a day").fill("1000")
    dialog.get_by_role("button", name="Make it").click()
    expect(dialog.locator('[data-secret="token"]')).to_have_text(re.compile("^vox_"), timeout=_SLOW)
    secret = dialog.locator('[data-secret="token"]').inner_text()
    expect(dialog.locator('[data-secret="curl"]')).to_contain_text(f"Bearer {secret}")
    expect(dialog.locator('[data-secret="python"]')).to_contain_text(
        f'voxledger.connect("{visit.node.url}", "{secret}")'
    )
    accessible(page)
    page.evaluate("document.addEventListener('copy', ({ target }) => (globalThis.copied = target.value))")
    dialog.locator("[data-copies=token]").click()
    expect(page.locator(".toast").last).to_contain_text("Copied")
    assert page.evaluate("globalThis.copied") == secret
    page.evaluate("delete globalThis.copied")
    made = page.locator(".list tr", has_text=_NASTY)
    expect(made).to_contain_text("of 1,000", timeout=_SLOW)
    expect(made).to_contain_text("of 1.5 h")
    expect(made).to_contain_text("at most 60/min")
    expect(made).to_contain_text("in 90 days")
    with visit.node.client(secret) as client:
        assert client.get("/api/me").json()["name"] == _NASTY

    dialog.get_by_role("button", name="I have stored it").click()
    expect(dialog).to_be_hidden()
    page.wait_for_function("secret => !document.documentElement.outerHTML.includes(secret)", arg=secret)
    assert secret not in page.url
    kept = page.evaluate("JSON.stringify([history.state, {...localStorage}, {...sessionStorage}, document.cookie])")
    assert secret not in kept
    assert not any(secret in asked for asked in visit.asked)

    made.get_by_role("button", name="Revoke").click()
    sure = page.locator("#revoke")
    expect(sure).to_contain_text(_NASTY)
    accessible(page)
    sure.get_by_role("button", name="Revoke it").click()
    expect(page.locator(".toast").last).to_contain_text("The token was revoked.", timeout=_SLOW)
    expect(made).to_have_count(0, timeout=_SLOW)
    with visit.node.client(secret) as client:
        assert client.get("/api/me").status_code == 401
    page.reload()
    page.get_by_label("also expired and revoked").check()
    expect(made).to_contain_text("revoked", timeout=_SLOW)
    page.get_by_role("searchbox").fill("nobody is called so")
    expect(page.locator("#list")).to_contain_text("No token fits that.", timeout=_SLOW)


def test_what_is_secret_goes_when_one_leaves(visit: Visit) -> None:
    page = visit.go("/tokens")
    page.get_by_role("button", name="Make a token").click()
    page.get_by_role("button", name="Make it").click()
    shown = page.locator('[data-secret="token"]')
    expect(shown).to_have_text(re.compile("^vox_"), timeout=_SLOW)
    secret = shown.inner_text()
    page.evaluate("document.querySelector('.rail a[href=\"/\"]').click()")
    expect(page.locator("h1")).to_have_text("Overview", timeout=_SLOW)
    assert secret not in page.content()
    page.go_back()
    expect(page.locator("h1")).to_have_text("Tokens and roles", timeout=_SLOW)
    assert secret not in page.content()


def test_others_see_who_they_are_and_nothing_of_tokens(
    browser: Browser, node: RunningNode, tokens: Callable[..., str]
) -> None:
    token = tokens("creator", name="maren", limits={"requests": 500, "audio_s": 60})
    with visiting(browser, node) as visit:
        page = visit.sign_in(token, path="/tokens")
        expect(page.locator(".facts").last).to_contain_text("maren")
        expect(page.locator(".facts").last).to_contain_text("of 500")
        expect(page.locator(".allowed li")).to_have_count(3)
        expect(page.locator(".roles tbody tr")).to_have_count(len(PERMISSIONS))
        expect(page.get_by_role("button", name="Make a token")).to_have_count(0, timeout=_SLOW)
        expect(page.get_by_role("heading", name="Who may come in")).to_have_count(0, timeout=_SLOW)
        accessible(page)
        visit.check()


def test_the_next_page_follows_also_when_the_last_token_of_the_one_before_has_ended(
    node: RunningNode, tokens: Callable[..., str]
) -> None:
    _, second, _ = (tokens("viewer", name=f"paged {number}").split("_")[1] for number in range(3))
    after = f"/tokens?q=paged&after={second}"
    before = _page(node, path=after).text
    with node.client() as owner:
        assert owner.delete(f"/api/tokens/{second}").is_success
    for page in (before, _page(node, path=after).text):
        listed = page.partition('id="list"')[2]
        assert "paged 0" in listed
        assert "paged 2" not in listed


def test_who_was_turned_away_is_told(node: RunningNode, tokens: Callable[..., str]) -> None:
    viewer = tokens("viewer", name="curious")
    with node.client(viewer) as client, node.client() as owner:
        assert client.get("/api/tokens").status_code == 403
        assert "curious" in _page(node).text
        assert owner.get("/tokens?every=true&q=curious&after=zzz").status_code == 200


def test_words_stand_for_every_role_and_permission() -> None:
    assert dict(MAY) == dict(PERMISSIONS)
    assert set(FOR) == set(ROLES)
