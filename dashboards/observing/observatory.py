"""The observatory: metrics, traces and log lines of one site, and where Prometheus reads them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Header
from prometheus_client.exposition import choose_encoder
from starlette.responses import Response

from voxledger.dashboards.observing.metrics import Metrics
from voxledger.dashboards.observing.requests import Observed
from voxledger.dashboards.observing.state import StateCollector
from voxledger.dashboards.observing.traces import Traces, wanted
from voxledger.dashboards.observing.work import Tell, WorkCollector

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from voxledger.dashboards.server.site import Site

_EXAMPLE = "# HELP voxledger_clips Clips whose audio is there.\n# TYPE voxledger_clips gauge\nvoxledger_clips 12.0\n"


class Observatory:
    """What is counted of a site, from the moment on that it is `around` its application."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.metrics = Metrics(site.version)
        self.metrics.registry.register(StateCollector(site.door, site.slots, site.remembered))

    def tells(self, tell: Tell) -> None:
        """Have `/metrics` show what this gives, too."""
        self.metrics.registry.register(WorkCollector(tell))

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application with every request counted, logged and traced.

        Raises VoxledgerError where traces are asked for without the extra `traces`, SettingsError for a wrong `serve.traces`.
        """
        site, serve = self._site, self._site.settings.serve
        traces = None
        if wanted(serve.traces):
            node = site.door.journal.node
            traces = Traces(serve.traces, version=site.version, node=node, counted=self.metrics.spans)
            site.door.steps.listen(traces.heard)
            site.at_stop(traces.close)
        site.door.steps.listen(self.metrics.heard)
        logging.getLogger().addHandler(self.metrics.counting())
        lines = logging.INFO if serve.log == "json" else logging.DEBUG
        return Observed(app, metrics=self.metrics, traces=traces, lines=lines)


def router(site: Site) -> APIRouter:
    """`/metrics`."""
    from voxledger.dashboards.server.callers import may

    routes = APIRouter(tags=["health"])
    leave = [] if site.settings.serve.metrics == "open" else [Depends(may("usage"))]
    asking = CapacityLimiter(2)  # threads of its own: those of the pool may all be busy

    answers: dict[int | str, dict[str, Any]] = {
        200: {
            "description": "All metrics",
            "content": {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        }
    }

    @routes.get(
        "/metrics", summary="Metrics for Prometheus", dependencies=leave, response_class=Response, responses=answers
    )
    async def metrics(accept: Annotated[str | None, Header()] = None) -> Response:
        encode, kind = choose_encoder(accept or "")
        body = await to_thread.run_sync(encode, site.observatory.metrics.registry, limiter=asking)
        return Response(body, media_type=None, headers={"Content-Type": kind})

    return routes
