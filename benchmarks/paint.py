"""First paint of the node's pages in a real browser, over a large catalog.

    python benchmarks/paint.py [--clips 10000000] [--home HOME] [--times 5]

The catalog is that of benchmarks/pages.py; `--home` takes a HOME that is there. Debian's Chromium runs without a screen on the machine
that serves, and takes most of its processor. `first`: a browser that was never here, and so fetches everything; `again`: the same page
with what the browser keeps. `paint` is the first contentful paint, in ms from the start of the navigation, the median and the worst of
`--times`; `answer` is when the page's first byte came; `kB` is what came over the wire by then and until it was quiet. The bar is 500 ms.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.pages import SETTLING, catalog, clips_of
from tests.dashboards.pages.browser import browsing
from tests.node import RunningNode, running_node

BAR = 500.0
_SEEN = """() => new Promise((done) => {
  const told = () => {
    const [page] = performance.getEntriesByType("navigation");
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    if (!paint) return setTimeout(told, 20);
    const all = [page, ...performance.getEntriesByType("resource")];
    done({ paint: paint.startTime, answer: page.responseStart, bytes: all.reduce((sum, one) => sum + one.transferSize, 0) });
  };
  told();
})"""


def main() -> None:
    """Fill, serve, look."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--clips", type=int, default=10_000_000)
    given.add_argument("--home", type=Path)
    given.add_argument("--times", type=int, default=5)
    asked = given.parse_args()
    with catalog(asked.home, asked.clips) as home:
        clip = clips_of(home)["new"]
        paths = (
            "/", "/library", "/library?q=tide&emotion=sad", f"/clips/{clip}", "/studio", "/usage", "/retention", "/sql", "/nodes",
            "/reports", "/tokens",
        )  # fmt: skip
        with running_node(home, store_close_wait=0) as node, browsing() as browser:
            time.sleep(SETTLING)
            table, missed = seen(node, browser, paths, asked.times)
    Console(width=120).print(table)
    if missed:
        print("beyond the bar:", ", ".join(missed))


def seen(node: RunningNode, browser: Browser, paths: tuple[str, ...], times: int) -> tuple[Table, list[str]]:
    """Every page, at first and again."""
    table, missed = Table(title="First contentful paint, ms"), []
    for column in (
        "", "first: answer", "paint", "worst", "kB", "again: answer", "paint", "worst", "kB",
    ):  # fmt: skip
        table.add_column(column, justify="right" if column else "left")
    state = _signed_in(node, browser)
    for path in paths:
        visits = [_visited(node, browser, state, path) for _ in range(times)]
        row: list[str] = []
        for told in (list(each) for each in zip(*visits, strict=True)):
            paints = [one["paint"] for one in told]
            middle = statistics.median(paints)
            row += [
                f"{statistics.median(one['answer'] for one in told):,.0f}", f"{middle:,.0f}", f"{max(paints):,.0f}",
                f"{statistics.median(one['bytes'] for one in told) / 1000:,.1f}",
            ]  # fmt: skip
            if middle > BAR and path not in missed:
                missed.append(path)
        name = path.partition("?")[0] if not path.startswith("/clips/") else "/clips/…"
        table.add_row(name + ("?…" if "?" in path else ""), *row, style="red" if path in missed else "")
    return table, missed


def _signed_in(node: RunningNode, browser: Browser) -> Any:
    with node.client() as owner:
        link = owner.post("/sign-in/link").json()["path"]
    context = browser.new_context()
    context.new_page().goto(f"{node.url}{link}", wait_until="load")
    state = context.storage_state()
    context.close()
    return state


def _visited(node: RunningNode, browser: Browser, state: Any, path: str) -> tuple[dict[str, float], dict[str, float]]:
    context = browser.new_context(storage_state=state)
    page = context.new_page()
    found: list[dict[str, float]] = []
    for _ in range(2):
        page.goto("about:blank")
        page.goto(f"{node.url}{path}", wait_until="load")
        page.wait_for_timeout(500)  # what the page asks for by itself
        found.append(page.evaluate(_SEEN))
    context.close()
    return found[0], found[1]


if __name__ == "__main__":
    main()
