"""The link: how a process asks the node that keeps the log open.

`node.json` in HOME (readable by its owner only) names the node's process, a port on loopback, and a secret. It is a hint:
who does not answer as the instance that it names is not the node, and then DuckDB's own lock decides. Messages are
MessagePack behind four bytes of length; tables follow as Arrow IPC streams.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeAlias

import msgspec
import pyarrow as pa

from voxledger.catalog import errors, platform
from voxledger.catalog.home import Home
from voxledger.catalog.progress import Counting

LARGEST = 16_000_000
"""Most bytes of one message; tables are not messages."""
_CONNECT = 2.0
"""Seconds for the node to take the call: it is on this machine."""
_LENGTH = struct.Struct(">I")
Message: TypeAlias = dict[str, Any]
BUSY: Message = {"busy": True}
"""What the node says now and then to a caller that waits for an answer."""


class Stream(Protocol):
    """Both directions of a connection."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, fewer at the end."""

    def write(self, content: bytes, /) -> int:
        """Take bytes over; they are sent with `flush` at the latest."""

    def flush(self) -> None:
        """Send what was written."""


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """What `node.json` says."""

    pid: int
    started: float
    port: int
    instance: str
    secret: str
    url: str = ""
    """Where its HTTP API answers; empty = it has none. The secret is a bearer token there: it opens what the owner of HOME may do."""


def path(home: Home) -> Path:
    """Where the node of a HOME says that it is."""
    return home.path / "node.json"


def found(home: Home) -> Discovery | None:
    """The node that runs on this HOME, as far as the file tells; None when its process is gone."""
    discovery = left(home)
    return discovery if discovery and platform.is_alive(discovery.pid, discovery.started) else None


def left(home: Home) -> Discovery | None:
    """What the file says, whether or not the process that it names still runs; None without one."""
    try:
        return msgspec.json.decode(path(home).read_bytes(), type=Discovery)
    except (OSError, msgspec.DecodeError):
        return None


def to_node(home: Home, patience: float) -> Link | None:
    """A link to the node that keeps this HOME's log open; None when there is none, or it does not answer as itself."""
    discovery = found(home)
    if discovery is None:
        return None
    try:
        return Link(discovery, patience)
    except (OSError, EOFError, msgspec.DecodeError, errors.CatalogBusy):
        return None


class Link:
    """One call to the node. Everything asked after `begin` is answered from one moment. Use it in a `with` block."""

    def __init__(self, discovery: Discovery, patience: float) -> None:
        self._pid = discovery.pid
        self._socket = socket.create_connection(("127.0.0.1", discovery.port), timeout=_CONNECT)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._stream = self._socket.makefile("rwb")
            self._greet(discovery)
        except BaseException:
            self._socket.close()
            raise
        self._socket.settimeout(max(patience, 1.0) + 60.0)

    def _greet(self, discovery: Discovery) -> None:
        welcome = self._call({"op": "hello", "secret": discovery.secret})
        if welcome.get("instance") != discovery.instance:
            raise ConnectionError("somebody else has this port")

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._stream.close()
        self._socket.close()

    def drain(self, patience: float, progress: Counting | None) -> int:
        """Have the node drain; gives the position reached."""
        return self._followed({"op": "drain", "patience": patience}, progress)

    def begin(self, *, fresh: bool, patience: float, as_of: datetime | None) -> None:
        """From here on, answers are of one moment."""
        self._asked({"op": "begin", "fresh": fresh, "patience": patience, "as_of": as_of})

    def ask(self, query: str, parameters: Mapping[str, Any] | Sequence[Any] | None) -> pa.Table:
        """The answer to one SELECT. Raises QueryError when it is none, or DuckDB refuses it."""
        values = (
            dict(parameters) if isinstance(parameters, Mapping) else None if parameters is None else list(parameters)
        )
        self._asked({"op": "ask", "query": query, "parameters": values})
        with self._translated():
            return pa.ipc.open_stream(self._stream).read_all()

    def rebuild(self, patience: float, progress: Counting | None) -> int:
        """Have the node rebuild its tables; gives the position reached."""
        return self._followed({"op": "rebuild", "patience": patience}, progress)

    def _followed(self, message: Message, progress: Counting | None) -> int:
        answer = self._asked(message)
        while "position" not in answer:
            if progress:
                progress(*answer["progress"])
            with self._translated():
                answer = _checked(receive(self._stream))
        return int(answer["position"])

    def _asked(self, message: Message) -> Message:
        with self._translated():
            return self._call(message)

    def _call(self, message: Message) -> Message:
        send(self._stream, message)
        while (answer := receive(self._stream)) == BUSY:
            pass  # a question takes as long as it takes; only a node that says nothing at all is given up
        return _checked(answer)

    @contextlib.contextmanager
    def _translated(self) -> Any:
        try:
            yield
        except (OSError, EOFError, pa.ArrowInvalid) as error:
            raise errors.CatalogBusy(
                f"the node (process {self._pid}) that keeps this HOME's log open did not answer ({error or 'it hung up'});"
                " see whether it still runs, and try again"
            ) from error


def send(stream: Stream, message: Message) -> None:
    """Write one message."""
    body = msgspec.msgpack.encode(message, enc_hook=str)
    stream.write(_LENGTH.pack(len(body)) + body)
    stream.flush()


def receive(stream: Stream) -> Message:
    """Read one message. Raises EOFError when the other side has hung up, msgspec.DecodeError for what is none."""
    length = stream.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        raise EOFError
    (size,) = _LENGTH.unpack(length)
    if size > LARGEST:
        raise msgspec.DecodeError(f"a message of {size} bytes is none of ours")
    body = stream.read(size)
    if len(body) < size:
        raise EOFError
    return msgspec.msgpack.decode(body, type=Message)


def told(error: errors.VoxledgerError) -> Message:
    """An error as a message."""
    return {"error": str(error), "kind": type(error).__name__, "position": getattr(error, "position", None)}


def _checked(message: Message) -> Message:
    """The message, or the error that it brings, raised as the kind it was over there."""
    if "error" not in message:
        return message
    kind = getattr(errors, str(message.get("kind")), errors.CatalogBusy)
    if not (isinstance(kind, type) and issubclass(kind, errors.VoxledgerError)):
        kind = errors.CatalogBusy
    raise (
        errors.LogCorrupt(message["error"], position=message.get("position"))
        if kind is errors.LogCorrupt
        else kind(message["error"])
    )
