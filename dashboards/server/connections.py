"""Connections: uvicorn's, with limits on what a client may leave unfinished."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from voxledger.dashboards.server.refusing import CROWDED, LONG_HEAD, MALFORMED, raw

if TYPE_CHECKING:
    from voxledger.dashboards.server.slots import Slots

_GREETING = 30.0
"""Seconds for the head of a request to arrive."""
_STALLED = 60.0
"""Seconds for a client to read what fills its connection; then it is cut off."""
_LONGEST_HEAD = 65_536
"""Bytes of a head, and of what follows the last chunk of a body."""


def connections(slots: Slots, most: int) -> type[HttpToolsProtocol]:
    """The protocol of a server that has at most so many connections."""

    class Connection(HttpToolsProtocol):
        _waiting: asyncio.TimerHandle | None = None
        _stalled: asyncio.TimerHandle | None = None
        _unread = 0
        """Bytes received since the parser last got something out of them."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
            super().connection_made(transport)
            if len(self.connections) > most:
                slots.refused["connections"] += 1
                transport.write(raw(CROWDED))
                transport.close()
                return
            slots.connections = len(self.connections)
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._waited()
            self.resume_writing()
            super().connection_lost(exc)
            slots.connections = len(self.connections)

        def data_received(self, data: bytes) -> None:
            if self.transport.is_closing():
                return  # it was turned away, and its parser may be gone
            if self._unread > _LONGEST_HEAD:
                self._cut(raw(LONG_HEAD))
                return
            self._unread += len(data)
            super().data_received(data)
            if self._waiting is None and self._is_idle() and not self.transport.is_closing():
                self._wait()

        def on_message_begin(self) -> None:
            self._unread = 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._unread = 0
            self._waited()
            super().on_headers_complete()

        def on_body(self, body: bytes) -> None:
            self._unread = 0
            super().on_body(body)

        def on_message_complete(self) -> None:
            self._unread = 0
            super().on_message_complete()

        def pause_writing(self) -> None:
            super().pause_writing()
            if self._stalled is None:
                self._stalled = self.loop.call_later(_STALLED, self.transport.abort)

        def resume_writing(self) -> None:
            if self._stalled is not None:
                self._stalled.cancel()
                self._stalled = None
            super().resume_writing()

        def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's words, in place of ours
            self._cut(raw(MALFORMED))

        def _is_idle(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _wait(self) -> None:
            self._waiting = self.loop.call_later(_GREETING, self._gone)

        def _waited(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

        def _gone(self) -> None:
            self._waiting = None
            if self._is_idle():
                self.transport.close()

        def _cut(self, answer: bytes) -> None:
            """An answer, unless another one is under way, and the end."""
            if self._is_idle():
                self.transport.write(answer)
            self.transport.close()

    return Connection
