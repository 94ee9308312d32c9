"""A clip: heard and seen, with everything that was recorded of it, its takes, its history and its fate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from voxledger.catalog.events import EMOTIONS
from voxledger.catalog.query.history import newest
from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.api.audio import Reference
from voxledger.dashboards.api.positions import Positions
from voxledger.dashboards.pages.clip import deeds, working
from voxledger.dashboards.pages.clip.fate import fate
from voxledger.dashboards.pages.clip.radar import radar, small
from voxledger.dashboards.pages.clip.sheet import LINES, SQL, Sheet, sheet
from voxledger.dashboards.pages.clip.takes import Takes, takes
from voxledger.dashboards.pages.clip.telling import drawing, sentence
from voxledger.dashboards.pages.kept import Kept
from voxledger.dashboards.pages.page import Page, entering
from voxledger.dashboards.server.callers import Caller

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

_HAPPENINGS = 20
"""Events of a page of the history."""
_TAGS = 100
Looker = Annotated[Caller, Depends(entering("read"))]


def router(site: Site, page: Page) -> APIRouter:
    """`/clips/{clip}` and its parts, which are pages of their own for whoever has no script."""
    routes = page.routes()
    positions = Positions(site.door.vault)
    suggestions: Kept[list[str]] = Kept(60.0, gone=site.gone.place)
    lately: Kept[Takes] = Kept(2.0, oldest=60.0, gone=site.gone.place)

    @routes.get("/clips/{clip}")
    def show(request: Request, reference: Reference, caller: Looker) -> Response:
        """The clip; under a part of its id, on to the whole."""
        found = sheet(caller, reference)
        if reference != found.clip.id:
            return RedirectResponse(f"/clips/{found.clip.id}", 303)
        return page.show(request, caller, "clip/clip.html.j2", _values(found, page), blocks={"standing", "care"})

    @routes.get("/clips/{clip}/history")
    def show_history(
        request: Request,
        reference: Reference,
        caller: Looker,
        before: Annotated[str | None, Query(max_length=200)] = None,
    ) -> Response:
        """What happened to it, the newest first."""
        clip = caller.clip(reference)
        place = positions.read(before, caller)
        with asked(caller, fresh=before is None) as reading:
            found = newest(clip.id, reading, caller.ledger.recorder, limit=_HAPPENINGS + 1, before=place)
        last = found[_HAPPENINGS - 1].event.position if len(found) > _HAPPENINGS else None
        values = {
            "clip": clip, "happenings": found[:_HAPPENINGS], "next": positions.cursor(last, caller), "before": before,
            "sentence": sentence, "drawing": drawing,
        }  # fmt: skip
        return page.show(request, caller, "clip/history.html.j2", values, blocks={"history", "older"})

    @routes.get("/clips/{clip}/takes")
    def show_takes(request: Request, reference: Reference, caller: Looker, everywhere: bool = False) -> Response:
        """The clips of the same text: those made around it, or all."""
        found = sheet(caller, reference)
        key = (caller.principal.sees, found.row["text_hash"], found.clip.id, site.door.journal.head(), everywhere)
        known = lately.get(key, lambda: takes(found, caller, everywhere=everywhere))
        values = {"sheet": found, "takes": known, "link": page.link}
        return page.show(request, caller, "clip/takes.html.j2", values, blocks={"takes"})

    @routes.get("/clips/{clip}/fate")
    def show_fate(request: Request, reference: Reference, caller: Looker) -> Response:
        """Why it is kept, and when it goes."""
        found = sheet(caller, reference)
        with page.viewer(request).looking():
            known = fate(found, caller)
        return page.show(
            request, caller, "clip/fate.html.j2", {"sheet": found, "fate": known, "link": page.link}, blocks={"fate"}
        )

    @routes.get("/clips/{clip}/tag-suggestions")
    def suggest(request: Request, reference: Reference, caller: Looker) -> Response:
        """Tags that are used at present, for whoever writes one."""
        clip, own = caller.clip(reference), caller.principal.sees

        def look() -> list[str]:
            query = SQL["tags"].format(whose="true" if own is None else "actor = $actor")
            with asked(caller, fresh=False) as reading:
                rows = reading.tuples(query, {"limit": _TAGS} if own is None else {"limit": _TAGS, "actor": own})
            return [tag for tag, _ in rows]

        tags = [tag for tag in suggestions.get(own, look) if tag not in clip.tags]
        return page.show(request, caller, "clip/suggestions.html.j2", {"tags": tags})

    routes.include_router(deeds.router(page, lambda found: _values(found, page)))
    routes.include_router(working.router(site, page))
    return routes


def _values(found: Sheet, page: Page) -> dict[str, Any]:
    return {
        "sheet": found, "clip": found.clip, "row": found.row, "record": found.record, "link": page.link, "lines": LINES,
        "emotions": EMOTIONS, "radar": radar, "small": small,
    }  # fmt: skip
