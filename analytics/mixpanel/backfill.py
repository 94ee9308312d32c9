"""Backfill: what Mixpanel was told since a moment is told again: to a new project, or after the vocabulary has grown.

Ids, times and names are the same, so that Mixpanel drops what it has already. The cursor of delivery stays where it is.
How far it has come lies in a file of HOME: a backfill that was killed goes on there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from voxledger.analytics.mixpanel.answers import Accepted
from voxledger.analytics.mixpanel.insisting import Stopped
from voxledger.analytics.mixpanel.messages import Parcel, parcels
from voxledger.analytics.mixpanel.names import NAME
from voxledger.analytics.mixpanel.quarantine import query, refusals
from voxledger.analytics.mixpanel.repetition import Repetition
from voxledger.analytics.mixpanel.vocabulary import VOCABULARY
from voxledger.catalog import platform
from voxledger.catalog.subscriptions import raw_events

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


class Backfill(Repetition):
    """Sends what was delivered again."""

    COUNTED = ("sent", "quarantined", "silent")

    def go(self, since: datetime | None, *, again: bool) -> Backfilled:
        """Everything since then up to the cursor; without a moment, the rest of what was broken off.

        Raises WouldCountTwice unless `again` accepts that, DeliveryError.
        """
        home = self._keeper.home.path
        left = Unfinished.of(home)
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
        first = self._look(state)
        state.save(home)
        self._identity.note(self._keeper.journal, state.last)
        ended: Literal["done", "stopped"] = "done"
        with self._courier, contextlib.suppress(FileNotFoundError):
            try:
                self._courier.carry(
                    self._parcels(state, first), lambda parcel, verdict: self._settle(state, parcel, verdict)
                )
                (home / _FILE).unlink()
            except Stopped:
                ended = "stopped"
        return Backfilled(state=ended, since=state.since, resumed=resumed, gave_up=gave_up, anew=anew, **self._counts)

    def _look(self, state: Unfinished) -> int:
        """How much it is, whether it may go, and where it begins."""
        with self._keeper.reading() as reading:
            ((self._total, first),) = reading.tuples(
                query("backfill_count"), {"after": state.after, **self._values(state)}
            )
        if first is not None and not state.again:
            self._identity.refuse_twice(self._keeper.journal, first)
        return first or state.last + 1

    def _values(self, state: Unfinished) -> dict[str, Any]:
        return {"since": state.since.isoformat(), "last": state.last, "types": sorted(VOCABULARY)}

    def _parcels(self, state: Unfinished, first: int) -> Iterator[Parcel]:
        """Stretches of the log: a number of events, instead, would be looked for in all of the rest, page for page."""
        after, values = first - 1, self._values(state)
        while after < state.last:
            self._audience.refresh()
            stretch = {**values, "after": after, "last": min(after + _PAGE, state.last)}
            with self._keeper.reading(fresh=False) as reading:
                events = raw_events(reading.table(query("backfill"), {"name": NAME, **stretch}))
            after = stretch["last"]
            messages = [message for event in events if (message := self._composer.compose(event))]
            self._counts["silent"] += len(events) - len(messages)
            yield from parcels(messages, after)

    def _settle(self, state: Unfinished, parcel: Parcel, verdict: Accepted) -> None:
        drafts = refusals(self._recorder, parcel, verdict, self._courier.safe)
        if drafts:
            self._recorder.journal.emit(*drafts)
        msgspec.structs.replace(state, after=parcel.through).save(self._keeper.home.path)
        self._counts["sent"] += len(parcel.messages) - len(drafts)
        self._counts["quarantined"] += len(drafts)
        self._progress("sending again", sum(self._counts.values()), self._total)
