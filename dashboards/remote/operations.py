"""What takes longer than a request on a node: begun, followed to its end, and given as the record that a ledger gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from voxledger.dashboards.faults import raised
from voxledger.dashboards.remote.connection import Connection

if TYPE_CHECKING:
    from voxledger.catalog.progress import Counting

_T = TypeVar("_T")
_WAIT = 2
"""Seconds that one request waits for the end; with progress to tell, it is asked so often."""


def done(
    connection: Connection,
    method: str,
    path: str,
    kind: type[_T],
    *,
    body: Any = None,
    params: Mapping[str, Any] | None = None,
    progress: Counting | None = None,
) -> _T:
    """What an operation gives, at its end. Raises what ended it."""
    told = connection.send(method, path, body, params={**(params or {}), "wait": _WAIT})
    while told["state"] == "running":
        if progress and told["total"]:
            progress(told["done"], told["total"])
        told = connection.get(f"/api/operations/{told['id']}", {"wait": _WAIT})
    if told["error"] is not None:
        raise raised(500, told)
    return msgspec.convert(told["result"], kind, strict=False)
