"""Working: what takes longer than a request, begun on a clip's page and followed there: rendering it again, and bringing it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import anyio.to_thread
from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import RedirectResponse, Response

from voxledger.dashboards.api.audio import Reference
from voxledger.dashboards.api.rerendering import rerendering
from voxledger.dashboards.api.retention import Restoring, restoring
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.pages.page import Page, entering
from voxledger.dashboards.server.callers import Caller

if TYPE_CHECKING:
    from voxledger.dashboards.operations import Operation
    from voxledger.dashboards.server.site import Site

_AT_ONCE, _WAIT = 0.4, 2.0
"""Seconds that the first answer waits for the end, and those that follow."""
_Identity = Annotated[str, Path(max_length=40)]


def router(site: Site, page: Page) -> APIRouter:
    """`/clips/{clip}/rerender`, `restore` and `work/{operation}`."""
    routes = page.routes()

    async def answered(request: Request, clip: str, caller: Caller, operation: Operation) -> Response:
        if not request.headers.get("hx-request") and request.method == "POST":
            return RedirectResponse(f"/clips/{clip}/work/{operation.id}", 303)
        values = {"clip": clip, "work": operation}
        return page.show(request, caller, "clip/work.html.j2", values, blocks={"work", "back"})

    @routes.post("/clips/{clip}/rerender")
    async def rerender(
        request: Request, reference: Reference, caller: Annotated[Caller, Depends(entering("speak"))]
    ) -> Response:
        """Nothing is recorded and nothing replaced."""
        clip = await anyio.to_thread.run_sync(caller.clip, reference)
        identity = site.operations.begin("rerender", rerendering(clip, caller), by=caller.principal.name)
        return await answered(request, clip.id, caller, await site.operations.standing(identity, _AT_ONCE))

    @routes.post("/clips/{clip}/restore")
    async def restore(
        request: Request, reference: Reference, caller: Annotated[Caller, Depends(entering("retain"))]
    ) -> Response:
        """Within its grace, or from wherever its bytes still are."""
        clip = await anyio.to_thread.run_sync(caller.clip, reference)
        identity = site.operations.begin(
            "restore", restoring(caller, Restoring(clips=[clip.id], plan=None)), by=caller.principal.name
        )
        return await answered(request, clip.id, caller, await site.operations.standing(identity, _AT_ONCE))

    @routes.get("/clips/{clip}/work/{operation}")
    async def follow(
        request: Request,
        reference: Reference,
        operation: _Identity,
        caller: Annotated[Caller, Depends(entering("read"))],
    ) -> Response:
        """How it stands, for whoever began it and for those who may see all that goes on."""
        clip = await anyio.to_thread.run_sync(caller.clip, reference)
        found = await site.operations.standing(operation, _WAIT)
        if found.by != caller.principal.name and not caller.principal.may("usage"):
            raise Refused("there is no such operation", status=404, code="operation_not_found", remedy="Begin one.")
        return await answered(request, clip.id, caller, found)

    return routes
