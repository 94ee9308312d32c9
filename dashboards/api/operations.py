"""Operations: what takes longer than a request, followed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import ConfigDict, Field

from voxledger.dashboards.api.shapes import Problem, Shape, faults
from voxledger.dashboards.observing.work import of_operations
from voxledger.dashboards.operations import Kind, Operation, Work
from voxledger.dashboards.server.answers import JSON
from voxledger.dashboards.server.callers import Caller, may

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

_encode = msgspec.json.Encoder().encode
LONGEST = 60.0
"""Seconds that a request waits at most."""
Wait = Annotated[
    float,
    Query(ge=0, le=LONGEST, description="Seconds to wait for its end; a longer one is followed at /api/operations."),
]
OPERATION: Mapping[str, Any] = {
    "id": "5c1e09ab77d2", "kind": "apply", "by": "ann", "began": "2026-11-23T02:00:00Z", "state": "done",
    "ended": "2026-11-23T02:00:04Z", "done": 12, "total": 12, "result": {"plan": "3f9c2e10aa51b7d4", "marked": 120, "purged": 12},
    "error": None,
}  # fmt: skip


class OperationShape(Shape):
    """How an operation stands. `result` is there once it is done, `error` once it has failed."""

    model_config = ConfigDict(json_schema_extra={"examples": [dict(OPERATION)]})

    id: str
    kind: Kind
    by: str = Field(description="In whose name.")
    began: datetime
    state: Literal["running", "done", "failed"]
    ended: datetime | None
    done: int = Field(description="How far it has come.")
    total: int | None
    result: dict[str, Any] | None
    error: Problem | None


class OperationList(Shape):
    """Those that run, and the last ones that ended, the newest first."""

    operations: list[OperationShape]


RUNS: dict[int | str, dict[str, Any]] = {
    202: {
        "model": OperationShape,
        "description": "It goes on; `Location` leads to it.",
        "headers": {"Location": {"schema": {"type": "string"}, "description": "Where it is followed."}},
    }
}
"""What a route that begins an operation may answer besides."""


async def begun(caller: Caller, kind: Kind, work: Work, wait: float) -> Response:
    """Begin an operation, and answer at its end or after `wait` seconds. Raises what ended it."""
    operations = caller.site.operations
    identity = operations.begin(kind, work, by=caller.principal.name)
    return answered(await operations.ended(identity, wait))


def answered(operation: Operation) -> Response:
    """The answer that tells how it stands."""
    running = operation.state == "running"
    headers = {"Location": f"/api/operations/{operation.id}"} if running else {}
    return Response(_encode(operation), 202 if running else 200, headers, JSON)


def router(site: Site) -> APIRouter:
    """`/api/operations`."""
    routes = APIRouter(tags=["operations"])
    site.observatory.tells(partial(of_operations, site.operations))

    @routes.get(
        "/api/operations", summary="What runs, and what ended lately", response_model=OperationList, responses=faults()
    )
    def list_operations(caller: Annotated[Caller, Depends(may("usage"))]) -> Response:  # noqa: ARG001  # who may
        """Applying a plan, undoing it, restoring, holds, backtests, and sending reports."""
        return Response(_encode({"operations": site.operations.all()}), media_type=JSON)

    @routes.get(
        "/api/operations/{operation}",
        summary="How an operation stands",
        response_model=OperationShape,
        responses=faults(404),
    )
    async def show_operation(
        operation: Annotated[str, Path(max_length=40, examples=["5c1e09ab77d2"])],
        caller: Annotated[Caller, Depends(may("usage"))],  # noqa: ARG001  # who may
        wait: Wait = 0,
    ) -> Response:
        """With `wait` it answers at its end. What ended it stands in `error`."""
        return Response(_encode(await site.operations.standing(operation, wait)), media_type=JSON)

    return routes
