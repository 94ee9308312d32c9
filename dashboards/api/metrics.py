"""Metrics: how the studio is used, counted as the weekly report counts it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from voxledger.dashboards.api.answering import asked, json, position
from voxledger.dashboards.api.shapes import Shape, faults
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.server.callers import Caller, may

if TYPE_CHECKING:
    from voxledger.analytics.metrics import Every, Prices
    from voxledger.analytics.span import Span
    from voxledger.catalog.log import Reading
    from voxledger.dashboards.server.site import Site

MOST = 1000
"""Groups of an answer at most."""
_OPTIONS = ("week", "since", "until")
_KNOWN: Mapping[str, Any] = {
    "name": "clips", "title": "Clips", "unit": "count", "better": "more", "definition": "New clips that were made.",
    "by": ["actor", "emotion", "language"],
}  # fmt: skip
_TOLD: Mapping[str, Any] = {
    "metric": "clips", "unit": "count", "currency": "USD", "start": "2026-11-16T00:00:00Z", "stop": "2026-11-23T00:00:00Z",
    "value": 4000, "before": 3500, "rows": None, "sql": "SELECT count(*) AS clips FROM …",
}  # fmt: skip


class MetricShape(Shape):
    """What is counted, in which unit, and by what it can be told apart."""

    model_config = ConfigDict(json_schema_extra={"examples": [dict(_KNOWN)]})

    name: str
    title: str
    unit: Literal["count", "us", "bytes", "share", "ratio", "micro"] = Field(
        description="`us` = microseconds, `share` = 0 to 1, `micro` = millionths of the currency."
    )
    better: str | None
    definition: str
    by: list[str]


class MetricList(Shape):
    """All metrics, in the order in which they are explained."""

    metrics: list[MetricShape]


class Told(Shape):
    """A metric over a period: its `value` and that of the period `before`, or `rows`, one a group, day or week."""

    model_config = ConfigDict(json_schema_extra={"examples": [dict(_TOLD)]})

    metric: str
    unit: str
    currency: str
    start: datetime
    stop: datetime
    value: int | float | None
    before: int | float | None
    rows: list[dict[str, Any]] | None
    sql: str = Field(description="The very query that tells it; POST /api/sql answers it as it stands.")


def router(site: Site) -> APIRouter:
    """`/api/metrics`."""
    routes = APIRouter(tags=["metrics"])
    settings = site.settings

    @routes.get("/api/metrics", summary="What is counted", response_model=MetricList, responses=faults())
    def list_metrics(request: Request, caller: Annotated[Caller, Depends(may("usage"))]) -> Response:
        """docs/metrics.md tells more of each."""
        from voxledger.analytics.metrics import METRICS, dimensions_of

        found = [
            {
                "name": one.name, "title": one.title, "unit": one.unit, "better": one.better, "definition": one.definition,
                "by": list(dimensions_of(one.source)),
            }
            for one in METRICS.values()
        ]  # fmt: skip
        return json({"metrics": found}, request, caller)

    @routes.get("/api/metrics/{metric}", summary="A metric over a period", response_model=Told, responses=faults(404))
    def tell_metric(
        request: Request,
        metric: Annotated[str, Path(max_length=100, examples=["clips"])],
        caller: Annotated[Caller, Depends(may("usage"))],
        week: Annotated[str | None, Query(max_length=20, description="An ISO week.", examples=["2026-W47"])] = None,
        since: Annotated[
            str | None, Query(max_length=100, description="In place of a week: a moment, a day, or `7d`.")
        ] = None,
        until: Annotated[str | None, Query(max_length=100)] = None,
        by: Annotated[list[str] | None, Query(max_length=4, description="Tell groups apart, such as emotion.")] = None,
        every: Annotated[Literal["day", "week"] | None, Query(description="Tell days or weeks apart.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST, description="Most groups, the largest first.")] = 30,
    ) -> Response:
        """Of the running week, or of another period, beside the one before; or group by group, day by day, week by week."""
        from voxledger.analytics.metrics import METRICS, Prices, explain
        from voxledger.analytics.span import Span

        if metric not in METRICS:
            raise _unknown(metric)
        span = Span.asked(settings.general.time_zone, week, since, until, options=_OPTIONS)
        prices, ways = Prices.of(settings), by or []
        query = explain(
            metric, span.start, span.stop, by=ways, before=span.before, every=every, zone=span.zone, prices=prices
        )
        with asked(caller) as reading:
            place = position(reading)
            counted = _counted(reading, metric, span, ways, every, limit, prices)
        told = {
            "metric": metric, "unit": METRICS[metric].unit, "currency": prices.currency, "start": span.start, "stop": span.stop,
            **counted, "sql": query,
        }  # fmt: skip
        return json(told, request, caller, place)

    return routes


def _counted(
    reading: Reading, metric: str, span: Span, by: list[str], every: Every | None, limit: int, prices: Prices
) -> dict[str, Any]:
    """Value and value before, or rows."""
    from voxledger.analytics.metrics import METRICS, breakdown, measure, series

    names = [metric]
    if every is not None:
        found = series(reading, names, span.start, span.stop, every=every, zone=span.zone, by=by, prices=prices)
        return {"value": None, "before": None, "rows": found.rename({"stretch": every}).to_dicts()}
    if by:
        found = breakdown(reading, names, span.start, span.stop, by=by, limit=limit, before=span.before, prices=prices)
        return {"value": None, "before": None, "rows": found.to_dicts()}
    value = measure(reading, names, span.start, span.stop, before=span.before, prices=prices)[metric]
    before = None
    if METRICS[metric].source != "present":  # that is only known for now
        before = measure(reading, names, span.before, span.before_stop, prices=prices)[metric]
    return {"value": value, "before": before, "rows": None}


def _unknown(name: str) -> Refused:
    from voxledger.analytics.metrics.definitions import METRICS, near

    return Refused(
        f"there is no metric of this name; {near(name, METRICS, 'GET /api/metrics lists them')}",
        status=404,
        code="metric_not_found",
        remedy="Choose one of GET /api/metrics.",
        param="metric",
    )
