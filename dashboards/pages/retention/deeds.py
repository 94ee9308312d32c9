"""Deeds: applying, undoing, restoring and holds as operations that are followed on every page of retention; pins at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import RedirectResponse, Response

from voxledger.dashboards.api.holds import Placing, Renewing, placing, releasing, renewing
from voxledger.dashboards.api.retention import Applying, Restoring, Undoing, applying, restoring, undoing
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.operations import Kind, Work
from voxledger.dashboards.pages.page import entering
from voxledger.dashboards.pages.retention.frame import Frame, Keeper, Reader
from voxledger.dashboards.pages.words import say
from voxledger.dashboards.server.callers import Caller

_PATIENCE = 0.4
"""Seconds that whoever begins an operation waits for its end: most are that short."""
Curator = Annotated[Caller, Depends(entering("curate"))]
Ids = Annotated[str, Form(max_length=50_000)]


class Seen(BaseModel):
    """What somebody has seen and ticked before a plan is applied."""

    model_config = ConfigDict(extra="ignore")

    plan: str = Field(max_length=40)
    mark: int = Field(0, ge=0)
    unmark: int = Field(0, ge=0)
    purge: int = Field(0, ge=0)
    typed: str = Field("", max_length=40)
    ticked: list[str] = Field(default_factory=list, max_length=200)


def add(routes: APIRouter, frame: Frame) -> None:
    """Everything that is posted, and how it stands."""
    _add_following(routes, frame)
    _add_plans(routes, frame)
    _add_holds(routes, frame)
    _add_pins(routes, frame)


def _add_following(routes: APIRouter, frame: Frame) -> None:
    @routes.get("/retention/operations")
    def follow(
        request: Request, caller: Reader, seen: Annotated[list[str] | None, Query(max_length=20)] = None
    ) -> Response:
        """How operations stand; `seen` ran when they were looked at last."""
        found = frame.operations()
        shown = frame.show(request, caller, "operations", {"operations": found, "seen": ()})
        if any(each.id in (seen or ()) and each.state != "running" for each in found):
            shown.headers["HX-Trigger"] = "retention:ended"
        return shown


def _add_plans(routes: APIRouter, frame: Frame) -> None:
    @routes.post("/retention/apply")
    async def apply(request: Request, caller: Keeper, seen: Annotated[Seen, Form()]) -> Response:
        """Carry the plan out that was seen; it is planned anew, and nothing is done if that gives another."""
        if seen.purge and seen.typed.replace(",", "").replace(" ", "") != str(seen.purge):
            raise Refused(
                say("the number of clips to delete was not typed"), status=400, code="not_confirmed",
                remedy=say("Type it as it is shown. Nothing was changed."), param="typed",
            )  # fmt: skip
        wanted = Applying(plan=seen.plan, deeds={"mark": seen.mark, "unmark": seen.unmark, "purge": seen.purge})
        return await _begun(request, caller, frame, "apply", applying(caller, wanted), "/retention")

    @routes.post("/retention/undo")
    async def undo(request: Request, caller: Keeper, plan: Annotated[str, Form(max_length=40)]) -> Response:
        """Take back every mark of a plan that still stands."""
        return await _begun(request, caller, frame, "undo", undoing(caller, Undoing(plan=plan)), "/retention/returning")

    @routes.post("/retention/restore")
    async def restore(
        request: Request,
        caller: Keeper,
        clips: Ids = "",
        clip: Annotated[list[str] | None, Form(max_length=1000)] = None,
        plan: Annotated[str, Form(max_length=40)] = "",
    ) -> Response:
        """Bring clips back: those named, those chosen, or all that a plan took."""
        wanted = _valid(Restoring, clips=_named(clips, clip), plan=plan.strip() or None)
        return await _begun(request, caller, frame, "restore", restoring(caller, wanted), "/retention/returning")


def _add_holds(routes: APIRouter, frame: Frame) -> None:
    back = "/retention/holds"

    @routes.post("/retention/holds")
    async def place(
        request: Request,
        caller: Keeper,
        clips: Ids = "",
        where: Annotated[str, Form(max_length=4000)] = "",
        plan: Annotated[str, Form(max_length=40)] = "",
        reason: Annotated[str, Form(max_length=2000)] = "",
        until: Annotated[str, Form(max_length=100)] = "",
        legal: Annotated[bool, Form()] = False,
        review: Annotated[str, Form(max_length=100)] = "",
    ) -> Response:
        """Keep clips: those named, those that fit, those that a plan has marked."""
        wanted = _valid(
            Placing, clips=_named(clips, None), where=where.strip() or None, plan=plan.strip() or None, reason=reason.strip(),
            until=None if legal else until.strip() or None, legal=legal, review=(review.strip() or None) if legal else None,
        )  # fmt: skip
        return await _begun(
            request, caller, frame, "hold", placing(caller, wanted, zone=frame.page.viewer(request).zone), back
        )

    @routes.post("/retention/holds/renew")
    async def renew(
        request: Request,
        caller: Keeper,
        hold: Annotated[str, Form(max_length=40)],
        until: Annotated[str, Form(max_length=100)] = "",
        review: Annotated[str, Form(max_length=100)] = "",
        reason: Annotated[str, Form(max_length=2000)] = "",
    ) -> Response:
        """Another end, or another day of review."""
        wanted = _valid(
            Renewing, until=until.strip() or None, review=review.strip() or None, reason=reason.strip() or None
        )
        return await _begun(
            request, caller, frame, "renew", renewing(caller, hold, wanted, zone=frame.page.viewer(request).zone), back
        )

    @routes.post("/retention/holds/release")
    async def release(
        request: Request,
        caller: Keeper,
        hold: Annotated[str, Form(max_length=40)],
        reason: Annotated[str, Form(max_length=2000)] = "",
    ) -> Response:
        """A hold ends."""
        return await _begun(request, caller, frame, "release", releasing(caller, hold, reason.strip() or None), back)


def _add_pins(routes: APIRouter, frame: Frame) -> None:
    def kept(request: Request, caller: Caller, clip: str, *, pinned: bool) -> Response:
        if not request.headers.get("hx-request"):
            return RedirectResponse("/retention", 303)
        return frame.show(request, caller, "kept", {"clip": clip, "pinned": pinned})

    @routes.post("/retention/pin")
    def pin(
        request: Request, caller: Curator, clip: Annotated[str, Form(max_length=36)], plan: Annotated[str, Form(max_length=40)] = ""
    ) -> Response:  # fmt: skip
        """One clip stays: no rule lets it go while it is pinned."""
        reason = f"kept from plan {plan}" if plan.isalnum() else None
        found = caller.ledger.catalog.pin(caller.clip(clip), reason=reason, until=None)
        return kept(request, caller, found.id, pinned=True)

    @routes.post("/retention/unpin")
    def unpin(request: Request, caller: Curator, clip: Annotated[str, Form(max_length=36)]) -> Response:
        """It does not any more."""
        found = caller.ledger.catalog.unpin(caller.clip(clip))
        return kept(request, caller, found.id, pinned=False)


async def _begun(request: Request, caller: Caller, frame: Frame, kind: Kind, work: Work, back: str) -> Response:
    """Begin an operation; the answer is how operations stand, or the page again where there are no scripts. Raises what ends it at once."""
    operations = frame.site.operations
    identity = operations.begin(kind, work, by=caller.principal.name)
    operation = await operations.ended(identity, _PATIENCE)
    if not request.headers.get("hx-request"):
        return RedirectResponse(back, 303)
    shown = frame.show(request, caller, "operations", {"operations": frame.operations(), "seen": ()})
    shown.headers["HX-Trigger"] = (
        "retention:begun" if operation.state == "running" else "retention:begun, retention:ended"
    )
    return shown


def _named(text: str, chosen: Sequence[str] | None) -> list[str]:
    """Ids as people write them: one a line, or with commas and spaces between."""
    return list(dict.fromkeys([*text.replace(",", " ").split(), *(chosen or ())]))


def _valid(shape: Any, **given: Any) -> Any:
    """A request as the API takes it. Raises Refused for what it would not take."""
    try:
        return shape(**given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Refused(
            f"{place}: {first['msg']}", status=422, code="invalid", remedy=say("Check the form."), param=place
        ) from None
