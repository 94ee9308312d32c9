"""A transaction: one durable change to the journal, all of it or nothing."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from voxledger.catalog.errors import EventRejected
from voxledger.catalog.events import Draft, Event, decode, encode, now
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.journal import epochs
from voxledger.catalog.journal.records import Fingerprint, Task, by_fingerprint
from voxledger.catalog.journal.schema import key
from voxledger.catalog.queries import load

KNOWN = 1_000_000
"""So many ids of pruned events are kept: about 60 MB, and weeks of a busy node."""
ABOUT_VOICES = frozenset({"VoiceRegistered", "VoiceWithdrawn", "SubjectErased"})
"""Events after which a voice may no longer, or again, be spoken with."""
_SQL = load("journal.sql", "voxledger.catalog.journal")
_AT_ONCE = 100
_KNOWN = {size: _SQL["known"].replace(":ids", ",".join(f"?{n + 1}" for n in range(size))) for size in (1, _AT_ONCE)}


class Transaction:
    """One change to the journal, inside `Journal.transaction()`."""

    def __init__(self, connection: sqlite3.Connection, *, owner: str, node: str, base: int) -> None:
        self.connection = connection
        self.reached: epochs.End | None = None
        """Where the journal ends once this is committed; None when no event was added."""
        self.pruned = False
        self.settled: set[str] = set()
        """Claims that were given up before, and are released by this."""
        self._owner = owner
        self._node = node
        self._base = base

    def append(self, drafts: Sequence[Draft]) -> list[Event]:
        """Give drafts their positions. The time of recording never goes back, whatever the clock does.

        A draft whose id is known gives the event that was recorded then: as it stands in the journal, or, when it was
        pruned, the draft with the position, source and time of recording of that event.
        """
        if not drafts:
            return []
        keys = [key(draft.id) for draft in drafts]
        seen = self._seen(keys, drafts)
        end = epochs.end(self.connection, self._base)
        position, present = end.free - 1, max(int(now().timestamp() * 1e6), end.recorded)
        recorded, source = _time(present), f"voxledger:{self._node}/{end.epoch}"
        rows, events, heard = [], [], 0
        for identity, draft in zip(keys, drafts, strict=True):
            event = seen.get(identity)
            if event is None:
                position += 1
                event = seen[identity] = _event(draft, source, position, recorded)
                rows.append((position, identity, present, _encoded(event)))
                if draft.type in ABOUT_VOICES:
                    heard = position
            events.append(event)
        if rows:
            self.connection.executemany(_SQL["append"], rows)
            failpoint("journal.after_insert")
            if heard:
                self.connection.execute(_SQL["voices_heard"], (heard,))
            self.reached = epochs.End(position, present, end.epoch, end.first)
        return events

    def _seen(self, keys: Sequence[bytes], drafts: Sequence[Draft]) -> dict[bytes, Event]:
        """The events that were recorded under these keys."""
        rows: list[tuple[bytes, int, int, bytes | None]] = []
        if len(keys) == 1:
            rows = self.connection.execute(_KNOWN[1], keys).fetchall()
        else:
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                values = (*some, *(None,) * (_AT_ONCE - len(some)))
                rows += self.connection.execute(_KNOWN[_AT_ONCE], values).fetchall()
        if not rows:
            return {}
        meant = dict(zip(keys, drafts, strict=True))
        return {
            identity: decode(body) if body is not None else self._pruned(meant[identity], position, recorded)
            for identity, position, recorded, body in rows
        }

    def _pruned(self, draft: Draft, position: int, recorded: int) -> Event:
        (epoch,) = self.connection.execute(_SQL["epoch_of"], (position,)).fetchone()
        return _event(draft, f"voxledger:{self._node}/{epoch}", position, _time(recorded))

    def add_task(self, kind: str, *, subject: str, actor: str, payload: bytes, due: float | None = None) -> None:
        """Put up work that must be done because of this change."""
        present = time.time()
        self.connection.execute(_SQL["add_task"], (kind, subject, actor, payload, present, due or present))

    def finish_task(self, task: Task) -> bool:
        """The work is done. False when the lease was lost meanwhile: then another one did it or will."""
        return self._on_lease("finish_task", task.id)

    def note_task(self, task: Task, payload: bytes) -> bool:
        """Change what a task says, while its lease is held. False when it was lost."""
        return self._on_lease("note_task", payload, task.id)

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

    def leased_among(self, subjects: Iterable[str]) -> set[str]:
        """Those of these subjects about which a task is being done right now."""
        rows = self.connection.execute(_SQL["leased_among"], (json.dumps(list(subjects)),))
        return {subject for (subject,) in rows}

    def cancel_tasks(self, subject: str) -> int:
        """Take back all waiting work about a subject; gives how many tasks are being done right now and so remain."""
        self.connection.execute(_SQL["cancel_tasks"], (subject,))
        return self.leased(subject)

    def drop_tasks(self, kind: str, subjects: Iterable[str]) -> None:
        """Forget tasks of a kind about these subjects, but for those that are being done right now."""
        self.connection.execute(_SQL["drop_tasks"], (kind, json.dumps(list(subjects))))

    def fingerprint(self, fingerprint: str) -> Fingerprint | None:
        """What is known of a request."""
        return self.fingerprints([fingerprint]).get(fingerprint)

    def fingerprints(self, fingerprints: Sequence[str]) -> dict[str, Fingerprint]:
        """What is known of these requests."""
        return by_fingerprint(self.connection.execute(_SQL["fingerprints"], (json.dumps(fingerprints),)))

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

    def let_go(self, clips: Iterable[str]) -> None:
        """Take back all waiting work about these clips, and never give them as an answer again."""
        named = (json.dumps(list(clips)),)
        self.connection.execute(_SQL["cancel_tasks_of"], named)
        self.connection.execute(_SQL["forget_clips"], named)

    def prune(self, through: int) -> int:
        """Drop events up to a position that is sealed elsewhere, except the newest; gives how many went.

        Their ids stay known, the newest million of them.
        """
        self.connection.execute(_SQL["remember"], (through,))
        gone = self.connection.execute(_SQL["prune"], (through,)).rowcount
        self.connection.execute(_SQL["forget_known"], (KNOWN,))
        self.pruned = self.pruned or gone > 0
        return gone

    def move_cursor(self, name: str, position: int, *, note: str | None = None) -> None:
        """Record how far a subscription has come."""
        self.connection.execute(_SQL["move_cursor"], (name, position, time.time(), note))

    def _on_lease(self, query: str, *values: object) -> bool:
        return self.connection.execute(_SQL[query], (*values, self._owner)).rowcount == 1


def _time(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, UTC)


def _event(draft: Draft, source: str, position: int, recorded: datetime) -> Event:
    return Event(
        id=draft.id,
        source=source,
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


def _encoded(event: Event) -> bytes:
    try:
        return encode(event)
    except UnicodeEncodeError as error:
        raise EventRejected(f"{event.type}: its id or its actor is not valid Unicode: {error.reason}") from None
