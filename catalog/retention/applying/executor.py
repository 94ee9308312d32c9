"""The executor: applies a plan. Each step is an event, and each clip is looked at again right before it."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from voxledger.catalog import terminal
from voxledger.catalog.errors import PlanStale, PolicyError
from voxledger.catalog.events import (
    ClipMarked,
    ClipPurged,
    ClipUnmarked,
    Draft,
    Fact,
    PurgeFailed,
    PurgeStarted,
    RetentionPlanned,
    now,
)
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.log import Keeper
from voxledger.catalog.parallel import in_parallel
from voxledger.catalog.progress import Counting
from voxledger.catalog.queries import load
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.retention.applying.purge import Doomed, Outcome, Purger
from voxledger.catalog.retention.applying.watch import UPLOADS, Watch
from voxledger.catalog.retention.planning.amounts import FINISH, MARK, PURGE, UNMARK, WAIT
from voxledger.catalog.retention.planning.plan import Plan
from voxledger.catalog.vault import ActorKey

BATCH = 1000
"""Most clips whose deletion begins in one journal transaction."""
UPLOAD_WAIT = 60.0
"""Seconds that uploads which run right now are waited for, all of them together."""
_LOOK = 0.05
_BATCHES = 2
"""Batches that are with the store at a time."""
_PLACED = 10
"""Batches whose places are looked up together."""
_UPLOADING = "its upload is running right now, and did not end while it was waited for; the next run looks again"
_SQL = load("applying.sql", "voxledger.catalog.retention.applying")
_RUNNING = "SELECT DISTINCT subject FROM tasks WHERE state = 'leased' AND subject IN (SELECT value FROM json_each(?))"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One clip about which there is something to say."""

    clip: str
    reason: str


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. Skipped clips are looked at again by the next run, failed ones are tried again by it.

    `kept`: purged clips of which the store has old versions that it did not give up; their bytes are not among the freed
    ones. `versions` of objects were deleted with what was freed. `in_grace` clips are marked, and the grace of the first and of the
    last of them ends at `grace_ends`. `waiting` purges are due, but the purge window is shut; it opens at `opens`. It is `over`
    unless it was shut all the time: a run of the schedule goes on then as soon as it is open.
    """

    plan: str
    time: datetime
    marked: int = 0
    unmarked: int = 0
    purged: int = 0
    freed_bytes: int = 0
    versions: int = 0
    in_grace: int = 0
    grace_ends: tuple[datetime, datetime] | None = None
    skipped: tuple[Note, ...] = ()
    failed: tuple[Note, ...] = ()
    kept: tuple[Note, ...] = ()
    waiting: int = 0
    opens: datetime | None = None
    over: bool = True

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def check(plan: Plan, expected: str | None, deeds: Mapping[str, int] | None = None) -> None:
    """Raises PolicyError when the plan may not be applied: unknown usage, a fuse, a wrong policy; PlanStale for another than
    the expected one, and for one that would do something else than `deeds` now.
    """
    if expected is not None and expected != plan.id:
        raise PlanStale(
            f"the plan is stale: {expected} was made for another situation or policy, now it is {plan.id}."
            " Nothing was changed; look at `voxledger retention plan` again"
        )
    if deeds is not None and dict(deeds) != dict(plan.deeds):
        would = ", ".join(f"{deed} {count:,}" for deed, count in plan.deeds.items())
        raise PlanStale(
            f"the plan is stale: {plan.id} would now {would} clips, which is not what was seen."
            " Nothing was changed; look at `voxledger retention plan` again"
        )
    if plan.unknown:
        raise PolicyError(f"nobody knows what was used lately: {plan.unknown}. Nothing was changed")
    # Without any rule the marks that are still set are taken back.
    if plan.problems and not (plan.policy.empty and not plan.idle):
        raise PolicyError(f"{plan.problems[0]}. Nothing was changed")
    blown = [fuse for fuse in plan.fuses if fuse.blown]
    if blown:
        step = blown[0].step
        rules = ", ".join(
            f"{rule.name!r} {rule.amounts[step].clips:,}" for rule in plan.rules if rule.amounts[step].clips
        )
        raise PolicyError(
            f"{blown[0].sentence()}. Plan {plan.id} would {step} {plan.amounts[step].clips:,} of {plan.live:,} clips"
            f" ({terminal.size(plan.amounts[step].bytes)}); by rule: {rules}. Nothing was changed"
        )


class Executor:
    """Applies one plan: finishes interrupted purges, takes marks back, sets marks, purges what its grace has left."""

    def __init__(
        self,
        plan: Plan,
        recorder: Recorder,
        keeper: Keeper,
        actor: ActorKey,
        *,
        took: float = 0.0,
        run: str | None = None,
        first: Sequence[Draft] = (),
        progress: Counting | None = None,
    ) -> None:
        """`took`: the seconds that planning did. A `run` of the schedule is recorded even when there is nothing to do, so that
        it is done, and only once there is nothing left to do; `first` is recorded with the marks.
        """
        self._plan = plan
        self._recorder = recorder
        self._journal = recorder.journal
        self._keeper = keeper
        self._actor = actor
        self._took = took
        self._run = run
        self._first = first
        self._watch = Watch(recorder.journal, plan.position, ignoring=UPLOADS)
        self._progress = progress
        self._began = time.monotonic()
        self._skipped: list[Note] = []
        self._failed: list[Note] = []
        self._kept: list[Note] = []
        self._purged = 0
        self._freed = 0
        self._versions = 0
        self._tried = 0
        self._waiting = 0

    def run(self, purger: Callable[[], Purger]) -> Applied:
        """Do it. `purger` is asked only when there is something to delete.

        A store that is away stops everything before the first step: raises StoreUnavailable or StoreError then.
        """
        unfinished, due = self._plan.ids(FINISH), self._plan.ids(PURGE)
        delete = None
        if (unfinished or due) and self._is_open():
            delete = purger()
            delete.probe(self._places((unfinished or due)[:1])[0])
        unmarked, marked = self._mark(ends_here=not (unfinished or due))
        if delete:
            self._purge(delete, unfinished, due)
            if self._run:
                self._journal.emit(self._planned(self._run))
        else:
            self._waiting = len(unfinished) + len(due)
        self._delete_kept(purger)
        window = self._plan.policy.window
        ends = [*(self._plan.grace_ends or ()), *([self._plan.now + self._plan.policy.grace] if marked else [])]
        return Applied(
            plan=self._plan.id,
            time=self._plan.now,
            marked=marked,
            unmarked=unmarked,
            purged=self._purged,
            freed_bytes=self._freed,
            versions=self._versions,
            in_grace=self._plan.amounts[WAIT].clips + marked,
            grace_ends=(min(ends), max(ends)) if ends else None,
            skipped=tuple(self._skipped),
            failed=tuple(self._failed),
            kept=tuple(self._kept),
            waiting=self._waiting,
            opens=window.opens(self._present()) if window and self._waiting else None,
            over=bool(delete) or not self._waiting,
        )

    def _present(self) -> datetime:
        """The plan's time, and what has passed since."""
        return self._plan.now + timedelta(seconds=time.monotonic() - self._began)

    def _is_open(self) -> bool:
        window = self._plan.policy.window
        return window is None or window.is_open(self._present())

    def _planned(self, run: str | None) -> Draft:
        """The plan's event. Only with the name of a run does it say that the run is done."""
        plan = self._plan
        fact = RetentionPlanned(
            plan=plan.id, policy=plan.policy.hash, through=plan.position, considered=plan.live, clips=plan.condemned.clips,
            bytes=plan.condemned.bytes, held=plan.held, cost_micro=plan.cost_micro,
            elapsed_us=round(self._took * 1e6), run=run,
        )  # fmt: skip
        return self._recorder.draft(fact, subject=plan.id, actor=self._actor)

    def _purge(self, purger: Purger, unfinished: Sequence[str], due: Sequence[str]) -> None:
        total = len(unfinished) + len(due)
        self._delete(purger, self._taken_up(unfinished), total)
        uploading: list[str] = []
        self._delete(purger, self._begun(purger, due, later=uploading), total)
        self._await(uploading)
        self._delete(purger, self._begun(purger, uploading), total)

    def _taken_up(self, clips: Sequence[str]) -> Iterator[list[Doomed]]:
        """What was begun by an earlier run, a batch at a time."""
        for batch, places in self._placed(clips):
            if self._is_open():
                yield places
            else:
                self._waiting += len(batch)

    def _begun(self, purger: Purger, clips: Sequence[str], *, later: list[str] | None = None) -> Iterator[list[Doomed]]:
        """Begin with these, a batch at a time; `later` gets those that are being uploaded, else they are skipped."""
        for batch, places in self._placed(clips):
            if purger.away:
                reason = f"its turn did not come, the store had gone away: {purger.away}"
                self._skipped += [Note(clip=clip, reason=reason) for clip in batch]
            elif not self._is_open():
                self._waiting += len(batch)
            else:
                busy = set[str]() if later is None else self._running(batch)
                if later is not None:
                    later += [clip for clip in batch if clip in busy]
                yield self._start([clip for clip in places if clip.id not in busy])

    def _placed(self, clips: Sequence[str]) -> Iterator[tuple[Sequence[str], list[Doomed]]]:
        """A batch at a time, with the places of those that the tables know.

        Looked up for many batches at once: each time all ids of the table are read. What happens to a clip meanwhile the watch sees.
        """
        for some in _batches(clips, BATCH * _PLACED):
            places = {clip.id: clip for clip in self._places(some)}
            for batch in _batches(some):
                yield batch, [places[clip] for clip in batch if clip in places]

    def _running(self, clips: Sequence[str]) -> set[str]:
        """Those that are being uploaded at this moment, by somebody who is alive."""
        rows = self._journal.rows(_RUNNING, (json.dumps(list(clips)),))
        if rows:
            self._journal.take_back()
            rows = self._journal.rows(_RUNNING, (json.dumps(list(clips)),))
        return {clip for (clip,) in rows}

    def _await(self, clips: Sequence[str]) -> None:
        """Give uploads time to end."""
        deadline = time.monotonic() + UPLOAD_WAIT
        while clips and time.monotonic() < deadline and self._running(clips):
            time.sleep(_LOOK)

    def _mark(self, *, ends_here: bool) -> tuple[int, int]:
        """Take back and set all marks of the plan, and record it, in one transaction; gives how many of each.

        A run of the schedule that `ends_here` is done with that. Of one that has to purge yet, nothing says so before it has:
        killed in between, it is due again.
        """
        changes = self._plan.decisions.frame(UNMARK, MARK)
        after = self._plan.now + self._plan.policy.grace
        drafts: dict[str, list[Draft]] = {UNMARK: [], MARK: []}
        run = self._run if ends_here else None
        if self._plan.idle and not run:
            return 0, 0
        self._recorder.accesses.try_flush()
        with self._journal.transaction() as write:
            self._watch.catch_up()
            for clip, decision, cause, rule in changes.select("id", "decision", "cause", "by").iter_rows():
                if decision == UNMARK:
                    fact: Fact = ClipUnmarked(plan=self._plan.id, reason=_unmark_reason(cause))
                elif objection := self._watch.objection(clip):
                    self._skipped.append(Note(clip=clip, reason=objection))
                    continue
                else:
                    fact = ClipMarked(plan=self._plan.id, rule=rule, delete_after=after)
                drafts[decision].append(self._draft(fact, clip))
            write.append([*self._first, self._planned(run), *drafts[UNMARK], *drafts[MARK]])
        return len(drafts[UNMARK]), len(drafts[MARK])

    def _start(self, clips: Sequence[Doomed]) -> list[Doomed]:
        """The point of no return: one transaction looks again, cancels uploads and answers, and records the start."""
        started = []
        self._recorder.accesses.try_flush()
        self._watch.catch_up()
        with self._journal.transaction() as write:
            self._watch.catch_up()
            # Looked up before anything is cancelled: a skipped clip keeps all its tasks.
            busy = write.leased_among(clip.id for clip in clips)
            for clip in clips:
                objection = self._watch.objection(clip.id) or (_UPLOADING if clip.id in busy else None)
                if objection:
                    self._skipped.append(Note(clip=clip.id, reason=objection))
                else:
                    started.append(clip)
            write.let_go(clip.id for clip in started)
            write.append(self._starting(started))
            failpoint("purge.before_commit")
        failpoint("purge.after_start")
        return started

    def _starting(self, clips: Iterable[Doomed]) -> list[Draft]:
        """What is recorded of clips whose deletion begins; most of them begin for the same reason."""
        alike = defaultdict[tuple[str, str, str], list[str]](list)
        for clip in clips:
            alike[clip.plan, clip.rule, clip.bucket].append(clip.id)
        return [
            draft
            for (plan, rule, bucket), subjects in alike.items()
            for draft in self._recorder.drafts(
                PurgeStarted(plan=plan, rule=rule, bucket=bucket), subjects=subjects, actor=self._actor
            )
        ]

    def _delete(self, purger: Purger, batches: Iterable[list[Doomed]], total: int) -> None:
        """Delete the audio of clips whose purge has started, and record how each one ended.

        While the store deletes one batch, the next one is begun, and the one before is recorded.
        """
        for _, outcomes in in_parallel(purger.purge, batches, threads=_BATCHES, name="purge", ahead=1):
            failpoint("purge.after_delete")
            self._journal.emit(*self._ended(outcomes))
            failpoint("purge.after_record")
            for outcome in outcomes:
                self._count(outcome)
                self._tried += 1
                if self._progress:
                    self._progress(self._tried, total)

    def _count(self, outcome: Outcome) -> None:
        clip = outcome.clip
        if outcome.failure is not None:
            self._failed.append(Note(clip=clip.id, reason=outcome.failure))
            return
        self._purged += 1
        self._freed += max(0, clip.bytes - outcome.kept_bytes)
        self._versions += len(outcome.versions)
        if outcome.kept_bytes:
            reason = f"old versions of it, {outcome.kept_bytes:,} bytes, stay in the store: {outcome.kept}"
            self._kept.append(Note(clip=clip.id, reason=reason))

    def _delete_kept(self, purger: Callable[[], Purger]) -> None:
        """Ask again for old versions that an earlier run did not get; what is gone now is recorded as gone."""
        with self._keeper.reading(fresh=False) as reading:
            kept = [clip for (clip,) in reading.tuples(_SQL["kept"])]
        known = {note.clip for note in self._kept}
        kept = [clip for clip in kept if clip not in known]
        if not kept or not self._is_open():
            return
        delete = purger()
        outcomes = [outcome for batch in _batches(kept) for outcome in delete.purge(self._places(batch))]
        gone = [outcome for outcome in outcomes if outcome.failure is None and not outcome.kept_bytes]
        self._journal.emit(*self._ended(gone))
        self._freed += sum(outcome.clip.bytes for outcome in gone)
        self._versions += sum(len(outcome.versions) for outcome in gone)

    def _ended(self, outcomes: Sequence[Outcome]) -> list[Draft]:
        """How purges ended."""
        # A key is made of names: it is sealed for whoever they are, so that erasing that person erases it.
        owners = {actor: self._recorder.vault.key(actor) for actor in {outcome.clip.actor_id for outcome in outcomes}}
        drafts, present = [], now()
        for outcome in outcomes:
            clip, owner = outcome.clip, owners[outcome.clip.actor_id]
            if outcome.failure is not None:
                failed = PurgeFailed(plan=clip.plan, bucket=clip.bucket, failure=outcome.kind)
                drafts.append(self._draft(failed, clip.id))
                continue
            fact = ClipPurged(
                plan=clip.plan, rule=clip.rule, bucket=clip.bucket, bytes=clip.bytes, answer=outcome.answer,
                versions=outcome.versions, kept_bytes=outcome.kept_bytes, key=clip.key if owner else None,
            )  # fmt: skip
            drafts.append(self._recorder.draft(fact, subject=clip.id, actor=owner or self._actor, time=present))
        return drafts

    def _places(self, clips: Sequence[str]) -> list[Doomed]:
        with self._keeper.reading(fresh=False) as reading:
            rows = reading.tuples(_SQL["places"], {"ids": list(clips)})
        return [
            Doomed(
                id=clip, bucket=bucket, key=key, path=path, bytes=size, plan=plan, rule=rule, actor_id=owner, stored=stored
            )
            for clip, bucket, key, path, size, plan, rule, owner, stored in rows
        ]  # fmt: skip

    def _draft(self, fact: Fact, clip: str) -> Draft:
        return self._recorder.draft(fact, subject=clip, actor=self._actor)


def _unmark_reason(cause: str) -> Literal["pinned", "held", "used", "policy"]:
    if cause in ("held", "legal hold"):
        return "held"
    return "pinned" if cause == "pinned" else "used" if cause in ("used", "linked") else "policy"


def _batches(clips: Sequence[str], size: int = BATCH) -> Iterator[Sequence[str]]:
    return (clips[start : start + size] for start in range(0, len(clips), size))
