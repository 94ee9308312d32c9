"""What is read from the journal: frozen records of tasks, cursors, fingerprints and epochs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from voxledger.catalog.events import Draft
from voxledger.catalog.journal.owners import owner_lives

UPLOAD = "upload"
"""The kind of task that puts a file into the store."""
Reason: TypeAlias = Literal["created", "restored", "truncated", "recreated", "cloned"]
"""Why an epoch began."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """Work that was acknowledged together with an event, held under a lease. `payload` is sealed by its actor's key."""

    id: int
    kind: str
    subject: str
    actor: str
    payload: bytes
    attempts: int
    created: float


class OpenTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task as `status` shows it."""

    id: int
    subject: str
    state: str
    created: float
    due: float
    attempts: int
    error: str | None


class TaskCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many tasks of a kind are in a state."""

    kind: str
    state: str
    count: int
    oldest: float
    attempts: int
    next_due: float


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """How far a subscription has come."""

    name: str
    position: int
    updated: float
    note: str | None


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a request: `answer` (sealed) when the clip is there, `owner` while somebody makes it."""

    clip: str
    actor: str
    owner: str | None
    answer: bytes | None

    @property
    def abandoned(self) -> bool:
        """Nobody makes it any more, though nobody finished it."""
        return self.answer is None and not (self.owner and owner_lives(self.owner))


def by_fingerprint(rows: Iterable[Any]) -> dict[str, Fingerprint]:
    """What the query `fingerprints` finds."""
    return {row[0]: Fingerprint(clip=row[1], actor=row[2], owner=row[3], answer=row[4]) for row in rows}


class Use(NamedTuple):
    """What is recorded of a request that something known answers, if it still does."""

    fingerprint: str
    known: Fingerprint
    drafts: Sequence[Draft]


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of positions that one journal gave without a break: from `first` to where the next epoch begins.

    `lost_first` to `lost_last` were acknowledged before it and are not in this journal; log or segments may hold them.
    """

    epoch: str
    first: int
    since: datetime
    reason: Reason
    lost_first: int | None = None
    lost_last: int | None = None
