"""Status: what is there, what waits and why, and what the node does by itself."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from voxledger.catalog.events import now
from voxledger.dashboards.api.answering import json
from voxledger.dashboards.api.shapes import Shape, faults
from voxledger.dashboards.schedule import schedule
from voxledger.dashboards.server.callers import Caller, may

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site


class StatusShape(Shape):
    """The state of a HOME at one moment: totals of its clips, what waits and since when. Times are seconds since 1970."""

    home: str
    node: str
    serving: dict[str, Any] | None
    head: int
    clips: int
    duration_us: int
    bytes: int
    stored: int
    missing: int
    pinned: int
    marked: int
    purged: int
    unstored_bytes: int
    uploading: list[dict[str, Any]]
    cache: dict[str, Any] | None
    cache_limit: int
    erasures: int
    tasks: list[dict[str, Any]]
    parked: list[dict[str, Any]]
    subscriptions: list[dict[str, Any]]
    quarantined: int
    reports: list[dict[str, Any]]
    free_disk: int
    min_free_disk: int
    retention: dict[str, Any] | None
    elsewhere: dict[str, Any] | None


class JobShape(Shape):
    """What the node does by itself: when it did last, how that ended, and when it does again."""

    name: str
    what: str
    when: str
    last: datetime | None
    last_of: str
    ended: str
    next: datetime | None
    why: str


class ScheduleShape(Shape):
    """All of it."""

    serving: bool
    jobs: list[JobShape]
    notes: list[str]


def router(site: Site) -> APIRouter:  # noqa: ARG001  # every room's router takes it
    """`/api/status` and `/api/schedule`."""
    routes = APIRouter(tags=["status"])

    @routes.get("/api/status", summary="How the node stands", response_model=StatusShape, responses=faults())
    def show_status(request: Request, caller: Annotated[Caller, Depends(may("usage"))]) -> Response:
        """What `voxledger status` shows."""
        return json(msgspec.to_builtins(caller.ledger.status(), enc_hook=str), request, caller)

    @routes.get(
        "/api/schedule", summary="What the node does by itself", response_model=ScheduleShape, responses=faults()
    )
    def show_schedule(request: Request, caller: Annotated[Caller, Depends(may("usage"))]) -> Response:
        """When each of its jobs ran last, how it ended, and when it runs next."""
        return json(schedule(caller.ledger, now()).as_dict(), request, caller)

    return routes
