"""Request ids: what one request is called in its answer, in the log, and in whatever it makes happen elsewhere."""

from __future__ import annotations

import re
from contextvars import ContextVar

from voxledger.catalog.events import new_id

HEADER = b"x-request-id"
_WELL_FORMED = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:+/=@-]{0,127}")

CURRENT: ContextVar[str] = ContextVar("voxledger_request_id", default="")
"""The id of the request that this task, or this thread of it, works on; "" outside of one."""


def request_id(given: bytes | None) -> str:
    """The id that a client or a proxy has given, if it is well formed; else a new one."""
    if given is not None and _WELL_FORMED.fullmatch(given):
        return given.decode("ascii")
    return new_id()
