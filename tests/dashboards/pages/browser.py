"""A browser for tests of pages: Debian's Chromium, which fails the test on whatever no page of ours may do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    WebError,
    expect,
    sync_playwright,
)

from tests.chromium import chromium
from tests.node import PATIENCE, RunningNode

__all__ = ["COLOURS", "Visit", "accessible", "browsing", "expect"]

expect.set_options(timeout=PATIENCE * 1000)  # five seconds are too few on a busy machine

_ARGUMENTS = (
    "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
    # Nobody else is found. To hold each request and look where it goes would cost as much as the request, and the browser's cache.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
COLOURS = ("color-contrast", "link-in-text-block")
"""The rules of it that look at colours, which are all that the other theme changes: `test_layout.py` sees to that."""
_AXE = Axe().axe_script
_LOOK = "(options) => axe.run(options).then(({ violations }) => violations)"
_HARMLESS = ("Failed to load resource", "Response Status Error Code 4")
"""Lines of the browser and of htmx about answers that a test asked for; what answered is looked at instead."""
_WATCH = """
document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sample }) =>
  console.error(`CSP: ${violatedDirective} ${blockedURI} ${sample}`));
globalThis.voxXss = (from) => console.error(`XSS: ${from}`);
"""
_PLAIN = """
delete Navigator.prototype.clipboard;
delete Crypto.prototype.randomUUID;
delete Crypto.prototype.subtle;
"""
"""What browsers lack over plain http from another machine; here they would have it."""


@dataclass
class Visit:
    """A page in a browser, and all that it has done wrong so far."""

    node: RunningNode
    page: Page
    wrong: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Every address that was asked for, without the origin."""
    arriving: bool = False
    """Whether it is the owner, who signs in on the way to the first page."""

    def go(self, path: str = "/") -> Page:
        """Go to a path of the node, and wait until the page is there."""
        if self.arriving:
            return self.sign_in(path=path)
        self.page.goto(f"{self.node.url}{path}", wait_until="load")
        return self.page

    def sign_in(self, token: str | None = None, path: str = "/") -> Page:
        """As the owner, with a link; or with a token, through the form. Either leads on to a path."""
        self.arriving = False
        onward = f"next={quote(path, safe='')}"
        if token is None:
            with self.node.client() as owner:
                link = owner.post("/sign-in/link").json()["path"]
            self.go(f"{link}&{onward}")
        else:
            self.go(f"/sign-in?{onward}")
            self.page.get_by_label("Token", exact=True).fill(token)
            self.page.get_by_role("button", name="Sign in", exact=True).click()
            self.page.wait_for_url(lambda address: "/sign-in" not in address)
        return self.page

    def check(self) -> None:
        """Nothing was wrong. Called at the end of each test."""
        assert not self.wrong, "\n".join(self.wrong)


@contextmanager
def browsing() -> Iterator[Browser]:
    """One browser for a whole module."""
    program = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visiting(browser: Browser, node: RunningNode, **options: Any) -> Iterator[Visit]:
    """A visit of a browser that was never here. `options` are those of Playwright's `new_context`, such as `color_scheme="dark"`."""
    with furnished(browser, **options) as context, _heard(Visit(node, context.new_page())) as visit:
        yield visit


@contextmanager
def furnished(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """What visits that follow each other share: the browser's cache.

    Without `permissions` there is no clipboard for pages, as over plain http.
    """
    context = browser.new_context(**{"locale": "en-GB", "timezone_id": "Europe/Berlin", **options})
    context.set_default_timeout(PATIENCE * 1000)
    context.add_init_script(_WATCH)
    if "permissions" not in options:
        context.add_init_script(_PLAIN)
    try:
        yield context
    finally:
        context.close()


@contextmanager
def visiting_again(context: BrowserContext, node: RunningNode) -> Iterator[Visit]:
    """A visit without cookies and without anything that pages of earlier visits have stored."""
    context.clear_cookies()
    page = context.new_page()
    devtools = context.new_cdp_session(page)
    devtools.send("Storage.clearDataForOrigin", {"origin": node.url, "storageTypes": "all"})
    devtools.detach()
    with _heard(Visit(node, page)) as visit:
        yield visit


@contextmanager
def _heard(visit: Visit) -> Iterator[Visit]:
    """Until it ends, requests to anywhere else are remembered; so are errors on the console, violations of the policy, uncaught
    exceptions, and answers of 500 or more.
    """
    context = visit.page.context
    hearing = _hearing(visit)
    for event, hear in hearing.items():
        context.on(event, hear)  # type: ignore[call-overload]  # which wants to see each event's name
    try:
        yield visit
    finally:
        for event, hear in hearing.items():
            context.remove_listener(event, hear)
        for page in context.pages:
            page.close()


def _hearing(visit: Visit) -> dict[str, Callable[[Any], None]]:
    """What listens to its pages, by the event."""
    own = urlsplit(visit.node.url).netloc

    def asked(request: Request) -> None:
        address = urlsplit(request.url)
        if address.netloc not in (own, "") and address.scheme in ("http", "https"):
            visit.wrong.append(f"asked {request.url}")
            return
        visit.asked.append(f"{address.path}{f'?{address.query}' if address.query else ''}")

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_HARMLESS):
            visit.wrong.append(f"console: {message.text}")

    def answered(response: Response) -> None:
        if response.status >= 500:
            visit.wrong.append(f"{response.status} {response.url}")

    def failed(error: WebError) -> None:
        visit.wrong.append(f"uncaught: {error.error}")

    return {"request": asked, "console": said, "response": answered, "weberror": failed}


def accessible(page: Page, *, only: tuple[str, ...] = ()) -> None:
    """The page has no flaw that axe-core finds by the rules of WCAG 2.2 AA, or by a few of them only."""
    if not page.evaluate("'axe' in globalThis"):
        page.evaluate(_AXE)
    rules = {"type": "rule", "values": list(only)} if only else {"type": "tag", "values": list(WCAG)}
    # Ours are sandboxed: nobody in them answers axe. To tell of all that is right would take most of the time.
    options = {"runOnly": rules, "iframes": False, "resultTypes": ["violations"]}
    told = [
        f"{flaw['id']}: {flaw['help']}: " + "; ".join(f"{node['target']} {node.get('failureSummary', '')}" for node in flaw["nodes"][:5])
        for flaw in page.evaluate(_LOOK, options)
    ]  # fmt: skip
    assert not told, "\n".join(told)
