"""A place in an ordered list of clips: where a page ended, as the token that asks for the next one."""

from __future__ import annotations

import base64
import binascii
import math
import uuid
import zlib
from typing import Any, NamedTuple

import msgspec

from voxledger.catalog.errors import QueryError

_VERSION = "p"
"""The first letter of a token; it also keeps tokens from starting with a hyphen."""
_CHECK = 4


class Place(NamedTuple):
    """The last clip of a page: the order it was listed in, its value in that order (None = NULL), and its id.

    Times are microseconds since 1970.
    """

    order: str
    value: str | int | float | None
    id: str

    def token(self) -> str:
        """Opaque, safe in URLs and shells, and about 50 characters long where the value is a number."""
        body = msgspec.msgpack.encode((self.order, self.value, uuid.UUID(self.id).bytes))
        checked = zlib.crc32(body).to_bytes(_CHECK, "big") + body
        return _VERSION + base64.urlsafe_b64encode(checked).decode().rstrip("=")


def read(token: str, *, order: str) -> Place:
    """The place that a token stands for. Raises QueryError for one of another order, and for what is no token."""
    place = _unpacked(token)
    if place is None:
        raise QueryError(
            f"{token[:80]!r} is no token of a page; take `next` of the page before, or leave it out for the first page"
        )
    if place.order != order:
        raise QueryError(
            f"this token belongs to a list ordered by {place.order}, not by {order}; start with the first page"
        )
    return place


def _unpacked(token: str) -> Place | None:
    try:
        packed = token.removeprefix(_VERSION).encode("ascii")
        checked = base64.b64decode(packed + b"=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        check, body = checked[:_CHECK], checked[_CHECK:]
        order, value, identity = msgspec.msgpack.decode(body, type=tuple[str, str | int | float | None, bytes])
        place = Place(order, value, str(uuid.UUID(bytes=identity)))
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        return None
    whole = token.startswith(_VERSION) and zlib.crc32(body).to_bytes(_CHECK, "big") == check
    return place if whole else None


def plain(value: Any) -> str | int | float | None:
    """A value as a token holds it."""
    assert value is None or isinstance(value, str | int) or math.isfinite(value)
    kept: str | int | float | None = value
    return kept
