"""The courier: carries parcels to Mixpanel, several on the way at once, and hands their answers back in order.

Against a service that is 100 ms away one request at a time would bring 13,000 events a second, and Mixpanel takes 30,000.
So up to four are on the way. The first goes alone: what is wrong with token or address shows there, once. What got no clear
answer is asked again only when its turn has come, so that nobody presses on while Mixpanel asks for patience.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from voxledger.analytics.mixpanel.answers import Accepted, Later, RefusedRow, Verdict, judge
from voxledger.analytics.mixpanel.insisting import Insistence, Pause
from voxledger.analytics.mixpanel.messages import Parcel
from voxledger.analytics.mixpanel.transport import NoAnswer, Transport
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.events import now

AT_ONCE = 4
"""Requests on the way at a time. Four are enough for 30,000 events a second 200 ms away."""
_ALONE = Accepted(refused=(RefusedRow(index=0, field="", reason="the event alone is larger than Mixpanel takes"),))

Settle = Callable[[Parcel, Accepted], object]
"""Takes note of a parcel that is in, except its refused rows."""


class _Sent(NamedTuple):
    """A parcel on its way, its body and what was answered."""

    parcel: Parcel
    answered: Future[tuple[bytes, Verdict]]


class Courier:
    """One run's connection to `/import`. Use it in a `with`; not thread-safe."""

    def __init__(
        self, settings: catalog_settings.Mixpanel, *, pause: Pause, stop: threading.Event | None = None
    ) -> None:
        """Raises SettingsError for an endpoint or credentials that cannot be."""
        self._transport = Transport(settings)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="mixpanel")
        self._insistence = Insistence(settings, self._transport.host, pause=pause, stop=stop)
        self.safe = self._insistence.safe
        self._at_once = 1
        self.requests = self.retries = self.bytes = 0

    def __enter__(self) -> Courier:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._transport.close()

    def carry(self, parcels: Iterable[Parcel], settle: Settle) -> None:
        """Send parcels; `settle` is called for each in order. One without messages is only settled.

        Raises Stopped, DeliveryRefused when a person must change something, DeliveryUnavailable when there is no clear answer
        after several tries. Parcels behind the one that failed may be in; they are not settled.
        """
        source = iter(parcels)
        under_way: deque[_Sent | Parcel] = deque()
        more = True
        while more or under_way:
            while more and len(under_way) < self._at_once:
                self._insistence.heed_stop()
                parcel = next(source, None)
                if parcel is None:
                    more = False
                else:
                    under_way.append(self._send(parcel) if parcel.messages else parcel)
            if not under_way:
                return
            first = under_way.popleft()
            if isinstance(first, Parcel):
                settle(first, Accepted())
                continue
            body, verdict = first.answered.result()
            self.bytes += len(body)
            if not isinstance(verdict, Accepted):
                self._at_once = 1
            self._conclude(first.parcel, body, verdict, settle)
            self._at_once = min(2 * self._at_once, AT_ONCE)

    def _send(self, parcel: Parcel) -> _Sent:
        """Compressing, too, is done beside the rest: it lets other threads run."""
        self.requests += 1

        def work() -> tuple[bytes, Verdict]:
            body = parcel.body()
            return body, self._post(parcel, body)

        return _Sent(parcel, self._pool.submit(work))

    def _post(self, parcel: Parcel, body: bytes) -> Verdict:
        try:
            return judge(self._transport.post(body), [message.id for message in parcel.messages], now=now())
        except NoAnswer as error:
            return Later(reason=str(error))

    def _conclude(self, parcel: Parcel, body: bytes, verdict: Verdict, settle: Settle) -> None:
        """Come to a clear answer, by asking again or by halves."""
        clear = self._insistence.insist(verdict, lambda: self._again(parcel, body))
        if isinstance(clear, Accepted):
            settle(parcel, clear)
        elif len(parcel.messages) == 1:
            settle(parcel, _ALONE)
        else:
            for half in parcel.halves():
                self._insistence.heed_stop()
                packed = half.body()
                self.requests += 1
                self.bytes += len(packed)
                self._conclude(half, packed, self._post(half, packed), settle)

    def _again(self, parcel: Parcel, body: bytes) -> Verdict:
        self.requests += 1
        self.retries += 1
        self.bytes += len(body)
        return self._post(parcel, body)
