"""Holds: clips that people keep, for a reason, until a day or for good."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from voxledger.catalog.query.moment import end_of
from voxledger.dashboards.api.answering import json
from voxledger.dashboards.api.conditions import LONGEST, condition
from voxledger.dashboards.api.operations import RUNS, OperationShape, Wait, begun
from voxledger.dashboards.api.retention import MOST, cut
from voxledger.dashboards.api.shapes import ID, Shape, faults
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.operations import Work
from voxledger.dashboards.server.callers import Caller, may

if TYPE_CHECKING:
    from voxledger.catalog.progress import Counting
    from voxledger.catalog.retention import Retention
    from voxledger.catalog.retention.holds import Deed
    from voxledger.dashboards.server.site import Site

_HOLD: Mapping[str, Any] = {
    "id": "5c1e09ab77d2", "kind": "ordinary", "reason": "the trailer is not out yet", "owner": "ann",
    "placed": "2026-11-23T09:00:00Z", "until": "2027-01-01T00:00:00Z", "review": None, "clips": 12, "standing": 12, "gone": 0,
    "state": "open", "released": None, "release_reason": None, "overdue": False, "late": [],
}  # fmt: skip
_Reason = Annotated[str, Field(min_length=1, max_length=2000)]
_Moment = Annotated[str, Field(max_length=100)]
_Identity = Annotated[str, Path(alias="hold", max_length=40, examples=["5c1e09ab77d2"])]


class HoldShape(Shape):
    """A hold as it stands: `standing` of its `clips` are kept by it, `gone` ones have no audio any more."""

    model_config = ConfigDict(json_schema_extra={"examples": [dict(_HOLD)]})

    id: str
    kind: Literal["ordinary", "legal"]
    reason: str | None
    owner: str | None
    placed: datetime
    until: datetime | None
    review: datetime | None
    clips: int
    standing: int
    gone: int
    state: Literal["open", "ended", "released"]
    released: datetime | None
    release_reason: str | None
    overdue: bool
    late: list[str]


class HoldList(Shape):
    """Holds, the oldest first."""

    holds: list[HoldShape]


class Placing(BaseModel):
    """Clips that are to be kept: those named, those that a plan has marked, those that fit a condition."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"clips": [ID[-8:]], "reason": "not out yet", "until": "30d"}]}
    )

    clips: list[Annotated[str, Field(max_length=36)]] = Field(default_factory=list, max_length=MOST)
    plan: str | None = Field(None, max_length=40)
    where: str | None = Field(None, max_length=LONGEST, description="A condition over the columns of `clips`.")
    reason: _Reason
    until: _Moment | None = Field(None, description="When an ordinary one ends by itself: `30d`, `2027-01-01`.")
    legal: bool = Field(False, description="Stands against erasure, too; only an admin places one.")
    review: _Moment | None = Field(None, description="When somebody has to look at a legal one again.")


class Renewing(BaseModel):
    """Another end of a hold, or another day of review."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"until": "60d"}]})

    until: _Moment | None = None
    review: _Moment | None = None
    reason: _Reason | None = None


def router(site: Site) -> APIRouter:  # noqa: ARG001  # every room's router takes it
    """`/api/holds`."""
    routes = APIRouter(tags=["retention"])
    running: dict[int | str, dict[str, Any]] = {**RUNS, **faults(404, 409, 507)}

    @routes.get("/api/holds", summary="Holds", response_model=HoldList, responses=faults(409))
    def list_holds(
        request: Request,
        caller: Annotated[Caller, Depends(may("usage"))],
        every: Annotated[bool, Query(description="Also those that have ended or were released.")] = False,
        due: Annotated[bool, Query(description="Only legal ones that somebody should have looked at again.")] = False,
    ) -> Response:
        """Those that keep clips at present, the oldest first."""
        found = caller.ledger.retention.holds(every=every, due=due)
        return json({"holds": [hold.as_dict() for hold in found]}, request, caller)

    @routes.post("/api/holds", summary="Keep clips", response_model=OperationShape, responses=running)
    async def place_hold(
        asked: Placing, caller: Annotated[Caller, Depends(may("retain"))], wait: Wait = 10
    ) -> Response:
        """A named clip whose deletion has begun refuses all of it (409); `late` are those whose deletion began meanwhile."""
        return await begun(caller, "hold", placing(caller, asked), wait)

    @routes.patch("/api/holds/{hold}", summary="Renew a hold", response_model=OperationShape, responses=running)
    async def renew_hold(
        hold: _Identity, asked: Renewing, caller: Annotated[Caller, Depends(may("retain"))], wait: Wait = 10
    ) -> Response:
        """An ordinary one without `until` has no end then; without `reason` the reason stays."""
        return await begun(caller, "renew", renewing(caller, hold, asked), wait)

    @routes.delete("/api/holds/{hold}", summary="Release a hold", response_model=OperationShape, responses=running)
    async def release_hold(
        hold: _Identity,
        caller: Annotated[Caller, Depends(may("retain"))],
        reason: Annotated[str | None, Query(max_length=2000)] = None,
        wait: Wait = 10,
    ) -> Response:
        """It keeps its clips no longer: what the rules condemn is marked by the next run, and goes after its grace."""
        return await begun(caller, "release", releasing(caller, hold, reason), wait)

    return routes


def placing(caller: Caller, asked: Placing, *, zone: str | None = None) -> Work:
    """Places a hold; days are those of `zone`, else of the node. Raises QueryError for what is no moment, and for what is no condition."""
    zone, retention = zone or caller.site.settings.general.time_zone, permitted(caller)
    until, review = end_of("until", asked.until, zone), end_of("review", asked.review, zone)
    where = condition(asked.where, sees=None)

    def work(progress: Counting) -> Mapping[str, Any]:
        done = retention.hold(
            *asked.clips, plan=asked.plan, where=where, reason=asked.reason, until=until, legal=asked.legal, review=review,
            progress=progress,
        )  # fmt: skip
        return cut(done.as_dict(), "late")

    return work


def renewing(caller: Caller, hold: str, asked: Renewing, *, zone: str | None = None) -> Work:
    """Gives a hold another end, or another day of review, of `zone` or else of the node. Raises QueryError for what is no moment."""
    zone, retention = zone or caller.site.settings.general.time_zone, permitted(caller)
    until, review = end_of("until", asked.until, zone), end_of("review", asked.review, zone)

    def work(progress: Counting) -> Mapping[str, Any]:
        done = retention.renew(hold, reason=asked.reason, until=until, review=review, progress=progress)
        return cut(done.as_dict(), "late")

    return work


def releasing(caller: Caller, hold: str, reason: str | None) -> Work:
    """Ends a hold."""
    retention = permitted(caller)

    def work(progress: Counting) -> Mapping[str, Any]:
        return retention.release(hold, reason=reason, progress=progress).as_dict()

    return work


def permitted(caller: Caller) -> Retention:
    """Retention in the caller's name, in which only an admin touches legal holds."""

    def permit(deed: Deed) -> None:
        if not caller.principal.may("admin"):
            raise Refused(
                f"the role {caller.principal.role} may not {deed}",
                status=403,
                code="role",
                remedy="Ask an admin for it.",
            )

    return caller.ledger.retention.permitting(permit)
