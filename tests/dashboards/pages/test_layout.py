"""What every page has: policy, assets, words, theme, the way from page to page, and what is said when something goes wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
import zstandard
from playwright.sync_api import Browser

from tests.dashboards.pages.browser import Visit, accessible, expect, visiting
from tests.dashboards.pages.sentences import sentences
from tests.node import RunningNode
from voxledger.dashboards.pages import moments
from voxledger.dashboards.pages.assets import _sources
from voxledger.dashboards.pages.page import POLICY
from voxledger.dashboards.pages.viewer import Viewer
from voxledger.dashboards.pages.words import in_files, preferred, read

_NAMES = re.compile(r"%\((\w+)\)s")


class _Elements(HTMLParser):
    """The elements of a page, each with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_every_page_tells_browsers_what_it_may_do(node: RunningNode) -> None:
    with node.client() as client:
        for path in ("/", "/nowhere"):
            headers = client.get(path, headers={"Accept": "text/html"}).headers
            assert headers["content-security-policy"] == POLICY
            assert headers["x-content-type-options"] == "nosniff"
            assert "no-store" in headers["cache-control"] or "private" in headers["cache-control"]
            assert "unsafe" not in headers["content-security-policy"]


def test_a_page_holds_no_script_and_no_style_of_its_own(node: RunningNode) -> None:
    with node.client() as client:
        page = client.get("/").text
    found = _Elements()
    found.feed(page)
    for element, attributes in found.seen:
        assert element != "style"
        assert element != "script" or "src" in attributes
        assert not [name for name in attributes if name == "style" or name.startswith("on")], (element, attributes)
        assert not (attributes.get("href") or "").startswith("javascript:")


def test_assets_are_for_good_and_compressed(node: RunningNode) -> None:
    with node.client("") as client:
        page = client.get("/sign-in").text
        addresses = set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', page))
        assert len(addresses) > 6
        for address in addresses:
            plain = client.get(address, headers={"Accept-Encoding": "identity"})
            assert plain.status_code == 200, address
            assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
            with client.stream("GET", address, headers={"Accept-Encoding": "zstd"}) as packed:
                body = b"".join(packed.iter_raw())
                if packed.headers.get("content-encoding") == "zstd":
                    assert zstandard.decompress(body) == plain.content
            for imported in re.findall(r'from "(/assets/[^"]+|\./[^"]+)"', plain.text):
                assert client.get(imported).status_code == 200, imported
        assert client.get("/assets/app.js").status_code == 404
        assert client.get("/assets/../page.py").status_code == 404


def test_a_page_is_small_beyond_what_is_kept(node: RunningNode) -> None:
    with node.client() as client:
        assert len(client.get("/").content) < 100_000


def test_every_sentence_has_its_chinese() -> None:
    said, chinese = sentences(), read("zh")
    assert len(said) > 50
    assert (
        sorted(f"{sentence!r} of {', '.join(files)}" for sentence, files in said.items() if sentence not in chinese)
        == []
    )


def test_no_chinese_stands_for_nothing_and_none_forgets_a_value() -> None:
    said = sentences()
    for name, words in in_files("zh"):
        for english, chinese in words.items():
            assert english in said, f"nobody says {english!r} of {name}"
            assert set(_NAMES.findall(chinese)) == set(_NAMES.findall(english)), (name, english)
            assert chinese.count("%%") == english.count("%%")


def test_two_files_may_not_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    several = [("a.toml", tomllib.loads('"Clip" = "片段"')), ("b.toml", tomllib.loads('"Clip" = "剪辑"'))]
    monkeypatch.setattr("voxledger.dashboards.pages.words.in_files", lambda _: iter(several))
    with pytest.raises(ValueError, match=r"b\.toml says 'Clip' in another way"):
        read("zh")


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        (None, None, "en"), ("zh", "en", "zh"), ("xx", "zh-CN,zh;q=0.9,en;q=0.8", "zh"), (None, "fr, en;q=0.5, zh;q=0.7", "zh"),
        (None, "zh;q=0, en;q=0.1", "en"), (None, "zh;q=oops", "en"), (None, "de", "en"), (None, "en-US,zh;q=0.9", "en"),
    ],
)  # fmt: skip
def test_the_language_is_the_one_that_was_chosen_or_is_wished_for(
    cookie: str | None, accepted: str | None, language: str
) -> None:
    assert preferred(cookie, accepted) == language


def test_times_are_those_of_the_viewer() -> None:
    moment = datetime(2020, 3, 1, 23, 30, tzinfo=UTC)
    with Viewer("en", "Asia/Shanghai", "auto").looking():
        assert "2 Mar 2020 07:30:00 (Asia/Shanghai)" in str(moments.moment(moment)).replace("\N{NO-BREAK SPACE}", " ")
    with Viewer("zh", "America/New_York", "auto").looking():
        shown = str(moments.moment(moment, "full"))
        assert "2020年3月1日 18:30:00" in shown
        assert 'datetime="2020-03-01T23:30:00.000Z"' in shown
        assert moments.duration(200e6) == "3\N{NO-BREAK SPACE}分\N{NO-BREAK SPACE}20\N{NO-BREAK SPACE}秒"
    assert moments.ago(None) == moments.playing(None) == moments.count(None) == "–"


def test_a_time_at_which_calendars_end_is_told_in_utc() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    with Viewer("en", "Asia/Shanghai", "auto").looking():
        assert "31 Dec 9999 23:59:59 (UTC)" in str(moments.moment(last)).replace("\N{NO-BREAK SPACE}", " ")
        assert moments.written(last).endswith("9999, 23:59")
    with Viewer("en", "America/New_York", "auto").looking():
        assert "1 Jan 1 00:00:00 (UTC)" in str(moments.moment(datetime(1, 1, 1, tzinfo=UTC))).replace(
            "\N{NO-BREAK SPACE}", " "
        )


def test_a_zone_that_is_none_is_ignored(node: RunningNode) -> None:
    with node.client() as client:
        for zone in ("../../etc/passwd", "Mars/Olympus", "%00", "x" * 500):
            assert client.get("/", headers={"Cookie": f"zone={zone}; theme=neon; language=xx"}).status_code == 200


def test_theme_and_language_are_there_with_the_first_byte(visit: Visit) -> None:
    page = visit.go("/")
    page.locator(".me summary").click()
    accessible(page)
    page.get_by_role("button", name="Dark").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(24, 27, 33)"
    assert 'data-theme="dark"' in page.request.get(visit.node.url).text()
    page.get_by_role("button", name="中文").click()
    page.wait_for_load_state()
    expect(page.locator("h1")).to_have_text("概览")
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    accessible(page)


def test_a_theme_changes_nothing_but_colours() -> None:
    """So that the rules about colours are all that there is to look at in the other one."""
    styles = {name: text.decode() for name, text in _sources().items() if name.endswith(".css")}
    assert {"base.css", "colours.css"} <= set(styles)
    for name, text in styles.items():
        assert "prefers-color-scheme" not in text, name
        for declared in re.findall(r"\[data-theme[^{]*\{([^}]*)\}", text):
            assert re.fullmatch(r"\s*color-scheme: (light|dark);\s*", declared), (name, declared)


def test_a_browser_that_wishes_chinese_and_dark_gets_both(browser: Browser, node: RunningNode) -> None:
    with visiting(browser, node, locale="zh-CN", color_scheme="dark") as visit:
        page = visit.go("/sign-in")
        expect(page.locator("h1")).to_have_text("登录 Voxledger")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(24, 27, 33)"
        visit.check()


def test_keys_go_to_pages_and_tell_what_they_do(visit: Visit) -> None:
    page = visit.go("/")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    accessible(page)
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page.locator("h1")).to_have_text("Overview")


def test_what_is_not_there_is_a_page_for_people_and_json_for_programs(visit: Visit) -> None:
    page = visit.go("/nowhere")
    expect(page.locator("h1")).to_have_text("There is nothing here")
    accessible(page)
    page.get_by_role("main").get_by_role("link", name="Overview").click()
    expect(page.locator("h1")).to_have_text("Overview")
    with visit.node.client() as client:
        assert client.get("/nowhere").json()["error"]["code"] == "not_found"
        assert client.get("/api/nowhere", headers={"Accept": "text/html"}).status_code == 404


def test_an_error_of_a_part_is_a_toast_with_the_remedy(visit: Visit) -> None:
    page = visit.go("/")
    page.evaluate("htmx.ajax('GET', '/api/clips/ffffffffffff', {swap: 'none'})")
    toast = page.locator(".toast")
    expect(toast).to_contain_text("Look the clip up")
    toast.get_by_role("button").click()
    expect(toast).to_have_count(0)


def test_a_part_asked_for_after_the_visit_ended_leads_to_signing_in(visit: Visit) -> None:
    page = visit.go("/")
    page.context.clear_cookies()
    page.evaluate("htmx.ajax('GET', '/', {target: '#main', swap: 'none'})")
    page.wait_for_url("**/sign-in*")


def test_it_can_be_read_without_scripts(browser: Browser, node: RunningNode) -> None:
    with visiting(browser, node, java_script_enabled=False) as visit:
        page = visit.sign_in()
        expect(page.locator("h1")).to_have_text("Overview")
        page.locator(".me summary").click()
        page.get_by_role("button", name="Dark").click()
        assert page.locator("html").get_attribute("data-theme") == "dark"
        page.locator(".me summary").click()
        page.get_by_role("button", name="Sign out", exact=True).click()
        expect(page.locator("h1")).to_have_text("Sign in to Voxledger")


@pytest.mark.parametrize("width", [360, 900, 2560])
def test_nothing_scrolls_sideways(browser: Browser, node: RunningNode, width: int) -> None:
    with visiting(browser, node, viewport={"width": width, "height": 800}) as visit:
        page = visit.sign_in()
        page.locator("[data-play]").first.click()
        expect(page.locator("#player")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        visit.check()


def test_nobody_but_readers_of_the_description_hears_of_pages(node: RunningNode, tokens: Callable[..., str]) -> None:
    with node.client() as client:
        paths = client.get("/api/openapi.json").json()["paths"]
    assert not {path for path in paths if not path.startswith(("/api/", "/v1/", "/healthz", "/readyz", "/metrics"))}
