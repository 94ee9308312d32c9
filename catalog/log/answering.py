"""Answering: the other end of the link, in the process that keeps the log open."""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import secrets
import selectors
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import pyarrow as pa

from voxledger.catalog import platform
from voxledger.catalog.duckdb_files import is_fault
from voxledger.catalog.errors import QueryError, VoxledgerError
from voxledger.catalog.events import new_id
from voxledger.catalog.log import link
from voxledger.catalog.log.reading import Reading
from voxledger.catalog.query.complaint import plain
from voxledger.catalog.query.guard import check

if TYPE_CHECKING:
    from voxledger.catalog.log.keeper import Keeper

_CALLERS = 64
"""Most calls at a time; another one waits for its turn."""
_GREETING = 2.0
"""Seconds for a caller to say who it is."""
_IDLE = 300.0
"""Seconds after which a caller that says nothing is let go: it keeps a moment of the log alive."""
_BEAT = 5.0
"""Seconds after which a caller that waits hears that we are alive."""
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def answering(keeper: Keeper, url: str = "") -> Iterator[link.Discovery]:
    """Answer calls until the block ends, and say in HOME where; also where the same process speaks HTTP, if it does."""
    instance, secret = new_id(), secrets.token_hex(32)
    with _Server(keeper, instance, secret) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="voxledger-link", daemon=True)
        thread.start()
        file = link.path(keeper.home)
        discovery = link.Discovery(
            pid=os.getpid(),
            started=platform.started(os.getpid()) or 0.0,
            port=server.server_address[1],
            instance=instance,
            secret=secret,
            url=url,
        )
        platform.write_atomic(file, msgspec.json.encode(discovery), mode=0o600)
        try:
            yield discovery
        finally:
            file.unlink(missing_ok=True)
            server.shutdown()
            thread.join(5.0)
            server.hang_up()


@dataclass
class _Waiting:
    """A caller that waits for an answer: how to tell it something, how to break off what it asked, when it last heard."""

    stream: link.Stream
    interrupt: Callable[[], None]
    heard: float


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False
    request_queue_size = 128
    """Callers that come at once. Of socketserver's own 5, one more would be heard only when its system tries again, after seconds."""

    def __init__(self, keeper: Keeper, instance: str, secret: str) -> None:
        self.keeper = keeper
        self.instance = instance
        self.secret = secret
        self.turns = threading.BoundedSemaphore(_CALLERS)
        self.calls: set[socket.socket] = set()
        self.waiting: dict[socket.socket, _Waiting] = {}
        self.speaking = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Call)

    def service_actions(self) -> None:
        """Many times a second: callers that wait hear that we are alive; where one has gone, nobody would read the answer."""
        with self.speaking:
            for call, waiting in self.waiting.items():
                if _is_gone(call):
                    waiting.interrupt()
                elif time.monotonic() - waiting.heard > _BEAT:
                    waiting.heard = time.monotonic()
                    with contextlib.suppress(OSError):
                        link.send(waiting.stream, link.BUSY)

    def hang_up(self) -> None:
        """End the calls that go on, so that nobody holds a moment of the log any more."""
        for call in tuple(self.calls):
            with contextlib.suppress(OSError):
                call.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  # socketserver's own names
        """One line, and no stack trace: it could hold what somebody asked."""
        kind = sys.exc_info()[0]
        _log.error("a call to the node failed (%s)", kind.__name__ if kind else "unknown")


class _Call(socketserver.StreamRequestHandler):
    server: _Server
    timeout = _IDLE
    disable_nagle_algorithm = True
    wbufsize = 1 << 16

    def setup(self) -> None:
        """Known to the server, so that it can hang up."""
        super().setup()
        self.server.calls.add(self.connection)

    def finish(self) -> None:
        """Over, one way or another."""
        self.server.calls.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        """One caller, from hello to the end of the connection."""
        stream = _Pair(self.rfile, self.wfile)
        with contextlib.suppress(OSError, EOFError, msgspec.DecodeError):
            self.connection.settimeout(_GREETING)
            hello = link.receive(stream)
            secret = str(hello.get("secret")).encode(errors="replace")
            if hello.get("op") != "hello" or not hmac.compare_digest(secret, self.server.secret.encode()):
                return
            self.connection.settimeout(_IDLE)
            # Only who is known gets a turn, so that no stranger can take them all.
            with self.server.turns, contextlib.ExitStack() as moment:
                link.send(stream, {"instance": self.server.instance})
                self._answer(stream, moment)

    def _answer(self, stream: link.Stream, moment: contextlib.ExitStack) -> None:
        reading: Reading | None = None
        while True:
            message = link.receive(stream)
            try:
                operation = message.get("op")
                if operation == "begin":
                    moment.close()
                    with self._attended(stream):
                        reading = moment.enter_context(
                            self.server.keeper.reading(
                                fresh=message["fresh"], patience=message["patience"], as_of=message["as_of"]
                            )
                        )
                    link.send(stream, {})
                elif operation == "ask":
                    if reading is None:
                        raise QueryError("nothing was begun")
                    with self._attended(stream, reading.interrupt):
                        table = _asked(reading, message)
                    link.send(stream, {})
                    with pa.ipc.new_stream(self.wfile, table.schema) as sink:
                        sink.write_table(table)
                    stream.flush()
                elif operation == "drain":
                    link.send(stream, {"position": self.server.keeper.drain(**_followed(stream, message))})
                elif operation == "rebuild":
                    link.send(stream, {"position": self.server.keeper.rebuild(**_followed(stream, message))})
                else:
                    return
            except VoxledgerError as error:
                link.send(stream, link.told(error))
            except duckdb.Error as error:
                reading = None
                link.send(stream, link.told(_mended(error, moment)))

    @contextlib.contextmanager
    def _attended(self, stream: link.Stream, interrupt: Callable[[], None] = lambda: None) -> Iterator[None]:
        """The caller waits for what is done in this block, which sends nothing to it."""
        with self.server.speaking:
            self.server.waiting[self.connection] = _Waiting(stream, interrupt, time.monotonic())
        try:
            yield
        finally:
            with self.server.speaking:
                del self.server.waiting[self.connection]


def _asked(reading: Reading, message: link.Message) -> pa.Table:
    """Only what is one SELECT on the documented relations is answered: the files are open for writing here."""
    check(message["query"])
    try:
        return reading.table(message["query"], message["parameters"])
    except duckdb.Error as error:
        if is_fault(error):
            raise
        raise QueryError(f"DuckDB refused the query: {plain(error)}") from None


def _is_gone(call: socket.socket) -> bool:
    """Whether the other side has closed the connection. While it waits for an answer it sends nothing."""
    with selectors.DefaultSelector() as selector:
        try:
            selector.register(call, selectors.EVENT_READ)
            return bool(selector.select(0)) and not call.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True


def _followed(stream: link.Stream, message: link.Message) -> dict[str, Any]:
    """How long work is to be done: with the caller's patience, and telling how far it is."""
    return {
        "patience": message["patience"],
        "progress": lambda done, end: link.send(stream, {"progress": (done, end)}),
    }


def _mended(error: duckdb.Error, moment: contextlib.ExitStack) -> VoxledgerError:
    """Let the reading end with this error, so that a damaged file is moved aside; gives what to tell."""
    try:
        with moment.pop_all():
            raise error
    except VoxledgerError as known:
        return known
    except duckdb.Error as unknown:
        return QueryError(f"DuckDB refused the query: {plain(unknown)}")


class _Pair:
    """A socket's two streams as one."""

    def __init__(self, source: BufferedIOBase, sink: BufferedIOBase) -> None:
        self._source = source
        self._sink = sink

    def read(self, size: int, /) -> bytes:
        """From one."""
        return self._source.read(size)

    def write(self, content: bytes, /) -> int:
        """To the other."""
        return self._sink.write(content)

    def flush(self) -> None:
        """At once."""
        self._sink.flush()
