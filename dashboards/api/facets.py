"""Facets: which values there are to filter by, and how many clips have each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from voxledger.catalog.queries import load
from voxledger.catalog.query.condition import explain
from voxledger.dashboards.api.answering import Unchanged, asked, position
from voxledger.dashboards.api.audio import Reader
from voxledger.dashboards.api.conditions import condition
from voxledger.dashboards.api.listing import Filters
from voxledger.dashboards.api.shapes import Shape, faults

if TYPE_CHECKING:
    from voxledger.catalog.log.reading import Reading
    from voxledger.dashboards.server.site import Site

Field_ = Literal["actor", "session", "emotion", "language", "voice", "engine", "format", "channel", "state", "tag"]
_SQL = load("facets.sql", "voxledger.dashboards.api")
_CONDITIONS = load("pages.sql", "voxledger.catalog.query")
_FIELDS: tuple[Field_, ...] = ("emotion", "language", "voice", "engine", "format", "state", "tag")


class Wanted(Filters):
    """Which values, of which clips."""

    field: list[Field_] = Field(list(_FIELDS), max_length=10, description="Of what; several times for several.")
    most: int = Field(20, ge=1, le=200, description="Values of each, the most frequent first.")


class Value(Shape):
    """A value and how many clips have it; null stands for none, of voices the engine's own."""

    value: str | None
    count: int


class Facets(Shape):
    """The values of each field among the clips that fit, and how many clips fit."""

    facets: dict[str, list[Value]]
    clips: int
    position: int | None


def router(site: Site) -> APIRouter:  # noqa: ARG001  # every room's router takes it
    """`/api/facets`."""
    routes = APIRouter(tags=["clips"])
    unchanged = Unchanged()

    @routes.get(
        "/api/facets",
        summary="Values to filter clips by, with counts",
        response_model=Facets,
        responses={304: {"description": "The client has it."}, **faults()},
    )
    def facets(request: Request, wanted: Annotated[Wanted, Query()], caller: Reader) -> Response:
        """Counts are of the clips that fit the filters, which are those of `/api/clips`."""
        question = wanted.model_dump_json()
        known = unchanged.answer(request, caller, question)
        if known is not None:
            return known
        certain = wanted.where is None and wanted.as_of is None and wanted.fresh
        head = caller.ledger.journal.head() if certain else None
        filters = {name: value for name, value in wanted.named(caller).items() if value is not None}
        where = condition(wanted.where, sees=caller.principal.sees)
        conditions = " AND ".join(
            ["true", *(_CONDITIONS[name] for name in filters), *([] if where is None else [f"(\n{where}\n)"])]
        )
        with asked(caller, fresh=wanted.fresh, as_of=wanted.moment(caller), explain=explain) as reading:
            found = {
                each: _values(reading, each, conditions, filters, wanted.most) for each in dict.fromkeys(wanted.field)
            }
            total = reading.tuples(_SQL["total"].format(conditions=conditions), filters)[0][0]
            place = position(reading)
        return unchanged.json({"facets": found, "clips": total}, request, caller, place, asked=question, head=head)

    return routes


def _values(
    reading: Reading, field: Field_, conditions: str, filters: dict[str, Any], most: int
) -> list[dict[str, Any]]:
    query = _SQL["tags" if field == "tag" else "values"].format(column=field, conditions=conditions)
    return reading.rows(query, {**filters, "_most": most})
