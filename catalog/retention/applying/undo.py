"""Undoing a plan: every mark of it that still stands is taken back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from voxledger.catalog.errors import PolicyError
from voxledger.catalog.events import ClipUnmarked
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.log import Keeper
from voxledger.catalog.parallel import in_batches
from voxledger.catalog.progress import Counting
from voxledger.catalog.queries import load
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.vault import ActorKey

_BATCH = 1000
"""Most marks that one journal transaction takes back."""
_SQL = load("applying.sql", "voxledger.catalog.retention.applying")


class Undone(msgspec.Struct, frozen=True, kw_only=True):
    """What undoing did: marks taken back. For the clips in `gone` it came too late, their deletion had begun."""

    plan: str
    time: datetime
    unmarked: int = 0
    gone: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def undo(
    plan: str,
    recorder: Recorder,
    keeper: Keeper,
    actor: ActorKey,
    now: datetime,
    *,
    progress: Counting | None = None,
) -> Undone:
    """Take back the marks of a plan that stand. Repeating it changes nothing. Nothing else may apply plans meanwhile.

    Raises PolicyError for a plan that never marked anything.
    """
    with keeper.reading() as reading:
        rows = reading.tuples(_SQL["standing"], {"plan": plan})
        known = bool(rows) or bool(reading.tuples(_SQL["marked"], {"plan": plan})[0][0])
    if not known:
        raise PolicyError(
            f"no plan {plan!r} has marked anything here; the relation marks names those that did (`voxledger sql`)"
        )
    standing = [clip for clip, gone in rows if not gone]
    done = 0
    for batch in in_batches(standing, _BATCH):
        # A mark that a use or a pin has outlived meanwhile is taken back all the same: only applying ends marks.
        fact = ClipUnmarked(plan=plan, reason="undone")
        recorder.journal.emit(*(recorder.draft(fact, subject=clip, actor=actor, time=now) for clip in batch))
        failpoint("undo.after_batch")
        done += len(batch)
        if progress:
            progress(done, len(standing))
    return Undone(plan=plan, time=now, unmarked=done, gone=tuple(clip for clip, gone in rows if gone))
