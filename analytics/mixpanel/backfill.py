"""Backfill: what Mixpanel was told since a moment is told again: to a new project, or after the vocabulary has grown.

Ids, times and names are the same, so that Mixpanel drops what it has already. The cursor of delivery stays where it is.
How far it has come lies in a file of HOME: a backfill that was killed goes on there.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from voxledger.analytics.mixpanel.answers import Accepted
from voxledger.analytics.mixpanel.audience import Audience
from voxledger.analytics.mixpanel.courier import Courier
from voxledger.analytics.mixpanel.identity import Identity
from voxledger.analytics.mixpanel.insisting import Pause, Stopped
from voxledger.analytics.mixpanel.messages import Composer, Parcel, parcels
from voxledger.analytics.mixpanel.names import NAME
from voxledger.analytics.mixpanel.quarantine import query, refusals
from voxledger.analytics.mixpanel.vocabulary import VOCABULARY
from voxledger.catalog import platform
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.progress import Progress, silent
from voxledger.catalog.subscriptions import raw_events

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper

_FILE = "mixpanel-backfill.json"
_PAGE = 10_000


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """A backfill of everything since a moment up to a position, which has come as far as `after`. `project` is a digest.

    `again`: that some of it counts twice was accepted.
    """

    since: datetime
    last: int
    after: int = 0
    project: str = ""
    again: bool = False

    @classmethod
    def of(cls, home: Path) -> Unfinished | None:
        """The one that was broken off in this HOME."""
        try:
            return msgspec.json.decode((home / _FILE).read_bytes(), type=cls)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def save(self, home: Path) -> None:
        """Durably."""
        platform.write_atomic(home / _FILE, msgspec.json.encode(self), mode=0o600)


@dataclass(frozen=True, kw_only=True)
class Backfilled:
    """What a backfill has sent again. `resumed`: it went on where another was broken off; `gave_up`: since when one was that this
    one took the place of; `anew`: what was broken off went to another project, so this one began at its beginning.
    """

    state: Literal["done", "stopped", "busy", "nothing"] = "done"
    since: datetime | None = None
    sent: int = 0
    quarantined: int = 0
    silent: int = 0
    resumed: bool = False
    gave_up: datetime | None = None
    anew: bool = False


class Backfill:
    """One run of one process, under a lock."""

    def __init__(
        self,
        settings: catalog_settings.Mixpanel,
        keeper: Keeper,
        audience: Audience,
        *,
        pause: Pause,
        stop: threading.Event | None = None,
        progress: Progress = silent,
    ) -> None:
        self._identity = Identity.of(settings)
        self._keeper = keeper
        self._recorder = keeper.recorder
        self._home = keeper.home.path
        self._audience = audience
        self._composer = Composer(settings.token, audience, node=keeper.journal.node)
        self._courier = Courier(settings, pause=pause, stop=stop)
        self._progress = progress
        self._counts = {"sent": 0, "quarantined": 0, "silent": 0}
        self._total = 0

    def go(self, since: datetime | None, *, again: bool) -> Backfilled:
        """Everything since then up to the cursor; without a moment, the rest of what was broken off.

        Raises WouldCountTwice unless `again` accepts that, DeliveryError.
        """
        left = Unfinished.of(self._home)
        since = since or (left.since if left else None)
        if since is None:
            return Backfilled(state="nothing")
        # What was sent to another project is not in this one.
        resumed = left is not None and left.since == since and left.project == self._identity.project
        if left is None or not resumed:
            state = Unfinished(since=since, last=self._keeper.journal.cursor(NAME), project=self._identity.project)
        else:
            state = left
        gave_up = left.since if left is not None and left.since != since else None
        anew = left is not None and not resumed and gave_up is None
        if again:
            state = msgspec.structs.replace(state, again=True)
        self._look(state)
        state.save(self._home)
        self._identity.note(self._keeper.journal, state.last)
        ended: Literal["done", "stopped"] = "done"
        with self._courier, contextlib.suppress(FileNotFoundError):
            try:
                self._courier.carry(self._parcels(state), lambda parcel, verdict: self._settle(state, parcel, verdict))
                (self._home / _FILE).unlink()
            except Stopped:
                ended = "stopped"
        return Backfilled(state=ended, since=state.since, resumed=resumed, gave_up=gave_up, anew=anew, **self._counts)

    def _look(self, state: Unfinished) -> None:
        """How much it is, and whether it may go."""
        with self._keeper.reading() as reading:
            ((self._total, first),) = reading.tuples(
                query("backfill_count"), {"after": state.after, **self._values(state)}
            )
        if first is not None and not state.again:
            self._identity.refuse_twice(self._keeper.journal, first)

    def _values(self, state: Unfinished) -> dict[str, Any]:
        return {"since": state.since.isoformat(), "last": state.last, "types": sorted(VOCABULARY)}

    def _parcels(self, state: Unfinished) -> Iterator[Parcel]:
        after = state.after
        values = self._values(state)
        while True:
            self._audience.refresh()
            with self._keeper.reading(fresh=False) as reading:
                page = {"after": after, "limit": _PAGE, "name": NAME, **values}
                events = raw_events(reading.table(query("backfill"), page))
            if not events:
                return
            after = events[-1].position
            messages = [message for event in events if (message := self._composer.compose(event))]
            self._counts["silent"] += len(events) - len(messages)
            yield from parcels(messages, after)

    def _settle(self, state: Unfinished, parcel: Parcel, verdict: Accepted) -> None:
        drafts = refusals(self._recorder, parcel, verdict, self._courier.safe)
        if drafts:
            self._recorder.journal.emit(*drafts)
        msgspec.structs.replace(state, after=parcel.through).save(self._home)
        self._counts["sent"] += len(parcel.messages) - len(drafts)
        self._counts["quarantined"] += len(drafts)
        self._progress("sending again", sum(self._counts.values()), self._total)
