"""Takes: the clips of one text, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.pages.clip.sheet import SQL

if TYPE_CHECKING:
    from voxledger.dashboards.pages.clip.sheet import Sheet
    from voxledger.dashboards.server.callers import Caller

MOST = 24
NEAR = 1_000_000
"""So far before and after a clip in the log its takes are looked for at first: most are made within hours, and all clips are many."""
_LAST = 2**62


class Takes(NamedTuple):
    """The newest clips of a text, this one among them. There are `more` than are shown; there may be others `beyond` those looked at."""

    clips: Sequence[Mapping[str, Any]]
    more: bool
    beyond: bool

    @property
    def playable(self) -> list[Mapping[str, Any]]:
        """Those whose audio is there."""
        return [each for each in self.clips if not each["gone"]]


def takes(sheet: Sheet, caller: Caller, *, everywhere: bool = False) -> Takes:
    """The takes of a clip's text, which is recognized by its hash: also where texts are not kept. Raises QueryError.

    Those made around it, or `everywhere`.
    """
    text = sheet.row["text_hash"]
    if not text:
        return Takes((), more=False, beyond=False)
    own = caller.principal.sees
    place = sheet.row["position"]
    around = {"first": 0, "last": _LAST} if everywhere else {"first": place - NEAR, "last": place + NEAR}
    values = {**around, "hash": text, "length": sheet.row["text_length"], "limit": MOST + 1}
    whose = "true" if own is None else "actor = $actor"
    with asked(caller, fresh=False) as reading:
        rows = reading.rows(SQL["takes"].format(whose=whose), values if own is None else {**values, "actor": own})
        found = rows[:MOST]
        if all(row["clip"] != sheet.clip.id for row in found):
            found = [*found[: MOST - 1], *reading.rows(SQL["take"], {"clip": sheet.clip.id})]
        beyond = not everywhere and bool(reading.tuples(SQL["beyond"], around)[0][0])
    return Takes(found, more=len(rows) > MOST, beyond=beyond)
