"""Straight: the routes that are asked most often, answered without what a framework does for all routes.

They are routes of the application as well, which describes them; a `Site` knows them by method and path.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from starlette.requests import Request

from voxledger.catalog.errors import VoxledgerError

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from voxledger.dashboards.server.site import Site

OnError = Callable[[Request, Exception], Awaitable["Response"]]


class _Route(NamedTuple):
    """What logs and metrics call it."""

    path: str


class Straight:
    """The application, and the short way to those routes."""

    def __init__(self, app: ASGIApp, site: Site, *, refused: OnError, unexpected: OnError) -> None:
        """`refused` and `unexpected` say what is answered to an error of ours, and to any other."""
        self._app = app
        self._routes = site.straight
        self._refused = refused
        self._unexpected = unexpected

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Of ASGI."""
        endpoint = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        scope["app"], scope["route"] = self._app, _Route(scope["path"])
        request, started = Request(scope, receive, send), False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            response = await endpoint(request)
            await response(scope, receive, sending)
        except Exception as error:
            if started:
                raise
            told = self._refused if isinstance(error, VoxledgerError) else self._unexpected
            await (await told(request, error))(scope, receive, send)
