"""Requests: each is timed, counted, logged and traced, whatever becomes of it."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers

from voxledger.dashboards.observing.at_hand import AtHand, at_hand
from voxledger.dashboards.observing.logs import facts
from voxledger.dashboards.observing.metrics import NOWHERE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from voxledger.dashboards.observing.metrics import Metrics
    from voxledger.dashboards.observing.traces import Traces

_GONE = 499
"""What is counted for a client that went away before it had an answer."""
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds: their lines are for debugging."""
_CLIP_HEADER = b"x-voxledger-clip"
_CLIP = re.compile(r"[0-9a-f]{8}(?:[0-9a-f-]{0,28})")
_log = logging.getLogger("voxledger.access")


class Observed:
    """The layer around the application and its limits, so that what they refuse counts, too."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, traces: Traces | None, lines: int) -> None:
        """`lines` is the level of the line that is logged for each request."""
        self._app = app
        self._metrics = metrics
        self._traces = traces
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Of ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        current = AtHand(scope["state"]["request_id"])
        answer = _Answer()
        token = at_hand.set(current)
        began = time.perf_counter()
        self._metrics.in_progress.inc()
        if self._traces is not None:
            self._traces.begun(current, scope["method"], Headers(scope=scope))

        async def sending(message: Message) -> None:
            answer.note(message)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            self._metrics.in_progress.dec()
            self._ended(scope, current, answer, time.perf_counter() - began)
            at_hand.reset(token)

    def _ended(self, scope: Scope, current: AtHand, answer: _Answer, seconds: float) -> None:
        method, route = scope["method"], template(scope)
        status = answer.status or _GONE
        principal = getattr(scope["state"].get("principal"), "id", None)
        clip = answer.clip or _clip(scope)
        self._metrics.answered(route, method, status, seconds, answer.bytes)
        level = logging.DEBUG if route in _QUIET else self._lines
        if _log.isEnabledFor(level):
            _log.log(
                level, "%s %s %d", method, route, status,
                extra=facts(
                    method=method, route=route, status=status, ms=round(1000 * seconds, 2), principal=principal, clip=clip,
                    bytes=answer.bytes,
                ),
            )  # fmt: skip
        if self._traces is not None:
            self._traces.ended(current, method, route, status, principal=principal, clip=clip)


class _Answer:
    """What is told of an answer while it goes by."""

    __slots__ = ("bytes", "clip", "status")

    def __init__(self) -> None:
        self.status = self.bytes = 0
        self.clip: str | None = None

    def note(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            clip = next((value for name, value in message.get("headers", ()) if name.lower() == _CLIP_HEADER), None)
            self.clip = clip.decode("latin-1") if clip is not None else None
        elif message["type"] == "http.response.body":
            self.bytes += len(message.get("body", b""))


def template(scope: Scope) -> str:
    """The route as it was declared, such as `/api/clips/{id}`: never the path that was asked for."""
    route: Any = scope.get("route")
    return getattr(route, "path", None) or NOWHERE


def _clip(scope: Scope) -> str | None:
    """The clip that the path names, if what stands there is an id."""
    for value in scope.get("path_params", {}).values():
        if isinstance(value, str) and _CLIP.fullmatch(value):
            return value
    return None
