"""Signing in with a browser: by token or by a link that works once, and out again."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import voxledger
from tests import forking
from tests.dashboards.pages.browser import Visit, accessible
from tests.node import PATIENCE, RunningNode, running_node
from voxledger.dashboards.pages.page import local
from voxledger.dashboards.server.visits import EACH

_WRONG = "vox_000000000000_" + "A" * 43
TYPED = {"Sec-Fetch-Site": "none"}
"""What browsers say of an address that no page has led to."""


def link(node: RunningNode, token: str | None = None) -> str:
    with node.client(token) as client:
        return str(client.post("/sign-in/link").json()["path"])


@contextmanager
def signed_in(node: RunningNode, token: str | None = None) -> Iterator[httpx.Client]:
    """A client with a visit's cookie and no token."""
    with node.client("") as client:
        assert client.get(link(node, token), headers=TYPED).status_code == 303
        yield client


def test_whoever_is_nobody_is_sent_to_sign_in_and_comes_back(stranger: Visit, tokens: Callable[..., str]) -> None:
    page = stranger.go("/?range=7d")
    assert page.url.endswith("/sign-in?next=%2F%3Frange%3D7d")
    accessible(page)
    page.get_by_label("Token", exact=True).fill(_WRONG)
    page.get_by_role("button", name="Sign in", exact=True).click()
    assert page.get_by_role("alert").inner_text().startswith("This opens nothing.")
    page.get_by_label("Token", exact=True).fill(tokens("analyst"))
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/?range=7d")
    cookie = next(each for each in page.context.cookies() if each["name"].startswith("voxledger-"))
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    page = stranger.go("/sql")
    page.evaluate("sessionStorage['studio me text'] = 'what I wrote'; localStorage.other = 'kept'")
    page.locator(".cm-content").fill("SELECT 'what I wrote'")  # which the page keeps when it goes
    page.locator(".me summary").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url("**/sign-in")
    assert page.evaluate("[Object.keys(localStorage), 'studio me text' in sessionStorage]") == [["other"], False]
    assert stranger.go("/").url.endswith("/sign-in")


def test_a_link_works_once(node: RunningNode) -> None:
    path = link(node)
    with node.client("") as first, node.client("") as second:
        assert first.get(path, headers=TYPED).headers["location"] == "/"
        assert first.get("/").status_code == 200
        refused = second.get(path, headers=TYPED)
        assert refused.status_code == 401
        assert "used already" in refused.text
        assert second.get("/").status_code == 303


def test_a_page_from_elsewhere_signs_nobody_in_by_a_link(node: RunningNode) -> None:
    """Else it could let somebody work in a name that is not theirs."""
    path = link(node)
    with node.client("") as client:
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {}):
            shown = client.get(path, headers=headers)
            assert (shown.status_code, shown.headers.get("set-cookie")) == (200, None), headers
            assert "Sign in with this link" in shown.text
        code = path.partition("code=")[2]
        assert (
            client.post("/sign-in", data={"code": code}, headers={"Origin": "https://evil.example"}).status_code == 403
        )
        assert client.post("/sign-in", data={"code": code}).status_code == 303


def test_a_link_is_that_of_its_maker(node: RunningNode, tokens: Callable[..., str]) -> None:
    with signed_in(node, tokens("viewer", name="wall")) as client:
        assert client.get("/api/me").json()["name"] == "wall"
        assert client.post("/api/tokens", json={"role": "admin"}).status_code == 403


def test_a_visit_makes_no_links(node: RunningNode) -> None:
    """Else it would renew itself for ever."""
    with signed_in(node) as client:
        for headers in ({}, {"Authorization": "Bearer"}):
            refused = client.post("/sign-in/link", headers={"Accept": "application/json", **headers})
            assert refused.status_code == 401
            assert "code=" not in refused.text


def test_whoever_signs_in_often_ends_only_their_own_visits(node: RunningNode, tokens: Callable[..., str]) -> None:
    token = tokens("viewer")
    with signed_in(node) as owner, node.client("") as first, node.client("") as last:
        theirs = link(node)
        assert first.post("/sign-in", data={"token": token}).status_code == 303
        for _ in range(EACH):
            last.cookies.clear()
            assert last.post("/sign-in", data={"token": token}).status_code == 303
        assert [each.get("/").status_code for each in (owner, first, last)] == [200, 303, 200]
        mine = [link(node, token) for _ in range(6)]
        codes = [path.partition("code=")[2] for path in (theirs, mine[0], mine[-1])]
        assert [last.post("/sign-in", data={"code": code}).status_code for code in codes] == [303, 401, 303]


def test_signing_in_takes_part_in_the_rate_of_a_token(node: RunningNode, tokens: Callable[..., str]) -> None:
    token = tokens("viewer", limits={"rate": "1/h"})
    with node.client("") as client:
        assert client.post("/sign-in", data={"token": token}).status_code == 303
        client.cookies.clear()
        refused = client.post("/sign-in", data={"token": token})
    assert (refused.status_code, refused.headers.get("set-cookie")) == (429, None)
    assert "Not so fast." in refused.text
    assert int(refused.headers["retry-after"]) > 3000


def test_all_visits_of_somebody_end_at_once(node: RunningNode, tokens: Callable[..., str]) -> None:
    token = tokens("viewer")
    with signed_in(node) as owner, signed_in(node, token) as here, signed_in(node, token) as there:
        left = link(node, token)
        assert "Sign out everywhere" in here.get("/").text
        assert here.post("/sign-out/everywhere", headers={"Origin": "https://evil.example"}).status_code == 403
        assert there.get("/").status_code == 200
        assert here.post("/sign-out/everywhere").headers["location"] == "/sign-in"
        assert [each.get("/").status_code for each in (owner, here, there)] == [200, 303, 303]
        assert there.get(left, headers=TYPED).status_code == 401
        assert owner.get("/").status_code == 200


def test_a_visit_ends_with_its_token(node: RunningNode, tokens: Callable[..., str]) -> None:
    token = tokens("analyst")
    with signed_in(node, token) as client, node.client() as owner:
        assert client.get("/").status_code == 200
        assert owner.delete(f"/api/tokens/{token.split('_')[1]}").is_success
        deadline = 40
        while client.get("/").status_code != 303 and deadline:
            deadline -= 1
            client.get("/healthz")
        assert client.get("/api/clips").status_code == 401


def test_a_page_of_somebody_else_writes_nothing_with_the_cookie(node: RunningNode) -> None:
    with signed_in(node) as client:
        clip = client.get("/api/clips?limit=1").json()["clips"][0]["id"]
        for headers in (
            {"Origin": "https://evil.example"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            for path in (f"/api/clips/{clip}/pin", "/sign-out", "/preferences", "/sign-in", "/sign-in/link"):
                assert client.post(path, headers=headers).status_code == 403, (path, headers)
        assert client.get("/").status_code == 200
        assert client.post("/sign-out", headers={"Origin": node.url}).status_code == 303
        assert client.get("/").status_code == 303


@pytest.mark.parametrize(
    "target",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/a\nb", "", "/sign-out"],
)  # fmt: skip
def test_next_leads_nowhere_else(target: str) -> None:
    assert local(target) == "/"


def test_next_leads_to_pages(node: RunningNode) -> None:
    assert local("/library?emotion=happy&sort=-created") == "/library?emotion=happy&sort=-created"
    with node.client("") as client:
        answer = client.get(f"{link(node)}&next=https://evil.example/", headers=TYPED)
        assert answer.headers["location"] == "/"


def test_what_proves_a_visit_is_not_kept_as_it_is(node: RunningNode) -> None:
    with signed_in(node) as client:
        value = next(cookie.value for cookie in client.cookies.jar if cookie.name.startswith("voxledger-"))
    kept = node.home / "visits.json"
    assert value is not None
    assert value not in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600


def test_nobody_sends_a_large_form_before_they_are_known(node: RunningNode) -> None:
    with node.client("") as client:
        assert client.post("/sign-in", data={"token": "x" * 50_000}).status_code == 413
        assert client.post("/sign-in", data={"token": "x" * 500}).status_code == 422


def test_a_visit_outlives_the_node_and_its_cookie_goes_by_https_where_people_come_by_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with voxledger.open(home):
        pass
    with (
        running_node(home, store_close_wait=0, serve_url="https://speech.example.org") as node,
        node.client("") as client,
    ):
        shown = client.get(link(node), headers=TYPED).headers["set-cookie"]
    assert "; Secure" in shown
    name, _, value = shown.partition(";")[0].partition("=")
    cookies = {name: value}
    with running_node(home, store_close_wait=0) as again:
        with again.client("", cookies=cookies) as client:
            assert client.get("/").status_code == 200
        told = forking.run(["-m", "voxledger", "--home", str(home), "open", "--print"])
        assert told.returncode == 0, told.stderr
        with httpx.Client(trust_env=False) as client:
            assert client.get(told.stdout.strip(), headers=TYPED).status_code == 303
        assert "sign-in?code" not in again.said() + again.printed()  # what is kept somewhere opens nothing


def test_a_terminal_is_told_a_link_at_the_start(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = forking.spawn(
        ["-m", "voxledger", "--home", str(tmp_path / "home"), "serve", "--port", "0"], stdout=theirs,
        stderr=subprocess.DEVNULL, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    os.close(theirs)
    said = b""
    try:
        while not (found := re.search(rb"(http://127\.0\.0\.1:\d+/sign-in\?code=[\w-]{43})\s", said)):
            said += os.read(ours, 4096)
        with httpx.Client(trust_env=False) as client:
            assert client.get(found[1].decode(), headers=TYPED).status_code == 303
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
        os.close(ours)


def test_without_a_node_there_is_nothing_to_open(tmp_path: Path) -> None:
    told = forking.run(["-m", "voxledger", "--home", str(tmp_path / "home"), "open"])
    assert told.returncode != 0
    assert "voxledger serve" in told.stderr
