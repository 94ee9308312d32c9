"""Usage: the metrics as charts, each for itself, so that a slow one holds up nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from voxledger.analytics.metrics import METRICS
from voxledger.catalog.errors import VoxledgerError
from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.pages.chart import Chart, as_csv, as_json
from voxledger.dashboards.pages.kept import Kept
from voxledger.dashboards.pages.page import Entry, Page, entering
from voxledger.dashboards.pages.usage.answers import Answer, Answers, Asking
from voxledger.dashboards.pages.usage.feelings import draw_river, draw_voices, river, voices
from voxledger.dashboards.pages.usage.figures import better, figures, points
from voxledger.dashboards.pages.usage.groups import by_group, draw_by_group
from voxledger.dashboards.pages.usage.links import Links
from voxledger.dashboards.pages.usage.over_time import draw_over_time, over_time
from voxledger.dashboards.pages.usage.people import cohorts, draw_cohorts, draw_reach, reach
from voxledger.dashboards.pages.usage.question import FIGURES, PRESETS, Question, ways
from voxledger.dashboards.pages.usage.work import cost, draw_cost, draw_saved, saved
from voxledger.dashboards.pages.words import later
from voxledger.dashboards.server.answers import meaning
from voxledger.dashboards.server.callers import Caller

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

ENTRY = Entry(path="/usage", name=later("Usage"), icon="trending-up", key="u", permission="usage", place=50)
Looker = Annotated[Caller, Depends(entering("usage"))]
Name = Annotated[str, Path(max_length=40)]
Files = Literal["csv", "json"]


class _Kind(NamedTuple):
    """A chart: how it is asked, how it is drawn, and which parts of the question it heeds."""

    ask: Callable[[Asking], Answer]
    draw: Callable[[Question, Answer, Links], Chart]
    heeds: frozenset[str] = frozenset()


CHARTS: Mapping[str, _Kind] = MappingProxyType(
    {
        "over_time": _Kind(over_time, draw_over_time, frozenset({"metric", "by", "split", "compare"})),
        "by_group": _Kind(by_group, draw_by_group, frozenset({"metric", "by", "split", "compare"})),
        "river": _Kind(river, draw_river),
        "reach": _Kind(reach, draw_reach),
        "voices": _Kind(voices, draw_voices),
        "cohorts": _Kind(cohorts, draw_cohorts),
        "saved": _Kind(saved, draw_saved),
        "cost": _Kind(cost, draw_cost, frozenset({"compare"})),
    }
)
"""The charts by name, in the order of the page."""


def router(site: Site, page: Page) -> APIRouter:  # noqa: ARG001  # every page is given both
    """`/usage`, its charts, and their numbers."""
    routes = page.routes()
    usage = Usage(page)

    @routes.get("/usage")
    def show(request: Request, caller: Looker) -> Response:
        """The question; the figures and charts come by themselves."""
        question = usage.question(request)
        return page.show(request, caller, "usage/usage.html.j2", usage.values(question, caller))

    @routes.get("/usage/figures")
    def show_figures(request: Request, caller: Looker) -> Response:
        """The figures at the top."""
        question = usage.question(request)
        return page.show(request, caller, "usage/figures.html.j2", usage.figures(question, caller))

    @routes.get("/usage/{name}.{kind}")
    def numbers(request: Request, name: Name, kind: Files, caller: Looker) -> Response:
        """The numbers of a chart, as they are in its table, in the units of the metrics."""
        chart = usage.chart(request, caller, name)
        columns = [column.name for column in chart.columns]
        body = (as_csv if kind == "csv" else as_json)(columns, chart.rows)
        question = usage.question(request)
        file = f"voxledger-{name.replace('_', '-')}-{question.first}-{question.last}.{kind}"
        headers = {"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "private, no-cache"}
        media = "text/csv; charset=utf-8" if kind == "csv" else "application/json"
        return Response(body, headers=headers, media_type=media)

    @routes.get("/usage/{name}")
    def show_chart(request: Request, name: Name, caller: Looker) -> Response:
        """One chart: a part of the page for htmx, else a page of its own."""
        part = bool(request.headers.get("hx-request")) and not request.headers.get("hx-boosted")
        question = usage.question(request)
        values: dict[str, Any] = {
            "chart": None,
            "fault": None,
            "name": name,
            "question": question,
            "here_alone": not part,
        }
        try:
            values["chart"] = usage.chart(request, caller, name)
        except VoxledgerError as error:
            if not part:
                raise
            values["fault"] = meaning(error)
        return page.show(request, caller, "usage/part.html.j2" if part else "usage/alone.html.j2", values)

    return routes


class Usage:
    """What the page shows, and what of it is remembered."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._answers = Answers(page.site.gone.place)
        self._used: Kept[bool] = Kept(5.0)

    def question(self, request: Request) -> Question:
        """What the address asks, in the viewer's days."""
        return Question.of(request.query_params, self._page.viewer(request).zone)

    def values(self, question: Question, caller: Caller) -> dict[str, Any]:
        """What the template says."""
        return {
            "used": self._used.get("", lambda: _used(caller)), "studio": self._page.link("/studio") or "",
            "question": question, "presets": PRESETS, "ways": ways(question.metric), "charts": list(CHARTS), "metrics": METRICS,
            "names": FIGURES,
        }  # fmt: skip

    def figures(self, question: Question, caller: Caller) -> dict[str, Any]:
        """The figures at the top. Raises QueryError."""
        plain = _heeded(question, frozenset({"compare"}))
        answer = self._answers.get("figures", plain, figures, caller)
        return {
            "question": question, "names": FIGURES, "metrics": METRICS, "now": answer.rows[0], "before": answer.facts["before"],
            "better": better, "points": points,
        }  # fmt: skip

    def chart(self, request: Request, caller: Caller, name: str) -> Chart:
        """A chart in the viewer's language. Raises Refused for none of this name, QueryError."""
        kind = CHARTS.get(name)
        if kind is None:
            raise Refused(
                "there is no chart of this name", status=404, code="chart_not_found", remedy="Choose one on the page Usage.", param="name"
            )  # fmt: skip
        question = self.question(request)
        answer = self._answers.get(name, _heeded(question, kind.heeds), kind.ask, caller)
        with self._page.viewer(request).looking():
            chart = kind.draw(question, answer, Links(question, self._page.link))
        files = {each: question.address(f"/usage/{name}.{each}") for each in ("csv", "json")}
        console = self._page.link(f"/sql?{urlencode({'q': answer.sql})}") if caller.principal.may("sql") else None
        return msgspec.structs.replace(chart, sql=answer.sql, files=files, open=console)


def _used(caller: Caller) -> bool:
    """Whether anybody has asked for anything yet."""
    with asked(caller, fresh=False) as reading:
        return bool(reading.tuples("SELECT 1 FROM generations LIMIT 1"))


def _heeded(question: Question, heeds: frozenset[str]) -> Question:
    """The question without what a chart does not heed: so that it is asked once."""
    usual = {"metric": FIGURES[0], "by": "voice", "split": False, "compare": True}
    return msgspec.structs.replace(
        question, preset="", **{name: value for name, value in usual.items() if name not in heeds}
    )
