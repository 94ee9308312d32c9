"""Erasure: somebody is forgotten, everywhere. The door to previewing, asking, going on, and telling what waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.erasure import planning, subject
from voxledger.catalog.erasure.planning import Plan
from voxledger.catalog.erasure.requests import Progressing, Request, requests
from voxledger.catalog.erasure.running import Run
from voxledger.catalog.erasure.subject import Subject
from voxledger.catalog.erasure.targets import Target
from voxledger.catalog.errors import ErasureError
from voxledger.catalog.events import ErasureRequested, new_id
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import Home
from voxledger.catalog.log import Keeper
from voxledger.catalog.progress import Progress, silent
from voxledger.catalog.recorder import SYSTEM, Recorder
from voxledger.catalog.settings import Settings

if TYPE_CHECKING:
    from voxledger.catalog.backup import Backups
    from voxledger.catalog.objects import Store
    from voxledger.catalog.search import SearchIndex

PATIENCE = 60.0
"""Seconds to wait for clips that are being made or uploaded."""


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """How far a request has come. `notes` say what a target waits for, or what a person should know of it.

    `advanced` is whether this time anything went, or came to its end; else all of it still waits.
    """

    request: str
    scope: str
    target: str
    finished: bool
    advanced: bool
    clips: int
    voices: int
    objects: int
    bytes: int
    reports: int
    key_destroyed: bool
    outcomes: dict[str, str]
    notes: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class Erasure:
    """Forgets people and voices. What is called here are the parts of one open ledger; nothing is opened before it is used."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        recorder: Recorder,
        keeper: Keeper,
        *,
        store: Callable[[], Store],
        backups: Callable[[], Backups],
        search: Callable[[], SearchIndex],
        targets: Callable[[], Sequence[Target]] = tuple,
    ) -> None:
        self._home = home
        self._settings = settings
        self._recorder = recorder
        self._keeper = keeper
        self._store = store
        self._backups = backups
        self._search = search
        self._targets = targets

    def plan(self, *, actor: str | None = None, voice: str | None = None, progress: Progress = silent) -> Plan:
        """What erasing an actor (by name or opaque id), or a voice (by name or SHA-256), would do. Changes nothing.

        Raises SubjectNotFound with names that come near, ErasureError when that was asked for before, StoreError.
        """
        found = self.subject(actor=actor, voice=voice)
        self._require_new(found)
        return planning.make(
            found, self._home, self._keeper, self._store(), self._settings.store.voices, self._backups(), self._targets(), progress
        )  # fmt: skip

    def subject(self, *, actor: str | None = None, voice: str | None = None) -> Subject:
        """Whom a name means. Raises SubjectNotFound, ErasureError."""
        if (actor is None) == (voice is None):
            raise ErasureError("say who is to be forgotten: an actor or a voice, one of the two")
        with self._keeper.reading() as reading:
            if actor is not None:
                return subject.actor(actor, self._recorder, reading)
            return subject.voice(voice or "", reading)

    def apply(
        self,
        plan: Plan | str,
        *,
        actor: str | None = None,
        voice: str | None = None,
        reason: str | None = None,
        patience: float = PATIENCE,
        trust_store: bool = False,
        progress: Progress = silent,
    ) -> Outcomes:
        """Ask for it and carry it out as far as it goes now: a plan that was looked at, or its id together with the name.

        A store that has nothing of what was put into it, or lacks the bucket, may be another one than it was: the request stays open
        then, unless `trust_store` says that it is the right one.

        There is no way back. Killed anywhere, `resume` goes on. Raises ErasureError when the plan is stale, another erasure runs, or
        clips are still being made; StoreUnavailable when the store goes away. The request stands then, and nothing is lost.
        """
        if isinstance(plan, Plan):
            found, expected = plan.subject, plan.id
        else:
            found, expected = self.subject(actor=actor, voice=voice), plan
        with self._alone():
            self._require_new(found)
            current = planning.identity(found, self._keeper)
            if current != expected:
                raise ErasureError(
                    f"the plan is stale: {expected} was made for another situation, now it is {current}. Nothing was changed; look at"
                    " `voxledger erase` again"
                )
            request = self._ask(found, expected, reason)
            return self._run(request, patience, progress, trusted=trust_store)

    def resume(
        self, *, patience: float = PATIENCE, trust_store: bool = False, progress: Progress = silent
    ) -> tuple[Outcomes, ...]:
        """Go on with every request that is open: what waited for a legal hold, the store, or Mixpanel. Takes and raises what `apply`
        does.
        """
        if not self.waiting():
            return ()
        with self._alone():
            return tuple(self._run(request, patience, progress, trusted=trust_store) for request in self.waiting())

    def requests(self) -> list[Request]:
        """Every erasure that was ever asked for, the oldest first."""
        return requests(self._keeper, self._home)

    def waiting(self) -> list[Request]:
        """Those of which something is left to do."""
        return [request for request in self.requests() if request.is_open]

    def _ask(self, found: Subject, plan: str, reason: str | None) -> Request:
        with self._keeper.reading(fresh=False) as reading:
            amounts = reading.rows(found.query("amounts"), {"target": found.target})[0]
        identity = new_id()
        fact = ErasureRequested(
            request=identity, scope=found.scope, target=found.target, plan=plan, clips=amounts["clips"],
            bytes=amounts["bytes"], held=amounts["held"], reason=reason,
        )  # fmt: skip
        # In our own name: that of whoever asks may be the one that goes.
        event = self._recorder.emit(fact, subject=identity, actor=self._recorder.vault.actor(SYSTEM))
        failpoint("erasure.after_asked")
        return Request(
            id=identity,
            scope=found.scope,
            target=found.target,
            plan=plan,
            position=event.position,
            asked=event.time,
            ended=None,
            outcomes={},
        )

    def _run(self, request: Request, patience: float, progress: Progress, *, trusted: bool) -> Outcomes:
        before = _reached(Progressing.of(self._home, request))
        run = Run(
            request,
            self._home,
            self._settings,
            self._recorder,
            self._keeper,
            store=self._store(),
            backups=self._backups(),
            search=self._search(),
            targets=self._targets(),
            patience=patience,
            trusted=trusted,
            progress=progress,
        )
        state = run.go()
        return _told(request, state, advanced=_reached(state) != before)

    def _require_new(self, found: Subject) -> None:
        for request in self.waiting():
            if request.target == found.target and request.ended is None:
                why = "; ".join(request.notes.values())
                raise ErasureError(
                    f"erasing {found.called!r} was asked for on {request.asked:%Y-%m-%d} (request {request.id[-8:]}) and is not finished"
                    + (f": {why}" if why else "")
                    + ". `voxledger erase --resume` goes on with it"
                )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with platform.locked(self._home.path / "erasure.lock", blocking=False) as mine:
            if not mine:
                raise ErasureError("another erasure is going on in this HOME; wait for its end. Nothing was changed")
            yield


def _reached(state: Progressing) -> object:
    """What changes when a request gets further. That there is nothing at a place is nothing that was done."""
    ended = {name for name, outcome in state.outcomes.items() if outcome == "done"}
    return state.clips, state.objects, state.voices, state.reports, state.key_destroyed, ended


def _told(request: Request, state: Progressing, *, advanced: bool) -> Outcomes:
    return Outcomes(
        request=state.request,
        scope=request.scope,
        target=request.target,
        advanced=advanced,
        finished=bool(state.outcomes.get("key"))
        and all(each in ("done", "nothing") for each in state.outcomes.values()),
        clips=state.clips,
        voices=state.voices,
        objects=state.objects,
        bytes=state.bytes,
        reports=state.reports,
        key_destroyed=state.key_destroyed,
        outcomes=dict(state.outcomes),
        notes=dict(state.notes),
    )
