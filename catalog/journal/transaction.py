"""A transaction: one durable change to the journal, all of it or nothing."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from voxledger.catalog.events import Draft, Event, decode, encode, now
from voxledger.catalog.journal.records import Fingerprint, Task
from voxledger.catalog.queries import load

_SQL = load("journal.sql", "voxledger.catalog.journal")


class Transaction:
    """One change to the journal, inside `Journal.transaction()`."""

    def __init__(self, connection: sqlite3.Connection, *, owner: str, source: str, base: int) -> None:
        self.connection = connection
        self._owner = owner
        self._source = source
        self._base = base

    def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """Give drafts their positions. The time of recording never goes back, whatever the clock does."""
        newest = self.connection.execute(_SQL["newest"]).fetchone() or (self._base, 0)
        position, latest = newest
        present = max(int(now().timestamp() * 1e6), latest)
        recorded = datetime.fromtimestamp(present / 1e6, UTC)
        events = []
        for draft in drafts:
            known = self.connection.execute(_SQL["by_id"], (draft.id,)).fetchone()
            if known:
                events.append(decode(known[0]))
                continue
            position += 1
            event = Event(
                id=draft.id,
                source=self._source,
                type=draft.type,
                subject=draft.subject,
                time=draft.time,
                position=position,
                recorded=recorded,
                actor=draft.actor,
                version=draft.version,
                data=msgspec.Raw(draft.data),
                sealed=draft.sealed,
            )
            self.connection.execute(_SQL["append"], (position, draft.id, present, encode(event)))
            events.append(event)
        return events

    def add_task(self, kind: str, *, subject: str, actor: str, payload: bytes, due: float | None = None) -> None:
        """Put up work that must be done because of this change."""
        present = time.time()
        self.connection.execute(_SQL["add_task"], (kind, subject, actor, payload, present, due or present))

    def finish_task(self, task: Task) -> bool:
        """The work is done. False when the lease was lost meanwhile: then another one did it or will."""
        return self._on_lease("finish_task", task.id)

    def retry_task(self, task: Task, *, due: float, error: str) -> bool:
        """The work failed for now; it waits until `due` (s since the epoch)."""
        return self._on_lease("retry_task", due, error, task.id)

    def renew_tasks(self, tasks: Iterable[int], *, seconds: float) -> None:
        """Hold leases longer, for work that goes on."""
        values = (time.time() + seconds, json.dumps(list(tasks)), self._owner)
        self.connection.execute(_SQL["renew_leases"], values)

    def release_task(self, task: Task) -> bool:
        """Hand the work back untried."""
        return self._on_lease("release_task", task.id)

    def park_task(self, task: Task, *, error: str) -> bool:
        """The work cannot be done as things are; it waits for a person."""
        return self._on_lease("park_task", error, task.id)

    def leased(self, subject: str) -> int:
        """How many tasks about a subject are being done right now."""
        return int(self.connection.execute(_SQL["leased_for"], (subject,)).fetchone()[0])

    def cancel_tasks(self, subject: str) -> int:
        """Take back all waiting work about a subject; gives how many tasks are being done right now and so remain."""
        self.connection.execute(_SQL["cancel_tasks"], (subject,))
        return self.leased(subject)

    def fingerprint(self, fingerprint: str) -> Fingerprint | None:
        """What is known of a request."""
        row = self.connection.execute(_SQL["fingerprint"], (fingerprint,)).fetchone()
        return Fingerprint(clip=row[0], actor=row[1], owner=row[2], answer=row[3]) if row else None

    def claim(self, fingerprint: str, *, clip: str, actor: str) -> None:
        """From here on this process makes the clip; others wait."""
        self.connection.execute(_SQL["claim_fingerprint"], (fingerprint, clip, actor, self._owner))

    def answer(self, fingerprint: str, answer: bytes) -> None:
        """The clip is there."""
        self.connection.execute(_SQL["answer_fingerprint"], (answer, fingerprint, self._owner))

    def release(self, fingerprint: str) -> None:
        """Give up a claim."""
        self.connection.execute(_SQL["release_fingerprint"], (fingerprint, self._owner))

    def forget(self, clip: str) -> None:
        """Never give this clip as an answer again."""
        self.connection.execute(_SQL["forget_clip"], (clip,))

    def prune(self, through: int) -> int:
        """Drop events up to a position that is sealed elsewhere, except the newest; gives how many went."""
        return self.connection.execute(_SQL["prune"], (through,)).rowcount

    def move_cursor(self, name: str, position: int, *, note: str | None = None) -> None:
        """Record how far a subscription has come."""
        self.connection.execute(_SQL["move_cursor"], (name, position, time.time(), note))

    def _on_lease(self, query: str, *values: object) -> bool:
        return self.connection.execute(_SQL[query], (*values, self._owner)).rowcount == 1
