"""Returning: plans that were applied, whose marks can be taken back, and deleted clips, which may be brought back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from voxledger.catalog.query.place import Place, read
from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.pages.retention.frame import SQL, Frame, Reader

if TYPE_CHECKING:
    from voxledger.dashboards.server.callers import Caller

PLANS, CLIPS = 10, 50
_ORDER = "deleted"


def add(routes: APIRouter, frame: Frame) -> None:
    """`/retention/returning`."""

    @routes.get("/retention/returning")
    def show(
        request: Request,
        caller: Reader,
        before: Annotated[int | None, Query(ge=0)] = None,
        cursor: Annotated[str, Query(max_length=500)] = "",
    ) -> Response:
        """The plans that were applied last, and the clips that were deleted last."""
        applied, earlier = _applied(caller, before)
        deleted, following = _deleted(caller, cursor)
        known = frame.clips(caller, [row["clip"] for row in deleted])
        values = {
            "applied": applied, "earlier": f"/retention/returning?before={earlier}" if earlier is not None else "",
            "deleted": [{**known.get(row["clip"], {}), **row} for row in deleted],
            "next": f"/retention/returning?cursor={following}#deleted" if following else "",
            "first": "/retention/returning#deleted" if cursor else "", "newest": "/retention/returning" if before is not None else "",
        }  # fmt: skip
        return frame.show(request, caller, "returning", values, blocks={"applied", "deleted"})


def _applied(caller: Caller, before: int | None) -> tuple[Sequence[Mapping[str, Any]], int | None]:
    with asked(caller) as reading:
        rows = reading.rows(SQL["applied"], {"before": before, "limit": PLANS + 1})
        shown = rows[:PLANS]
        found = reading.rows(SQL["of_plans"], {"plans": [row["plan"] for row in shown]}) if shown else []
    became = {row["plan"]: row for row in found}
    vault = caller.ledger.vault
    nothing = {"standing": 0, "standing_bytes": 0, "goes": None, "gone": 0, "gone_bytes": 0}
    told = []
    for row in shown:
        key = vault.key(row["actor_id"])
        told.append({**nothing, **row, **became.get(row["plan"], {}), "actor": key.label if key else None})
    return told, shown[-1]["position"] if len(rows) > PLANS else None


def _deleted(caller: Caller, cursor: str) -> tuple[Sequence[Mapping[str, Any]], str | None]:
    after = read(cursor, order=_ORDER) if cursor else None
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
