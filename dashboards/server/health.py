"""Health: whether the process lives, and whether it can do its work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from voxledger.dashboards.server.readiness import Readiness

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site


def router(site: Site) -> APIRouter:
    """`/healthz` and `/readyz`, which need no token and tell nothing else."""
    routes = APIRouter(tags=["health"])
    readiness = Readiness(site)
    asking = CapacityLimiter(1)  # a thread of its own: those of the pool may all be busy

    @routes.get("/healthz", summary="Whether the process lives")
    async def healthz() -> dict[str, Any]:
        return {"status": "ok", "version": site.version}

    @routes.get("/readyz", summary="Whether it takes work", responses={503: {"description": "Not now, and why"}})
    async def readyz() -> Response:
        if site.stopping.is_set():
            return JSONResponse({"status": "stopping"}, 503, {"Retry-After": "5"})
        found = await to_thread.run_sync(readiness.obstacles, limiter=asking)
        if found:
            reasons = [each._asdict() for each in found]
            return JSONResponse({"status": "not ready", "reasons": reasons}, 503, {"Retry-After": "10"})
        return JSONResponse({"status": "ready"})

    return routes
