"""Pictures of pages, to be looked at: `python -m tests.dashboards.pages.shots FOLDER [PATH …] [--home HOME]`.

Each path in light and dark, in English and Chinese, on a phone, a desk and a wide screen.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.dashboards.pages.browser import browsing, visiting
from tests.dashboards.pages.seeded import copied, seed
from tests.node import running_node

_SIZES = {"phone": (390, 844), "desk": (1440, 900), "wide": (2560, 1300)}
_WAYS = (
    ("desk", "light", "en"), ("desk", "dark", "en"), ("desk", "light", "zh"), ("phone", "light", "en"), ("phone", "dark", "zh"),
    ("wide", "light", "en"),
)  # fmt: skip


def shoot(folder: Path, paths: Sequence[str], home: Path | None = None, *, plays: bool = True) -> None:
    """Write the pictures: NAME-SIZE-THEME-LANGUAGE.png."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        target = Path(place) / "home"
        if home is None:
            seed(target)
        else:
            copied(home, target)
        with running_node(target, store_close_wait=0) as node, browsing() as browser:
            for size, theme, language in _WAYS:
                width, height = _SIZES[size]
                options = {
                    "viewport": {"width": width, "height": height}, "color_scheme": theme, "has_touch": size == "phone",
                    "locale": "zh-CN" if language == "zh" else "en-GB", "device_scale_factor": 2 if size == "phone" else 1,
                }  # fmt: skip
                with visiting(browser, node, **options) as visit:
                    visit.sign_in()
                    for path in paths:
                        page = visit.go(path)
                        if plays and (button := page.locator("[data-play]").first).count():
                            button.click()
                        page.wait_for_timeout(700)
                        name = path.strip("/").partition("?")[0].replace("/", "-") or "overview"
                        page.screenshot(path=folder / f"{name}-{size}-{theme}-{language}.png", full_page=size != "wide")
                    for wrong in visit.wrong:
                        print(f"{size} {theme} {language}: {wrong}")


if __name__ == "__main__":
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("folder", type=Path)
    given.add_argument("paths", nargs="*", default=["/"])
    given.add_argument("--home", type=Path)
    asked = given.parse_args()
    shoot(asked.folder, asked.paths, asked.home)
