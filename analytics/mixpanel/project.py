"""One Mixpanel project, and everything that goes there."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from voxledger.analytics.mixpanel.audience import Audience
from voxledger.analytics.mixpanel.delivery import Delivered, Delivery
from voxledger.analytics.mixpanel.insisting import Pause
from voxledger.analytics.mixpanel.told_names import ToldNames
from voxledger.analytics.mixpanel.transport import address
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.subscriptions import Subscription


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where delivery stands. `updated` is s since the epoch, 0 = never; `note` says what went wrong last.

    `unknown` are names in the settings of which nothing is to be sent, and which nobody has here.
    """

    configured: bool
    host: str
    cursor: int
    waiting: int
    updated: float
    note: str | None
    opted_out: Sequence[str] = ()
    unknown: Sequence[str] = ()


class Mixpanel:
    """Delivers the log to one Mixpanel project. Without a token nothing is sent, and events wait."""

    def __init__(
        self,
        settings: catalog_settings.Mixpanel,
        subscription: Subscription,
        recorder: Recorder,
        *,
        pause: Pause = lambda seconds, stop: stop.wait(seconds),
    ) -> None:
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
                self._settings, self._subscription, self._recorder, self._audience(), pause=self._pause, stop=stop
            )
            return run.go(limit)

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
            opted_out=[each.name for each in self._settings.actors if each.analytics == "off"],
            unknown=audience.unknown(),
        )
