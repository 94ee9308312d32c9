"""Health: whether the process lives, and whether it can do its work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site


def router(site: Site) -> APIRouter:
    """`/healthz` and `/readyz`, which need no token and tell nothing else."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz", summary="Whether the process lives")
    async def healthz() -> dict[str, Any]:
        return {"status": "ok", "version": site.version}

    @routes.get("/readyz", summary="Whether it takes work", responses={503: {"description": "Not now, and why"}})
    async def readyz() -> Response:
        if site.stopping.is_set():
            return JSONResponse({"status": "stopping"}, 503, {"Retry-After": "5"})
        return JSONResponse({"status": "ready"})

    return routes
