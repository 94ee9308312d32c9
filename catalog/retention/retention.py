"""Retention: which audio goes, when and why. The door to planning, applying and explaining."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from voxledger.catalog import platform
from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import PolicyError
from voxledger.catalog.events import now as present
from voxledger.catalog.home import Home
from voxledger.catalog.lazy import lazy
from voxledger.catalog.log import Keeper
from voxledger.catalog.objects.lifecycle import condemner
from voxledger.catalog.progress import Counting
from voxledger.catalog.recorder import SYSTEM, Recorder
from voxledger.catalog.retention import planner, snapshot
from voxledger.catalog.retention.applying.executor import Applied, Executor, check
from voxledger.catalog.retention.applying.purge import Purger
from voxledger.catalog.retention.applying.store import Deletable
from voxledger.catalog.retention.explain import explain
from voxledger.catalog.retention.policy import Policy
from voxledger.catalog.settings import Settings


class Retention:
    """Decides which clips may go, says why, and carries it out step by step: mark, grace, purge.

    `store` is called only when something is deleted; `actor` is the label of who acts. All times are aware; `now` is
    the present when it is not given.
    """

    def __init__(
        self,
        home: Home,
        settings: Settings,
        recorder: Recorder,
        keeper: Keeper,
        store: Callable[[], Deletable],
        actor: str = SYSTEM,
    ) -> None:
        self._home = home
        self._settings = settings
        self._recorder = recorder
        self._keeper = keeper
        self._store = store
        self._actor = actor

    @lazy
    def policy(self) -> Policy:
        """What the settings ask for. Raises PolicyError when they contradict themselves."""
        return Policy.of(self._settings.retention)

    def plan(self, now: datetime | None = None) -> planner.Plan:
        """What applying would do, with the reason for every clip. Changes nothing."""
        policy = self.policy
        return planner.make(snapshot.read(self._keeper, policy), policy, now or present())

    def apply(
        self, plan_id: str | None = None, now: datetime | None = None, *, progress: Counting | None = None
    ) -> Applied:
        """Plan anew and carry it out; with `plan_id` only if it is still that plan.

        May be killed at any point and repeated. `progress` hears (deleted, to delete). Raises PolicyError when the plan
        is stale, a fuse is blown, there are no rules or another run goes on; StoreUnavailable when something is to be
        deleted and nobody answers. Nothing was changed then.
        """
        with platform.locked(self._home.path / "retention.lock", blocking=False) as mine:
            if not mine:
                raise PolicyError(
                    "another retention run is going on in this HOME; wait for its end. Nothing was changed"
                )
            began = time.monotonic()
            plan = self.plan(now)
            took = time.monotonic() - began
            check(plan, plan_id)
            actor = self._recorder.vault.actor(self._actor)
            executor = Executor(plan, self._recorder, self._keeper, actor, took=took, progress=progress)
            return executor.run(self._purger)

    def _purger(self) -> Purger:
        store = self._store()
        condemn = condemner(self._home, self._settings, store)
        return Purger(store, self._home.cache, threads=self._settings.store.upload_threads, condemn=condemn)

    def explain(self, reference: str | Clip, now: datetime | None = None) -> tuple[str, ...]:
        """Sentences about one clip: its life, the rules that match, when it goes, what would keep it.

        Raises ClipNotFound when no clip, or more than one, has this id or ends like this.
        """
        return explain(self._keeper, self.policy, reference, now or present())
