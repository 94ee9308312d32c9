"""Retention: which audio goes, when and why. The door to planning, applying and explaining."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxledger.catalog import platform, settings
from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import PolicyError, RetentionBusy, RunStopped, SettingsError, StoreError
from voxledger.catalog.events import decode
from voxledger.catalog.events import now as present
from voxledger.catalog.home import Home
from voxledger.catalog.lazy import lazy
from voxledger.catalog.log import Keeper, Reading
from voxledger.catalog.objects.lifecycle import condemner
from voxledger.catalog.progress import Counting
from voxledger.catalog.recorder import SYSTEM, Recorder
from voxledger.catalog.retention.applying.executor import Applied, Executor, check
from voxledger.catalog.retention.applying.purge import Purger
from voxledger.catalog.retention.applying.store import Deletable
from voxledger.catalog.retention.applying.undo import Undone, undo
from voxledger.catalog.retention.doubts import another_home, forgiven
from voxledger.catalog.retention.explaining import Explanation, explain
from voxledger.catalog.retention.holds import Hold, Holds, Permit, Released, anybody
from voxledger.catalog.retention.nights import Nights, Ran, Standing
from voxledger.catalog.retention.planning.plan import Plan
from voxledger.catalog.retention.planning.planner import make, reached, unsure
from voxledger.catalog.retention.policy import Policy
from voxledger.catalog.retention.policy.checking import Finding, checked, misread, told
from voxledger.catalog.retention.policy.checking import found as placed
from voxledger.catalog.retention.policy_log import policy_drafts
from voxledger.catalog.retention.schedule import Nightly
from voxledger.catalog.settings import Settings

if TYPE_CHECKING:
    from voxledger.catalog.backup import Backups
    from voxledger.catalog.objects import Store
    from voxledger.catalog.retention.applying.restoring import Restored
    from voxledger.catalog.retention.backtest import Backtest
    from voxledger.catalog.retention.policy.compiling import Problem

_log = logging.getLogger(__name__)


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
        *,
        backups: Callable[[], Backups] | None = None,
        permit: Permit = anybody,
    ) -> None:
        """`backups` are asked when something that is gone is to be restored, `permit` before every deed of an admin."""
        self._home = home
        self._settings = settings
        self._recorder = recorder
        self._keeper = keeper
        self._store = store
        self._actor = actor
        self._backups = backups
        self._permit = permit

    def permitting(self, permit: Permit) -> Retention:
        """The same, but `permit` is asked before every deed of an admin: it raises an error where that may not be."""
        return Retention(
            self._home, self._settings, self._recorder, self._keeper, self._store, self._actor, backups=self._backups, permit=permit
        )  # fmt: skip

    @lazy
    def policy(self) -> Policy:
        """What the settings ask for. Raises PolicyError when they contradict themselves."""
        return Policy.of(self._settings.retention, self._settings.general.time_zone, self._settings.prices)

    def plan(self, now: datetime | None = None, *, every: bool = False, as_of: datetime | None = None) -> Plan:
        """What applying would do, with the reason for every clip; changes nothing. With `every` also the clips that stay.

        `as_of` (aware) plans for the catalog as it stood then; `now` is that moment too when it is not given.
        """
        with self._keeper.reading(as_of=as_of) as reading:
            moment = now or as_of or present()
            lag = self._lag(reading, moment) if as_of is None else timedelta(0)
            unknown = another_home(self._home) if as_of is None else None
            told = forgiven(self._settings.retention.wrong_clock_until)
            return make(reading, self.policy, moment, every=every, lag=lag, unknown=unknown, forgiven=told)

    def _doubt(self, reading: Reading, now: datetime) -> str | None:
        """Why nobody knows what was used lately; None when it is known."""
        told = forgiven(self._settings.retention.wrong_clock_until)
        return another_home(self._home) or unsure(reading, self.policy, now, self._lag(reading, now), told)

    def _lag(self, reading: Reading, now: datetime) -> timedelta:
        """How long the first event has waited that a reading does not know."""
        waiting = self._recorder.journal.read(reached(reading), 1)
        if not waiting:
            return timedelta(0)
        event = decode(waiting[0][1])
        # After a clock that was ahead, the times of recording stand still there: then its own time tells.
        since = event.recorded if event.recorded <= now else event.time
        return max(now - since, timedelta(0))

    def page(self, plan: Plan) -> str:
        """A plan as one HTML page, with the clips that something happens to, the largest first."""
        from voxledger.catalog.retention.planning.page import page

        with self._keeper.reading(fresh=False) as reading:
            return page(plan, reading)

    def check(self, file: Path | None = None) -> tuple[Policy | None, list[Finding]]:
        """Everything that is wrong or doubtful about the policy of this HOME, or that of a file; changes nothing.

        The policy is None where it cannot be understood. Raises SettingsError for a file that is no TOML or holds
        something else.
        """
        policy, found, _ = self.tried(file)
        return policy, found

    def tried(
        self,
        file: Path | None = None,
        base: settings.Retention | None = None,
        *,
        objections: Callable[[settings.Retention], Sequence[Problem]] = lambda _: (),
        limit: Callable[[Reading], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> tuple[Policy | None, list[Finding], Plan | None]:
        """The same with the plan that was made for it, None where there is no policy; a file stands on top of `base`.

        Nothing of a section to which there are `objections` is evaluated; `limit` is around all that is asked of the catalog.
        """
        try:
            section, written = self._written(file, base)
        except SettingsError as error:
            if file is None or not error.place:
                raise
            return None, [misread(error)], None
        if problems := objections(section):
            return None, told(problems, written), None
        policy, found = checked(section, self._settings.general.time_zone, written, self._settings.prices)
        if policy is None:
            return None, found, None
        moment = present()
        with self._keeper.reading() as reading, limit(reading):
            until = forgiven(self._settings.retention.wrong_clock_until)
            lag, unknown = self._lag(reading, moment), another_home(self._home)
            plan = make(reading, policy, moment, lag=lag, unknown=unknown, forgiven=until)
        return policy, self.findings(plan, written), plan

    def findings(self, plan: Plan, written: Path | None = None) -> list[Finding]:
        """What a plan finds wrong or doubtful about its policy, and where that stands in the file that holds it."""
        file = self.written if written is None else written
        said = [(problem, "error") for problem in plan.problems] + [(warning, "warning") for warning in plan.warnings]
        return [placed(message, level, plan.policy, file) for message, level in said]

    @property
    def written(self) -> Path:
        """The file that the policy of this HOME is written in, whether it is there or not."""
        return self._written(None)[1]

    def _written(self, file: Path | None, base: settings.Retention | None = None) -> tuple[settings.Retention, Path]:
        """The section, and the file that it stands in."""
        if file is not None:
            return settings.read_policy(file, base or settings.Retention()), file
        section = self._settings.retention
        return section, self._home.path / (Path(section.policy).expanduser() if section.policy else settings.FILE_NAME)

    def apply(
        self,
        plan_id: str | None = None,
        now: datetime | None = None,
        *,
        deeds: Mapping[str, int] | None = None,
        progress: Counting | None = None,
    ) -> Applied:
        """Plan anew and carry it out; with `plan_id` only if it is still that plan, with `deeds` only if it would do just so much now
        (`Plan.deeds`): an id stays the same when the grace of its clips is over.

        May be killed at any point and repeated. `progress` hears (deleted, to delete). Raises PlanStale when the plan is another one by
        now, RetentionBusy while another run goes on, PolicyError when a fuse is blown or there are no rules; StoreUnavailable when
        something is to be deleted and nobody answers. Nothing was changed then.
        """
        with self._alone():
            return self._applied(plan_id, now, deeds=deeds, progress=progress)

    def run_due(self, now: datetime | None = None) -> Ran | None:
        """Carry out the run of `retention.schedule` that the log lacks; None when there is none, or another run goes on.

        Each night is run once, however often and by how many processes this is asked. Raises RunStopped when it cannot go
        on: usage is not known, a clock is wrong, the store is away, a fuse is blown, or the policy says nothing. Nothing was
        changed then, and the run is due again.
        """
        return self._nights.run(now or present())

    def status(self, now: datetime | None = None) -> Standing:
        """The schedule, its last run and its next one, what stops it, and legal holds to be looked at again."""
        moment = now or present()
        return self._nights.standing(moment, self._holds.overdue(moment))

    @lazy
    def _nights(self) -> Nights:
        section, zone = self._settings.retention, self._settings.general.time_zone
        return Nights(
            self._home,
            self._keeper,
            lambda: Nightly.parse(section.schedule, zone),
            lambda found, now: self._applied(None, now, run=found.run),
            self._store_skew,
            lambda: forgiven(section.wrong_clock_until),
        )

    def _store_skew(self) -> float | None:
        """How far the store's clock is ahead of ours in s; the embedded store has ours."""
        from voxledger.catalog.objects import Store
        from voxledger.catalog.objects.probing.probe import greeting

        store = self._store()
        return greeting(store)[1] if isinstance(store, Store) and not store.is_embedded else None

    def _applied(
        self,
        plan_id: str | None,
        now: datetime | None,
        *,
        run: str | None = None,
        deeds: Mapping[str, int] | None = None,
        progress: Counting | None = None,
    ) -> Applied:
        """Plan and apply; whoever calls this is alone. A run of the schedule raises RunStopped for what stops its plan."""
        began = time.monotonic()
        plan = self.plan(now)
        took = time.monotonic() - began
        try:
            check(plan, plan_id, deeds)
        except PolicyError as error:
            if run is None:
                raise
            cause = "ingestion" if plan.unknown else "policy" if plan.problems else "fuse"
            raise RunStopped(str(error), cause=cause) from None
        actor = self._recorder.vault.actor(self._actor)
        changed = policy_drafts(plan.policy, self._recorder, self._keeper, actor)
        executor = Executor(
            plan, self._recorder, self._keeper, actor, took=took, run=run, first=changed, progress=progress
        )
        done = executor.run(self._purger)
        if done.purged:
            self._give_up_parts()
        return done

    def _give_up_parts(self) -> None:
        """Of uploads that a purge cancelled the store may hold parts, which no listing shows; what is left of them, the next uploader
        gives up.
        """
        from voxledger.catalog.objects import Store
        from voxledger.catalog.objects.uploads.unfinished import Unfinished

        store = self._store()
        if isinstance(store, Store):
            try:
                Unfinished(self._home.uploads, self._recorder).sweep(store)
            except StoreError as error:
                _log.info("parts of unfinished uploads are given up later: the store said %s", error.code)

    def undo(self, plan_id: str, now: datetime | None = None, *, progress: Counting | None = None) -> Undone:
        """Take back every mark of a plan that still stands; those whose deletion has begun are named.

        Repeating it changes nothing. Raises PolicyError for a plan that never marked anything, RetentionBusy while a run goes on.
        """
        with self._alone():
            actor = self._recorder.vault.actor(self._actor)
            return undo(plan_id, self._recorder, self._keeper, actor, now or present(), progress=progress)

    def restore(
        self,
        *references: str | Clip,
        plan: str | None = None,
        now: datetime | None = None,
        progress: Counting | None = None,
    ) -> Restored:
        """Bring clips back, those named or all that a plan marked or took: within grace by taking the mark back, after it from
        wherever the same bytes still are (cache, store, old versions, backups), proved by their SHA-256.

        What was erased never comes back. Clips that could not be brought back are in `failed`, with every place that was
        looked at. Raises ClipNotFound for a reference that names none, RetentionBusy while a run goes on, StoreUnavailable.
        """
        from voxledger.catalog.retention.applying.restoring import Restorer, chosen

        with self._alone():
            clips = chosen(self._keeper, references, plan)
            restorer = Restorer(
                self._recorder, self._keeper, self._whole_store, self._backups, self._home.cache,
                self._home.path / "restoring", now or present(), progress=progress,
            )  # fmt: skip
            return restorer.restore(clips)

    def _whole_store(self) -> Store:
        from voxledger.catalog.objects import Store

        store = self._store()
        if not isinstance(store, Store):
            raise StoreError(f"nothing can be fetched from {store!r}: it only deletes", code="NotImplemented")
        return store

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One of us at a time in a HOME."""
        with platform.locked(self._home.path / "retention.lock", blocking=False) as mine:
            if not mine:
                raise RetentionBusy(
                    "another retention run, or an erasure, is going on in this HOME; wait for its end. Nothing was changed"
                )
            yield

    def _purger(self) -> Purger:
        store = self._store()
        condemn = condemner(self._home, self._settings, store)
        return Purger(store, self._home.cache, threads=self._settings.store.upload_threads, condemn=condemn)

    def explain(self, reference: str | Clip, now: datetime | None = None) -> Explanation:
        """One clip's life, all rules that match it and which decides, when it goes, and what would keep it; in sentences, and
        as facts.

        Raises ClipNotFound when no clip, or more than one, has this id or ends like this.
        """
        return explain(self._keeper, self.policy, self._holds, reference, now or present(), self._doubt)

    @lazy
    def _holds(self) -> Holds:
        return Holds(self._recorder, self._keeper, lambda: self._recorder.vault.actor(self._actor), permit=self._permit)

    def hold(
        self,
        *references: str | Clip,
        reason: str,
        where: str | None = None,
        plan: str | None = None,
        until: datetime | None = None,
        legal: bool = False,
        review: datetime | None = None,
        now: datetime | None = None,
        progress: Counting | None = None,
    ) -> Hold:
        """Keep clips: those named, those that a plan has marked, and those for which the expression `where` is true now.

        An ordinary hold ends `until` then, or when it is released. A legal one, the deed of an admin, also stands against
        erasure; it has a day of `review` instead of an end. Marks are taken back by the next run. Raises HoldError, also when
        the deletion of a named clip has begun; ClipNotFound; QueryError for `where`. Nothing is held then.
        """
        return self._holds.place(
            references, plan=plan, where=where, reason=reason, until=until, legal=legal, review=review,
            now=now or present(), progress=progress,
        )  # fmt: skip

    def renew(
        self,
        hold: str,
        *,
        reason: str | None = None,
        until: datetime | None = None,
        review: datetime | None = None,
        now: datetime | None = None,
        progress: Counting | None = None,
    ) -> Hold:
        """Give a hold another end, a legal one another day of review, on all its clips. Raises HoldError."""
        return self._holds.renew(
            hold, reason=reason, until=until, review=review, now=now or present(), progress=progress
        )

    def release(
        self, hold: str, *, reason: str | None = None, now: datetime | None = None, progress: Counting | None = None
    ) -> Released:
        """Take a hold, named by its id or the end of it, off all its clips. Raises HoldError."""
        return self._holds.release(hold, reason=reason, now=now or present(), progress=progress)

    def holds(self, *, every: bool = False, due: bool = False, now: datetime | None = None) -> list[Hold]:
        """The holds that keep clips at present, the oldest first; with `every` also those that are over.

        With `due` only the legal ones whose day of review is past.
        """
        return self._holds.all(now or present(), every=every, due=due)

    def backtest(self, *files: Path, progress: Counting | None = None, **asked: Any) -> Backtest:
        """What policies would have done in the past: those of `files`, or that of this HOME. Changes nothing.

        Other arguments are those of `backtest.Asked`: `family`, `since`, `until`, `trace`, `max_regret`, `worst`, `baselines`.
        Raises PolicyError for what cannot be replayed; docs/backtest.md says what the numbers mean.
        """
        from voxledger.catalog.retention import backtest

        tried = backtest.policies(
            self._settings.retention, files, self._settings.general.time_zone, self._settings.prices
        )
        return backtest.backtest(self._keeper, backtest.Asked(policies=tried, **asked), progress=progress)
