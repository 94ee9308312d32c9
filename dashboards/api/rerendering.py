"""Rerendering: a clip once more from its record alone, and whether it is the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends
from starlette.responses import Response

from voxledger.dashboards.api.audio import Reference
from voxledger.dashboards.api.operations import RUNS, OperationShape, Wait, begun
from voxledger.dashboards.api.shapes import faults
from voxledger.dashboards.server.callers import Caller, may

if TYPE_CHECKING:
    from voxledger.catalog.clip import Clip
    from voxledger.catalog.progress import Counting
    from voxledger.dashboards.operations import Work
    from voxledger.dashboards.server.site import Site


def router(site: Site) -> APIRouter:  # noqa: ARG001  # every room's router takes it
    """`/api/clips/{clip}/rerender`."""
    routes = APIRouter(tags=["clips"])

    @routes.post(
        "/api/clips/{clip}/rerender",
        summary="Render a clip again, and compare",
        response_model=OperationShape,
        responses={**RUNS, **faults(404, 409, 500, 507)},
    )
    async def rerender_clip(
        reference: Reference, caller: Annotated[Caller, Depends(may("speak"))], wait: Wait = 10
    ) -> Response:
        """From its record alone. Nothing is recorded and nothing replaced; what is made counts against the token's audio of the day.
        `result` has `equal`, else what is different by now and how far the sounds are apart (dB).
        """
        clip = await anyio.to_thread.run_sync(caller.clip, reference)
        return await begun(caller, "rerender", rerendering(clip, caller), wait)

    return routes


def rerendering(clip: Clip, caller: Caller) -> Work:
    """The work of it, in pieces of the text."""

    def work(progress: Counting) -> Mapping[str, Any]:
        with caller.reserving(clip.text or ""):
            found = caller.ledger.studio.rerender(clip, watch=lambda done, total, _: progress(done, total))
            caller.site.gate.charge(caller.principal, audio_us=found.duration_us)
        return found.as_dict()

    return work
