"""The library: every clip, found by words and filters, heard, judged and taken away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from fastapi import APIRouter, Depends, Form, Query, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from voxledger.catalog.errors import QueryError, SearchError
from voxledger.catalog.events import EMOTIONS
from voxledger.dashboards.api.curating import Curator
from voxledger.dashboards.api.holds import placing
from voxledger.dashboards.api.listing import Listed
from voxledger.dashboards.api.operations import begun
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.pages.library import selection
from voxledger.dashboards.pages.library.choices import Choices
from voxledger.dashboards.pages.library.downloads import Downloads
from voxledger.dashboards.pages.library.selection import Doing, Holding, Restoring, Selection
from voxledger.dashboards.pages.library.shelf import FIRST, page_of
from voxledger.dashboards.pages.library.wanted import NONE, STATES, Name, Wanted
from voxledger.dashboards.pages.page import Entry, Page, entering
from voxledger.dashboards.pages.words import later
from voxledger.dashboards.server.callers import Caller, may

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

ENTRY = Entry(path="/library", name=later("Library"), icon="library", key="l", permission="read", place=20)
Looker = Annotated[Caller, Depends(entering("read"))]
_FIELDS: tuple[tuple[Name, str], ...] = (
    ("emotion", later("Emotion")), ("voice", later("Voice")), ("actor", later("Person")), ("session", later("Session")),
    ("tag", later("Tag")), ("language", later("Language")), ("engine", later("Engine")), ("state", later("State")),
)  # fmt: skip
"""Filters by value, and how they are called."""
_ORDERS = (
    ("-created", later("Newest first")), ("created", later("Oldest first")), ("-rating", later("Best rated")),
    ("-plays", later("Most played")),
    ("-last_used", later("Last used")), ("-duration", later("Longest")), ("duration", later("Shortest")), ("name", later("Name")),
    ("-bytes", later("Largest")),
)  # fmt: skip
_SPANS = (
    ("1d", later("Last 24 hours")),
    ("7d", later("Last 7 days")),
    ("30d", later("Last 30 days")),
    ("365d", later("Last year")),
)
_LENGTHS = (
    (None, 2.0, later("under 2 s")), (2.0, 5.0, later("2 to 5 s")), (5.0, 15.0, later("5 to 15 s")), (15.0, 60.0, later("15 s to 1 min")),
    (60.0, None, later("over 1 min")),
)  # fmt: skip


def router(site: Site, page: Page) -> APIRouter:
    """`/library`, what it counts, and what is done to many clips."""
    routes = page.routes()
    choices = Choices(site)
    downloads = Downloads(site)

    @routes.get("/library")
    def show(request: Request, caller: Looker, wanted: Annotated[Wanted, Query()]) -> Response:
        """A page of clips; what fits, or the next page of it, for htmx."""
        zone = page.viewer(request).zone
        values = {**_static(request, wanted), **_shelf(wanted, caller, zone), "known": {}}
        if request.headers.get("hx-target") not in ("results", "more"):
            values["known"] = choices.known(caller, zone)
        shown = page.show(request, caller, "library/library.html.j2", values, blocks={"results", "more"})
        if request.headers.get("hx-target") == "results":
            typing = "q=" in request.headers.get("hx-current-url", "") and wanted.q is not None
            shown.headers["HX-Replace-Url" if typing else "HX-Push-Url"] = wanted.address()
        return shown

    @routes.get("/library/count")
    def count(request: Request, caller: Looker, wanted: Annotated[Wanted, Query()]) -> Response:
        """How many clips fit, and how long they are together."""
        found = choices.count(wanted, caller, page.viewer(request).zone)
        return page.show(request, caller, "library/count.html.j2", {"counted": found})

    @routes.get("/library/choices")
    def choose(
        request: Request,
        caller: Looker,
        wanted: Annotated[Wanted, Query()],
        field: Annotated[Name, Query()],
        find: Annotated[str, Query(max_length=200)] = "",
    ) -> Response:
        """The values of a field, with counts of what the other filters leave."""
        found = choices.of(field, wanted, caller, page.viewer(request).zone, find.strip())
        values = {
            "field": field,
            "chosen": getattr(wanted, field),
            "found": found,
            "find": find,
            "counted": wanted.q is None,
            **_NAMES,
        }
        return page.show(request, caller, "library/choices.html.j2", values)

    @routes.get("/library/all")
    def select_all(request: Request, caller: Looker, wanted: Annotated[Wanted, Query()]) -> dict[str, Any]:
        """How many clips fit now: what somebody confirms before something is done to all of them."""
        zone, before = page.viewer(request).zone, selection.moment()
        if wanted.q is None:
            number = choices.counted(wanted, caller, zone).clips
        else:
            number = len(
                selection.ids_of(
                    Selection.model_validate({"all": wanted.address().partition("?")[2], "before": before}),
                    caller,
                    zone,
                )
            )
        return {"clips": number, "before": before, "most": selection.MOST}

    @routes.post("/library/change")
    def change(doing: Doing, request: Request, caller: Curator) -> dict[str, Any]:
        """Tag, untag, rate, pin and unpin."""
        return selection.change(doing, caller, page.viewer(request).zone)

    @routes.post("/library/restore")
    def restore(restoring: Restoring, caller: Curator) -> dict[str, Any]:
        """Undo that: each clip is what it was before."""
        return selection.restore(restoring, caller)

    @routes.post("/library/hold")
    async def hold(asked: Holding, request: Request, caller: Annotated[Caller, Depends(may("retain"))]) -> Response:
        """Hold them."""
        zone = page.viewer(request).zone
        placed = await run_in_threadpool(selection.placed, asked, caller, zone)
        return await begun(caller, "hold", placing(caller, placed, zone=zone), 60)

    @routes.post("/library/download")
    def download(request: Request, caller: Looker, asked: Annotated[str, Form(max_length=600_000)]) -> Response:
        """A ZIP file with their audio and a table."""
        try:
            chosen = Selection.model_validate_json(asked)
        except ValidationError as error:
            raise Refused(
                "no clips were chosen", status=400, code="query", remedy="Select some in the library."
            ) from error
        zone = page.viewer(request).zone
        return downloads.begun(request, caller, lambda: selection.clips_of(chosen, caller, zone))

    return routes


_NAMES: Mapping[str, Any] = {"emotions": EMOTIONS, "states": STATES, "NONE": NONE}


def _static(request: Request, wanted: Wanted) -> dict[str, Any]:
    """What no query is needed for."""
    remembered = request.cookies.get("library")
    view: Literal["rows", "grid"] = "grid" if (wanted.view or remembered) == "grid" else "rows"
    return {
        "wanted": wanted, "view": view, "fields": _FIELDS, "orders": _ORDERS, "spans": _SPANS, "lengths": _LENGTHS, **_NAMES,
    }  # fmt: skip


def _shelf(wanted: Wanted, caller: Caller, zone: str) -> dict[str, Any]:
    """The clips; what cannot be asked is told in their place."""
    try:
        found, problem = page_of(wanted, caller, zone), None
    except (QueryError, SearchError) as error:
        found, problem = Listed([], None, 0), error
    except Refused as error:
        if error.status != 400:
            raise
        found, problem = Listed([], None, 0), cast("Any", error)
    short = found.next is not None and len(found.clips) < FIRST
    return {
        "clips": found.clips, "next": found.next, "looked": found.looked if short else None, "problem": problem,
    }  # fmt: skip
