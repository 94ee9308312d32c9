"""Audio: the clips of a subject leave the store, in all versions, and this machine; each of them is recorded as purged."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from voxledger.catalog.cache_files import remove_empty
from voxledger.catalog.erasure.recognising import TRUST
from voxledger.catalog.erasure.subject import SQL, Subject
from voxledger.catalog.erasure.targets import NOTHING, Done
from voxledger.catalog.events import ClipPurged, Draft, Fact, HoldPlaced, PurgeFailed, PurgeStarted, decode
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Transaction
from voxledger.catalog.log import Keeper
from voxledger.catalog.objects.deleting import Answer, Deleter
from voxledger.catalog.objects.records import record_key
from voxledger.catalog.progress import Progress
from voxledger.catalog.recorder import SYSTEM, Recorder
from voxledger.catalog.tombstones import RULE

_BATCH = 1000
_LOOK = 0.1
_PART = re.compile(r"\.(.+)\.[0-9a-f]{16}\.part(?:\.ranges)?")
"""What an interrupted fetch leaves beside its target."""
_LEASED = "SELECT count(*) FROM tasks WHERE state = 'leased' AND subject IN (SELECT value FROM json_each(?))"


class _Clip(NamedTuple):
    id: str
    bucket: str
    key: str
    bytes: int
    started: bool
    purged: bool
    stored: bool

    def is_gone(self, answer: Answer, *, trusted: bool) -> bool:
        """Whether nothing of it is left. Without a bucket that is known of what was never stored, or was seen to be gone before, and
        where an operator said so.
        """
        return answer.gone or (answer.nowhere and (trusted or self.purged or not self.stored))


class Audio:
    """Takes the clips of a subject away, except those that a legal hold keeps. Repeating is safe."""

    def __init__(
        self,
        home: Home,
        recorder: Recorder,
        keeper: Keeper,
        deleter: Deleter,
        *,
        patience: float,
        trusted: bool = False,
    ) -> None:
        """`patience`: seconds to wait for uploads that are running; `trusted`: without its bucket a clip is gone, too."""
        self._home = home
        self._recorder = recorder
        self._keeper = keeper
        self._deleter = deleter
        self._patience = patience
        self._trusted = trusted
        self._failed: dict[str, str] = {}
        self._busy = 0
        self._held = 0
        self._aside = sorted(home.path.glob(f"{home.cache.name}.damaged-*"))
        self.objects = 0

    def erase(self, request: str, subject: Subject, progress: Progress) -> Done:
        """Purge and record, a thousand at a time. `waiting` says for what; `failed` which of the store's answers stands against it."""
        done = 0
        with self._keeper.reading() as reading:
            amounts = reading.rows(subject.query("amounts"), {"target": subject.target})[0]
        after, total = str(UUID(int=0)), int(amounts["every"])
        while True:
            with self._keeper.reading() as reading:
                position = int(reading.tuples(SQL["reached"])[0][0] or 0)
                rows = reading.rows(subject.query("page"), {"target": subject.target, "after": after, "limit": _BATCH})
            if not rows:
                break
            clips = [
                _Clip(**{name: row[name] for name in _Clip._fields}) for row in rows if not row["held"] or row["purged"]
            ]
            if not self._purge(request, clips, position):
                continue  # the page is read again
            self._held += sum(bool(row["held"]) for row in rows if not row["purged"])
            after = rows[-1]["id"]
            done += len(rows)
            progress("erasing audio", done, max(done, total))
        return self._verdict(request)

    def _verdict(self, request: str) -> Done:
        with self._keeper.reading() as reading:
            clips, size = reading.tuples(SQL["purged"], {"request": request})[0]
        found: dict[str, Any] = {"count": int(clips), "bytes": int(size)}
        if self._failed:
            code, reason = next(iter(self._failed.items()))
            if code == "StoreUnavailable":
                return Done(outcome="waiting", note=f"the store has gone away: {reason}", **found)
            if code == "NoSuchBucket":
                return Done(
                    outcome="failed", note=f"nobody knows whether clips are gone: {reason}; or {TRUST}", **found
                )
            return Done(outcome="failed", note=f"the store keeps what it should delete: {code} ({reason})", **found)
        if self._held:
            note = f"a legal hold keeps {_clips(self._held)}; release it, then the next run goes on"
            return Done(outcome="waiting", note=note, **found)
        if self._busy:
            note = f"{_clips(self._busy)} were being uploaded just now; the next run goes on"
            return Done(outcome="waiting", note=note, **found)
        return Done(outcome="done", **found) if clips or self.objects else NOTHING

    def _purge(self, request: str, clips: Sequence[_Clip], position: int) -> bool:
        """False, and nothing is done, when nobody can tell what happened to these clips since that position."""
        started = self._start(request, clips, position)
        if started is None:
            return False
        clips = started
        failpoint("erasure.after_started")
        answers = self._deleted(clips)
        failpoint("erasure.after_deleted")
        drafts, gone = list[Draft](), list[_Clip]()
        for clip in clips:
            mine = [answers[clip.bucket, key] for key in (clip.key, record_key(clip.key))]
            wrong = next((answer for answer in mine if not clip.is_gone(answer, trusted=self._trusted)), None)
            if wrong is not None:
                self._failed.setdefault(wrong.code, wrong.reason)
            else:
                gone.append(clip)
                least = 0 if clip.purged else 1  # it was counted then
                self.objects += max(least, len(mine[0].versions)) + len(mine[1].versions)
            if clip.purged:
                continue
            fact: Fact = (
                PurgeFailed(plan=request, bucket=clip.bucket, failure=wrong.code)
                if wrong is not None
                else ClipPurged(
                    plan=request,
                    rule=RULE,
                    bucket=clip.bucket,
                    bytes=clip.bytes,
                    answer=mine[0].code,
                    versions=mine[0].versions,
                )
            )
            drafts.append(self._draft(fact, clip.id))
        self._remove(gone)  # before it is said
        if drafts:
            self._recorder.journal.emit(*drafts)
        return True

    def _start(self, request: str, clips: Sequence[_Clip], position: int) -> list[_Clip] | None:
        """The point of no return: uploads are cancelled and answers forgotten in the transaction that records the start.

        None when holds may have been placed of which the journal knows no more.
        """
        ids = json.dumps([clip.id for clip in clips])
        self._wait(lambda: bool(self._recorder.journal.rows(_LEASED, (ids,))[0][0]))
        started, drafts = [], []
        with self._recorder.journal.transaction() as write:
            held = _held_since(position, write)
            if held is None:
                return None
            for clip in clips:
                if clip.id in held and not clip.purged:
                    self._held += 1
                elif write.cancel_tasks(clip.id):
                    self._busy += 1
                else:
                    write.forget(clip.id)
                    started.append(clip)
                    if not clip.started:
                        fact = PurgeStarted(plan=request, rule=RULE, bucket=clip.bucket)
                        drafts.append(self._draft(fact, clip.id))
            write.append(drafts)
        return started

    def _wait(self, busy: Callable[[], bool]) -> None:
        self._recorder.journal.take_back()
        deadline = time.monotonic() + self._patience
        while busy() and time.monotonic() < deadline:
            time.sleep(_LOOK)

    def _deleted(self, clips: Sequence[_Clip]) -> dict[tuple[str, str], Answer]:
        answers: dict[tuple[str, str], Answer] = {}
        for bucket in sorted({clip.bucket for clip in clips}):
            keys = [clip.key for clip in clips if clip.bucket == bucket]
            found = self._deleter.delete(bucket, keys, perhaps=[record_key(key) for key in keys])
            answers |= {(bucket, key): answer for key, answer in found.items()}
        return answers

    def _remove(self, clips: Sequence[_Clip]) -> None:
        """The local copies, what interrupted fetches left beside them, and folders that are empty now: their names are names of people."""
        for cache in (self._home.cache.resolve(), *self._aside):
            folders: dict[Path, set[str]] = defaultdict(set)
            for clip in clips:
                path = cache / clip.key
                folders[path.parent].add(path.name)
            for folder, names in folders.items():
                if folder.resolve().is_relative_to(cache):
                    _empty(folder, names)
                    remove_empty(folder, cache)

    def _draft(self, fact: Fact, clip: str) -> Draft:
        return self._recorder.draft(fact, subject=clip, actor=self._recorder.vault.actor(SYSTEM))


def _empty(folder: Path, names: Container[str]) -> None:
    """Remove files of these names, and hidden ones that are called after them; each folder is listed once."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as found:
        for entry in found:
            name = entry.name
            if name.startswith(".") and (part := _PART.fullmatch(name)):
                name = part[1]
            if name in names:
                Path(entry.path).unlink(missing_ok=True)


def _held_since(position: int, write: Transaction) -> set[str] | None:
    """Clips on which a legal hold was placed after a position; nobody places one as long as the transaction lasts.

    None when the journal was pruned beyond that position meanwhile: what it dropped is known to the log alone.
    """
    held, last = set(), position
    rows = write.connection.execute(
        "SELECT position, body FROM events WHERE position > ? ORDER BY position", (position,)
    )
    for place, body in rows:
        if last == position and place != position + 1:
            return None
        last = place
        event = decode(body)
        if event.type == HoldPlaced.__name__:
            data: dict[str, Any] = msgspec.json.decode(event.data)
            if data.get("kind") == "legal":
                held.add(event.subject)
    return held


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count:,} clips"
