"""The weekly report in a real browser: it shows, it plays, it asks nobody for anything."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import voxledger
from tests.building import NOBODY, Parts
from tests.chromium import chromium
from voxledger.analytics.report import Week, build, render_html
from voxledger.catalog.settings import Settings

_MEASURE = """<script>addEventListener("load", () => {
  for (const part of document.querySelectorAll("details")) part.open = true
  const wide = document.documentElement, out = []
  if (wide.scrollWidth > wide.clientWidth) out.push("the page scrolls sideways")
  for (const card of document.querySelectorAll(".card, header, footer"))
    for (const part of card.querySelectorAll(":not(svg *)"))
      if (!part.matches(".scroll *, pre *") && part.getBoundingClientRect().right > card.getBoundingClientRect().right)
        out.push(part.tagName + " sticks out of " + card.textContent.trim().slice(0, 30))
  document.title = out.length ? out.join("; ") : "all fits"
})</script>"""
_OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--virtual-time-budget=3000",
)  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a HOME with three clips."""
    home = tmp_path_factory.mktemp("browser")
    with voxledger.open(home / "home", store_endpoint=NOBODY, store_close_wait=0) as vox:
        for emotion in ("happy", "sad", "calm"):
            vox.speak(f"This one is {emotion}.", emotion=emotion, name=f"<b>{emotion}</b>")
        return vox.reports.publish(home / "report")[0]


def _browse(page: Path, profile: Path, *more: str, at: str = "") -> subprocess.CompletedProcess[str]:
    command = [chromium(), *_OPTIONS, f"--user-data-dir={profile}", *more, page.as_uri() + at]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


def test_it_shows_players_and_charts_and_no_error(page: Path, tmp_path: Path) -> None:
    seen = _browse(page, tmp_path, "--dump-dom")
    assert seen.stdout.count("<audio") == 3
    assert seen.stdout.count("<svg") > 5
    assert "<b>happy</b>" not in seen.stdout
    assert [line for line in seen.stderr.splitlines() if "CONSOLE" in line] == []


def test_a_number_leads_to_its_definition_which_opens(page: Path, tmp_path: Path) -> None:
    places = re.findall(r'href="(#metric-[a-z0-9_]+)"', page.read_text(encoding="utf-8"))
    assert "#metric-clips" in places
    assert "<details open" not in _browse(page, tmp_path / "closed", "--dump-dom").stdout
    opened = _browse(page, tmp_path / "opened", "--dump-dom", at="#metric-clips").stdout
    assert opened.count("<details open") == 1
    assert 0 < opened.index("<details open") < opened.index('id="metric-clips"')


def test_it_is_not_blank_in_light_dark_and_on_a_phone(page: Path, tmp_path: Path) -> None:
    sizes = []
    for name, more in (
        ("light", ["--window-size=1200,1600"]),
        ("dark", ["--window-size=1200,1600", "--blink-settings=preferredColorScheme=0"]),
        ("phone", ["--window-size=500,1600"]),
    ):
        picture = tmp_path / f"{name}.png"
        _browse(page, tmp_path / name, "--hide-scrollbars", f"--screenshot={picture}", *more)
        sizes.append(picture.stat().st_size)
    assert min(sizes) > 40_000, "a blank page is a few kilobytes"
    assert len(set(sizes)) == 3


@pytest.mark.parametrize("width", [500, 820, 1200])
def test_nothing_sticks_out_however_long_the_names_are(parts: Parts, tmp_path: Path, width: int) -> None:
    monday = datetime(2026, 11, 2, tzinfo=UTC)
    for number in range(40):
        for back in range(2):
            word = (
                f"{number:02}" + "Schifffahrtselektrizit\N{LATIN SMALL LETTER A WITH DIAERESIS}tenhauptbetriebswerk" * 3
            )
            parts.clip(
                time=monday + timedelta(hours=number) - timedelta(weeks=back), actor=word, voice_name=word, language=word, model=word,
                engine=word, device=word, features=(word[:50],) if number < 5 else (), name=word, text=word * 5, bytes=10**12,
                duration_us=10**13,
            )  # fmt: skip
    report = build(parts.keeper, Settings(), week=Week.parse("2026-W45"), now=monday + timedelta(days=9))
    file = tmp_path / "page.html"
    text = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", render_html(report, {}))
    file.write_text(text.replace("</body>", f"{_MEASURE}</body>"), encoding="utf-8")
    seen = _browse(file, tmp_path / "profile", "--dump-dom", f"--window-size={width},2000").stdout
    assert "<title>all fits</title>" in seen, re.findall("<title>.*</title>", seen)
