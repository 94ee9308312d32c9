"""Node and health: how the node stands, what it does by itself, what is under way, and what to do about what is wrong."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.journal import UPLOAD
from voxledger.dashboards.api.events import Followers, Streaming
from voxledger.dashboards.pages.kept import Kept
from voxledger.dashboards.pages.nodes import following, work
from voxledger.dashboards.pages.nodes.condition import Condition
from voxledger.dashboards.pages.nodes.timetable import Timetable, renewed, timetable
from voxledger.dashboards.pages.page import Entry, Page, entering
from voxledger.dashboards.pages.words import later
from voxledger.dashboards.server.callers import Caller, still

if TYPE_CHECKING:
    from voxledger.dashboards.operations import Operation
    from voxledger.dashboards.server.site import Site

ENTRY = Entry(path="/nodes", name=later("Node and health"), icon="server", key="n", permission="usage", place=70)
PARTS = ("vitals", "condition", "quarantine", "work", "timetable", "queue", "machine", "doctor")
"""What changes by itself, each a template of `nodes/`."""
_NEWEST = 8
_MODELS = 40
Looker = Annotated[Caller, Depends(entering("usage"))]
Keeper = Annotated[Caller, Depends(entering("admin"))]
_log = logging.getLogger(__name__)


def router(site: Site, page: Page) -> APIRouter:
    """`/nodes`, what follows it, and what an admin may begin there."""
    routes = page.routes()
    nodes = Nodes(site)
    if site.settings.serve.warm:
        site.at_start(nodes.warm)
    _add_looking(routes, site, page, nodes)
    _add_doing(routes, nodes)
    return routes


def _add_looking(routes: APIRouter, site: Site, page: Page, nodes: Nodes) -> None:
    followers = Followers()

    @routes.get("/nodes")
    def show(request: Request, caller: Looker) -> Response:
        """All of it; only engines and models come a moment later."""
        return page.show(request, caller, "nodes/nodes.html.j2", nodes.live(caller))

    @routes.get("/nodes/engines")
    def engines(request: Request, caller: Looker) -> Response:
        """What can speak here, and the versions of models: the store is asked for these."""
        return page.show(request, caller, "nodes/engines.html.j2", nodes.engines(caller))

    @routes.get("/nodes/live")
    async def follow(request: Request, caller: Looker) -> Response:
        """Parts that have changed."""
        mine = caller.principal.id
        followers.come(mine)

        def render() -> Mapping[str, str]:
            values = nodes.live(caller)
            return {name: page.rendered(request, caller, f"nodes/{name}.html.j2", values) for name in PARTS}

        lines = following.parts(render, check=lambda: still(caller, request), stopping=site.stopping)
        return Streaming(lines, ended=lambda: followers.go(mine))


def _add_doing(routes: APIRouter, nodes: Nodes) -> None:
    @routes.post("/nodes/uploads")
    def retry_uploads(request: Request, caller: Keeper) -> Response:
        """Whatever waits for the store is due now, parked uploads too: what `voxledger store retry` does."""
        caller.ledger.journal.hurry(UPLOAD)
        caller.site.door.uploader.flush(timeout=0)
        return _begun(request, "/nodes")

    @routes.post("/nodes/doctor")
    def examine(request: Request, caller: Keeper) -> Response:
        """Begin to look at everything."""
        work.examine(caller)
        return _begun(request, "/nodes#doctor")

    @routes.post("/nodes/quarantine")
    def deliver(request: Request, caller: Keeper, again: bool = False) -> Response:
        """Begin to send what Mixpanel refused once more."""
        work.deliver(caller, again=again)
        nodes.quarantined.clear()
        return _begun(request, "/nodes#quarantine")

    @routes.post("/nodes/models")
    def pull(request: Request, caller: Keeper, reference: Annotated[str, Query(max_length=200)]) -> Response:
        """Begin to bring a version of a model here."""
        work.pull(caller, reference)
        nodes.models.clear()
        return _begun(request, "/nodes#engines")


class Nodes:
    """What the page shows, and what of it is remembered."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._condition = Condition(site)
        self._timetable: Kept[Timetable] = Kept(5.0)
        self.quarantined: Kept[dict[str, Any]] = Kept(15.0)
        self.models: Kept[dict[str, Any]] = Kept(30.0)

    def warm(self) -> None:
        """Look at what takes long beside the start."""
        owner = self._site.owner
        caller = Caller(principal=owner, ledger=self._site.ledger(owner, "web"), site=self._site)

        def look() -> None:
            try:
                self._condition.warm(caller)
                self._timetable.get("", lambda: timetable(caller.ledger))
            except VoxledgerError as error:
                _log.debug("the node was not looked at beforehand: %s", error)
            except Exception as error:  # noqa: BLE001  # a thread of ours, perhaps at the end of the process
                _log.debug("the node was not looked at beforehand (%s)", type(error).__name__)

        threading.Thread(target=look, name="voxledger-nodes", daemon=True).start()

    def live(self, caller: Caller) -> dict[str, Any]:
        """What the page says, but for engines and models."""
        site = self._site
        facts = self._condition.facts(caller)
        status, refused = facts["status"], None
        if status is not None and status.quarantined:
            refused = self.quarantined.known(status.quarantined, lambda: _quarantine(caller))
        door = site.ledger(site.owner, "web")
        plan = renewed(door, self._timetable.get("", lambda: timetable(door)))
        levels = list(facts["levels"].values())
        examined = work.last(site, "examine")
        wrong = sum(each.level == "bad" for each in plan.jobs) + levels.count("bad") + levels.count("warn")
        return {
            **facts, "timetable": plan, "batches": work.batches(site, caller), "operations": work.operations(site),
            "kinds": work.KINDS, "examined": examined, "upload": UPLOAD,
            "refused": refused, "resent": work.last(site, "deliver"),
            "wrong": wrong + _found(examined, "bad"),
        }  # fmt: skip

    def engines(self, caller: Caller) -> dict[str, Any]:
        """Engines and models. What the store does not tell is said in place."""
        return {**self.models.get("", lambda: self._surveyed(caller)), "pulling": work.last(self._site, "pull")}

    def _surveyed(self, caller: Caller) -> dict[str, Any]:
        found: dict[str, Any] = {
            "engines": (),
            "models": (),
            "trouble": None,
            "usual": self._site.settings.synth.engine,
        }
        try:
            from voxledger.synth.engines import survey

            found["engines"] = survey(self._site.settings)
        except ImportError:  # the extra `synth` is not installed
            pass
        try:
            found["models"] = caller.ledger.models.list()[:_MODELS]
        except VoxledgerError as error:
            found["trouble"] = str(error)
        return found


def _quarantine(caller: Caller) -> dict[str, Any]:
    quarantine = caller.ledger.mixpanel.quarantine
    return {"reasons": quarantine.reasons(), "newest": quarantine.newest(_NEWEST)}


def _found(examined: Operation | None, state: str) -> int:
    """How much the doctor has found that is in a state."""
    result = examined.result if examined is not None else None
    return sum(each["state"] == state for each in result["findings"]) if result else 0


def _begun(request: Request, path: str) -> Response:
    """For scripts an answer, for browsers without them the page again."""
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"begun": True}, 202)
    return RedirectResponse(path, 303)
