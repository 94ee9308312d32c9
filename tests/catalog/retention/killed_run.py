"""A retention run that is killed at its Nth step: before or after a journal transaction, or around a deletion.

With `night` behind the step it is the run of the schedule. Or, with `undo PLAN` or `restore CLIP` behind the time, one that is
killed where VOXLEDGER_FAILPOINT says.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from voxledger.catalog.journal import Journal, Transaction
from voxledger.catalog.objects import Store
from voxledger.catalog.retention import Retention
from voxledger.catalog.settings import Settings
from voxledger.catalog.settings import Store as StoreSettings

sys.path.insert(0, str(Path(__file__).parent))
from conftest import ALL_CLIPS, FolderStore, World

steps = itertools.count(1)
root, later, what = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]), sys.argv[3]
last = int(what) if what.isdigit() else 0


def step() -> None:
    if next(steps) == last:
        os.kill(os.getpid(), signal.SIGKILL)


class Killed(FolderStore):
    def _ask(self, what: str, key: str) -> None:
        step()


world = World(root)
if what == "undo":
    world.retention(ALL_CLIPS).undo(sys.argv[4])
if what == "restore":
    store = Store(world.home, StoreSettings())
    found = Retention(world.home, Settings(), world.recorder, world.keeper, lambda: store)
    found.restore(sys.argv[4])
if not last:
    sys.exit()
world.store = Killed(root / "objects")
transaction = Journal.transaction


@contextlib.contextmanager
def stepping(journal: Journal) -> Iterator[Transaction]:
    step()
    with transaction(journal) as write:
        yield write
        step()
    step()


Journal.transaction = stepping  # type: ignore[method-assign,assignment]
retention: Any = world.retention(ALL_CLIPS, schedule="00:00")
(retention.run_due if "night" in sys.argv else lambda now: retention.apply(now=now))(later)
