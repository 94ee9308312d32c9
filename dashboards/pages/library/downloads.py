"""Downloads: archives that are being sent. Each ends with the token that asked for it, and with what that may be sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from voxledger.dashboards.faults import Refused
from voxledger.dashboards.pages.library import selection
from voxledger.dashboards.pages.library.archive import archive
from voxledger.dashboards.server.callers import Caller, still
from voxledger.dashboards.server.underway import Underway

if TYPE_CHECKING:
    from voxledger.catalog.clip import Clip
    from voxledger.dashboards.server.site import Site

EACH = 2
"""Downloads of one principal at a time."""


class Downloads:
    """The downloads of a node. Safe from many threads."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._underway = Underway(EACH)

    def begun(self, request: Request, caller: Caller, clips: Callable[[], Iterable[Clip]]) -> Response:
        """An archive, which is made while it is sent. Raises Refused (429) where as many are under way as may be."""
        mine = caller.principal.id
        if not self._underway.come(mine):
            raise Refused(
                f"{EACH} downloads of this token are under way, and no more may be",
                status=429,
                code="too_many_downloads",
                remedy="Wait until one of them has ended, or break one off.",
                headers={"Retry-After": "30"},
            )
        try:
            content = archive(clips(), caller, lambda: self._stopped(request, caller))
        except BaseException:
            self._underway.go(mine)
            raise
        return _Sending(content, ended=lambda: self._underway.go(mine))

    def _stopped(self, request: Request, caller: Caller) -> str | None:
        """Why nothing more may be sent: the token has ended meanwhile, or its bytes of the day are used up."""
        try:
            still(caller, request)
        except Refused as error:
            return str(error)
        most = caller.principal.limits.bytes
        if most is not None and self._site.gate.used(caller.principal).bytes >= most:
            return "this token has used up its bytes of today"
        return None


class _Sending(StreamingResponse):
    """An archive that is counted until its end, also where the client goes away before its beginning."""

    def __init__(self, content: Iterator[bytes], *, ended: Callable[[], None]) -> None:
        name = f"voxledger-{selection.moment():%Y%m%d-%H%M%S}.zip"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"}
        super().__init__(content, headers=headers, media_type="application/zip")
        self._ended = ended

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._ended()
