"""The question: what the node and a child of it say to each other. MessagePack behind four bytes of length."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

Format: TypeAlias = Literal["json", "csv", "arrow", "parquet"]
MEDIA: Mapping[Format, str] = MappingProxyType({
    "json": "application/json",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
})  # fmt: skip
"""The media types of answers."""
LENGTH = struct.Struct(">I")
LARGEST_HEAD = 1_000_000
"""Most bytes that a child says before the answer itself."""
ELSEWHERE = frozenset({"events", "batches", "epochs"})
"""Relations of the log, of which there is no snapshot."""
Failure: TypeAlias = Literal["query", "query_memory", "not_in_snapshot"]
_Message = TypeVar("_Message", bound=msgspec.Struct)


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is made for: one question to one snapshot, of so many seconds.

    `memory` (bytes) is for the query, twice `answer` beside it for the answer, which is held until it is complete.
    """

    snapshot: str
    memory: int
    answer: int
    seconds: float


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """It has the snapshot open, at this position."""

    position: int


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A query, and how much of its answer is wanted. `taken` is when the snapshot was (seconds since 1970), `age` how old it is (s)."""

    query: str
    parameters: dict[str, Any] | list[Any] | None
    format: Format
    rows: int
    bytes: int
    taken: float
    age: float


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What comes before an answer of so many `bytes`; with an `error` there is none."""

    error: str = ""
    failure: Failure = "query"
    place: tuple[int, int] | None = None
    """First character and length of what is wrong in the query, when that is known."""
    rows: int = 0
    bytes: int = 0
    truncated: bool = False
    took_us: int = 0


def packed(message: msgspec.Struct) -> bytes:
    """A message as it is sent. Raises OverflowError for a whole number of more than 64 bits, UnicodeEncodeError for text that is none."""
    body = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(body)) + body


def unpacked(body: bytes, kind: type[_Message]) -> _Message:
    """A message that came. Raises msgspec.DecodeError."""
    return msgspec.msgpack.decode(body, type=kind)
