"""Charging: what is sent counts against the limits of whoever asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from voxledger.dashboards.server.site import Site


class Charging:
    """Counts the bytes of every answer's body, as they are sent, for the principal that `callers` found."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._gate = site.gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Of ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def sending(message: Message) -> None:
            await send(message)
            size = len(message.get("body", b""))
            if size and "principal" in state:
                self._gate.charge(state["principal"], size=size)

        await self._app(scope, receive, sending)
