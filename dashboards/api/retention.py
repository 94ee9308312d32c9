"""Retention: how it stands, what it would do clip by clip, why, and its being carried out, undone and made up for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import HTMLResponse, Response

from voxledger.catalog.errors import QueryError
from voxledger.catalog.query.moment import moment_of
from voxledger.catalog.query.place import Place, read
from voxledger.catalog.retention.planning.amounts import DECISIONS
from voxledger.dashboards.api.answering import json
from voxledger.dashboards.api.audio import Reference
from voxledger.dashboards.api.operations import OPERATION, RUNS, OperationShape, Wait, begun
from voxledger.dashboards.api.shapes import ID, Shape, faults
from voxledger.dashboards.operations import Work
from voxledger.dashboards.plans import Plans, View
from voxledger.dashboards.server.callers import Caller, may

if TYPE_CHECKING:
    from voxledger.catalog.progress import Counting
    from voxledger.dashboards.server.site import Site

MOST = 1000
"""Clips of a page, clips that a request names, and notes of a result that are told one by one."""
Decision = Literal["finish", "purge", "mark", "wait", "unmark", "keep"]
Reader = Annotated[Caller, Depends(may("usage"))]
Keeper = Annotated[Caller, Depends(may("retain"))]
_Every = Annotated[bool, Query(description="Whether its pages name the clips that stay, too.")]
_AsOf = Annotated[str | None, Query(max_length=100, description="As it would have been then, such as `7d`.")]
_CAREFUL = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"}
_PLAN = "3f9c2e10aa51b7d4"
_AMOUNT = {"clips": 12, "bytes": 876_048, "duration_us": 18_240_000}
_SUMMARY: Mapping[str, Any] = {
    "view": "5c1e09ab77d2", "plan": _PLAN, "deeds": {"mark": 12, "unmark": 0, "purge": 0}, "affected": 12, "idle": False,
    "policy": "b7d43f9c2e10aa51", "position": 4711, "now": "2026-11-23T02:00:00+00:00", "live": 4000, "grace": "7d",
    "cost_micro": 20_148, "currency": "USD", "amounts": {"mark": _AMOUNT}, "rules": [], "keep": [], "budgets": [], "fuses": [],
    "largest": [], "most_used": [], "unknown": None, "problems": [], "warnings": [],
}  # fmt: skip


class AmountShape(Shape):
    """How much: clips, their bytes, their length."""

    clips: int
    bytes: int
    duration_us: int


class PlanShape(Shape):
    """What retention would do. `view` names it for its pages, `plan` and `deeds` are what applying it asks for."""

    model_config = ConfigDict(json_schema_extra={"examples": [dict(_SUMMARY)]})

    view: str = Field(description="Leads to the clips of just this plan, as long as it is kept.")
    plan: str = Field(description="Names the condemned clips, their rules, and the policy.")
    deeds: dict[str, int] = Field(description="How many clips applying it now would mark, unmark and purge.")
    affected: int
    idle: bool = Field(description="Whether applying it now would change nothing.")
    policy: str
    position: int
    now: datetime
    live: int
    grace: str
    cost_micro: int
    currency: str
    amounts: dict[str, AmountShape] = Field(description="By decision.")
    rules: list[dict[str, Any]]
    keep: list[dict[str, Any]]
    budgets: list[dict[str, Any]]
    fuses: list[dict[str, Any]]
    largest: list[dict[str, Any]]
    most_used: list[dict[str, Any]]
    unknown: str | None = Field(description="Why nobody knows what was used lately; nothing is condemned then.")
    problems: list[str]
    warnings: list[str]


class PlannedClip(Shape):
    """What happens to a clip, and why."""

    id: str
    decision: Decision
    rule: str | None = Field(description="What decides.")
    matches: list[str] = Field(description="All that asks for it to go.")
    reason: str
    goes: datetime | None = Field(description="When it is deleted at the earliest.")
    bytes: int | None
    duration_us: int | None


class PlannedPage(Shape):
    """Clips of a plan, by urgency of the decision and then by id. `next` is the cursor of the page after it."""

    view: str
    plan: str
    clips: list[PlannedClip]
    next: str | None


class Applying(BaseModel):
    """A plan as it was seen."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"plan": _PLAN, "deeds": {"mark": 12, "unmark": 0, "purge": 0}}]},
    )

    plan: str = Field(max_length=40)
    deeds: dict[Literal["mark", "unmark", "purge"], Annotated[int, Field(ge=0)]] = Field(
        description="`deeds` of the plan. The id of a plan stays the same when grace ends; what it does now does not."
    )


class Undoing(BaseModel):
    """A plan whose marks are taken back."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"plan": _PLAN}]})

    plan: str = Field(max_length=40)


class Restoring(BaseModel):
    """Clips that are brought back: those named, and all that a plan marked or took."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"clips": [ID[-8:]]}]})

    clips: list[Annotated[str, Field(max_length=36)]] = Field(default_factory=list, max_length=MOST)
    plan: str | None = Field(None, max_length=40)


class Replaying(BaseModel):
    """What is replayed: the policy of this HOME, or a family of it, over the past or a part of it."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"family": "keep_for=7d:180d", "max_regret": 0.01}]}
    )

    family: str | None = Field(None, max_length=200)
    rule: str | None = Field(None, max_length=200, description="The one rule that the family varies.")
    since: str | None = Field(None, max_length=100)
    until: str | None = Field(None, max_length=100)
    max_regret: float = Field(0.01, ge=0, le=1)
    worst: int = Field(10, ge=0, le=100)
    baselines: bool = True


def router(site: Site) -> APIRouter:
    """`/api/retention`."""
    routes = APIRouter(tags=["retention"])
    _add_looking(routes, site)
    _add_plans(routes, site.plans, site.settings.general.time_zone)
    _add_deeds(routes)
    _add_backtest(routes, site.settings.general.time_zone)
    return routes


def _add_looking(routes: APIRouter, site: Site) -> None:
    @routes.get("/api/retention", summary="How retention stands", response_model=dict[str, Any], responses=faults(409))
    def show_retention(request: Request, caller: Reader) -> Response:
        """Its schedule, the last run and the next, what stops it, and legal holds to be looked at again."""
        return json(caller.ledger.retention.status().as_dict(), request, caller)

    @routes.get(
        "/api/retention/policy", summary="The policy, looked over", response_model=dict[str, Any], responses=faults(409)
    )
    def check_policy(request: Request, caller: Reader) -> Response:
        """Its hash, and everything that is wrong or doubtful, with line and column."""
        policy, findings = caller.ledger.retention.check()
        section = site.settings.retention
        told = {
            "valid": not any(finding.level == "error" for finding in findings),
            "policy": policy.hash if policy else None,
            "findings": [{**msgspec.to_builtins(finding), "file": None} for finding in findings],
            "settings": msgspec.to_builtins(section),
        }
        return json(told, request, caller)

    @routes.get(
        "/api/retention/explain/{clip}",
        summary="Why a clip stays or goes",
        response_model=dict[str, Any],
        responses=faults(404, 409),
    )
    def explain_clip(request: Request, reference: Reference, caller: Reader) -> Response:
        """Its life in sentences, all rules that match it and which decides, when it goes, and what would keep it."""
        clip = caller.clip(reference)
        return json(caller.ledger.retention.explain(clip).as_dict(), request, caller)


def _add_plans(routes: APIRouter, plans: Plans, zone: str) -> None:
    def made(caller: Caller, *, every: bool, as_of: str | None) -> View:
        moment = moment_of("as_of", as_of, zone)
        return plans.make(caller.ledger.retention, every=every, as_of=moment, head=caller.ledger.journal.head())

    @routes.get(
        "/api/retention/plan",
        summary="What retention would do",
        response_model=PlanShape,
        responses={200: {"content": {"text/html": {"schema": {"type": "string"}}}}, **faults(409)},
    )
    def plan(
        request: Request,
        caller: Reader,
        every: _Every = False,
        as_of: _AsOf = None,
        format: Literal["json", "html"] = "json",
    ) -> Response:
        """Changes nothing. `format=html` is a page with the largest clips, which can be passed on."""
        view = made(caller, every=every, as_of=as_of)
        if format == "html":
            return HTMLResponse(caller.ledger.retention.page(view.plan), headers=_CAREFUL)
        found = view.plan
        told = {"view": view.name, "deeds": found.deeds, "affected": found.affected, "idle": found.idle}
        return json({**told, **found.summary()}, request, caller, found.position)

    @routes.get(
        "/api/retention/plan/clips",
        summary="A page of the clips of a plan",
        response_model=PlannedPage,
        responses=faults(404, 409),
    )
    def plan_clips(
        request: Request,
        caller: Reader,
        view: Annotated[
            str | None, Query(max_length=40, description="Of a plan that was made; without it one is.")
        ] = None,
        decision: Annotated[list[Decision] | None, Query(max_length=6)] = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
        cursor: Annotated[
            str | None, Query(max_length=500, description="`next` of the page before; give its `view`, too.")
        ] = None,
        every: _Every = False,
        as_of: _AsOf = None,
    ) -> Response:
        """All clips that something happens to, with the reason, or those with the decisions that are named."""
        found = plans.view(view) if view is not None else made(caller, every=every, as_of=as_of)
        order = f"plan {found.name}"
        after = None if cursor is None else _after(cursor, order, given=view is not None)
        wanted = decision or (DECISIONS if found.every else ())
        rows = found.plan.rows(*wanted, limit=limit + 1, after=after).to_dicts()
        following = None
        if len(rows) > limit:
            last = rows[limit - 1]
            following = Place(order, last["decision"], last["id"]).token()
        told = {"view": found.name, "plan": found.plan.id, "clips": rows[:limit], "next": following}
        return json(told, request, caller, found.plan.position)


def _after(cursor: str, order: str, *, given: bool) -> tuple[str, str]:
    """The decision and the id that a page ended with. Raises QueryError."""
    if not given:
        raise QueryError("a cursor goes on in the view that it came with; give its `view`, too")
    place = read(cursor, order=order)
    if place.value not in DECISIONS:
        raise QueryError(f"{cursor[:80]!r} is no cursor of a plan; take `next` of the page before")
    return str(place.value), place.id


def _add_deeds(routes: APIRouter) -> None:
    shown: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"example": dict(OPERATION)}}}}
    running = {**shown, **RUNS, **faults(404, 409, 507)}

    @routes.post("/api/retention/apply", summary="Carry a plan out", response_model=OperationShape, responses=running)
    async def apply_plan(asked: Applying, caller: Keeper, wait: Wait = 10) -> Response:
        """Plans anew, and does it only if it is still the plan that was seen (else 409, `plan_stale`): marks what is condemned, purges
        what was marked and whose grace is over. One run at a time (409, `retention_busy`).
        """

        return await begun(caller, "apply", applying(caller, asked), wait)

    @routes.post(
        "/api/retention/undo", summary="Take a plan's marks back", response_model=OperationShape, responses=running
    )
    async def undo_plan(asked: Undoing, caller: Keeper, wait: Wait = 10) -> Response:
        """All that still stand. For the clips in `gone` it comes too late; repeating it changes nothing."""

        return await begun(caller, "undo", undoing(caller, asked), wait)

    @routes.post("/api/retention/restore", summary="Bring clips back", response_model=OperationShape, responses=running)
    async def restore_clips(asked: Restoring, caller: Keeper, wait: Wait = 10) -> Response:
        """Within grace by taking the mark back, after it from wherever the same bytes still are. What was erased never comes back."""

        return await begun(caller, "restore", restoring(caller, asked), wait)


def _add_backtest(routes: APIRouter, zone: str) -> None:
    @routes.post(
        "/api/retention/backtest",
        summary="What the policy would have done in the past",
        response_model=OperationShape,
        responses={**RUNS, **faults(404, 409)},
    )
    async def backtest(asked: Replaying, caller: Reader, wait: Wait = 10) -> Response:
        """Changes nothing: what would have been saved, and which uses would have been missed (docs/backtest.md)."""
        return await begun(caller, "backtest", replaying(caller, asked, zone), wait)


def applying(caller: Caller, asked: Applying) -> Work:
    """Carries a plan out, as it was seen."""

    def work(progress: Counting) -> Mapping[str, Any]:
        done = caller.ledger.retention.apply(asked.plan, deeds=asked.deeds, progress=progress)  # type: ignore[arg-type]  # its keys are texts
        return cut(done.as_dict(), "skipped", "failed", "kept")

    return work


def undoing(caller: Caller, asked: Undoing) -> Work:
    """Takes a plan's marks back."""

    def work(progress: Counting) -> Mapping[str, Any]:
        return cut(caller.ledger.retention.undo(asked.plan, progress=progress).as_dict(), "gone")

    return work


def restoring(caller: Caller, asked: Restoring) -> Work:
    """Brings clips back."""

    def work(progress: Counting) -> Mapping[str, Any]:
        done = caller.ledger.retention.restore(*asked.clips, plan=asked.plan, progress=progress)
        return cut(done.as_dict(), "restored", "there", "failed")

    return work


def replaying(caller: Caller, asked: Replaying, zone: str) -> Work:
    """Replays the past. Raises QueryError for what is no moment, PolicyError for what is no family."""
    from voxledger.catalog.retention.backtest import Family

    family = Family.parse(asked.family, asked.rule) if asked.family is not None else None
    since, until = moment_of("since", asked.since, zone, day="start"), moment_of("until", asked.until, zone)

    def work(progress: Counting) -> Mapping[str, Any]:
        return caller.ledger.retention.backtest(
            family=family, since=since, until=until, max_regret=asked.max_regret, worst=asked.worst, baselines=asked.baselines,
            progress=progress,
        ).as_dict()  # fmt: skip

    return work


def cut(result: Mapping[str, Any], *lists: str) -> dict[str, Any]:
    """A result whose long lists are cut, with how many there were: `skipped` and `skipped_count`."""
    found = dict(result)
    for name in lists:
        found[f"{name}_count"] = len(found[name])
        found[name] = found[name][:MOST]
    return found
