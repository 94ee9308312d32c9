"""SIGKILL at every step of a run: the next run comes to the same end."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests import forking
from tests.catalog.retention.conftest import World
from tests.soak import spread
from voxledger.catalog.events import ObjectMissing
from voxledger.catalog.objects import Store
from voxledger.catalog.retention import Retention
from voxledger.catalog.settings import ExpireRule, Settings
from voxledger.catalog.settings import Store as StoreSettings

DAY = timedelta(days=1)
ALL_CLIPS = ExpireRule(name="all", keep_for=5 * 86400, match="all")
CHILD = Path(__file__).with_name("killed_run.py")


STEPS = 18
"""One look at the store, three transactions (before, inside, after), four requests for each of two clips."""
NIGHT_STEPS = STEPS + 3
"""And the transaction that says that the night is done."""


@dataclass(frozen=True, kw_only=True)
class Seed:
    """A HOME with a clip to unmark, one to mark and two to purge."""

    root: Path
    now: datetime
    pinned: str
    marked: str
    purged: tuple[str, ...]


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Seed:
    """What every run here finds, in a copy of its own."""
    root = tmp_path_factory.mktemp("seed")
    world = World(root)
    pinned, purged = world.clip(), (world.clip(), world.clip(stored=False, task=True))
    world.retention(ALL_CLIPS).apply(now=world.now)
    marked = world.clip()
    world.pin(pinned)
    world.close()
    return Seed(root=root, now=world.now, pinned=pinned, marked=marked, purged=purged)


@pytest.fixture
def copied(seed: Seed, tmp_path: Path) -> Iterator[World]:
    """Such a HOME and its store."""
    shutil.copytree(seed.root, tmp_path, dirs_exist_ok=True)
    made = World(tmp_path)
    yield made
    made.close()


class Interrupted:
    """A run over a copy of such a HOME that is killed."""

    def __init__(self, world: World, seed: Seed, step: int, *what: str) -> None:
        self._world, self._seed = world, seed
        self.later = seed.now + 8 * DAY
        command = [CHILD, world.home.path.parent, self.later.isoformat(), str(step), *what]
        self.ended = forking.run(command).returncode

    def is_done(self) -> None:
        """Everything is as one whole run leaves it."""
        world, seed = self._world, self._seed
        for clip in seed.purged:
            assert world.types(clip) == ["ClipMarked", "PurgeStarted", "ClipPurged"]
            assert clip not in str(world.store.names() | world.cached())
        assert world.types(seed.pinned) == ["ClipMarked", "ClipUnmarked"]
        assert world.types(seed.marked) == ["ClipMarked"]
        assert seed.marked in str(world.store.names() & world.cached())
        assert world.recorder.journal.open_tasks("upload", list(seed.purged)) == 0
        again = world.retention(ALL_CLIPS).apply(now=self.later)
        assert (again.marked, again.unmarked, again.purged, again.skipped, again.failed) == (0, 0, 0, (), ())


@pytest.mark.parametrize("step", spread(range(1, STEPS + 2)))
def test_a_run_killed_at_any_step_is_finished_by_the_next(copied: World, seed: Seed, step: int) -> None:
    run = Interrupted(copied, seed, step)
    assert run.ended == (-signal.SIGKILL if step <= STEPS else 0)
    copied.retention(ALL_CLIPS).apply(now=run.later)
    run.is_done()


@pytest.mark.parametrize("step", spread(range(1, NIGHT_STEPS + 2)))
def test_a_night_killed_at_any_step_is_due_until_all_of_it_is_done(copied: World, seed: Seed, step: int) -> None:
    run = Interrupted(copied, seed, step, "night")
    assert run.ended == (-signal.SIGKILL if step <= NIGHT_STEPS else 0)
    ran = copied.retention(ALL_CLIPS, schedule="00:00").run_due(run.later)
    assert (ran is None) == (step >= NIGHT_STEPS), "after its last transaction nothing is left to do"
    run.is_done()
    nights = [data["run"] for name, data in copied.events() if name == "RetentionPlanned" and data["run"]]
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
