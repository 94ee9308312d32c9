"""The overview: what happens now, what has happened, and what somebody should look at."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Query, Request
from starlette.responses import Response

from voxledger.catalog.errors import QueryError, VoxledgerError
from voxledger.dashboards.api.events import Followers, Streaming
from voxledger.dashboards.pages.kept import Kept
from voxledger.dashboards.pages.overview import attention, live, storage
from voxledger.dashboards.pages.overview.attention import Noticed
from voxledger.dashboards.pages.overview.figures import Figures, bars, figures
from voxledger.dashboards.pages.overview.storage import Expiring
from voxledger.dashboards.pages.page import Entry, Page, entering
from voxledger.dashboards.pages.words import later
from voxledger.dashboards.server.callers import Caller, still

if TYPE_CHECKING:
    from voxledger.analytics.metrics import Forecast
    from voxledger.dashboards.server.site import Site

ENTRY = Entry(path="/", name=later("Overview"), icon="activity", key="o", permission="read", place=10)
_CARDS = (
    ("clips", later("Clips made"), "count"),
    ("audio_us", later("Audio made"), "duration"),
    ("reused", later("Reused"), "count"),
    ("people", later("People"), "count"),
    ("failed", later("Failed"), "count"),
)
"""The figures of the page: name, heading, and the filter that writes them."""
Looker = Annotated[Caller, Depends(entering("read"))]
_log = logging.getLogger(__name__)


def router(site: Site, page: Page) -> APIRouter:
    """`/` and `/live`."""
    routes = page.routes()
    overview = Overview(page)
    followers = Followers()
    if site.settings.serve.warm:
        site.at_start(overview.warm)

    @routes.get("/")
    def show(request: Request, caller: Looker) -> Response:
        """All of it; what is dear is a few seconds old."""
        return page.show(request, caller, "overview/overview.html.j2", overview.values(request, caller))

    @routes.get("/live")
    async def follow(
        request: Request,
        caller: Looker,
        after: Annotated[str | None, Query(max_length=200)] = None,
        last_event_id: Annotated[str | None, Header(max_length=200)] = None,
    ) -> Response:
        """Rows of attempts as they happen, and what waits when that changes."""
        mine = caller.principal.id
        followers.come(mine)
        try:
            following = await anyio.to_thread.run_sync(lambda: live.Following(caller, last_event_id or after))
        except BaseException:
            followers.go(mine)
            raise

        def part(name: str) -> Callable[..., str]:
            template = f"overview/{name}.html.j2"
            return lambda rows=(): page.rendered(
                request, caller, template, overview.state(caller) if name == "state" else {"attempts": rows}
            )

        lines = live.lines(
            following, render=part("attempts"), state=part("state"), check=lambda: still(caller, request), stopping=site.stopping
        )  # fmt: skip
        return Streaming(lines, ended=lambda: followers.go(mine))

    return routes


class Overview:
    """What the page shows, and what of it is remembered."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._site = page.site
        self._figures: Kept[Figures] = Kept(5.0)
        self._noticed: Kept[Noticed] = Kept(10.0, gone=self._site.gone.place)
        self._expiring: Kept[Expiring] = Kept(30.0, gone=self._site.gone.place)
        self._forecast: Kept[Forecast] = Kept(600.0)

    def warm(self) -> None:
        """Look once at what is dear, in a thread beside the start: else the first visitor would wait for all of it."""
        threading.Thread(target=self._warm, name="voxledger-overview", daemon=True).start()

    def _warm(self) -> None:
        owner = self._site.owner
        caller, zone = Caller(principal=owner, ledger=self._site.ledger(owner, "web"), site=self._site), self._page.zone
        try:
            self._site.remembered.now()
            self._figures.get((None, zone), lambda: figures(caller, zone))
            self._noticed.get(None, lambda: attention.noticed(caller))
            self._expiring.get("", lambda: storage.expiring(caller))
            self._foretold(caller)
        except VoxledgerError as error:
            _log.debug("the overview was not looked at beforehand: %s", error)
        except Exception as error:  # noqa: BLE001  # a thread of ours, perhaps at the end of the process
            _log.debug("the overview was not looked at beforehand (%s)", type(error).__name__)

    def values(self, request: Request, caller: Caller) -> Mapping[str, Any]:
        """Everything that the template says."""
        sees, zone = caller.principal.sees, self._page.viewer(request).zone
        known = self._figures.get((sees, zone), lambda: figures(caller, zone))
        attempts, after = live.newest(caller)
        found = self._noticed.get(sees, lambda: attention.noticed(caller))
        status = self._site.remembered.now() if caller.principal.may("usage") else None
        values: dict[str, Any] = {
            "figures": known, "cards": _CARDS, "bars": bars, "attempts": attempts, "after": after,
            "matters": attention.matters(caller, found, status), "expiring": None, "forecast": None, "drawn": storage.drawn,
            **self.state(caller),
        }  # fmt: skip
        if status is not None:
            values["expiring"] = self._expiring.get("", lambda: storage.expiring(caller))
            values["forecast"] = self._foretold(caller)
        return values

    def state(self, caller: Caller) -> dict[str, Any]:
        """What waits: for an engine, for the store, for Mixpanel. Costs next to nothing."""
        if not caller.principal.may("usage"):
            return {"status": None, "turns": (), "progress": None, "uploads": None, "delivers": False}
        status = self._site.remembered.now()
        return {
            "status": status, "turns": self._turns(), "progress": self._site.door.uploader.progress,
            "uploads": _waiting(status.tasks if status else ()),
            "delivers": bool(self._site.settings.mixpanel.token),
        }  # fmt: skip

    def _turns(self) -> Sequence[tuple[str, Any]]:
        try:
            return sorted(self._site.door.studio.turns().items())
        except VoxledgerError:  # the extra `synth` is not installed: there are no engines
            return ()

    def _foretold(self, caller: Caller) -> Forecast | None:
        try:
            return self._forecast.get("", lambda: storage.forecast(caller))
        except QueryError:
            return None


def _waiting(tasks: Sequence[Any]) -> Mapping[str, Any]:
    """Uploads that have not been done: how many, and since when the oldest of them (s since 1970)."""
    found = [task for task in tasks if task.kind == "upload" and task.state != "parked"]
    return {"count": sum(task.count for task in found), "oldest": min((task.oldest for task in found), default=None)}
