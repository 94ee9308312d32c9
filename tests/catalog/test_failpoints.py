"""Failpoints: they do nothing unless a test asks, and a slip of the pen is an error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from voxledger.catalog import SettingsError, failpoints

_REACH = (
    "from voxledger.catalog.failpoints import failpoint\n"
    "for round in range(3):\n"
    "    print(round, flush=True)\n"
    "    failpoint('journal.before_commit')\n"
)


def _run(setting: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, failpoints.VARIABLE: setting}
    return subprocess.run([sys.executable, "-c", _REACH], env=environ, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("setting", "rounds"),
    [("journal.before_commit", 1), ("journal.before_commit:2", 2), ("journal.before_commit:3", 3)],
)
def test_a_process_ends_at_the_place_that_is_named(setting: str, rounds: int) -> None:
    ended = _run(setting)
    assert ended.returncode == -signal.SIGKILL
    assert len(ended.stdout.split()) == rounds


@pytest.mark.parametrize("setting", ["", "journal.after_commit", "journal.before_commit:4"])
def test_a_process_that_does_not_come_by_goes_on(setting: str) -> None:
    ended = _run(setting)
    assert ended.returncode == 0
    assert len(ended.stdout.split()) == 3


def test_an_unknown_name_is_an_error_at_import() -> None:
    ended = _run("journal.before_comit")
    assert ended.returncode == 1
    assert "VOXLEDGER_FAILPOINT=journal.before_comit names no failpoint" in ended.stderr


@pytest.mark.parametrize("count", ["", "0", "-1", "x", "1.5", "²"])
def test_a_count_that_is_none_is_an_error(count: str) -> None:
    with pytest.raises(SettingsError, match="a number from 1 on"):
        failpoints.armed(f"journal.before_commit:{count}")
