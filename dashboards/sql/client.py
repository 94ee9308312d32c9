"""The client: asks the node that serves a HOME on this machine, as the owner of that."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from voxledger.catalog.commands.sql import Served, Unserved
from voxledger.catalog.log import link
from voxledger.catalog.query.result import Result
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.remote.connection import Connection, NodeUnreachable
from voxledger.dashboards.sql.question import MEDIA

if TYPE_CHECKING:
    from voxledger.catalog.home import Home
    from voxledger.catalog.query.parameters import Value

_ELSEWHERE = frozenset({"sql_off", "not_in_snapshot"})
"""What the node will not answer, and the log itself does."""


def ask(home: Home, query: str, parameters: Mapping[str, Value]) -> Served | Unserved:
    """The node's answer to one SELECT. Raises QueryError, and Refused when a limit was met."""
    import pyarrow as pa

    discovery = link.found(home)
    if discovery is None or not discovery.url:
        return Unserved()
    body = {"query": query, "params": parameters}
    try:
        with (
            contextlib.closing(Connection(discovery.url, discovery.secret)) as connection,
            connection.answer("POST", "/api/sql", body=body, headers={"Accept": MEDIA["arrow"]}, safe=True) as answer,
        ):
            heads = answer.headers
            return Served(
                Result(pa.ipc.open_stream(io.BytesIO(answer.content)).read_all()),
                int(heads["X-Voxledger-Position"]),
                float(heads["X-Voxledger-Snapshot-Age"]),
                heads["X-Voxledger-Truncated"] == "true",
            )
    except NodeUnreachable as error:
        return Unserved(str(error))
    except Refused as refused:
        if refused.code in _ELSEWHERE:
            return Unserved(str(refused))
        raise
