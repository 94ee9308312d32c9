"""SIGKILL at every step of a run: the next run comes to the same end."""

from __future__ import annotations

import hashlib
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import forking
from tests.soak import spread
from voxledger.catalog.events import ObjectMissing
from voxledger.catalog.objects import Store
from voxledger.catalog.retention import Retention
from voxledger.catalog.settings import ExpireRule, Settings
from voxledger.catalog.settings import Store as StoreSettings

if TYPE_CHECKING:
    from conftest import World

DAY = timedelta(days=1)
ALL_CLIPS = ExpireRule(name="all", keep_for=5 * 86400, match="all")
CHILD = Path(__file__).with_name("killed_run.py")


STEPS = 18
"""One look at the store, three transactions (before, inside, after), four requests for each of two clips."""
NIGHT_STEPS = STEPS + 3
"""And the transaction that says that the night is done."""


class Interrupted:
    """A HOME with a clip to unmark, one to mark and two to purge, and a run over it that is killed."""

    def __init__(self, world: World, step: int, *what: str) -> None:
        self._world = world
        self._pinned, self._purged = world.clip(), [world.clip(), world.clip(stored=False, task=True)]
        world.retention(ALL_CLIPS).apply(now=world.now)
        self._marked = world.clip()
        world.pin(self._pinned)
        self.later = world.now + 8 * DAY
        command = [CHILD, world.home.path.parent, self.later.isoformat(), str(step), *what]
        self.ended = forking.run(command).returncode

    def is_done(self) -> None:
        """Everything is as one whole run leaves it."""
        world = self._world
        for clip in self._purged:
            assert world.types(clip) == ["ClipMarked", "PurgeStarted", "ClipPurged"]
            assert clip not in str(world.store.names() | world.cached())
        assert world.types(self._pinned) == ["ClipMarked", "ClipUnmarked"]
        assert world.types(self._marked) == ["ClipMarked"]
        assert self._marked in str(world.store.names() & world.cached())
        assert world.recorder.journal.open_tasks("upload", self._purged) == 0
        again = world.retention(ALL_CLIPS).apply(now=self.later)
        assert (again.marked, again.unmarked, again.purged, again.skipped, again.failed) == (0, 0, 0, (), ())


@pytest.mark.parametrize("step", spread(range(1, STEPS + 2)))
def test_a_run_killed_at_any_step_is_finished_by_the_next(world: World, step: int) -> None:
    run = Interrupted(world, step)
    assert run.ended == (-signal.SIGKILL if step <= STEPS else 0)
    world.retention(ALL_CLIPS).apply(now=run.later)
    run.is_done()


@pytest.mark.parametrize("step", spread(range(1, NIGHT_STEPS + 2)))
def test_a_night_killed_at_any_step_is_due_until_all_of_it_is_done(world: World, step: int) -> None:
    run = Interrupted(world, step, "night")
    assert run.ended == (-signal.SIGKILL if step <= NIGHT_STEPS else 0)
    ran = world.retention(ALL_CLIPS, schedule="00:00").run_due(run.later)
    assert (ran is None) == (step >= NIGHT_STEPS), "after its last transaction nothing is left to do"
    run.is_done()
    nights = [data["run"] for name, data in world.events() if name == "RetentionPlanned" and data["run"]]
    assert nights == [run.later.date().isoformat()]


@pytest.mark.parametrize("step", range(1, 4))
def test_a_night_that_only_marks_is_done_with_its_marks(world: World, step: int) -> None:
    clip = world.clip()
    command = [CHILD, world.home.path.parent, world.now.isoformat(), str(step), "night"]
    assert forking.run(command).returncode == -signal.SIGKILL
    ran = world.retention(ALL_CLIPS, schedule="00:00").run_due(world.now)
    assert (ran is None) == (step == 3)
    assert world.types(clip) == ["ClipMarked"]
    assert len([name for name, _ in world.events() if name == "RetentionPlanned"]) == 1


def killed(world: World, place: str, *words: str) -> int:
    """How a child ended that did this, with a failpoint armed."""
    command = [CHILD, world.home.path.parent, world.now.isoformat(), *words]
    return forking.run(command, env={**os.environ, "VOXLEDGER_FAILPOINT": place}).returncode


def test_undoing_that_was_killed_is_finished_by_the_next(world: World) -> None:
    clip = world.clip()
    plan = world.retention(ALL_CLIPS).apply(now=world.now).plan
    assert killed(world, "undo.after_batch", "undo", plan) == -signal.SIGKILL
    world.retention(ALL_CLIPS).undo(plan)
    assert world.types(clip) == ["ClipMarked", "ClipUnmarked"]


@pytest.mark.parametrize("place", ["retrieve.after_fetch", "retrieve.after_upload"])
def test_restoring_that_was_killed_is_finished_by_the_next(world: World, place: str) -> None:
    clip = world.clip(stored=False, sha256=hashlib.sha256(b"audio").hexdigest())
    [key] = world.cached()
    lost = ObjectMissing(bucket="indextts-audio", bytes=5, key=key, state="absent", found_bytes=None, found_etag=None)
    world.record(lost, clip)
    assert killed(world, place, "restore", clip) == -signal.SIGKILL
    store = Store(world.home, StoreSettings())
    try:
        done = Retention(world.home, Settings(), world.recorder, world.keeper, lambda: store).restore(clip)
        assert [back.clip for back in done.restored] == [clip]
        assert store.get("indextts-audio", key) == b"audio"
        assert [name for name, _ in world.events(clip)].count("ClipRestored") == 1
    finally:
        store.close()
        assert store.embedded is not None
        store.embedded.stop()
