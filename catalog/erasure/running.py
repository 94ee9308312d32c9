"""Running: one request, step by step. Audio first and the key last: an erasure that is broken off must still be able to find what is
left, and the keys of objects are sealed under the key that it destroys.

```
asked          ErasureRequested
closed         the name leads to somebody new, running work ends, waiting uploads are given up
audio          clips in the store with all versions, the local copies; recordings and documents; spoken sentences; parts of uploads
--------       anything left (a legal hold, a refusal)? then the request waits here, and its key with it
stone          a tombstone in the bucket of events
key            the actor's key is destroyed, or the voice's name forgotten
words          catalog and search index written anew, copies of them deleted
elsewhere      audio in backups, stored reports, Mixpanel: by opaque ids, so that they can be tried again without the key
told           SubjectErased, with what became of each
```
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from voxledger.catalog import platform, tombstones
from voxledger.catalog.backup.audio import VOICES
from voxledger.catalog.backup.erasing import erase as erase_from_backups
from voxledger.catalog.erasure import recognising, recordings, words
from voxledger.catalog.erasure.audio import Audio
from voxledger.catalog.erasure.requests import Progressing, Request
from voxledger.catalog.erasure.targets import NOTHING, Done, Target
from voxledger.catalog.errors import BackupError, StoreError, StoreUnavailable, VoxledgerError
from voxledger.catalog.events import SubjectErased, new_id
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import Home
from voxledger.catalog.log import Keeper
from voxledger.catalog.objects.begun import uploads
from voxledger.catalog.objects.deleting import Deleter
from voxledger.catalog.objects.uploads.unfinished import Unfinished
from voxledger.catalog.progress import Progress
from voxledger.catalog.recorder import SYSTEM, Recorder
from voxledger.catalog.settings import Settings
from voxledger.catalog.tombstones import Tombstone

if TYPE_CHECKING:
    from voxledger.catalog.backup import Backups
    from voxledger.catalog.objects import Store
    from voxledger.catalog.search import SearchIndex

_log = logging.getLogger(__name__)
_ENDED = ("done", "nothing")
_LOOK = 0.1
_RESTORING = "restoring"
"""The folder of HOME that takes what passes through a restore."""
_AT_WORK = Done(
    outcome="waiting", note="retention runs, or clips are being restored, in this HOME; the next run goes on"
)


class Run:
    """Carries one request as far as it goes now. May be killed at any point and repeated."""

    def __init__(
        self,
        request: Request,
        home: Home,
        settings: Settings,
        recorder: Recorder,
        keeper: Keeper,
        *,
        store: Store,
        backups: Backups,
        search: SearchIndex,
        targets: Sequence[Target],
        patience: float,
        trusted: bool,
        progress: Progress,
    ) -> None:
        """`trusted`: an operator said that what the store does not have is gone."""
        self._request = request
        self._subject = request.subject
        self._home = home
        self._settings = settings
        self._recorder = recorder
        self._keeper = keeper
        self._store = store
        self._backups = backups
        self._search = search
        self._targets = targets
        self._patience = patience
        self._trusted = trusted
        self._progress = progress
        self._deleter = Deleter(store, threads=settings.store.upload_threads)
        self._state = Progressing.of(home, request)

    def go(self) -> Progressing:
        """Do what can be done; gives how far it has come. Raises StoreUnavailable and ErasureError before anything is lost."""
        state = self._state
        state.save(self._home)  # from here on `status` tells of it
        if not words.forgotten(self._subject, self._recorder, since=self._request.position):
            if not self._let_go():
                return state
        elif self._subject.scope == "actor" and state.outcomes.get("key") not in _ENDED:
            words.forget(
                self._subject, self._recorder
            )  # killed then, it may still stand in the vault's write-ahead log
        state.key_destroyed = self._subject.scope == "actor"
        self._note("key", Done(outcome="done") if state.key_destroyed else NOTHING)
        self._step("catalog", lambda: words.fold_anew(self._keeper, self._progress))
        self._step("search", lambda: words.index_anew(self._search, self._progress))
        if self._subject.scope == "voice" and not self._take_late():
            return state
        self._step("copies", lambda: words.drop_copies(self._home))
        self._step("backups", self._erase_backups)
        self._note("logs", words.empty_logs(self._home))
        for target in self._targets:
            done = self._step(target.name, lambda: target.erase(state.request, self._subject, self._progress))  # noqa: B023  # called at once
            if target.name == "reports" and done is not None:
                state.reports += done.count
        failpoint("erasure.before_end")
        self._tell()
        return state

    def _let_go(self) -> bool:
        """Everything up to the key, and the key; whether it is destroyed. Purges and restores are kept out until then."""
        with self._without_retention() as alone:
            if not alone:
                self._note("audio", _AT_WORK)
                return False
            words.close_door(self._subject, self._recorder, patience=self._patience)
            # What a restore was fetching when it was killed: none runs now, so that nobody needs it.
            if (left := self._home.path / _RESTORING).exists():
                shutil.rmtree(left)
            if not self._take_audio():
                self._state.save(self._home)
                return False
            failpoint("erasure.before_key")
            tombstones.put(self._store, self._settings.store.events, self._stone())
            words.forget(self._subject, self._recorder)
            failpoint("erasure.after_key")
            return True

    @contextmanager
    def _without_retention(self) -> Iterator[bool]:
        """Hold the lock of retention: a restore would bring back what is just taken away. False when it is not to be had in time."""
        deadline = time.monotonic() + self._patience
        while True:
            with platform.locked(self._home.path / "retention.lock", blocking=False) as mine:
                if mine or time.monotonic() > deadline:
                    yield mine
                    return
            time.sleep(_LOOK)

    def _take_audio(self) -> bool:
        """Whether everything is gone that only the key can find."""
        state = self._state
        reason = None if self._trusted else recognising.doubt(self._store, self._keeper, self._subject)
        if reason is not None:
            self._note("audio", Done(outcome="failed", note=f"nobody knows whether clips are gone: {reason}"))
            return False
        audio = self._audio()
        done = audio.erase(state.request, self._subject, self._progress)
        state.clips, state.bytes = done.count, done.bytes
        state.objects += audio.objects
        self._note("audio", done)
        if done.outcome not in _ENDED:
            with contextlib.suppress(StoreError):  # the next run tries again
                self._give_up_parts()
            return False
        state.hashes = hashes = recordings.hashes(self._subject, self._keeper)
        bucket = self._settings.store.voices
        done = recordings.erase(
            hashes, self._home, self._recorder, self._store, bucket, self._deleter, patience=self._patience,
            trusted=self._trusted,
        )  # fmt: skip
        state.voices = len(hashes)
        state.bytes += done.bytes
        self._note("recordings", done)
        if done.outcome not in _ENDED:
            return False
        self._note("speech", recordings.forget_speech(self._home, self._subject))
        self._give_up_parts()
        return True

    def _audio(self) -> Audio:
        return Audio(
            self._home, self._recorder, self._keeper, self._deleter, patience=self._patience, trusted=self._trusted
        )

    def _give_up_parts(self) -> None:
        """Of large uploads that were begun and will never be finished the store holds parts, which no listing shows."""
        parts = Unfinished(self._home.uploads, self._recorder).sweep(self._store)
        if parts or "parts" not in self._state.outcomes:
            self._note("parts", Done(outcome="done", count=parts) if parts else NOTHING)

    def _take_late(self) -> bool:
        """What was just being spoken with the voice when its clips were taken: nobody can tell that beforehand."""
        state = self._state
        audio = self._audio()
        with self._without_retention() as alone:
            done = audio.erase(state.request, self._subject, self._progress) if alone else _AT_WORK
        if done.outcome in _ENDED:
            state.clips, state.objects = done.count, state.objects + audio.objects
            return True
        self._note("audio", done)
        return False

    def _erase_backups(self) -> Done:
        """By the ids of clips, which the log keeps, and the hashes of recordings."""
        bucket = self._backups.bucket
        if not bucket.listed():
            return NOTHING
        ids = set(self._subject.ids(self._keeper))
        copies = sorted(ids)
        hashes = self._state.hashes
        ids |= {
            f"{VOICES}{prefix}{sha256}" for sha256 in hashes for prefix in ("", f"{recordings.DOCUMENTS}/")
        }  # without their endings, which nobody remembers
        deleter = self._deleter if bucket.store is self._store else Deleter(bucket.store)
        try:
            tombstones.put(bucket.store, bucket.name, self._stone())
            gone = erase_from_backups(
                bucket, _WithoutEnding(ids), iter(copies), deleter, self._home.path, self._progress
            )
        except (BackupError, StoreUnavailable) as error:
            return Done(outcome="waiting", note=str(error))
        if gone.kept:
            return Done(outcome="failed", note=f"the store keeps {len(gone.kept)} objects, first: {gone.kept[0]}")
        note = ""
        if gone.with_vault and self._subject.scope == "actor":
            note = (
                "files of the vault that were saved with backups still hold the key, and nobody can reach them from here: save the vault"
                " again over them"
            )
        with uploads(self._home.path / "uploads" / "backup") as begun:  # a backup that was killed has begun some
            begun.sweep(bucket.store, before=datetime.now(UTC))
        self._state.objects += gone.objects
        return Done(outcome="done", count=gone.backups, note=note)

    def _stone(self) -> Tombstone:
        journal = self._recorder.journal
        return Tombstone(
            event=self._state.event, node=journal.node, position=journal.head(), fact=msgspec.to_builtins(self._fact())
        )

    def _fact(self) -> SubjectErased:
        state = self._state
        return SubjectErased(
            request=state.request,
            scope=self._subject.scope,
            target=self._subject.target,
            clips=state.clips,
            voices=state.voices,
            objects=state.objects,
            bytes=state.bytes,
            reports=state.reports,
            key_destroyed=self._subject.scope == "actor",
            outcomes=dict(state.outcomes),
        )

    def _tell(self) -> None:
        """Record how it ended, once, and again when something that waited has ended since."""
        state = self._state
        told = self._request.ended is not None and dict(self._request.fact.get("outcomes", {})) == state.outcomes
        if not told:
            system = self._recorder.vault.actor(SYSTEM)
            draft = self._recorder.draft(self._fact(), subject=state.request, actor=system, event_id=state.event)
            self._recorder.journal.emit(draft)
            self._keeper.drain()
            if self._search.path.exists():
                self._search.advance()
        if all(outcome in _ENDED for outcome in state.outcomes.values()):
            state.drop(self._home)
        elif not told:
            state.event = new_id()
            state.save(self._home)

    def _step(self, name: str, step: Callable[[], Done]) -> Done | None:
        """One that was not finished before. What a person must see becomes its outcome; the others still have their turn."""
        if self._state.outcomes.get(name) in _ENDED:
            return None
        try:
            done = step()
        except VoxledgerError as error:
            _log.warning("erasing: %s was left for the next run: %s", name, error)
            done = Done(outcome="failed", note=str(error))
        self._note(name, done)
        return done

    def _note(self, name: str, done: Done) -> None:
        self._state.outcomes[name] = done.outcome
        self._state.notes.pop(name, None)
        if done.note:
            self._state.notes[name] = done.note
        self._state.save(self._home)


class _WithoutEnding:
    """Ids of saved audio: clips by their ids, recordings by what comes before the ending."""

    def __init__(self, ids: set[str]) -> None:
        self._ids = ids

    def __contains__(self, identity: object) -> bool:
        assert isinstance(identity, str)
        known = identity.partition(".")[0] if identity.startswith(VOICES) else identity
        return known in self._ids

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)
