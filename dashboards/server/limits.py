"""Limits: what is refused before it comes to a route, so that no load and no stranger's page gets at memory or at the ledger."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voxledger.catalog.access.gate import network
from voxledger.dashboards.server.answers import Refused
from voxledger.dashboards.server.bodies import Body, too_large
from voxledger.dashboards.server.hosts import Hosts
from voxledger.dashboards.server.principals import known, written
from voxledger.dashboards.server.refusing import BUSY, OTHERS_TOO, STOPPING, Refusing, refuse, refusing

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from voxledger.dashboards.server.site import Site
    from voxledger.dashboards.server.slots import Refusal

HEALTH = frozenset({"/healthz", "/readyz"})
"""Answered whoever asks under whatever name: they tell nothing."""
ALWAYS = HEALTH | {"/metrics"}
"""Answered however much is under way, and while the node stops."""
UPLOADS = frozenset({"/api/voices", "/api/jobs"})
"""Routes that take bodies up to `serve.max_upload`; all others up to `serve.max_body`."""
OPEN = frozenset({"/sign-in"})
"""Routes that read a body of nobody known, and no large one: it says who they are."""
ASSETS = "/assets/"
_OPEN_BODY = 10_000
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_WANTED = frozenset(
    {b"host", b"origin", b"authorization", b"content-length", b"transfer-encoding", b"expect", b"sec-fetch-site"}
)
_ABOUT_BODY = frozenset({b"content-type", b"content-length", b"transfer-encoding"})


class Limits:
    """Checks `Host` and `Origin`, finds out who asks, gives each request one of `serve.at_once` slots, and measures bodies."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site
        self._slots = site.slots
        self._hosts = Hosts(site.settings.serve)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Of ASGI."""
        if scope["type"] != "http" or scope["path"] in HEALTH:
            await self._app(scope, receive, send)
            return
        # The first of each counts, as it does for routes.
        heads = {name: value for name, value in reversed(scope["headers"]) if name in _WANTED}
        has_body = b"transfer-encoding" in heads or heads.get(b"content-length", b"0") != b"0"
        most = self._most(scope["path"])
        found = self._objection(scope, heads, most)
        if found is not None:
            reason, answer = found
            self._slots.refused[reason] += 1
            # Whoever waits for leave to send the body does not send it now.
            await refuse(answer, send, unread=receive if has_body and b"expect" not in heads else None)
            return
        if scope["path"] in ALWAYS:
            await self._app(scope, receive, send)
            return
        if scope["path"].startswith(ASSETS):
            await self._asset(scope, receive, send)
            return
        asker = known(self._site, scope)
        who = asker.principal.id if asker.principal else _address(scope)
        if not self._slots.take(who, known=asker.principal is not None):
            self._slots.refused["busy"] += 1
            await refuse(OTHERS_TOO, send, unread=receive if has_body and b"expect" not in heads else None)
            return
        unread = None
        try:
            if not has_body:
                await self._app(scope, receive, send)
            elif scope["path"] in OPEN or (
                asker.refusal is None and not (asker.principal and self._site.gate.is_spent(asker.principal))
            ):
                await self._with_body(scope, receive, send, most)
            else:
                unread = await self._without_body(scope)
        finally:
            self._slots.give(who)
        if unread is not None:
            await refuse(unread, send, unread=receive if b"expect" not in heads else None)

    async def _asset(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What a page is made of is for everybody, and no request of a token."""
        who = _address(scope)
        if not self._slots.take(who, known=False):
            self._slots.refused["busy"] += 1
            await refuse(OTHERS_TOO, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._slots.give(who)

    def _most(self, path: str) -> int:
        serve = self._site.settings.serve
        if path in OPEN:
            return _OPEN_BODY
        return max(serve.max_upload, serve.max_body) if path in UPLOADS else serve.max_body

    def _objection(self, scope: Scope, heads: dict[bytes, bytes], most: int) -> tuple[Refusal, Refusing] | None:
        """Why a request is not let through, if it is not."""
        host = heads.get(b"host")
        if not self._hosts.knows(host):
            return "host", _FOREIGN_HOST
        if (
            scope["method"] not in _READING
            and not written(heads.get(b"authorization", b""))[1]
            and not self._ours(heads)
        ):
            return "origin", _FOREIGN_ORIGIN
        if scope["path"] in ALWAYS:
            return None
        if self._site.stopping.is_set():
            return "stopping", STOPPING
        length = heads.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > most:
            return "too_large", refusing(too_large(most), close=True)
        return ("busy", BUSY) if self._slots.taken >= self._slots.most else None

    def _ours(self, heads: dict[bytes, bytes]) -> bool:
        """Whether a request without a token was not sent by somebody else's page."""
        if heads.get(b"sec-fetch-site", b"none") not in (b"same-origin", b"none"):
            return False
        origin = heads.get(b"origin")
        return origin is None or self._hosts.wrote(origin, heads[b"host"])

    async def _with_body(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        body = Body(receive, self._slots, most)
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if body.refused is not None and not started:
                return  # what the route makes of a body that broke off is not the answer
            started = True
            await send(message)

        try:
            await self._app(scope, body.receive, sending)
        except Exception:
            if body.refused is None:
                raise
        finally:
            body.let_go()
        if body.refused is not None and not started:
            reason, refused = body.refused
            self._slots.refused[reason] += 1
            await refuse(refusing(refused, close=True), send, unread=receive)

    async def _without_body(self, scope: Scope) -> Refusing:
        """What the route answers to whoever may not ask now, from the head alone: nothing of the body is read for them."""
        heard = _Heard()
        scope["headers"] = [header for header in scope["headers"] if header[0] not in _ABOUT_BODY]
        await self._app(scope, _nothing(), heard.send)
        return heard.answer()


class _Heard:
    """An answer that is taken down instead of being sent."""

    def __init__(self) -> None:
        self._status = 500
        self._headers: list[tuple[bytes, bytes]] = []
        self._content = bytearray()

    async def send(self, message: Message) -> None:
        """Of ASGI."""
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message.get("headers") or [])
        self._content += message.get("body", b"")

    def answer(self) -> Refusing:
        """All of it; the connection ends with it, for there is a body in the way of the next request."""
        return Refusing(self._status, [*self._headers, (b"connection", b"close")], bytes(self._content))


def _nothing() -> Receive:
    """A body that is empty, of a client that stays."""
    left = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        return left.pop()

    return receive


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return f"from {network(client[0])}" if client else "from nowhere"


_FOREIGN_HOST = refusing(
    Refused(
        "this node is not reached under the name in `Host`",
        status=421,
        code="host",
        remedy="Ask under its address, or add the name to serve.names.",
    ),
    close=True,
)
_FOREIGN_ORIGIN = refusing(
    Refused(
        "a page from elsewhere may change nothing here",
        status=403,
        code="origin",
        remedy="Send a token, or set serve.url to where people reach the node.",
    ),
    close=True,
)
