"""The application: every route of the node, and what happens to every request."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from voxledger.catalog.errors import VoxledgerError
from voxledger.dashboards import pages, speech
from voxledger.dashboards.api import (
    audio,
    clips,
    curating,
    events,
    facets,
    generations,
    holds,
    jobs,
    making,
    metrics,
    models,
    operations,
    pictures,
    queries,
    reports,
    rerendering,
    retention,
    search,
    sql,
    status,
    tokens,
    voices,
)
from voxledger.dashboards.api.description import Description
from voxledger.dashboards.observing import observatory
from voxledger.dashboards.observing.requests import template
from voxledger.dashboards.server import health
from voxledger.dashboards.server.answers import UNEXPECTED, Refused, answer
from voxledger.dashboards.server.charging import Charging
from voxledger.dashboards.server.identified import Identified
from voxledger.dashboards.server.limits import Limits
from voxledger.dashboards.server.straight import Straight

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from voxledger.dashboards.server.site import Site

_ROOMS = (
    health, observatory, clips, audio, models, voices, facets, generations, pictures, curating, making, rerendering, tokens, speech,
    search, sql, queries, metrics, reports, retention, holds, operations, status, events, jobs,
)  # fmt: skip
"""What has routes, besides the pages. Of two routes that fit a path, the one that comes first here answers."""
_log = logging.getLogger(__name__)


def application(site: Site) -> ASGIApp:
    """What the process serves: all routes, behind what is done to every request."""
    routes = Straight(build(site), site, refused=_refused, unexpected=_unexpected)
    return Identified(site.observatory.around(Limits(Charging(routes, site), site)), site)


def build(site: Site) -> FastAPI:
    """The application of a site. Its description is at `/api/openapi.json`."""
    told = Description()
    app = FastAPI(
        title="Voxledger",
        version=site.version,
        summary="The flight recorder of synthetic speech: speech, catalog, SQL, retention.",
        openapi_url="/api/openapi.json",
        docs_url=None,  # FastAPI's pages load their scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=told.operation_id,
    )
    app.state.site = site
    for room in _ROOMS:
        app.include_router(room.router(site))
    for router in pages.routers(site):
        app.include_router(router)
    app.openapi = partial(told.of, app)  # type: ignore[method-assign]  # FastAPI's way to change it
    app.add_exception_handler(VoxledgerError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)
    return app


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, VoxledgerError)
    return answer(error)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    what = f"{place or 'the body'}: {first['msg']}"  # never what was given: it may be a text
    return answer(
        Refused(
            what, status=422, code="invalid", remedy="See /api/openapi.json for what is expected.", param=place or None
        )
    )


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http")
    what = f"{request.method} is not served under this path" if error.status_code in (404, 405) else error.detail
    refused = Refused(
        what,
        status=error.status_code,
        code=code,
        remedy="See /api/openapi.json for what there is.",
        headers=error.headers,
    )
    as_page = request.app.state.site.told_as_page
    if as_page and error.status_code == 404 and "text/html" in request.headers.get("accept", ""):
        shown: Response = as_page(request, refused)
        return shown
    return answer(refused)


async def _unexpected(request: Request, error: Exception) -> Response:
    """A defect of ours: its stack trace is ours to read, without what was asked."""
    _log.error("%s %s failed", request.method, template(request.scope), exc_info=error)
    return answer(UNEXPECTED)
