"""Reports: those that were made, one as it is or was, and the sending of one again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import HTMLResponse, Response

from voxledger.catalog.query.moment import moment_of
from voxledger.dashboards.api.answering import json
from voxledger.dashboards.api.operations import RUNS, OperationShape, Wait, begun
from voxledger.dashboards.api.shapes import Shape, faults
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.server.answers import JSON
from voxledger.dashboards.server.callers import Caller, may

if TYPE_CHECKING:
    from voxledger.analytics.report import WeeklyReport
    from voxledger.analytics.reports import Reports
    from voxledger.catalog.progress import Counting
    from voxledger.dashboards.server.site import Site

_CAREFUL = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; sandbox"
}
_LISTED: Mapping[str, Any] = {
    "week": "2026-W47", "revision": 1, "time": "2026-11-23T06:00:00Z", "closed": True, "by": "schedule",
    "channels": [
        {
            "channel": "mail", "state": "delivered", "time": "2026-11-23T06:00:02Z", "attempts": 1, "said": "", "again": None,
            "arrived": "2026-11-23T06:00:02Z",
        },
    ],
}  # fmt: skip
_Week = Annotated[
    str, Path(alias="week", max_length=20, description="An ISO week, or `current`.", examples=["2026-W47"])
]


class ChannelShape(Shape):
    """How a report went at one channel."""

    channel: str
    state: str
    time: datetime | None
    attempts: int
    said: str
    again: datetime | None = Field(description="When it is tried again.")
    arrived: datetime | None = Field(
        description="When it came there last, also where sending it once more did not succeed."
    )


class ListedShape(Shape):
    """A revision of a week's report."""

    model_config = ConfigDict(json_schema_extra={"examples": [dict(_LISTED)]})

    week: str
    revision: int
    time: datetime
    closed: bool
    by: str
    channels: list[ChannelShape]


class ReportList(Shape):
    """The reports that were made, the newest week first; and which ones are due."""

    reports: list[ListedShape]
    due: list[str]
    schedule: str
    next: datetime | None


class Sending(BaseModel):
    """To whom a report is sent."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"channels": ["mail"]}]})

    channels: list[Literal["bucket", "mail", "webhook"]] = Field(
        default_factory=list, max_length=3, description="All that are set up, where none is named."
    )
    everyone: bool = Field(False, description="Also recipients who have it already.")


def router(site: Site) -> APIRouter:
    """`/api/reports`."""
    routes = APIRouter(tags=["reports"])
    zone = site.settings.general.time_zone

    @routes.get("/api/reports", summary="The reports that were made", response_model=ReportList, responses=faults())
    def list_reports(
        request: Request,
        caller: Annotated[Caller, Depends(may("usage"))],
        limit: Annotated[int, Query(ge=1, le=500, description="Most revisions.")] = 20,
    ) -> Response:
        """Revision by revision, and how each went at each channel."""
        reports = caller.ledger.reports
        standing = reports.standing(datetime.now().astimezone())
        told = {
            "reports": msgspec.to_builtins(reports.listed(limit=limit)), "due": standing.due, "schedule": standing.schedule,
            "next": standing.next_run,
        }  # fmt: skip
        return json(told, request, caller)

    @routes.get(
        "/api/reports/{week}",
        summary="The report of a week",
        response_class=Response,
        responses={
            200: {
                "content": {
                    JSON: {"schema": {"type": "object"}},
                    "text/html": {"schema": {"type": "string"}},
                    "text/markdown": {"schema": {"type": "string"}},
                },
                "description": "As records (`voxledger report schema`), as one page, or as Markdown.",
            },
            **faults(404),
        },
    )
    def show_report(
        week: _Week,
        caller: Annotated[Caller, Depends(may("usage"))],
        revision: Annotated[int | None, Query(ge=1, le=1_000_000, description="As it was published.")] = None,
        as_of: Annotated[
            str | None, Query(max_length=100, description="As it would have been made then: a moment, a day, or `7d`.")
        ] = None,
        format: Literal["json", "html", "md"] = "json",
    ) -> Response:
        """As it is now, as it would have been made at a moment, or a revision as it was published."""
        reports = caller.ledger.reports
        if revision is not None and as_of is not None:
            raise Refused(
                "a revision is as it was published: give revision or as_of",
                status=400,
                code="contradiction",
                remedy="Leave one of them out.",
                param="as_of",
            )
        if revision is not None:
            report = _published(reports, week, revision)
        else:
            report = reports.weekly(None if week == "current" else week, as_of=_past(as_of, zone))
        return _rendered(report, format)

    @routes.post(
        "/api/reports/{week}/send",
        summary="Send the report of a week again",
        response_model=OperationShape,
        responses={**RUNS, **faults(404, 409)},
    )
    async def send_report(
        week: _Week, asked: Sending, caller: Annotated[Caller, Depends(may("admin"))], wait: Wait = 10
    ) -> Response:
        """To its channels, on purpose: also where it was sent before, or may have arrived. `result` tells how it went at each."""

        def work(_: Counting) -> Mapping[str, Any]:
            sent = caller.ledger.reports.send(week, asked.channels, everyone=asked.everyone)
            lacks = caller.ledger.reports.outdated(week)
            return {"sent": msgspec.to_builtins(sent), "outdated": msgspec.to_builtins(lacks)}

        return await begun(caller, "send", work, wait)

    return routes


def _published(reports: Reports, week: str, revision: int) -> WeeklyReport:
    """A revision as it was published. Raises Refused (404) where there is none."""
    from voxledger.analytics.publishing import NotPublished

    try:
        return reports.published(week, revision)
    except NotPublished as error:
        raise Refused(
            str(error), status=404, code="not_published", remedy="GET /api/reports lists those that were made."
        ) from None


def _past(text: str | None, zone: str) -> datetime | None:
    """A moment that is over. Raises Refused for one to come."""
    moment = moment_of("as_of", text, zone)
    if moment is not None and moment > datetime.now().astimezone():
        raise Refused(
            "as_of lies in the future",
            status=400,
            code="query",
            remedy="A report can be made as of a moment that is over.",
            param="as_of",
        )
    return moment


def _rendered(report: WeeklyReport, kind: Literal["json", "html", "md"]) -> Response:
    from voxledger.analytics.report import load_audio, render_html, render_json, render_markdown

    if kind == "html":
        return HTMLResponse(render_html(report, load_audio(report)), headers=_CAREFUL)
    if kind == "md":
        return Response(render_markdown(report), media_type="text/markdown; charset=utf-8")
    return Response(render_json(report), media_type=JSON)
