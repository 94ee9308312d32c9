"""SIGKILL at every step of a run: the next run comes to the same end."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from voxledger.catalog.settings import ExpireRule

if TYPE_CHECKING:
    from conftest import World

DAY = timedelta(days=1)
ALL_CLIPS = ExpireRule(name="all", keep_for=5 * 86400, match="all")
CHILD = Path(__file__).with_name("killed_run.py")


STEPS = 21
"""One look at the store, four transactions (before, inside, after), four requests for each of two clips."""


@pytest.mark.parametrize("step", range(1, STEPS + 2))
def test_a_run_killed_at_any_step_is_finished_by_the_next(world: World, step: int) -> None:
    pinned, purged = world.clip(), [world.clip(), world.clip(stored=False, task=True)]
    retention = world.retention(ALL_CLIPS)
    retention.apply(now=world.now)
    marked = world.clip()
    world.pin(pinned)
    later = world.now + 8 * DAY
    command = [sys.executable, CHILD, str(world.home.path.parent), later.isoformat(), str(step)]
    assert subprocess.run(command, check=False).returncode == (-signal.SIGKILL if step <= STEPS else 0)
    retention.apply(now=later)
    for clip in purged:
        assert world.types(clip) == ["ClipMarked", "PurgeStarted", "ClipPurged"]
        assert clip not in str(world.store.names() | world.cached())
    assert world.types(pinned) == ["ClipMarked", "ClipUnmarked"]
    assert world.types(marked) == ["ClipMarked"]
    assert marked in str(world.store.names() & world.cached())
    assert world.recorder.journal.open_tasks("upload", purged) == 0
    again = retention.apply(now=later)
    assert (again.marked, again.unmarked, again.purged, again.skipped, again.failed) == (0, 0, 0, (), ())
