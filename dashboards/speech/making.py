"""Making: the part of a request that is done in a thread, from its checked body to a recorded clip."""

from __future__ import annotations

import contextlib
import logging
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from voxledger.catalog.errors import VoxledgerError
from voxledger.dashboards.speech.idempotency import Asking, Idempotency
from voxledger.dashboards.speech.recorded import Recorded
from voxledger.dashboards.speech.request import SpeechBody, Wanted, canonical, wanted

if TYPE_CHECKING:
    from voxledger.catalog.clip import Clip
    from voxledger.dashboards.server.callers import Caller
    from voxledger.dashboards.speech.broadcast import Broadcast

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A clip, recorded and open. `replayed`: it answered a request with the same Idempotency-Key before."""

    recorded: Recorded
    replayed: bool = False

    @property
    def clip(self) -> Clip:
        """The clip."""
        return self.recorded.clip


def made(
    body: SpeechBody,
    caller: Caller,
    idempotency: Idempotency,
    *,
    key: str | None,
    stop: threading.Event,
    audience: Broadcast,
) -> Made:
    """The clip that was asked for. Raises Refused, and what `Studio.make` raises."""
    if key is None:
        return Made(recorded=Recorded.of(_clip(wanted(body, caller), caller, stop, audience)))
    with idempotency.asking(caller.principal.id, key, canonical(body)) as asking:
        before = _before(asking, caller)
        if before is not None:
            return Made(recorded=before, replayed=True)
        clip = _clip(wanted(body, caller), caller, stop, audience)
        with contextlib.suppress(VoxledgerError):  # the clip is there; without a note its key is only free again
            idempotency.remember(asking, clip.id)
        return Made(recorded=Recorded.of(clip))


def _clip(asked: Wanted, caller: Caller, stop: threading.Event, audience: Broadcast) -> Clip:
    make = partial(
        caller.ledger.studio.make,
        asked.request,
        engine=asked.engine,
        reuse=asked.reuse,
        channel="api",
        priority=asked.priority,
        stop=stop,
        audience=audience if asked.streamed else None,
    )
    return caller.made(make, text=asked.request.text, speed=asked.request.speed, spoken_us=lambda: audience.made_us)


def _before(asking: Asking, caller: Caller) -> Recorded | None:
    """The clip that a request led to before; None when its audio is gone since."""
    if asking.clip is None:
        return None
    try:
        return Recorded.of(caller.ledger.catalog.clip(asking.clip))
    except VoxledgerError as error:
        _log.info("clip %s cannot be given again and is made anew (%s)", asking.clip, type(error).__name__)
        return None
