"""Deeds: what people do to a clip on its page. Each is a form; whoever has a script sees the part that changed, others the page anew."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from voxledger.catalog.query.moment import end_of
from voxledger.dashboards.api.audio import Reference
from voxledger.dashboards.api.clips import BRIEF, require_brief
from voxledger.dashboards.api.curating import Change, change
from voxledger.dashboards.api.holds import permitted
from voxledger.dashboards.pages.clip.sheet import Sheet, sheet
from voxledger.dashboards.pages.clip.takes import takes
from voxledger.dashboards.pages.page import Page, entering
from voxledger.dashboards.pages.words import say, say_many
from voxledger.dashboards.server.callers import Caller

Values = Callable[[Sheet], dict[str, Any]]
_Curator = Annotated[Caller, Depends(entering("curate"))]
_Keeper = Annotated[Caller, Depends(entering("retain"))]
_Reader = Annotated[Caller, Depends(entering("read"))]
_Text = Annotated[str, Form(max_length=2000)]
_COMMA = re.compile("[,，、]")


class _Desk:
    """Where deeds are answered."""

    def __init__(self, page: Page, values: Values) -> None:
        self._page = page
        self._values = values

    def done(
        self,
        request: Request,
        caller: Caller,
        clip: str,
        said: Callable[[], str],
        *,
        undo: tuple[str, Mapping[str, Any]] | None = None,
    ) -> Response:
        """The part of the page that shows it, with what is said of it, and what takes it back."""
        if not request.headers.get("hx-request") or request.headers.get("hx-boosted"):
            return RedirectResponse(f"/clips/{clip}", 303)
        shown = self._page.show(
            request, caller, "clip/clip.html.j2", self._values(sheet(caller, clip)), blocks={"care", "standing"}
        )
        with self._page.viewer(request).looking():
            told: dict[str, Any] = {"message": said()}
        if undo is not None:
            told["undo"] = {"path": f"/clips/{clip}/{undo[0]}", "values": dict(undo[1])}
        shown.headers["HX-Trigger"] = json.dumps({"vox:done": told, "vox:changed": {}})
        return shown


def router(page: Page, values: Values) -> APIRouter:
    """`POST /clips/{clip}/…`."""
    routes = page.routes()
    desk = _Desk(page, values)
    _add_judging(routes, desk)
    _add_keeping(routes, desk, page)
    _add_choosing(routes, desk)
    _add_link(routes, page)
    return routes


def _add_judging(routes: APIRouter, desk: _Desk) -> None:
    @routes.post("/clips/{clip}/rating")
    def rate(request: Request, reference: Reference, caller: _Curator, rating: Annotated[int, Form()]) -> Response:
        """1 to 5."""
        before = sheet(caller, reference).row["rating"]
        clip = caller.ledger.catalog.rate(caller.clip(reference), rating)
        undo = ("rating", {"rating": before}) if before and before != rating else None
        return desk.done(request, caller, clip.id, lambda: say("Rated %(rating)s of 5") % {"rating": rating}, undo=undo)

    @routes.post("/clips/{clip}/tags")
    def tag(
        request: Request,
        reference: Reference,
        caller: _Curator,
        tags: _Text = "",
        tag: Annotated[list[str] | None, Form(max_length=100)] = None,
    ) -> Response:
        """Several in `tags` are parted by commas; each `tag` is one as it stands."""
        clip = caller.clip(reference)
        wanted = [each.strip() for each in (*_COMMA.split(tags), *(tag or ())) if each.strip()]
        new = [each for each in dict.fromkeys(wanted) if each not in clip.tags]
        clip = caller.ledger.catalog.tag(clip, *new)
        undo = ("untag", {"tag": new}) if new else None
        return desk.done(request, caller, clip.id, lambda: say("Tagged %(tags)s") % {"tags": ", ".join(wanted)}, undo=undo)  # fmt: skip

    @routes.post("/clips/{clip}/untag")
    def untag(
        request: Request, reference: Reference, caller: _Curator, tag: Annotated[list[str], Form(max_length=100)]
    ) -> Response:
        """Take tags off."""
        clip = caller.ledger.catalog.untag(caller.clip(reference), *tag)
        gone = ", ".join(tag)
        return desk.done(
            request, caller, clip.id, lambda: say("Took the tag %(tags)s off") % {"tags": gone}, undo=("tags", {"tag": tag})
        )  # fmt: skip


def _add_keeping(routes: APIRouter, desk: _Desk, page: Page) -> None:
    @routes.post("/clips/{clip}/pin")
    def pin(
        request: Request, reference: Reference, caller: _Curator, reason: _Text = "", until: _Text = ""
    ) -> Response:
        """For good, or until a day."""
        ends = end_of("until", until.strip() or None, page.viewer(request).zone)
        clip = caller.ledger.catalog.pin(caller.clip(reference), reason=reason.strip() or None, until=ends)
        return desk.done(request, caller, clip.id, lambda: say("Pinned: no rule lets it go"), undo=("unpin", {}))

    @routes.post("/clips/{clip}/unpin")
    def unpin(request: Request, reference: Reference, caller: _Curator) -> Response:
        """Rules decide again."""
        before = sheet(caller, reference).row
        clip = caller.ledger.catalog.unpin(caller.clip(reference))
        again = {"reason": before["pin_reason"] or ""}
        if before["pinned_until"]:
            again["until"] = before["pinned_until"].isoformat()
        return desk.done(request, caller, clip.id, lambda: say("No longer pinned"), undo=("pin", again))

    @routes.post("/clips/{clip}/hold")
    def hold(
        request: Request,
        reference: Reference,
        caller: _Keeper,
        reason: _Text,
        until: _Text = "",
        legal: Annotated[bool, Form()] = False,
    ) -> Response:
        """Of this clip alone; a legal one is for admins, and has a day of review."""
        clip, ends = caller.clip(reference), end_of("until", until.strip() or None, page.viewer(request).zone)
        placed = permitted(caller).hold(
            clip, reason=reason, until=None if legal else ends, legal=legal, review=ends if legal else None
        )
        return desk.done(
            request, caller, clip.id, lambda: say("Held"), undo=None if legal else ("release", {"hold": placed.id})
        )

    @routes.post("/clips/{clip}/release")
    def release(request: Request, reference: Reference, caller: _Keeper, hold: _Text, reason: _Text = "") -> Response:
        """A hold, which lets all its clips go."""
        clip = caller.clip(reference)
        done = permitted(caller).release(hold, reason=reason.strip() or None)

        def said() -> str:
            return say_many("Released %(num)s clip", "Released %(num)s clips", done.clips) % {"num": done.clips}

        return desk.done(request, caller, clip.id, said)


def _add_choosing(routes: APIRouter, desk: _Desk) -> None:
    @routes.post("/clips/{clip}/choose")
    def choose(
        request: Request,
        reference: Reference,
        caller: _Curator,
        best: Annotated[UUID, Form()],
        rating: Annotated[int, Form(ge=0, le=5)] = 5,
        pin: Annotated[bool, Form()] = False,
        tag: Annotated[str, Form(max_length=128)] = "",
    ) -> Response:
        """One take of a text is the one: it is rated and pinned, and the others are tagged."""
        found = sheet(caller, reference)
        others = [each["clip"] for each in takes(found, caller).playable if each["clip"] != str(best)]
        caller.clip(str(best))  # it has to be there, and for this caller
        chosen = {"rating": rating or None, "pin": {"reason": "the chosen take"} if pin else None}
        wanted = {str(best): Change.model_validate(chosen)}
        if tag.strip():
            wanted |= dict.fromkeys(others, Change.model_validate({"tag": [tag.strip()]}))
        change(wanted, caller)
        return desk.done(request, caller, found.clip.id, lambda: say("Chosen"))


def _add_link(routes: APIRouter, page: Page) -> None:
    @routes.post("/clips/{clip}/link")
    def link(
        request: Request, reference: Reference, caller: _Reader, expires: Annotated[int, Form(ge=1, le=604_800)] = BRIEF
    ) -> Response:
        """An address that works without a token for a while."""
        clip = caller.clip(reference)
        require_brief(expires, caller)
        values = {"clip": clip, "url": caller.ledger.catalog.url(clip, expires), "expires": expires}
        return page.show(request, caller, "clip/link.html.j2", values, blocks={"link"})
