"""One Mixpanel project, and everything that goes there."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from urllib.parse import urlsplit

from voxledger.analytics.mixpanel.audience import Audience, opted_out
from voxledger.analytics.mixpanel.backfill import Backfill, Backfilled, Unfinished
from voxledger.analytics.mixpanel.comparing import Comparison, compare
from voxledger.analytics.mixpanel.delivery import Delivered, Delivery
from voxledger.analytics.mixpanel.identity import Identity, Told
from voxledger.analytics.mixpanel.insisting import Insistence, Pause, Stopped
from voxledger.analytics.mixpanel.names import BACKFILL, PROFILES
from voxledger.analytics.mixpanel.profiles import Profiled, Profiles
from voxledger.analytics.mixpanel.quarantine import Quarantine, Retried, Retry, query
from voxledger.analytics.mixpanel.told_names import ToldNames
from voxledger.analytics.mixpanel.transport import address
from voxledger.analytics.mixpanel.vocabulary import VOCABULARY
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.progress import Progress, silent
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.steps import OnStep, unheard
from voxledger.catalog.subscriptions import Subscription


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where delivery stands. `updated` is s since the epoch, 0 = never; `note` says what went wrong last.

    `told_otherwise`: up to where this project was told under other `actor_ids`; sent again, those events would count twice.
    `unknown` are names in the settings of which nothing is to be sent, and which nobody has here; `backfill` is one that was broken off.
    """

    configured: bool
    host: str
    cursor: int
    waiting: int
    updated: float
    note: str | None
    opted_out: Sequence[str] = ()
    unknown: Sequence[str] = ()
    backfill: Unfinished | None = None
    told_otherwise: Sequence[Told] = ()


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """Events of one name that wait, and when the oldest happened.

    The name is empty where Mixpanel does not hear of the events: of their type, or, `silent`, of the people they are about.
    """

    name: str
    events: int
    oldest: datetime
    silent: bool = False


class Mixpanel:
    """Delivers the log to one Mixpanel project. Without a token nothing is sent, and events wait."""

    def __init__(
        self,
        settings: catalog_settings.Mixpanel,
        subscription: Subscription,
        recorder: Recorder,
        *,
        pause: Pause = lambda seconds, stop: stop.wait(seconds),
        on_step: OnStep = unheard,
    ) -> None:
        self._on_step = on_step
        self._settings = settings
        self._subscription = subscription
        self._recorder = recorder
        self._keeper = subscription.keeper
        self._pause = pause

    def _audience(self) -> Audience:
        return Audience(self._settings, self._recorder.vault, ToldNames(self._keeper.home.path))

    def deliver(self, *, limit: int | None = None, stop: threading.Event | None = None) -> Delivered:
        """Send what waits now, at most `limit` events of the log; returns early, with nothing lost, when `stop` is set.

        Raises DeliveryRefused when a person must change something, DeliveryUnavailable when Mixpanel cannot be had
        after several tries, SettingsError, CatalogBusy. The cursor stays where Mixpanel's last acknowledgement put it.
        """
        waiting = self._subscription.waiting()
        if not self._settings.token or not waiting:
            return Delivered(state="done" if self._settings.token else "off", waiting=waiting)
        with self._subscription.exclusively() as held:
            if not held:
                return Delivered(state="busy", waiting=waiting)
            run = Delivery(
                self._settings, self._subscription, self._recorder, self._audience(), pause=self._pause, stop=stop,
                on_step=self._on_step,
            )  # fmt: skip
            return run.go(limit)

    def update_profiles(self, *, force: bool = False, stop: threading.Event | None = None) -> Profiled:
        """Bring user profiles and the node's group up to date: every `mixpanel.profiles`, with `force` now.

        A wrong token is not told here, because these doors say 200 all the same: deliver events first. Raises DeliveryError.
        """
        subscription = Subscription(PROFILES, self._keeper)
        if not self._settings.token or not self._settings.profiles or not subscription.waiting():
            return Profiled()
        with subscription.exclusively() as held:
            profiles = Profiles(
                self._settings,
                self._keeper,
                subscription,
                self._audience(),
                lambda host: Insistence(self._settings, host, pause=self._pause, stop=stop),
            )
            if not held or not (force or profiles.is_due()):
                return Profiled()
            with contextlib.suppress(Stopped):
                return profiles.update()
            return Profiled()

    @property
    def quarantine(self) -> Quarantine:
        """What Mixpanel refused for good."""
        return Quarantine(self._keeper)

    def retry(
        self,
        *,
        limit: int | None = None,
        again: bool = False,
        stop: threading.Event | None = None,
        progress: Progress = silent,
    ) -> Retried:
        """Send what lies in quarantine again, at most `limit` events. Raises DeliveryError, SettingsError.

        `again` accepts that events which were sent under other ids may count twice; without it they stay.
        """
        with self._subscription.exclusively() as held:
            if not held:
                return Retried(busy=True)
            run = Retry(self._settings, self._keeper, self._audience(), pause=self._pause, stop=stop, progress=progress)
            return run.go(limit, again=again)

    def backfill(
        self,
        since: datetime | None = None,
        *,
        again: bool = False,
        stop: threading.Event | None = None,
        progress: Progress = silent,
    ) -> Backfilled:
        """Send what was delivered since then again; without a moment, the rest of what was broken off.

        Raises DeliveryError, and WouldCountTwice for events that were told under other ids, unless `again` accepts that.
        """
        with Subscription(BACKFILL, self._keeper).exclusively() as held:
            if not held:
                return Backfilled(state="busy")
            run = Backfill(
                self._settings, self._keeper, self._audience(), pause=self._pause, stop=stop, progress=progress
            )
            return run.go(since, again=again)

    def compare(self, file: Path, *, first: date | None = None, last: date | None = None) -> Comparison:
        """What this HOME has against a file of Mixpanel's, by day and event. Raises ExportUnreadable."""
        return compare(self._keeper, self._audience(), file, first=first, last=last)

    def waiting(self) -> Sequence[Waiting]:
        """What waits, by the name that Mixpanel hears, the most first, and what it will not hear of. Opens the log."""
        audience = self._audience()
        with self._keeper.reading() as reading:
            rows = reading.tuples(query("waiting"), {"after": self._subscription.cursor})
        found: dict[tuple[str, bool], Waiting] = {}
        for kind, actor, events, oldest in rows:
            silent = kind in VOCABULARY and bool(audience.silence(actor))
            name = VOCABULARY[kind].name if kind in VOCABULARY and not silent else ""
            before = found.get((name, silent))
            found[name, silent] = Waiting(
                name=name,
                events=events + (before.events if before else 0),
                oldest=min(oldest, before.oldest) if before else oldest,
                silent=silent,
            )
        return sorted(found.values(), key=lambda each: -each.events)

    def status(self) -> Status:
        """Where delivery stands; sends nothing and does not open the log. Raises SettingsError."""
        state = self._subscription.state()
        audience = self._audience()
        return Status(
            configured=bool(self._settings.token),
            host=urlsplit(address(self._settings)).hostname or "",
            cursor=state.position,
            waiting=self._subscription.waiting(),
            updated=state.updated,
            note=state.note,
            opted_out=opted_out(self._settings),
            unknown=audience.unknown(),
            backfill=Unfinished.of(self._keeper.home.path),
            told_otherwise=Identity.of(self._settings).otherwise(self._keeper.journal),
        )
