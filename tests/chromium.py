"""Chromium for tests of pages: Debian's, without a window where it is there, which takes half of the other's processor time."""

from __future__ import annotations

import os
import shutil

import pytest

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """Where it is; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is not None:
        return found
    if os.environ.get("CI"):
        pytest.fail("Chromium is missing; .ci/run installs it")
    pytest.skip("there is no Chromium here: `apt-get install chromium-headless-shell`")
