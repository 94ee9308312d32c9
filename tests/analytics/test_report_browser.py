"""The weekly report in a real browser: it shows, it plays, it asks nobody for anything."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import voxledger
from tests.building import NOBODY

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
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


def _browse(page: Path, profile: Path, *more: str) -> subprocess.CompletedProcess[str]:
    if _CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing; .ci/run installs it")
        pytest.skip("there is no chromium here")
    command = [_CHROMIUM, *_OPTIONS, f"--user-data-dir={profile}", *more, page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)


def test_it_shows_players_and_charts_and_no_error(page: Path, tmp_path: Path) -> None:
    seen = _browse(page, tmp_path, "--dump-dom")
    assert seen.stdout.count("<audio") == 3
    assert seen.stdout.count("<svg") > 5
    assert "<b>happy</b>" not in seen.stdout
    assert [line for line in seen.stderr.splitlines() if "CONSOLE" in line] == []


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
