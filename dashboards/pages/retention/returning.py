"""Returning: plans that were applied, whose marks can be taken back, and deleted clips, which may be brought back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from voxledger.catalog.query.place import Place, read
from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.pages.kept import Kept
from voxledger.dashboards.pages.retention.frame import KINDS, SQL, Frame, Reader

if TYPE_CHECKING:
    from voxledger.dashboards.server.callers import Caller

PLANS, CLIPS = 10, 50
_ORDER = "deleted"
_Rows: TypeAlias = Sequence[Mapping[str, Any]]


def add(routes: APIRouter, frame: Frame) -> None:
    """`/retention/returning`."""
    # All clips are gone through for each: read again as soon as something was done here, and else after some seconds.
    plans: Kept[tuple[_Rows, int | None]] = Kept(5.0, oldest=60.0, gone=frame.site.gone.place)
    clips: Kept[tuple[_Rows, str | None]] = Kept(5.0, oldest=60.0, gone=frame.site.gone.place)

    def done() -> datetime | None:
        """When the last operation ended."""
        found = (each.ended for each in frame.site.operations.all() if each.kind in KINDS)
        return max((ended for ended in found if ended is not None), default=None)

    def applied(caller: Caller, before: int | None) -> Mapping[str, Any]:
        rows, earlier = plans.get((done(), before), lambda: _applied(caller, before))
        return {
            "applied": _named(caller, rows), "earlier": f"/retention/returning?before={earlier}" if earlier is not None else "",
            "newest": "/retention/returning" if before is not None else "",
        }  # fmt: skip

    def deleted(caller: Caller, cursor: str) -> Mapping[str, Any]:
        after = read(cursor, order=_ORDER) if cursor else None
        rows, following = clips.get((done(), after), lambda: _deleted(caller, after))
        known = frame.clips(caller, [row["clip"] for row in rows])
        return {
            "deleted": [{**known.get(row["clip"], {}), **row} for row in rows],
            "next": f"/retention/returning?cursor={following}#deleted" if following else "",
            "first": "/retention/returning#deleted" if cursor else "",
        }  # fmt: skip

    @routes.get("/retention/returning")
    def show(
        request: Request,
        caller: Reader,
        before: Annotated[int | None, Query(ge=0)] = None,
        cursor: Annotated[str, Query(max_length=500)] = "",
    ) -> Response:
        """The plans that were applied last, and the clips that were deleted last."""
        parts: Mapping[str, Callable[[], Mapping[str, Any]]] = {
            "applied": lambda: applied(caller, before),
            "deleted": lambda: deleted(caller, cursor),
        }
        wanted = frame.page.part(request, parts)
        values: dict[str, Any] = {}
        for name in parts if wanted is None else (wanted,):
            values |= parts[name]()
        return frame.show(request, caller, "returning", values, blocks=parts)


def _applied(caller: Caller, before: int | None) -> tuple[_Rows, int | None]:
    with asked(caller) as reading:
        rows = reading.rows(SQL["applied"], {"before": before, "limit": PLANS + 1})
        shown = rows[:PLANS]
        found = reading.rows(SQL["of_plans"], {"plans": [row["plan"] for row in shown]}) if shown else []
    became = {row["plan"]: row for row in found}
    nothing = {"standing": 0, "standing_bytes": 0, "goes": None, "gone": 0, "gone_bytes": 0}
    told = [{**nothing, **row, **became.get(row["plan"], {})} for row in shown]
    return told, shown[-1]["position"] if len(rows) > PLANS else None


def _named(caller: Caller, rows: _Rows) -> _Rows:
    """With who did it: never remembered, for whoever is erased has no name any more."""
    keys = [caller.ledger.vault.key(row["actor_id"]) for row in rows]
    return [{**row, "actor": key.label if key else None} for row, key in zip(rows, keys, strict=True)]


def _deleted(caller: Caller, after: Place | None) -> tuple[_Rows, str | None]:
    moment = datetime.fromtimestamp(int(after.value) / 1e6, UTC) if after and isinstance(after.value, int) else None
    with asked(caller) as reading:
        rows = reading.rows(
            SQL["deleted"], {"purged": moment, "id": after.id if after and moment else None, "limit": CLIPS + 1}
        )
    following = None
    if len(rows) > CLIPS:
        last = rows[CLIPS - 1]
        following = Place(_ORDER, round(last["purged"].timestamp() * 1e6), last["clip"]).token()
    return rows[:CLIPS], following
