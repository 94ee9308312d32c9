"""Identified: every answer carries its request's id and tells browsers to be careful with it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from voxledger.dashboards.server.refusing import STOPPING, refuse
from voxledger.dashboards.server.request_ids import CURRENT, HEADER, request_id

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from voxledger.dashboards.server.site import Site

_CAREFUL = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'none'; img-src 'self'; media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"cache-control", b"no-store"),
)
"""What an answer says to browsers unless its route says something else."""
_log = logging.getLogger(__name__)


class Identified:
    """The outermost layer. `request.state.request_id` and `request_ids.CURRENT` hold the id from here on."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Of ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == HEADER), None)
        identity = request_id(given)
        scope.setdefault("state", {})["request_id"] = identity
        CURRENT.set(identity)  # each request is a task, with a context of its own
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = _with(message.get("headers") or [], identity)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except asyncio.CancelledError:
            if not self._site.stopping.is_set():
                raise
            if not started:  # called off because the time for finishing was over
                await refuse(STOPPING, sending)
        except Exception as error:  # noqa: BLE001  # the application has answered and logged it; uvicorn would log it once more
            _log.debug("%s ended with %s", identity, type(error).__name__)


def _with(headers: list[tuple[bytes, bytes]], identity: str) -> list[tuple[bytes, bytes]]:
    present = {name.lower() for name, _ in headers}
    return [
        *headers,
        *((name, value) for name, value in _CAREFUL if name not in present),
        *(() if HEADER in present else ((HEADER, identity.encode("ascii")),)),
    ]
