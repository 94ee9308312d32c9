"""Delivery: what waits behind the cursor goes to Mixpanel, at least once, and in effect once.

read a burst of the log -> messages -> parcels -> POST -> answer -> cursor (and quarantine) in one journal transaction

A crash anywhere sends a parcel again; Mixpanel knows the events by their ids.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from voxledger.analytics.errors import DeliveryError
from voxledger.analytics.mixpanel.answers import Accepted
from voxledger.analytics.mixpanel.audience import Audience
from voxledger.analytics.mixpanel.courier import Courier
from voxledger.analytics.mixpanel.identity import Identity
from voxledger.analytics.mixpanel.insisting import Pause, Stopped
from voxledger.analytics.mixpanel.messages import Composer, Parcel, parcels
from voxledger.analytics.mixpanel.quarantine import refusals
from voxledger.analytics.mixpanel.vocabulary import VOCABULARY
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.steps import OnStep, Step, unheard
from voxledger.catalog.subscriptions import Subscription

BURST = 10_000
"""Events read from the log at a time: opening it costs as much as sending some hundred events."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """What one run achieved.

    `state`: done (nothing waits that waited at its beginning), limit, stopped, busy (another process delivers), or off
    (there is no token). `sent` were taken by Mixpanel, `quarantined` refused for good, `skipped` it does not hear of.
    """

    state: Literal["done", "limit", "stopped", "busy", "off"] = "done"
    sent: int = 0
    quarantined: int = 0
    skipped: int = 0
    requests: int = 0
    retries: int = 0
    bytes: int = 0
    waiting: int = 0


class Delivery:
    """One run of one process, under the subscription's lock."""

    def __init__(
        self,
        settings: catalog_settings.Mixpanel,
        subscription: Subscription,
        recorder: Recorder,
        audience: Audience,
        *,
        pause: Pause,
        stop: threading.Event | None = None,
        on_step: OnStep = unheard,
    ) -> None:
        self._on_step = on_step
        self._subscription = subscription
        self._recorder = recorder
        self._audience = audience
        self._composer = Composer(settings.token, audience, node=recorder.journal.node)
        self._courier = Courier(settings, pause=pause, stop=stop)
        self._identity = Identity.of(settings)
        self._done = Delivered()
        self._end = 0

    def go(self, limit: int | None) -> Delivered:
        """Everything that waited at the beginning, or `limit` events of it, and what this run itself recorded."""
        self._end = self._recorder.journal.head()
        if limit is not None and self._subscription.cursor + limit < self._end:
            self._end = self._subscription.cursor + limit
            self._done = replace(self._done, state="limit")
        with self._courier:
            try:
                self._courier.carry(self._parcels(), self._settle)
            except Stopped:
                self._done = replace(self._done, state="stopped")
            except DeliveryError as error:
                error.delivered = self._result()
                self._subscription.remark(str(error))
                raise
        return self._result()

    def _result(self) -> Delivered:
        courier = self._courier
        return replace(
            self._done, requests=courier.requests, retries=courier.retries, bytes=courier.bytes,
            waiting=self._subscription.waiting(),
        )  # fmt: skip

    def _parcels(self) -> Iterator[Parcel]:
        """What waits, read ahead of the cursor: it follows with the answers. The log is open only inside `raw`."""
        after = self._subscription.cursor
        while after < self._end:
            self._audience.refresh()
            batch = self._subscription.raw(min(BURST, self._end - after), VOCABULARY, after=after)
            if batch.through == after:
                return
            messages = [message for event in batch.events if (message := self._composer.compose(event))]
            self._count(skipped=len(batch.events) - len(messages))
            if messages:
                yield from parcels(messages, batch.through)
            else:
                yield Parcel(messages=(), through=batch.through)
            after = batch.through

    def _settle(self, parcel: Parcel, verdict: Accepted) -> None:
        """Acknowledged: the cursor moves, and what was refused for good is recorded, all in one transaction."""
        drafts = refusals(self._recorder, parcel, verdict, self._courier.safe)
        told = (self._identity.cursor,) if parcel.messages else ()
        recorded = self._subscription.advance(parcel.through, drafts=drafts, also=told)
        self._count(sent=len(parcel.messages) - len(drafts), quarantined=len(drafts))
        if parcel.messages:
            lag = max(0.0, time.time() - parcel.messages[0].time_us / 1e6)
            self._on_step(Step(name="delivery", seconds=lag, amount=len(parcel.messages) - len(drafts)))
        if recorded:
            if self._done.state != "limit":
                self._end = max(self._end, recorded[-1].position)
            _log.warning(
                "Mixpanel refused %d of %d events for good; they are quarantined: `voxledger mixpanel quarantine list`",
                len(drafts), len(parcel.messages),
            )  # fmt: skip

    def _count(self, **more: int) -> None:
        self._done = replace(self._done, **{name: getattr(self._done, name) + value for name, value in more.items()})
