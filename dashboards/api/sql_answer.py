"""An answer to SQL, as it is asked for and sent."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from voxledger.dashboards.api.shapes import Shape
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.server.callers import Caller
from voxledger.dashboards.server.departing import while_there
from voxledger.dashboards.sql.pace import Pace
from voxledger.dashboards.sql.question import MEDIA, Format
from voxledger.dashboards.sql.service import Answer

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

Value = bool | int | float | str | None | list[bool | int | float | str | None]
_log = logging.getLogger(__name__)


class Wanted(BaseModel):
    """How an answer is wanted."""

    model_config = ConfigDict(extra="forbid")

    params: dict[str, Value] | list[Value] | None = Field(
        None, description="Values for `$name` by name, or for `?` in order."
    )
    format: Format | None = Field(
        None, description="Instead of what the header `Accept` says; JSON where neither says anything."
    )
    rows: int | None = Field(None, ge=0, le=2**31, description="Most rows; `sql.rows` is the limit of all.")


class ColumnShape(Shape):
    """A column of an answer, with DuckDB's type."""

    name: str
    type: str


class SnapshotShape(Shape):
    """The snapshot that was asked: everything recorded before `taken` is in it, and nothing was missing `age_s` seconds ago."""

    taken: datetime
    age_s: float


class AnswerShape(Shape):
    """An answer as JSON: `truncated` when rows were left off. Decimals and intervals are text, bytes base64."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "columns": [{"name": "emotion", "type": "VARCHAR"}, {"name": "clips", "type": "BIGINT"}],
                    "rows": [["happy", 412], ["sad", 31]],
                    "row_count": 2,
                    "truncated": False,
                    "position": 4711,
                    "snapshot": {"taken": "2026-11-26T12:00:00Z", "age_s": 12.4},
                    "took_ms": 8.1,
                }
            ]
        }
    )

    columns: list[ColumnShape]
    rows: list[list[Any]]
    row_count: int
    truncated: bool
    position: int
    snapshot: SnapshotShape
    took_ms: float


OFF: dict[str, Any] = {"description": "The service is off, and why."}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer. `X-Voxledger-Position`, `-Snapshot-Age` (s), `-Rows`, `-Truncated` and `-Took` (ms) say the same for"
        " every format.",
        "model": AnswerShape,
        "content": {media: {} for media in MEDIA.values()},
    },
    501: OFF,
}  # fmt: skip


async def answered(request: Request, query: str, wanted: Wanted, caller: Caller) -> Response:
    """The answer to one SELECT, sent as it is taken. The question ends when the client goes away. Raises what `Service.ask` does."""
    chosen = wanted.format or _accepted(request.headers.get("accept", ""))
    asking = caller.site.sql.ask(
        query, principal=caller.principal.id, parameters=wanted.params or None, format=chosen, rows=wanted.rows
    )
    return await _sent(await while_there(request, asking), chosen)


class _Sending(Response):
    """Sends an answer piece by piece from the process that holds it, and lets the process go whatever happens."""

    def __init__(self, answer: Answer, headers: Mapping[str, str]) -> None:
        super().__init__(None, 200, {**headers, "Content-Length": str(answer.head.bytes)})
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  # of ASGI
        """Of ASGI."""
        try:
            async with Pace() as pace:
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                async for part in self._answer.parts():
                    await send({"type": "http.response.body", "body": part, "more_body": True})
                    pace.took(len(part))
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (TimeoutError, Refused):
            _log.info("an answer to SQL broke off: it was taken too slowly, or its process ended")
        finally:
            await self._answer.close()


async def _sent(answer: Answer, format: Format) -> Response:
    head = answer.head
    headers = {
        "Content-Type": MEDIA[format] + ("; charset=utf-8" if format == "csv" else ""),
        "X-Voxledger-Position": str(answer.position),
        "X-Voxledger-Snapshot-Age": f"{answer.age:.3f}",
        "X-Voxledger-Rows": str(head.rows),
        "X-Voxledger-Truncated": "true" if head.truncated else "false",
        "X-Voxledger-Took": f"{head.took_us / 1000:.3f}",
        "Cache-Control": "no-store",
    }
    return _Sending(answer, headers)


def _accepted(header: str) -> Format:
    """The first format that a client names, whatever weights it gives."""
    named = [part.partition(";")[0].strip().lower() for part in header.split(",")]
    return next((kind for name in named for kind, media in MEDIA.items() if media == name), "json")
