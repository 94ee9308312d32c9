"""Cutting: a connection that takes too long as a whole is ended. Time-outs of sockets begin anew with each byte."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from types import TracebackType

_LOOK = 0.1
"""Seconds between two looks whether it is time."""
_GRACE = 10.0
"""Seconds that whoever stops waits for the answer to what was sent already."""
CONNECT = 10.0
"""Most seconds until a connection is there."""


class Cutter:
    """Within a `with` block: ends the connections that it watches after `seconds`, or soon after `stop` is set."""

    def __init__(self, seconds: float, stop: threading.Event) -> None:
        self._stop = stop
        self._until = time.monotonic() + seconds
        self._decisive = False
        self._over = threading.Event()
        self._watched: list[socket.socket] = []
        self._thread = threading.Thread(target=self._wait, name="voxledger-cutter", daemon=True)

    def __enter__(self) -> Cutter:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        for connection in self._watched:
            connection.close()

    def watch(self, connection: socket.socket) -> None:
        """Also this one. It may be wrapped in TLS later: what is ended lies below."""
        self._watched.append(connection.dup())

    def wait_for_answer(self, seconds: float) -> None:
        """Everything is sent: from here on an end would leave unknown what became of it."""
        self._until = time.monotonic() + seconds
        self._decisive = True

    def _wait(self) -> None:
        stopping = None
        while not self._over.wait(_LOOK):
            now = time.monotonic()
            if self._stop.is_set() and stopping is None:
                stopping = now + (_GRACE if self._decisive else 0.0)
            if now >= (self._until if stopping is None else min(stopping, self._until)):
                for connection in self._watched:
                    with contextlib.suppress(OSError):
                        connection.shutdown(socket.SHUT_RDWR)


def trusted(ca_file: str = "") -> ssl.SSLContext:
    """TLS that checks names and certificates: against `ca_file`, else against the system's and Mozilla's. Raises OSError."""
    if ca_file:
        return ssl.create_default_context(cafile=ca_file)
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    context = ssl.create_default_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context
