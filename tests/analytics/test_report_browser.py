"""The weekly report in a real browser: it shows, it plays, it asks nobody for anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

import voxledger
from tests.building import NOBODY, Parts
from tests.dashboards.pages.browser import browsing, expect
from voxledger.analytics.report import Week, build, render_html
from voxledger.catalog.settings import Settings

_MEASURE = """() => {
  for (const part of document.querySelectorAll("details")) part.open = true
  const wide = document.documentElement, out = []
  if (wide.scrollWidth > wide.clientWidth) out.push("the page scrolls sideways")
  for (const card of document.querySelectorAll(".card, header, footer"))
    for (const part of card.querySelectorAll(":not(svg *)"))
      if (!part.matches(".scroll *, pre *") && part.getBoundingClientRect().right > card.getBoundingClientRect().right)
        out.push(part.tagName + " sticks out of " + card.textContent.trim().slice(0, 30))
  return out
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser that finds nobody."""
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a HOME with three clips."""
    home = tmp_path_factory.mktemp("browser")
    with voxledger.open(home / "home", store_endpoint=NOBODY, store_close_wait=0) as vox:
        for emotion in ("happy", "sad", "calm"):
            vox.speak(f"This one is {emotion}.", emotion=emotion, name=f"<b>{emotion}</b>")
        return vox.reports.publish(home / "report")[0]


@contextmanager
def _opened(browser: Browser, file: Path, at: str = "", **options: Any) -> Iterator[tuple[Page, list[str]]]:
    """A page of a file, and all that it says on the console and asks for, but for itself and what it holds."""
    with closing(browser.new_context(**options)) as context:
        page, heard = context.new_page(), list[str]()
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.append(request.url) if _is_elsewhere(request.url, file) else None)
        page.goto(file.as_uri() + at)
        yield page, heard


def _is_elsewhere(address: str, file: Path) -> bool:
    return not address.startswith(("data:", "blob:")) and address.partition("#")[0] != file.as_uri()


def test_it_shows_players_and_charts_and_no_error(browser: Browser, page: Path) -> None:
    with _opened(browser, page) as (seen, heard):
        assert seen.locator("audio").count() == 3
        assert seen.locator("svg").count() > 5
        assert seen.locator("b", has_text=re.compile("^(happy|sad|calm)$")).count() == 0
        assert heard == []


def test_a_number_leads_to_its_definition_which_opens(browser: Browser, page: Path) -> None:
    places = re.findall(r'href="(#metric-[a-z0-9_]+)"', page.read_text(encoding="utf-8"))
    assert "#metric-clips" in places
    with _opened(browser, page) as (seen, _):
        assert seen.locator("details[open]").count() == 0
    with _opened(browser, page, "#metric-clips") as (seen, _):
        expect(seen.locator("details[open]")).to_have_count(1)
        assert seen.locator("details[open] #metric-clips, details[open]#metric-clips").count() == 1


def test_it_is_not_blank_in_light_dark_and_on_a_phone(browser: Browser, page: Path) -> None:
    sizes = []
    for width, theme in ((1200, "light"), (1200, "dark"), (500, "light")):
        with _opened(browser, page, viewport={"width": width, "height": 1600}, color_scheme=theme) as (seen, _):
            sizes.append(len(seen.screenshot()))
    assert min(sizes) > 40_000, "a blank page is a few kilobytes"
    assert len(set(sizes)) == 3


@pytest.fixture(scope="module")
def long_names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a week in which every name is as long as can be."""
    folder = tmp_path_factory.mktemp("long")
    monday = datetime(2026, 11, 2, tzinfo=UTC)
    with closing(Parts(folder / "home")) as parts:
        for number in range(40):
            for back in range(2):
                word = (
                    f"{number:02}"
                    + "Schifffahrtselektrizit\N{LATIN SMALL LETTER A WITH DIAERESIS}tenhauptbetriebswerk" * 3
                )
                parts.clip(
                    time=monday + timedelta(hours=number) - timedelta(weeks=back), actor=word, voice_name=word, language=word,
                    model=word, engine=word, device=word, features=(word[:50],) if number < 5 else (), name=word, text=word * 5,
                    bytes=10**12, duration_us=10**13,
                )  # fmt: skip
        report = build(parts.keeper, Settings(), week=Week.parse("2026-W45"), now=monday + timedelta(days=9))
    file = folder / "page.html"
    file.write_text(render_html(report, {}), encoding="utf-8")
    return file


@pytest.mark.parametrize("width", [500, 820, 1200])
def test_nothing_sticks_out_however_long_the_names_are(browser: Browser, long_names: Path, width: int) -> None:
    with _opened(browser, long_names, viewport={"width": width, "height": 2000}) as (seen, _):
        assert seen.evaluate(_MEASURE) == []
