"""SQL: one SELECT over the documented relations, answered from a snapshot; and queries that are saved under a name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from voxledger.catalog.query.parameters import parameters_of
from voxledger.dashboards.api.shapes import Shape, faults
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.observing.work import of_sql
from voxledger.dashboards.server.callers import Caller, may
from voxledger.dashboards.server.departing import while_there
from voxledger.dashboards.sql.pace import Pace
from voxledger.dashboards.sql.question import MEDIA, Format
from voxledger.dashboards.sql.saved import LARGEST, Queries, Saved
from voxledger.dashboards.sql.service import Answer, Service

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from voxledger.dashboards.server.site import Site

Analyst = Annotated[Caller, Depends(may("sql"))]
Name = Annotated[
    str, Path(description="Small letters, digits, hyphens and underscores.", examples=["clips-by-emotion"])
]
Value = bool | int | float | str | None | list[bool | int | float | str | None]
_EXAMPLE = "SELECT emotion, count(*) AS clips FROM clips WHERE language = $language GROUP BY ALL ORDER BY clips DESC"
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


class Asked(Wanted):
    """A query."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"query": _EXAMPLE, "params": {"language": "en"}, "format": "json"}]},
    )

    query: str = Field(min_length=1, max_length=1_000_000, description="Exactly one SELECT in DuckDB's dialect.")


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


class SqlShape(Shape):
    """What there is to be asked, and within which limits."""

    off: str | None
    rows: int
    bytes: int
    time_s: float
    memory: int
    refresh_s: float
    position: int | None
    age_s: float | None


class ListedShape(Shape):
    """A saved query without its text; `mine` when the caller saved it, and so may change or delete it."""

    name: str
    description: str | None
    parameters: list[str]
    saved: datetime
    mine: bool


class SavedShape(ListedShape):
    """A saved query."""

    query: str


class SavedList(Shape):
    """All saved queries, without their texts."""

    queries: list[ListedShape]


class Saving(BaseModel):
    """A query to save. The comment that it begins with is its description."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"query": f"-- Clips by emotion\n{_EXAMPLE}"}]}
    )

    query: str = Field(min_length=1, max_length=LARGEST, description="At most 100 kB.")


_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer. `X-Voxledger-Position`, `-Snapshot-Age` (s), `-Rows`, `-Truncated` and `-Took` (ms) say the same for"
        " every format.",
        "model": AnswerShape,
        "content": {media: {} for media in MEDIA.values()},
    },
    501: {"description": "The service is off, and why."},
}  # fmt: skip


def router(site: Site) -> APIRouter:
    """`/api/sql` and `/api/queries`."""
    routes = APIRouter(tags=["sql"])
    service, queries = Service(site.door), Queries(site.door.home)
    site.at_start(service.clear)
    site.at_stop(service.stop)
    site.observatory.tells(partial(of_sql, service))

    async def answered(request: Request, query: str, wanted: Wanted, caller: Caller) -> Response:
        chosen = wanted.format or _accepted(request.headers.get("accept", ""))
        asking = service.ask(
            query, principal=caller.principal.id, parameters=wanted.params or None, format=chosen, rows=wanted.rows
        )
        return await _sent(await while_there(request, asking), chosen)

    @routes.post("/api/sql", summary="Ask one SELECT", responses={**_ANSWERS, **faults(507)}, response_class=Response)
    async def ask(request: Request, asked: Asked, caller: Analyst) -> Response:
        """Answered from a snapshot of the tables by a process of its own, within the limits that `GET /api/sql` names. The relations are
        those of docs/sql.md but for `events`, `batches` and `epochs`, which are the log's own.
        """
        return await answered(request, asked.query, asked, caller)

    @routes.get("/api/sql", summary="The limits of SQL, and the snapshot", responses=faults())
    def limits(caller: Analyst) -> SqlShape:
        """Without a snapshot nobody has asked yet; then the first question waits for one."""
        settings, latest = caller.site.settings.sql, None if service.off else service.latest()
        return SqlShape(
            off=service.off, rows=settings.rows, bytes=settings.bytes, time_s=settings.time, memory=settings.memory,
            refresh_s=settings.refresh, position=latest.snapshot.position if latest else None, age_s=latest.age if latest else None,
        )  # fmt: skip

    @routes.get("/api/queries", summary="The saved queries", responses=faults())
    def all_queries(caller: Analyst) -> SavedList:
        """They lie in `queries/` of HOME, a file each. `GET /api/queries/{name}` has the text."""
        actor = _actor(caller)
        return SavedList(queries=[ListedShape(**_listed(saved, actor)) for saved in queries.all()])

    @routes.get("/api/queries/{name}", summary="A saved query", responses=faults(404))
    def one_query(name: Name, caller: Analyst) -> SavedShape:
        """Its text, and the names that it leaves open."""
        return _shape(queries.get(name), caller)

    @routes.put("/api/queries/{name}", summary="Save a query", responses=faults(404, 507))
    def save(name: Name, saving: Saving, caller: Analyst) -> SavedShape:
        """In the place of the one of this name, if the caller saved that or is an admin."""
        if queries.has(name):
            _require_owner(queries.get(name), caller)
        return _shape(queries.put(name, saving.query, owner=_actor(caller)), caller)

    @routes.delete("/api/queries/{name}", summary="Delete a saved query", status_code=204, responses=faults(404))
    def delete(name: Name, caller: Analyst) -> None:
        """Who saved it, or an admin."""
        _require_owner(queries.get(name), caller)
        queries.delete(name)

    @routes.get(
        "/api/queries/{name}/answer", summary="Ask a saved query", responses={**_ANSWERS, **faults(404, 507)}, response_class=Response
    )  # fmt: skip
    async def ask_saved(
        request: Request,
        name: Name,
        caller: Analyst,
        format: Format | None = None,
        rows: Annotated[int | None, Query(ge=0, le=2**31)] = None,
        param: Annotated[
            list[str] | None, Query(description="`name=value`, once for each name that it leaves open.")
        ] = None,
    ) -> Response:
        """For links and spreadsheets. A value that reads as a number, true, false or null is one."""
        wanted = Wanted(params=dict(parameters_of(param or [], option="param")), format=format, rows=rows)
        return await answered(request, queries.get(name).query, wanted, caller)

    @routes.post(
        "/api/queries/{name}/answer", summary="Ask a saved query with parameters", responses={**_ANSWERS, **faults(404, 507)},
        response_class=Response,
    )  # fmt: skip
    async def ask_saved_with(request: Request, name: Name, wanted: Wanted, caller: Analyst) -> Response:
        """The same with values in the body."""
        return await answered(request, queries.get(name).query, wanted, caller)

    return routes


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


def _shape(saved: Saved, caller: Caller) -> SavedShape:
    return SavedShape(**_listed(saved, _actor(caller)), query=saved.query)


def _listed(saved: Saved, actor: str) -> dict[str, Any]:
    return {
        "name": saved.name, "description": saved.description, "parameters": list(saved.parameters),
        "saved": saved.saved.astimezone(UTC), "mine": saved.owner == actor,
    }  # fmt: skip


def _actor(caller: Caller) -> str:
    return caller.site.door.vault.actor(caller.principal.name).id


def _require_owner(saved: Saved, caller: Caller) -> None:
    if caller.principal.role != "admin" and saved.owner != _actor(caller):
        raise Refused(
            f"the query {saved.name} was saved by somebody else",
            status=403,
            code="owner",
            remedy="Save it under another name, or ask an admin.",
        )
