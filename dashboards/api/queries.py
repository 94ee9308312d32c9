"""Queries that are saved under a name, for all who may ask SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from voxledger.catalog.query.parameters import parameters_of
from voxledger.dashboards.api.shapes import Shape, faults
from voxledger.dashboards.api.sql_answer import ANSWERS, Wanted, answered
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.server.callers import Caller, may
from voxledger.dashboards.sql.question import Format
from voxledger.dashboards.sql.saved import LARGEST, Saved

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

Analyst = Annotated[Caller, Depends(may("sql"))]
Name = Annotated[
    str, Path(description="Small letters, digits, hyphens and underscores.", examples=["clips-by-emotion"])
]
_EXAMPLE = "-- Clips by emotion\nSELECT emotion, count(*) AS clips FROM clips WHERE language = $language GROUP BY ALL"


class ListedShape(Shape):
    """A saved query without its text; `mine` when the caller saved it, and so may change or delete it."""

    name: str
    description: str | None
    parameters: list[str]
    saved: datetime
    mine: bool
    by: str | None = Field(
        None, description="Who saved it; null for nobody who is known: erased, or a file written by hand."
    )


class SavedShape(ListedShape):
    """A saved query."""

    query: str


class SavedList(Shape):
    """All saved queries, without their texts."""

    queries: list[ListedShape]


class Saving(BaseModel):
    """A query to save. The comment that it begins with is its description."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"query": _EXAMPLE}]})

    query: str = Field(min_length=1, max_length=LARGEST, description="At most 100 kB.")


class Renaming(BaseModel):
    """Another name for a saved query."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "clips-by-emotion"}]})

    name: str = Field(min_length=1, max_length=64, description="Small letters, digits, hyphens and underscores.")


def router(site: Site) -> APIRouter:
    """`/api/queries`."""
    routes = APIRouter(tags=["sql"])

    @routes.get("/api/queries", summary="The saved queries", responses=faults())
    def all_queries(caller: Analyst) -> SavedList:
        """They lie in `queries/` of HOME, a file each. `GET /api/queries/{name}` has the text."""
        actor = _actor(caller)
        return SavedList(queries=[ListedShape(**listed(saved, caller, actor)) for saved in site.queries.all()])

    @routes.get("/api/queries/{name}", summary="A saved query", responses=faults(404))
    def one_query(name: Name, caller: Analyst) -> SavedShape:
        """Its text, and the names that it leaves open."""
        return _shape(site.queries.get(name), caller)

    @routes.put("/api/queries/{name}", summary="Save a query", responses=faults(404, 507))
    def save(name: Name, saving: Saving, caller: Analyst) -> SavedShape:
        """In the place of the one of this name, if the caller saved that or is an admin."""
        if site.queries.has(name):
            _require_owner(site.queries.get(name), caller)
        return _shape(site.queries.put(name, saving.query, owner=_actor(caller)), caller)

    @routes.patch("/api/queries/{name}", summary="Rename a saved query", responses=faults(404, 409))
    def rename(name: Name, renaming: Renaming, caller: Analyst) -> SavedShape:
        """Who saved it, or an admin."""
        _require_owner(site.queries.get(name), caller)
        return _shape(site.queries.rename(name, renaming.name), caller)

    @routes.delete("/api/queries/{name}", summary="Delete a saved query", status_code=204, responses=faults(404))
    def delete(name: Name, caller: Analyst) -> None:
        """Who saved it, or an admin."""
        _require_owner(site.queries.get(name), caller)
        site.queries.delete(name)

    @routes.get(
        "/api/queries/{name}/answer", summary="Ask a saved query", responses={**ANSWERS, **faults(404, 507)}, response_class=Response
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
        return await answered(request, site.queries.get(name).query, wanted, caller)

    @routes.post(
        "/api/queries/{name}/answer", summary="Ask a saved query with parameters", responses={**ANSWERS, **faults(404, 507)},
        response_class=Response,
    )  # fmt: skip
    async def ask_saved_with(request: Request, name: Name, wanted: Wanted, caller: Analyst) -> Response:
        """The same with values in the body."""
        return await answered(request, site.queries.get(name).query, wanted, caller)

    return routes


def _shape(saved: Saved, caller: Caller) -> SavedShape:
    return SavedShape(**listed(saved, caller, _actor(caller)), query=saved.query)


def listed(saved: Saved, caller: Caller, actor: str) -> dict[str, Any]:
    """What the list of all tells of one; `actor` is the opaque id of the caller."""
    owner = caller.site.door.vault.key(saved.owner) if saved.owner else None
    return {
        "name": saved.name, "description": saved.description, "parameters": list(saved.parameters),
        "saved": saved.saved.astimezone(UTC), "mine": saved.owner == actor, "by": owner.label if owner else None,
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
