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
ALL = ExpireRule(name="all", keep_for=5 * 86400)
CHILD = Path(__file__).with_name("killed_run.py")


@pytest.mark.parametrize("step", range(1, 18))
def test_a_run_killed_at_any_step_is_finished_by_the_next(world: World, step: int) -> None:
    purged = [world.clip(), world.clip(stored=False, task=True)]
    retention = world.retention(ALL)
    retention.apply(now=world.now)
    marked = world.clip()
    unmarked = purged.pop(0) if step % 2 else None
    if unmarked:
        world.pin(unmarked)
    later = world.now + 8 * DAY
    child = subprocess.run(
        [sys.executable, CHILD, str(world.home.path.parent), later.isoformat(), str(step)], check=False
    )
    assert child.returncode in (-signal.SIGKILL, 0)
    retention.apply(now=later)
    for clip in purged:
        assert world.types(clip) == ["ClipMarked", "PurgeStarted", "ClipPurged"]
        assert clip not in str(world.store.keys() | world.cached())
    assert world.types(marked) == ["ClipMarked"]
    assert marked in str(world.store.keys() & world.cached())
    if unmarked:
        assert world.types(unmarked) == ["ClipMarked", "ClipUnmarked"]
    assert world.recorder.journal.open_tasks("upload", purged) == 0
    assert retention.apply(now=later).as_dict() | {"plan": "", "time": ""} == {
        "plan": "", "time": "", "marked": 0, "unmarked": 0, "purged": 0, "freed_bytes": 0, "skipped": (), "failed": (),
    }  # fmt: skip
