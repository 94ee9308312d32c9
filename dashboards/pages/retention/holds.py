"""Holds: what people keep and why; listed, placed, renewed and released."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from voxledger.catalog.errors import QueryError
from voxledger.catalog.query.condition import explain
from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.api.conditions import LONGEST, condition
from voxledger.dashboards.pages.kept import Kept
from voxledger.dashboards.pages.retention.frame import SQL, Frame, Reader

if TYPE_CHECKING:
    from voxledger.catalog.retention import Hold
    from voxledger.dashboards.server.callers import Caller

Which = Literal["open", "due", "all"]
_FEW = 20
_MOST = 500
"""Holds that are shown; there are seldom more than a few."""
_DEEDS = ("hold", "renew", "release")


class Listed:
    """The holds, read again as soon as something was done to them here, and else after some seconds."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._kept: Kept[Sequence[Hold]] = Kept(5.0, gone=frame.site.gone.place)

    def all(self, caller: Caller) -> Sequence[Hold]:
        """All of them, the newest first."""
        done = sum(each.kind in _DEEDS and each.state != "running" for each in self._frame.site.operations.all())
        return self._kept.get(done, lambda: caller.ledger.retention.holds(every=True)[::-1])


def add(routes: APIRouter, frame: Frame) -> None:
    """`/retention/holds`."""
    listed = Listed(frame)

    @routes.get("/retention/holds")
    def show(
        request: Request,
        caller: Reader,
        which: Annotated[Which, Query()] = "open",
        clip: Annotated[list[str] | None, Query(max_length=50)] = None,
        where: Annotated[str, Query(max_length=LONGEST)] = "",
        new: Annotated[bool, Query()] = False,
    ) -> Response:
        """Those that stand, those that are due for review, or all; with `new`, the form for another, for clips or a condition."""
        holds = listed.all(caller)
        some = {
            "open": [each for each in holds if each.state == "open"],
            "due": [each for each in holds if each.overdue],
            "all": list(holds),
        }
        values = {
            "holds": some[which][:_MOST], "counts": {name: len(found) for name, found in some.items()}, "which": which,
            "chosen": clip or [], "where": where, "new": new,
        }  # fmt: skip
        return frame.show(request, caller, "holds", values, blocks={"listed"})

    @routes.get("/retention/holds/fitting")
    def fitting(request: Request, caller: Reader, where: Annotated[str, Query(max_length=LONGEST)] = "") -> Response:
        """How many clips a condition means."""
        values: dict[str, Any] = {"fits": None, "wrong": ""}
        if where.strip():
            try:
                checked = condition(where, sees=None)
                with asked(caller, fresh=False, explain=explain) as reading:
                    values["fits"] = reading.rows(SQL["fitting"].replace("{condition}", checked or "true"))[0]
            except QueryError as error:
                values["wrong"] = str(error)
        return frame.show(request, caller, "fitting", values)

    @routes.get("/retention/holds/{hold}/clips")
    def clips(request: Request, hold: Annotated[str, Path(max_length=40)], caller: Reader) -> Response:
        """The first clips of a hold, to be heard."""
        with asked(caller, fresh=False) as reading:
            ids = [clip for (clip,) in reading.tuples(SQL["held"], {"hold": hold, "limit": _FEW + 1})]
        known = frame.clips(caller, ids[:_FEW])
        values = {"clips": [known[each] for each in ids[:_FEW] if each in known], "more": len(ids) > _FEW}
        return frame.show(request, caller, "held", values)
