"""SQL: one SELECT over the documented relations, answered from a snapshot; what may be named in it, and its limits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from voxledger.dashboards.api import answering
from voxledger.dashboards.api.shapes import Shape, faults
from voxledger.dashboards.api.sql_answer import ANSWERS, OFF, Wanted, answered
from voxledger.dashboards.observing.work import of_sql
from voxledger.dashboards.server.callers import Caller, may
from voxledger.dashboards.sql.schema import Schema

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

Analyst = Annotated[Caller, Depends(may("sql"))]
_EXAMPLE = "SELECT emotion, count(*) AS clips FROM clips WHERE language = $language GROUP BY ALL ORDER BY clips DESC"


class Asked(Wanted):
    """A query."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"query": _EXAMPLE, "params": {"language": "en"}, "format": "json"}]},
    )

    query: str = Field(min_length=1, max_length=1_000_000, description="Exactly one SELECT in DuckDB's dialect.")


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


class DescribedColumn(Shape):
    """A column of a relation, with DuckDB's type."""

    name: str
    type: str
    description: str | None


class DescribedRelation(Shape):
    """A relation that a query may name."""

    name: str
    description: str | None
    columns: list[DescribedColumn]


class DescribedFunction(Shape):
    """A function that a query may call, with what its parameters are called where it is called with the fewest."""

    name: str
    kind: Literal["scalar", "aggregate", "window", "table"]
    parameters: list[str]
    description: str | None


class SchemaShape(Shape):
    """What a query may name."""

    relations: list[DescribedRelation]
    functions: list[DescribedFunction]


def router(site: Site) -> APIRouter:
    """`/api/sql`."""
    routes = APIRouter(tags=["sql"])
    site.at_start(site.sql.clear)
    site.at_stop(site.sql.stop)
    site.observatory.tells(partial(of_sql, site.sql))
    schema: list[SchemaShape] = []

    @routes.post("/api/sql", summary="Ask one SELECT", responses={**ANSWERS, **faults(507)}, response_class=Response)
    async def ask(request: Request, asked: Asked, caller: Analyst) -> Response:
        """Answered from a snapshot of the tables by a process of its own, within the limits that `GET /api/sql` names. The relations are
        those of docs/sql.md but for `events`, `batches` and `epochs`, which are the log's own.
        """
        return await answered(request, asked.query, asked, caller)

    @routes.get("/api/sql", summary="The limits of SQL, and the snapshot", responses=faults())
    def limits(caller: Analyst) -> SqlShape:
        """Without a snapshot nobody has asked yet; then the first question waits for one."""
        return stood(caller.site)

    @routes.post("/api/sql/snapshot", summary="Renew the snapshot", responses={501: OFF, **faults(507)})
    def renew(caller: Analyst) -> SqlShape:
        """For who cannot wait until `refresh_s` are over. When nothing has been recorded since, the one that is there is good."""
        caller.site.sql.renewed()
        return stood(caller.site)

    @routes.get(
        "/api/sql/schema", summary="Relations and functions", responses={200: {"model": SchemaShape}, **faults()},
        response_class=Response,
    )  # fmt: skip
    def described(request: Request, caller: Analyst) -> Response:
        """What a query may name, each with its comment: for editors that complete it. It changes with the node's version only."""
        if not schema:
            with answering.asked(caller, fresh=False) as reading:
                schema.append(_described(Schema.of(reading)))
        return answering.json(schema[0].model_dump(), request, caller)

    return routes


def stood(site: Site) -> SqlShape:
    """The limits and the snapshot as they are now."""
    settings, latest = site.settings.sql, None if site.sql.off else site.sql.latest()
    return SqlShape(
        off=site.sql.off, rows=settings.rows, bytes=settings.bytes, time_s=settings.time, memory=settings.memory,
        refresh_s=settings.refresh, position=latest.snapshot.position if latest else None, age_s=latest.age if latest else None,
    )  # fmt: skip


def _described(schema: Schema) -> SchemaShape:
    return SchemaShape.model_validate({
        "relations": [
            {
                "name": relation.name, "description": relation.comment,
                "columns": [{"name": name, "type": kind, "description": told} for name, kind, told in relation.columns],
            }
            for relation in schema.relations
        ],
        "functions": [function._asdict() for function in schema.functions],
    })  # fmt: skip
