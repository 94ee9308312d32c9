"""Answering: one request for speech, from its body to the last byte of its answer, or to the moment when its client leaves."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import Response

from voxledger.catalog.errors import VoxledgerError
from voxledger.dashboards.server.answers import answer
from voxledger.dashboards.server.departing import Watching
from voxledger.dashboards.server.spool import too_far_behind
from voxledger.dashboards.speech import events
from voxledger.dashboards.speech.broadcast import Broadcast
from voxledger.dashboards.speech.idempotency import REPLAYED, Idempotency
from voxledger.dashboards.speech.lane import Asking, Lane
from voxledger.dashboards.speech.making import Made, made
from voxledger.dashboards.speech.request import SpeechBody, told

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from voxledger.dashboards.server.callers import Caller

_log = logging.getLogger(__name__)
CLIP = "X-Voxledger-Clip"
KEY = "X-Voxledger-Key"
REUSED = "X-Voxledger-Reused"
DROPPED = "X-Voxledger-Dropped"


class Answering(Response):
    """The answer to a checked body. The clip is made in other threads; this only waits, and sends."""

    def __init__(
        self, body: SpeechBody, caller: Caller, idempotency: Idempotency, lane: Lane, *, key: str | None
    ) -> None:
        super().__init__()
        self._body = body
        self._caller = caller
        self._idempotency = idempotency
        self._lane = lane
        self._key = key
        self._stop = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Of ASGI."""
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        """Done when there is something to send, or nobody to send it to."""
        broadcast = Broadcast(
            self._body.format, self._caller.site.spools, loop, on_begun=partial(loop.call_soon_threadsafe, _set, turn)
        )
        making: asyncio.Future[Made] = loop.create_future()
        making.add_done_callback(lambda _: _set(turn))
        self._lane.ask(
            Asking(
                made=making,
                body=self._body,
                caller=self._caller,
                make=partial(self._made, broadcast),
                end=broadcast.end,
                may_be_there=self._key is None and self._body.reuse,
            )
        )
        watching = Watching(loop, receive, on_left=partial(self._leave, broadcast, turn))
        try:
            await turn
            if broadcast.begun:
                await self._send_stream(broadcast, making, send, watching)
            elif making.done():
                await self._send_whole(scope, receive, send, making)
        finally:
            watching.end()
            if not making.done():
                self._stop.set()
                await asyncio.wait((making,))
            with suppress(VoxledgerError):
                making.result().recorded.close()
            broadcast.spool.close()

    def _leave(self, broadcast: Broadcast, turn: asyncio.Future[None]) -> None:
        """Nobody listens any more: the engine stops within a segment."""
        self._stop.set()
        broadcast.spool.close()
        _set(turn)

    def _made(self, broadcast: Broadcast) -> Made:
        try:
            return made(self._body, self._caller, self._idempotency, key=self._key, stop=self._stop, audience=broadcast)
        finally:
            broadcast.end()

    async def _send_whole(self, scope: Scope, receive: Receive, send: Send, making: asyncio.Future[Made]) -> None:
        """The answer to what was made before anything was sent: a recorded file, or why there is none."""
        try:
            found = making.result()
        except VoxledgerError as error:
            await answer(told(error))(scope, receive, send)
            return
        recorded, clip = found.recorded, found.clip
        headers = {CLIP: clip.id, REUSED: "true" if clip.reused or found.replayed else "false"}
        if clip.key:
            headers[KEY] = clip.key
        if clip.dropped:
            headers[DROPPED] = ",".join(clip.dropped)
        if found.replayed:
            headers[REPLAYED] = "true"
        if self._body.stream_format == "sse":
            await _start(send, headers, events.TYPE)
            for block in recorded.blocks():
                await _more(send, events.delta(block))
            await _end(send, events.done(self._body.input, clip))
            return
        headers["Content-Length"] = str(recorded.size)
        await _start(send, headers, recorded.content_type)
        if recorded.file is None:
            await _end(send, recorded.head)
            return
        for block in recorded.blocks():
            await _more(send, block)
        await _end(send)

    async def _send_stream(
        self, broadcast: Broadcast, making: asyncio.Future[Made], send: Send, watching: Watching
    ) -> None:
        """What is made, while it is made. What goes wrong on the way breaks an answer off that has no room for an error, so that
        nobody takes it for whole.
        """
        as_events = self._body.stream_format == "sse"
        kind = events.TYPE if as_events else broadcast.format.content_type
        await _start(send, {CLIP: broadcast.clip, REUSED: "false"}, kind)
        while data := await broadcast.spool.read():
            await _more(send, events.delta(data) if as_events else data)
            broadcast.sent(len(data))
        if watching.left:
            return
        try:
            if broadcast.spool.cut:
                raise too_far_behind()
            if broadcast.failed is not None:
                raise broadcast.failed
            clip = (await making).clip
        except VoxledgerError as error:
            _log.warning("the answer with clip %s breaks off: %s", broadcast.clip, type(error).__name__)
            if as_events:
                await _end(send, events.error(told(error)))
            return
        await _end(send, events.done(self._body.input, clip) if as_events else b"")


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _start(send: Send, headers: Mapping[str, str], kind: str) -> None:
    raw = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    raw.append((b"content-type", kind.encode()))
    await send({"type": "http.response.start", "status": 200, "headers": raw})


async def _more(send: Send, block: bytes) -> None:
    await send({"type": "http.response.body", "body": block, "more_body": True})


async def _end(send: Send, block: bytes = b"") -> None:
    await send({"type": "http.response.body", "body": block, "more_body": False})
