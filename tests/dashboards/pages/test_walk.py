"""The walk: over every page that there is, in both themes and languages, with the keyboard, and on a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests import soak
from tests.dashboards.pages.browser import COLOURS, Visit, accessible, visiting
from tests.dashboards.pages.seeded import copied, crowd
from tests.node import RunningNode, running_node
from voxledger.dashboards.pages import _PAGES  # the pages that the node has, whatever they are

_MOST = 160
"""Stops of the keyboard that are looked at on one page."""
_CHINESE = re.compile("[\u4e00-\u9fff]")
_EXPECTED = """
() => {
  const wanted = 'a[href], button, input, select, textarea, summary, [tabindex], audio[controls], iframe';
  const shown = (each) => each.checkVisibility({ visibilityProperty: true, opacityProperty: false }) && each.getClientRects().length;
  let number = 0;
  for (const each of document.querySelectorAll(wanted)) {
    const radio = each.type === 'radio' && !(each.checked || ![...document.getElementsByName(each.name)].some((other) => other.checked));
    const closed = each.closest('[inert], details:not([open]) > :not(summary)');
    if (each.tabIndex < 0 || each.disabled || !shown(each) || radio || closed) continue;
    each.dataset.walk = number++;
  }
  return number;
}
"""
_HERE = """
() => {
  const found = document.activeElement;
  if (!found || found === document.body) return null;
  const style = getComputedStyle(found);
  const around = found.closest('label, :focus-within') ? getComputedStyle(found.closest('label') ?? found.parentElement) : style;
  const seen = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none'
    || (around.outlineStyle !== 'none' && parseFloat(around.outlineWidth) > 0)
    || found.matches('iframe, [type=date], textarea');  // what is within shows it: its parts, or the caret
  return { walk: found.dataset.walk ?? null, seen, name: found.outerHTML.slice(0, 120) };
}
"""
_NAMES = "(all) => all.map((each) => document.querySelector(`[data-walk='${each}']`)?.outerHTML.slice(0, 120))"


@pytest.fixture(scope="module")
def node(seeded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node with twice as many clips, and with thousands in a soak."""
    home = copied(seeded_home, tmp_path_factory.mktemp("walk") / "home")
    crowd(home, 3000 if soak.FULL else 60)
    with running_node(home, store_close_wait=0) as running:
        yield running


def _paths(node: RunningNode) -> Iterator[str]:
    """Where every page is; of those with an address for each thing, one that there is."""
    for module in _PAGES:
        if hasattr(module, "ENTRY"):
            yield module.ENTRY.path
    with node.client() as owner:
        yield f"/clips/{owner.get('/api/clips', params={'limit': 1}).json()['clips'][0]['id']}"


def test_every_page_is_for_everybody(browser: Browser, node: RunningNode) -> None:
    wrong: list[str] = []
    paths = list(_paths(node))
    with visiting(browser, node, viewport={"width": 1440, "height": 900}) as visit:
        visit.sign_in()
        for path in paths:
            wrong += [f"{path}: {flaw}" for flaw in _flaws(visit, path)]
        wrong += visit.wrong
    with visiting(browser, node, locale="zh-CN", viewport={"width": 390, "height": 844}) as visit:
        visit.sign_in()
        for path in paths:
            page = visit.go(path)
            if page.locator("html").get_attribute("lang") != "zh-Hans":
                wrong.append(f"{path}: is not in Chinese")
            if not _CHINESE.search(page.locator("main").inner_text()):
                wrong.append(f"{path}: says nothing in Chinese")
            wrong += [f"{path} zh: {flaw}" for flaw in _wide(page)]
        wrong += visit.wrong
    assert not wrong, "\n".join(wrong)


def _flaws(visit: Visit, path: str) -> Iterator[str]:
    page = visit.go(path)
    title, headings = page.title(), page.locator("h1").count()
    if headings != 1:
        yield f"has {headings} h1"
    if not title.endswith("Voxledger") or len(title) < 12:
        yield f"is called {title!r}"
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        try:
            accessible(page, only=COLOURS if theme == "dark" else ())
        except AssertionError as error:
            yield f"{theme}: {error}"
    yield from _keyboard(page)
    page.set_viewport_size({"width": 390, "height": 844})
    yield from _wide(page)
    page.set_viewport_size({"width": 1440, "height": 900})


def _keyboard(page: Page) -> Iterator[str]:
    """Everything that does something is reached by Tab, and shows that it has the focus."""
    page.evaluate("document.activeElement?.blur()")
    expected = min(page.evaluate(_EXPECTED), _MOST)
    reached: set[int] = set()
    blind: list[str] = []
    for _ in range(2 * expected + 8):
        if len(reached) == expected:
            break
        page.keyboard.press("Tab")
        found = page.evaluate(_HERE)
        if found is None:  # past the last one; a page that gave something the focus begins in its middle
            continue
        if not found["seen"]:
            blind.append(found["name"])
        if found["walk"] is not None and int(found["walk"]) < expected:
            reached.add(int(found["walk"]))
    missed = set(range(expected)) - reached
    if missed:
        names = page.evaluate(_NAMES, sorted(missed)[:5])
        yield f"{len(missed)} of {expected} not reached by Tab: {names}"
    if blind:
        yield f"no visible focus: {blind[:5]}"


def _wide(page: Page) -> Iterator[str]:
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > 390:
        yield f"scrolls sideways at 390 px: {width}"
