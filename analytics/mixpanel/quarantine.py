"""Quarantine: events that Mixpanel refused for good. They are in the log, with the reason, and can be sent again after a fix.

A fix is a newer Voxledger that writes the event otherwise, another project, or time itself: an event that a wrong clock dated
ahead is taken once its moment has come.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from voxledger.analytics.mixpanel.answers import Accepted
from voxledger.analytics.mixpanel.audience import Audience
from voxledger.analytics.mixpanel.insisting import Censor, Pause, Stopped
from voxledger.analytics.mixpanel.messages import MOST_EVENTS, Parcel, parcels
from voxledger.analytics.mixpanel.names import NAME, RETRY
from voxledger.analytics.mixpanel.repetition import Repetition
from voxledger.analytics.mixpanel.vocabulary import VOCABULARY
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.events import DeliveryQuarantined, DeliveryRetried, Draft, now
from voxledger.catalog.progress import Progress, silent
from voxledger.catalog.queries import load
from voxledger.catalog.recorder import SYSTEM, Recorder
from voxledger.catalog.subscriptions import Subscription, raw_events

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper

AHEAD_S = 3600
"""Mixpanel refuses events dated further ahead (https://developer.mixpanel.com/reference/import-events)."""
_END = 2**62
_RAW = ["position", "id", "type", "subject", "time_us", "actor", "version", "data"]
_QUERIES = load("again.sql", "voxledger.analytics.mixpanel")


@dataclass(frozen=True, kw_only=True)
class Reason:
    """How many events Mixpanel refused for one reason; `first` and `last` are when it said so. `name` is Mixpanel's of the type."""

    type: str
    name: str
    field: str
    reason: str
    events: int
    first: datetime
    last: datetime


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """One event in quarantine. `name` is Mixpanel's of its type, `time` its own, `since` when Mixpanel refused it."""

    event: str
    type: str
    name: str
    time: datetime
    since: datetime
    field: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Retried:
    """What became of those in quarantine: taken, refused again, dated too far ahead still, or not told any more.

    `otherwise` were told while other ids were in use, and might count twice: they are not sent unless that is accepted.
    `remaining` are in quarantine afterwards.
    """

    taken: int = 0
    refused: int = 0
    ahead: int = 0
    silent: int = 0
    otherwise: int = 0
    remaining: int = 0
    busy: bool = False


class Quarantine:
    """What lies in quarantine in one HOME."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def count(self) -> int:
        """How many events."""
        with self._keeper.reading() as reading:
            return int(reading.tuples(query("count"), {"name": NAME})[0][0])

    def reasons(self) -> Sequence[Reason]:
        """Why, the most frequent first."""
        with self._keeper.reading() as reading:
            return [Reason(name=_name(row["type"]), **row) for row in reading.rows(query("reasons"), {"name": NAME})]

    def newest(self, limit: int = 20) -> Sequence[Quarantined]:
        """The newest events."""
        with self._keeper.reading() as reading:
            rows = reading.rows(query("quarantined"), {"name": NAME, "limit": limit})
        return [Quarantined(name=_name(row["type"]), **row) for row in rows]


class Retry(Repetition):
    """Sends what lies in quarantine again, once."""

    COUNTED = ("taken", "refused", "ahead", "silent", "otherwise")

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
        super().__init__(settings, keeper, audience, pause=pause, stop=stop, progress=progress)
        self._said: dict[str, tuple[str, str]] = {}
        self._place = Subscription(RETRY, keeper)
        self._otherwise = 0

    def go(self, limit: int | None, *, again: bool) -> Retried:
        """At most `limit` events, from where the last run stopped and around the end; with `again` also those that might count
        twice. Raises DeliveryError; what was taken before it is recorded.
        """
        if not again:
            others = self._identity.otherwise(self._keeper.journal)
            self._otherwise = max((told.through for told in others), default=0)
        quarantine = Quarantine(self._keeper)
        self._total = min(quarantine.count(), limit or _END)
        with self._courier, contextlib.suppress(Stopped):
            self._courier.carry(self._parcels(limit or _END), self._settle)
        return Retried(busy=False, remaining=quarantine.count(), **self._counts)

    def _parcels(self, limit: int) -> Iterator[Parcel]:
        # The place is a note, because it goes back to the beginning, which a cursor never does.
        start = int(self._place.state().note or 0)
        after, last = start, _END
        while limit > 0:
            self._audience.refresh()
            with self._keeper.reading() as reading:
                values = {"name": NAME, "after": after, "last": last, "limit": min(limit, MOST_EVENTS)}
                table = reading.table(query("retry"), values)
            events = raw_events(table.select(_RAW))
            if not events:
                if last != _END:
                    return
                after, last = 0, start
                continue
            said = table.select(["id", "field", "reason"]).to_pylist()
            self._said |= {row["id"]: (row["field"], row["reason"]) for row in said}
            limit -= len(events)
            after = events[-1].position
            latest = int((now().timestamp() + AHEAD_S) * 1e6)
            mine = [event for event in events if event.position > self._otherwise]
            due = [event for event in mine if event.time_us <= latest]
            messages = [message for event in due if (message := self._composer.compose(event))]
            if messages:
                self._identity.note(self._keeper.journal, messages[-1].position)
            self._counts["otherwise"] += len(events) - len(mine)
            self._counts["ahead"] += len(mine) - len(due)
            self._counts["silent"] += len(due) - len(messages)
            if messages:
                yield from parcels(messages, after)
            else:
                yield Parcel(messages=(), through=after)

    def _settle(self, parcel: Parcel, verdict: Accepted) -> None:
        """What was taken is recorded; what was refused again only when something else is said of it."""
        drafts = [
            draft
            for row, draft in zip(
                verdict.refused, refusals(self._recorder, parcel, verdict, self._courier.safe), strict=True
            )
            if self._said.pop(draft.subject, None) != (self._courier.safe(row.field), self._courier.safe(row.reason))
        ]
        refused = {row.index for row in verdict.refused}
        system = self._recorder.vault.actor(SYSTEM)
        drafts += [
            self._recorder.draft(
                DeliveryRetried(subscription=NAME, refused_type=message.type), subject=message.id, actor=system
            )
            for index, message in enumerate(parcel.messages)
            if index not in refused
        ]
        self._place.advance(0, note=str(parcel.through), drafts=drafts)
        self._counts["taken"] += len(parcel.messages) - len(refused)
        self._counts["refused"] += len(refused)
        self._progress("sending again", sum(self._counts.values()), self._total)


def refusals(recorder: Recorder, parcel: Parcel, verdict: Accepted, safe: Censor) -> list[Draft]:
    """What to record of the rows that Mixpanel refused, in their order."""
    system = recorder.vault.actor(SYSTEM)
    return [
        recorder.draft(
            DeliveryQuarantined(
                subscription=NAME,
                refused_type=parcel.messages[row.index].type,
                field=safe(row.field),
                reason=safe(row.reason),
            ),
            subject=parcel.messages[row.index].id,
            actor=system,
        )
        for row in verdict.refused
    ]


def _name(kind: str) -> str:
    """What Mixpanel calls a type; the type itself where this version does not tell it any more."""
    return VOCABULARY[kind].name if kind in VOCABULARY else kind


def query(name: str) -> str:
    """One of the queries about what is sent again."""
    return _QUERIES[name].replace("{open}", _QUERIES["open"])
