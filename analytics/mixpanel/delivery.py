"""Delivery: what waits behind the cursor goes to Mixpanel, at least once, and in effect once.

read a burst of the log -> messages -> parcels -> POST -> answer -> cursor (and quarantine) in one journal transaction

A crash anywhere sends a parcel again; Mixpanel knows the events by their ids.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

from voxledger.analytics.errors import DeliveryError, DeliveryRefused, DeliveryUnavailable
from voxledger.analytics.mixpanel.answers import Accepted, Later, Refused, RefusedRow, TooLarge, judge
from voxledger.analytics.mixpanel.messages import Composer, Parcel, parcels
from voxledger.analytics.mixpanel.transport import NoAnswer, Transport, address
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.events import DeliveryQuarantined, now
from voxledger.catalog.recorder import SYSTEM, Recorder
from voxledger.catalog.subscriptions import LoggedEvent, Subscription

NAME = "mixpanel"
"""The subscription's name."""
BURST = 10_000
"""Events read from the log at a time: opening it costs as much as sending some hundred events."""
ATTEMPTS = 5
"""How often one request is tried in a run."""
LONGEST_WAIT = 120.0
"""Seconds; who asks for more gets the next run instead."""

Pause = Callable[[float, threading.Event], object]
"""Waits so many seconds, or until the event is set."""
_LONGEST_REASON = 200
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


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where delivery stands. `updated` is s since the epoch, 0 = never; `note` says what went wrong last."""

    configured: bool
    host: str
    cursor: int
    waiting: int
    updated: float
    note: str | None


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
        self._pause = pause

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
            with Transport(self._settings) as transport:
                run = _Run(self._settings, self._subscription, self._recorder, transport, self._pause, stop)
                try:
                    run.go(limit)
                except DeliveryError as error:
                    error.delivered = run.result()
                    self._subscription.remark(str(error))
                    raise
                return run.result()

    def status(self) -> Status:
        """Where delivery stands; sends nothing and does not open the log. Raises SettingsError."""
        state = self._subscription.state()
        return Status(
            configured=bool(self._settings.token),
            host=urlsplit(address(self._settings)).hostname or "",
            cursor=state.position,
            waiting=self._subscription.waiting(),
            updated=state.updated,
            note=state.note,
        )


class _Stopped(Exception):
    pass


class _Run:
    """One run of one process, under the subscription's lock."""

    def __init__(
        self,
        settings: catalog_settings.Mixpanel,
        subscription: Subscription,
        recorder: Recorder,
        transport: Transport,
        pause: Pause,
        stop: threading.Event | None,
    ) -> None:
        self._secrets = [secret for secret in (settings.token, settings.service_secret) if secret]
        self._subscription = subscription
        self._recorder = recorder
        self._transport = transport
        self._pause = pause
        self._stop = stop or threading.Event()
        self._system = recorder.vault.actor(SYSTEM)
        self._composer = Composer(settings.token, nobody=self._system.id)
        self._done = Delivered()
        self._end = 0

    def result(self) -> Delivered:
        """What has been achieved so far."""
        return replace(self._done, waiting=self._subscription.waiting())

    def go(self, limit: int | None) -> None:
        """Everything that waited at the beginning, or `limit` events of it, and what this run itself recorded."""
        self._end = self._recorder.journal.head()
        if limit is not None and self._subscription.cursor + limit < self._end:
            self._end = self._subscription.cursor + limit
            self._done = replace(self._done, state="limit")
        try:
            while (cursor := self._subscription.cursor) < self._end:
                self._burst(min(BURST, self._end - cursor))
        except _Stopped:
            self._done = replace(self._done, state="stopped")

    def _burst(self, size: int) -> None:
        """The log is open only inside `batch`; what follows works on what was read."""
        self._heed_stop()
        batch = self._subscription.batch(size)
        told = self._without_erased(batch.events)
        messages = [message for event in told if (message := self._composer.compose(event))]
        self._count(skipped=len(batch.events) - len(messages))
        pending = deque(parcels(messages, batch.through))
        if not pending:
            self._subscription.advance(batch.through)
        while pending:
            parcel = pending.popleft()
            verdict = self._ask(parcel)
            if isinstance(verdict, TooLarge):
                if len(parcel.messages) > 1:
                    pending.extendleft(reversed(parcel.halves()))
                    continue
                alone = RefusedRow(index=0, field="", reason="the event alone is larger than Mixpanel takes")
                verdict = Accepted(refused=(alone,))
            self._settle(parcel, verdict)

    def _without_erased(self, events: Sequence[LoggedEvent]) -> list[LoggedEvent]:
        """Of whoever was erased Mixpanel hears nothing more: it is asked to forget what it has heard."""
        vault = self._recorder.vault
        gone = {actor for actor in {event.actor for event in events} if vault.destroyed(actor)}
        return [event for event in events if event.actor not in gone]

    def _ask(self, parcel: Parcel) -> Accepted | TooLarge:
        """Send one parcel until there is a clear answer. Raises DeliveryError when there is none."""
        body = parcel.body()
        ids = [message.id for message in parcel.messages]
        attempt = 0
        while True:
            attempt += 1
            self._heed_stop()
            self._count(requests=1, retries=int(attempt > 1), bytes=len(body))
            try:
                verdict = judge(self._transport.post(body), ids, now=now())
            except NoAnswer as error:
                verdict = Later(reason=str(error))
            if isinstance(verdict, Accepted | TooLarge):
                return verdict
            if isinstance(verdict, Refused):
                raise DeliveryRefused(self._refusal(verdict), status=verdict.status)
            if attempt == ATTEMPTS or (verdict.after or 0.0) > LONGEST_WAIT:
                raise DeliveryUnavailable(
                    self._outage(verdict, attempt), status=verdict.status, retry_after=verdict.after
                )
            seconds = max(backoff(attempt), verdict.after or 0.0)
            _log.info("Mixpanel did not take a request: %s; next try in %.0f s", self._safe(verdict.reason), seconds)
            self._pause(seconds, self._stop)

    def _settle(self, parcel: Parcel, verdict: Accepted) -> None:
        """Acknowledged: the cursor moves, and what was refused for good is recorded, all in one transaction."""
        drafts = [
            self._recorder.draft(
                DeliveryQuarantined(
                    subscription=self._subscription.name,
                    refused_type=parcel.messages[row.index].type,
                    field=self._safe(row.field),
                    reason=self._safe(row.reason),
                ),
                subject=parcel.messages[row.index].id,
                actor=self._system,
            )
            for row in verdict.refused
        ]
        recorded = self._subscription.advance(parcel.through, drafts=drafts)
        self._count(sent=len(parcel.messages) - len(drafts), quarantined=len(drafts))
        if recorded:
            if self._done.state != "limit":
                self._end = max(self._end, recorded[-1].position)
            _log.warning(
                "Mixpanel refused %d of %d events for good; they are quarantined", len(drafts), len(parcel.messages)
            )

    def _refusal(self, verdict: Refused) -> str:
        host = self._transport.host
        if verdict.status in (401, 403):
            remedy = "check mixpanel.token or mixpanel.service_account, mixpanel.project_id and mixpanel.region"
        elif verdict.status == 400:
            remedy = "check mixpanel.project_id"
        else:
            remedy = "check mixpanel.endpoint and mixpanel.region"
        reason = self._safe(verdict.reason)
        return f"Mixpanel at {host} refused (HTTP {verdict.status}): {reason}; {remedy}. The events wait"

    def _outage(self, verdict: Later, attempts: int) -> str:
        status = f" (HTTP {verdict.status})" if verdict.status else ""
        tries = "1 try" if attempts == 1 else f"{attempts} tries"
        return (
            f"Mixpanel took nothing in {tries}: {self._safe(verdict.reason)}{status}; the events wait for the next run"
        )

    def _heed_stop(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _count(self, **more: int) -> None:
        self._done = replace(self._done, **{name: getattr(self._done, name) + value for name, value in more.items()})

    def _safe(self, text: str) -> str:
        """A foreign text cut short, without our secrets, should the other side have repeated them."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text[:_LONGEST_REASON]


def backoff(attempt: int) -> float:
    """Seconds before the next try: 2, 4, 8, … up to 60, and 1 to 5 of jitter, as Mixpanel asks."""
    return min(60.0, 2.0**attempt) + random.uniform(1.0, 5.0)  # noqa: S311  # jitter, not a secret
