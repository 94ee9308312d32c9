"""A proxy on loopback that does to HTTP what networks do: refuses, cuts answers, swallows them, stalls.

It takes one request a connection and passes it on byte for byte, so that signatures stay valid.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s"
)
_END = b"\r\n\r\n"
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to the next request with this method (any, if empty) and this text in its path, once.

    `busy`: answered with 503 SlowDown, the server hears nothing. `swallow`: the server does it, the client hears nothing
    until it gives up. `cut`: the client hears the first bytes of the answer, so many. `flip`: one bit of the answer's
    body is another, in the byte with this number. `rewrite`: the client hears what this makes of
    the answer's body. `hold`: the request reaches the server only when this event is set.
    """

    method: str = ""
    path: str = ""
    busy: bool = False
    swallow: bool = False
    cut: int | None = None
    flip: int | None = None
    rewrite: Callable[[bytes], bytes] | None = None
    hold: threading.Event | None = None


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request that came by, and the status it was answered with upstream; 0 if it never got there."""

    method: str
    path: str
    status: int
    body: bytes = field(default=b"", repr=False)


@dataclass
class _Request:
    method: str
    path: str
    whole: bytes = field(repr=False)


class FaultProxy:
    """In a `with` block; `url` leads through it to a server on loopback. `faults` come to pass in order."""

    def __init__(self, target: int) -> None:
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self._target = target
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._ending = threading.Event()
        self.port = 0
        self.up()

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self.down()

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        """Listen, on the same port as ever."""
        listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections from now on."""
        if self._listener is not None:
            # Closing alone would leave `accept` waiting, and the port open with it.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def count(self, method: str, path: str = "") -> int:
        """How many such requests the server has answered with success."""
        with self._lock:
            return sum(
                seen.method == method and path in seen.path and seen.status < 300 for seen in self.seen if seen.status
            )

    def asked(self, method: str = "") -> int:
        """How many requests have come, answered or not."""
        with self._lock:
            return sum(not method or seen.method == method for seen in self.seen)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                request = _read(client)
                if request is not None:
                    self._pass_on(client, request)
            except OSError:
                pass  # a client or server that goes away is what this is about

    def _pass_on(self, client: socket.socket, request: _Request) -> None:
        fault = self._fault(request)
        if fault.busy:
            self._note(request, 0)
            client.sendall(_BUSY % (len(_SLOW_DOWN), b"" if request.method == "HEAD" else _SLOW_DOWN))
            return
        if fault.hold is not None:
            self._note(request, 0)
            fault.hold.wait()
        answer = self._ask(request)
        self._note(request, int(answer[9:12] or b"0"))
        if fault.swallow:
            while not self._ending.is_set() and client.recv(1):
                pass
            return
        if fault.flip is not None:
            place = answer.index(b"\r\n\r\n") + 4 + fault.flip
            answer = answer[:place] + bytes([answer[place] ^ 1]) + answer[place + 1 :]
        if fault.rewrite is not None:
            head, _, body = answer.partition(_END)
            body = fault.rewrite(body)
            kept = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
            answer = b"\r\n".join([*kept, b"Content-Length: %d" % len(body)]) + _END + body
        client.sendall(answer if fault.cut is None else answer[: fault.cut])

    def _fault(self, request: _Request) -> Fault:
        with self._lock:
            for fault in self.faults:
                if fault.method in ("", request.method) and fault.path in request.path:
                    self.faults.remove(fault)
                    return fault
        return Fault()

    def _note(self, request: _Request, status: int) -> None:
        with self._lock:
            self.seen.append(
                Seen(method=request.method, path=request.path, status=status, body=request.whole.partition(_END)[2])
            )

    def _ask(self, request: _Request) -> bytes:
        with socket.create_connection(("127.0.0.1", self._target)) as server:
            server.sendall(request.whole)
            answer = b""
            while piece := server.recv(65536):
                answer += piece
            return answer


def _read(client: socket.socket) -> _Request | None:
    """One request, with the connection asked to close after it; neither header that changes is part of a signature."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = client.recv(65536)
        if not piece:
            return None
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith((b"expect:", b"connection:"))]
    if any(line.lower().startswith(b"expect:") for line in lines):
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        piece = client.recv(65536)
        if not piece:
            return None
        body += piece
    method, path, _ = lines[0].decode().split(" ", 2)
    return _Request(method, path, b"\r\n".join([*kept, b"Connection: close"]) + b"\r\n\r\n" + body)
