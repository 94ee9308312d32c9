"""The frame: what all pages of retention show, and what of it is remembered."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Depends, Request
from starlette.responses import Response

from voxledger.catalog.errors import PolicyError
from voxledger.catalog.queries import load
from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.pages.kept import Kept
from voxledger.dashboards.pages.page import Page, entering
from voxledger.dashboards.pages.words import later
from voxledger.dashboards.server.callers import Caller

if TYPE_CHECKING:
    from voxledger.catalog.retention import Standing
    from voxledger.dashboards.operations import Operation

SQL = load("retention.sql", "voxledger.dashboards.pages.retention")
LATELY = timedelta(days=30)
KINDS = ("apply", "undo", "restore", "hold", "renew", "release")
"""The operations that are shown on every page of retention."""
TABS = (
    ("/retention", later("Plan"), "list-filter"),
    ("/retention/policy", later("Policy"), "file-text"),
    ("/retention/holds", later("Holds"), "scale"),
    ("/retention/returning", later("Undo and restore"), "undo-2"),
    ("/retention/backtest", later("Backtest"), "rewind"),
)
_SHOWN = timedelta(hours=1)
_FEW = 4
Reader = Annotated[Caller, Depends(entering("usage"))]
Keeper = Annotated[Caller, Depends(entering("retain"))]


class Frame:
    """The page around each part, and dear answers that several of them need."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.site = page.site
        self._figures: Kept[Mapping[str, Any]] = Kept(20.0)
        self._words: Kept[Sequence[str]] = Kept(600.0, gone=self.site.gone.place)
        self._standing: Kept[Standing] = Kept(5.0, gone=self.site.gone.place)
        self._last: Kept[Mapping[str, Any] | None] = Kept(5.0, gone=self.site.gone.place)

    def show(
        self,
        request: Request,
        caller: Caller,
        name: str,
        values: Mapping[str, Any],
        *,
        blocks: Collection[str] = (),
        status: int = 200,
    ) -> Response:
        """A page of retention, or a block of it."""
        told = {"tabs": TABS, "operations": self.operations(), "seen": (), "figures": None, **values}
        return self.page.show(request, caller, f"retention/{name}.html.j2", told, blocks=blocks, status=status)

    def operations(self) -> Sequence[Operation]:
        """Those of retention that run, and the last that ended."""
        since = datetime.now(UTC) - _SHOWN
        found = [each for each in self.site.operations.all() if each.kind in KINDS]
        return [each for each in found if each.ended is None or each.ended > since][:_FEW]

    def figures(self, caller: Caller) -> Mapping[str, Any]:
        """What is marked, due, held and gone; some seconds old."""
        return self._figures.get("", lambda: _figures(caller))

    def standing(self, caller: Caller) -> tuple[Standing | None, str]:
        """How the schedule stands; or None, and why nobody can say."""
        try:
            return self._standing.get("", caller.ledger.retention.status), ""
        except PolicyError as error:
            return None, str(error)

    def last(self, caller: Caller) -> Mapping[str, Any] | None:
        """The plan that was applied last; some seconds old."""
        return self._last.get("", lambda: _last(caller))

    def words(self, caller: Caller, column: str) -> Sequence[str]:
        """The values of a column that most clips have; two minutes old at most."""
        return self._words.get(column, lambda: _words(caller, column))

    def clips(self, caller: Caller, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What is shown of clips, by their ids."""
        if not ids:
            return {}
        with asked(caller, fresh=False) as reading:
            return {row["clip"]: row for row in reading.rows(SQL["clips"], {"ids": list(ids)})}


def _figures(caller: Caller) -> Mapping[str, Any]:
    present = datetime.now(UTC)
    with asked(caller, fresh=False) as reading:
        found = reading.rows(SQL["standing"], {"now": present})[0]
        gone = reading.rows(SQL["gone"], {"since": present - LATELY})[0]
    return {**found, "gone": gone["clips"], "gone_bytes": gone["bytes"]}


def _last(caller: Caller) -> Mapping[str, Any] | None:
    with asked(caller, fresh=False) as reading:
        rows = reading.rows(SQL["last_plan"])
    return rows[0] if rows else None


def _words(caller: Caller, column: str) -> Sequence[str]:
    with asked(caller, fresh=False) as reading:
        found = reading.tuples(SQL["words"].format(column=column))
    return found[0][0] or ()
