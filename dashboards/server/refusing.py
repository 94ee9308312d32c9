"""Refusing: what is answered to a request that does not come to its route."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from voxledger.dashboards.server.answers import JSON, Refused, body

if TYPE_CHECKING:
    from starlette.types import Receive, Send

_LINGER = 5.0
"""Seconds for a client to stop sending a body that nobody wants; one that is cut off while it sends may not read the answer."""
_UNREAD = 16_000_000
"""Bytes of such a body that are thrown away at most."""


class Refusing(NamedTuple):
    """An answer that is made once."""

    status: int
    headers: list[tuple[bytes, bytes]]
    content: bytes


def refusing(refused: Refused, *, close: bool = False) -> Refusing:
    """The answer to a request that is refused; `close`: the connection ends with it."""
    content = msgspec.json.encode(body(refused))
    headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(content)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in refused.headers.items()]
    if close:
        headers.append((b"connection", b"close"))
    return Refusing(refused.status, headers, content)


async def refuse(answer: Refusing, send: Send, *, unread: Receive | None = None) -> None:
    """Send it. Where there is a body that nobody reads, it is given a moment to come to its end."""
    await send({"type": "http.response.start", "status": answer.status, "headers": list(answer.headers)})
    await send({"type": "http.response.body", "body": answer.content, "more_body": unread is not None})
    if unread is None:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER):
            seen = 0
            while seen < _UNREAD:
                message = await unread()
                seen += len(message.get("body", b""))
                if message["type"] != "http.request" or not message.get("more_body"):
                    break
    await send({"type": "http.response.body", "body": b"", "more_body": False})


BUSY = refusing(
    Refused(
        "as many requests are under way as serve.at_once allows",
        status=503,
        code="busy",
        remedy="Try again later.",
        headers={"Retry-After": "1"},
    )
)
OTHERS_TOO = refusing(
    Refused(
        "as many requests are under way as one token, or one address without a token, may have at a time",
        status=503,
        code="busy",
        remedy="Wait for some of them to end; serve.at_once says how many there may be.",
        headers={"Retry-After": "1"},
    )
)
STOPS = Refused(
    "the node is stopping and takes no new work",
    status=503,
    code="stopping",
    remedy="Try again when it has started again.",
    headers={"Retry-After": "5"},
)
STOPPING = refusing(STOPS, close=True)
CROWDED = refusing(
    Refused(
        "as many connections are open as serve.connections allows",
        status=503,
        code="busy",
        remedy="Try again later, and use one connection for many requests.",
        headers={"Retry-After": "2"},
    ),
    close=True,
)
MALFORMED = refusing(
    Refused("this is no HTTP request", status=400, code="malformed", remedy="Send HTTP/1.1."), close=True
)
LONG_HEAD = refusing(
    Refused(
        "the request's head is too long", status=431, code="head_too_large", remedy="Send fewer or shorter headers."
    ),
    close=True,
)


def raw(answer: Refusing) -> bytes:
    """The same as it goes over the line, for what is refused before there is a request."""
    phrases = {400: b"Bad Request", 431: b"Request Header Fields Too Large", 503: b"Service Unavailable"}
    head = [b"HTTP/1.1 %d %s" % (answer.status, phrases[answer.status])]
    head += [b"%s: %s" % header for header in answer.headers]
    return b"\r\n".join([*head, b"", answer.content])
