"""The executor: applies a plan. Each step is an event, and each clip is looked at again right before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
import polars as pl

from voxledger.catalog.errors import PolicyError
from voxledger.catalog.events import ClipMarked, ClipPurged, ClipUnmarked, Draft, Fact, PurgeFailed, PurgeStarted
from voxledger.catalog.journal import Transaction
from voxledger.catalog.log import Keeper
from voxledger.catalog.progress import Counting
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.retention.applying.purge import Doomed, Outcome, Purger
from voxledger.catalog.retention.applying.watch import Watch
from voxledger.catalog.retention.decisions import FINISH, MARK, PURGE, UNMARK
from voxledger.catalog.retention.planner import Plan
from voxledger.catalog.retention.snapshot import frame
from voxledger.catalog.vault import ActorKey

BATCH = 1000
"""Most clips whose deletion begins in one journal transaction."""
_UPLOADING = "its upload is running right now; the next run looks again"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One clip about which there is something to say."""

    clip: str
    reason: str


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did. Skipped clips are looked at again by the next run, failed ones are tried again by it."""

    plan: str
    time: datetime
    marked: int = 0
    unmarked: int = 0
    purged: int = 0
    freed_bytes: int = 0
    skipped: tuple[Note, ...] = ()
    failed: tuple[Note, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def check(plan: Plan, expected: str | None) -> None:
    """Raises PolicyError when the plan may not be applied: not the expected one, a fuse, or no policy at all."""
    if expected is not None and expected != plan.id:
        raise PolicyError(
            f"the plan is stale: {expected} was made for another situation or policy, now it is {plan.id}."
            " Nothing was changed; look at `voxledger retention plan` again"
        )
    if not plan.policy.rules and plan.idle:
        raise PolicyError(f"{plan.warnings[0]}. Nothing was changed")
    blown = [fuse for fuse in plan.fuses if fuse.blown]
    if blown:
        step = blown[0].step
        rules = ", ".join(
            f"{rule.name!r} {rule.amounts[step].clips:,}" for rule in plan.rules if rule.amounts[step].clips
        )
        raise PolicyError(
            f"{blown[0].sentence()}. Plan {plan.id} would {step} {plan.amounts[step].clips:,} of {plan.live:,} clips"
            f" ({plan.amounts[step].bytes / 1e6:,.1f} MB); by rule: {rules}. Nothing was changed"
        )


class Executor:
    """Applies one plan: finishes interrupted purges, takes marks back, sets marks, purges what its grace has left."""

    def __init__(
        self, plan: Plan, recorder: Recorder, keeper: Keeper, actor: ActorKey, *, progress: Counting | None = None
    ) -> None:
        self._plan = plan
        self._recorder = recorder
        self._journal = recorder.journal
        self._keeper = keeper
        self._actor = actor
        self._watch = Watch(recorder.journal, plan.position)
        self._progress = progress
        self._skipped: list[Note] = []
        self._failed: list[Note] = []
        self._purged = 0
        self._freed = 0
        self._tried = 0

    def run(self, purger: Callable[[], Purger]) -> Applied:
        """Do it. `purger` is asked only when there is something to delete.

        A store that is away stops everything before the first step: raises StoreUnavailable or StoreError then.
        """
        unfinished, due = self._plan.ids(FINISH), self._plan.ids(PURGE)
        delete = None
        if unfinished or due:
            delete = purger()
            delete.probe(self._places((unfinished or due)[:1])[0])
        unmarked, marked = self._mark()
        if delete:
            self._purge(delete, unfinished, due)
        return Applied(
            plan=self._plan.id,
            time=self._plan.now,
            marked=marked,
            unmarked=unmarked,
            purged=self._purged,
            freed_bytes=self._freed,
            skipped=tuple(self._skipped),
            failed=tuple(self._failed),
        )

    def _purge(self, purger: Purger, unfinished: Sequence[str], due: Sequence[str]) -> None:
        total = len(unfinished) + len(due)
        for batch in _batches(unfinished):
            self._delete(purger, self._places(batch), total)
        for batch in _batches(due):
            if purger.away:
                reason = f"its turn did not come, the store had gone away: {purger.away}"
                self._skipped += [Note(clip=clip, reason=reason) for clip in batch]
                continue
            self._delete(purger, self._start(self._places(batch)), total)

    def _mark(self) -> tuple[int, int]:
        """Take back and set all marks of the plan in one transaction; gives how many of each."""
        changes = self._plan.frame.filter(pl.col("decision").is_in([UNMARK, MARK])).sort("id")
        names = [rule.name for rule in self._plan.policy.by_urgency]
        after = self._plan.now + self._plan.policy.grace
        drafts: dict[str, list[Draft]] = {UNMARK: [], MARK: []}
        if changes.is_empty():
            return 0, 0
        self._recorder.accesses.try_flush()
        with self._journal.transaction() as write:
            self._watch.catch_up()
            for clip, decision, cause, rule in changes.select("id", "decision", "cause", "rule").iter_rows():
                if decision == UNMARK:
                    fact: Fact = ClipUnmarked(plan=self._plan.id, reason=_unmark_reason(cause))
                elif objection := self._watch.objection(clip):
                    self._skipped.append(Note(clip=clip, reason=objection))
                    continue
                else:
                    fact = ClipMarked(plan=self._plan.id, rule=names[rule], delete_after=after)
                drafts[decision].append(self._draft(fact, clip))
            write.append(drafts[UNMARK] + drafts[MARK])
        return len(drafts[UNMARK]), len(drafts[MARK])

    def _start(self, clips: Sequence[Doomed]) -> list[Doomed]:
        """The point of no return: one transaction looks again, cancels uploads and answers, and records the start."""
        started = []
        self._recorder.accesses.try_flush()
        self._watch.catch_up()
        with self._journal.transaction() as write:
            self._watch.catch_up()
            for clip in clips:
                objection = self._watch.objection(clip.id) or _uploading(write, clip)
                if objection:
                    self._skipped.append(Note(clip=clip.id, reason=objection))
                    continue
                write.cancel_tasks(clip.id)
                write.forget(clip.id)
                started.append(clip)
            write.append(
                [
                    self._draft(PurgeStarted(plan=clip.plan, rule=clip.rule, bucket=clip.bucket), clip.id)
                    for clip in started
                ]
            )
        return started

    def _delete(self, purger: Purger, clips: Sequence[Doomed], total: int) -> None:
        """Delete the audio of clips whose purge has started, and record how each one ended."""
        outcomes: list[Outcome] = []

        def done(outcome: Outcome) -> None:
            outcomes.append(outcome)
            self._tried += 1
            if self._progress:
                self._progress(self._tried, total)

        try:
            purger.purge(clips, done)
        finally:
            self._journal.emit(*(self._draft(_ending(outcome), outcome.clip.id) for outcome in outcomes))
        for outcome in outcomes:
            if outcome.failure is None:
                self._purged += 1
                self._freed += outcome.clip.bytes
            else:
                self._failed.append(Note(clip=outcome.clip.id, reason=outcome.failure))

    def _places(self, clips: Sequence[str]) -> list[Doomed]:
        with self._keeper.reading(fresh=False) as reading:
            found = frame(reading, "places", {"ids": list(clips)})
        return [Doomed(**row) for row in found.sort("id").to_dicts()]

    def _draft(self, fact: Fact, clip: str) -> Draft:
        return self._recorder.draft(fact, subject=clip, actor=self._actor)


def _uploading(write: Transaction, clip: Doomed) -> str | None:
    """Looked up before anything is cancelled: a skipped clip keeps all its tasks."""
    return _UPLOADING if write.leased(clip.id) else None


def _ending(outcome: Outcome) -> Fact:
    clip = outcome.clip
    if outcome.failure is None:
        return ClipPurged(plan=clip.plan, rule=clip.rule, bucket=clip.bucket, bytes=clip.bytes)
    return PurgeFailed(plan=clip.plan, bucket=clip.bucket, failure=outcome.kind)


def _unmark_reason(cause: str) -> Literal["pinned", "used", "policy"]:
    return "pinned" if cause == "pinned" else "used" if cause in ("used", "linked") else "policy"


def _batches(clips: Sequence[str]) -> Iterator[Sequence[str]]:
    return (clips[start : start + BATCH] for start in range(0, len(clips), BATCH))
