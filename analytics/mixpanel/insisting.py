"""Insisting: a request is tried until there is a clear answer, as patiently as Mixpanel asks for."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from datetime import timedelta

from voxledger.analytics.errors import DeliveryRefused, DeliveryUnavailable
from voxledger.analytics.mixpanel.answers import Accepted, Later, Refused, TooLarge, Verdict
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.events import now

ATTEMPTS = 5
"""How often one request is tried in a run."""
LONGEST_WAIT = 120.0
"""Seconds; who asks for more gets the next run instead."""
_LONGEST_REASON = 200
_log = logging.getLogger(__name__)

Pause = Callable[[float, threading.Event], object]
"""Waits so many seconds, or until the event is set."""


class Stopped(Exception):
    """The caller's event was set: what is not settled is not in, as far as anybody knows."""


class Insistence:
    """How one run asks again."""

    def __init__(
        self,
        settings: catalog_settings.Mixpanel,
        host: str,
        *,
        pause: Pause,
        stop: threading.Event | None = None,
    ) -> None:
        self.safe = Censor(settings)
        self._host = host
        self._pause = pause
        self._stop = stop or threading.Event()

    def insist(self, verdict: Verdict, again: Callable[[], Verdict]) -> Accepted | TooLarge:
        """Ask until there is a clear answer. Raises DeliveryError when there is none, Stopped."""
        attempt = 1
        while True:
            if isinstance(verdict, Accepted | TooLarge):
                return verdict
            if isinstance(verdict, Refused):
                raise DeliveryRefused(_refusal(self._host, self.safe, verdict), status=verdict.status)
            if attempt == ATTEMPTS or (verdict.after or 0.0) > LONGEST_WAIT:
                raise DeliveryUnavailable(
                    _outage(self.safe, verdict, attempt), status=verdict.status, retry_after=verdict.after
                )
            seconds = max(backoff(attempt), verdict.after or 0.0)
            _log.info("Mixpanel did not take a request: %s; next try in %.0f s", self.safe(verdict.reason), seconds)
            self.heed_stop()
            self._pause(seconds, self._stop)
            self.heed_stop()
            attempt += 1
            verdict = again()

    def heed_stop(self) -> None:
        """Raises Stopped when it is time."""
        if self._stop.is_set():
            raise Stopped


class Censor:
    """Foreign texts cut short, without our secrets, should the other side have repeated them."""

    def __init__(self, settings: catalog_settings.Mixpanel) -> None:
        self._secrets = [secret for secret in (settings.token, settings.service_secret) if secret]

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text[:_LONGEST_REASON]


def _refusal(host: str, safe: Censor, verdict: Refused) -> str:
    if verdict.status in (401, 403):
        remedy = "check mixpanel.token or mixpanel.service_account, mixpanel.project_id and mixpanel.region"
    elif verdict.status == 400:
        remedy = "check mixpanel.project_id"
    else:
        remedy = "check mixpanel.endpoint and mixpanel.region"
    return f"Mixpanel at {host} refused (HTTP {verdict.status}): {safe(verdict.reason)}; {remedy}. The events wait"


def _outage(safe: Censor, verdict: Later, attempts: int) -> str:
    status = f" (HTTP {verdict.status})" if verdict.status else ""
    tries = "1 try" if attempts == 1 else f"{attempts} tries"
    patience = ""
    if verdict.after:
        patience = f"; it asks to be left alone until {now() + timedelta(seconds=verdict.after):%Y-%m-%d %H:%M} UTC"
    return (
        f"Mixpanel took nothing in {tries}: {safe(verdict.reason)}{status}{patience}; the events wait for the next run"
    )


def backoff(attempt: int) -> float:
    """Seconds before the next try: 2, 4, 8, … up to 60, and 1 to 5 of jitter, as Mixpanel asks."""
    return min(60.0, 2.0**attempt) + random.uniform(1.0, 5.0)  # noqa: S311  # jitter, not a secret
