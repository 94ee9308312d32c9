"""The fate of a clip: whether it stays, why, and when it goes, in one sentence and the facts behind it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.retention.planning.amounts import FINISH, MARK, PURGE, UNMARK, WAIT
from voxledger.dashboards.pages import moments
from voxledger.dashboards.pages.words import say
from voxledger.dashboards.server.answers import meaning

if TYPE_CHECKING:
    from voxledger.catalog.retention.explaining.explain import Explanation
    from voxledger.dashboards.pages.clip.sheet import Sheet
    from voxledger.dashboards.server.callers import Caller


class Fate(NamedTuple):
    """What will become of a clip. `level` is `stays`, `goes`, `soon` or `gone`; `story` tells it all, in English.

    Who may not see what retention would do is told what is decided already.
    """

    level: str
    said: str
    goes: datetime | None = None
    rules: Sequence[Any] = ()
    keep: Sequence[Any] = ()
    held: Sequence[Any] = ()
    story: Sequence[str] = ()
    fault: str = ""
    remedy: str = ""


def fate(sheet: Sheet, caller: Caller) -> Fate:
    """What becomes of it. What retention cannot say now is part of the answer."""
    if not caller.principal.may("usage"):
        return Fate(*_decided(sheet), goes=sheet.row["delete_after"])
    try:
        found = caller.ledger.retention.explain(sheet.clip)
    except VoxledgerError as error:
        refused = meaning(error)
        level, said = _decided(sheet)
        return Fate(level, said, fault=str(refused), remedy=refused.remedy)
    level, said = _told(found, sheet)
    return Fate(
        level, said, goes=found.goes, rules=found.rules, keep=found.keep, held=found.held, story=found.sentences
    )


def _decided(sheet: Sheet) -> tuple[str, str]:
    """What the catalog alone says."""
    row = sheet.row
    if row["purged"]:
        return "gone", say("Its audio is gone since %(date)s.") % {"date": moments.written(row["purged"])}
    if row["purge_started"]:
        return "gone", say("Its audio is being deleted.")
    if row["legal_holds"]:
        return "stays", say("A legal hold keeps it.")
    if row["held"]:
        return "stays", _until(say("A hold keeps it."), say("A hold keeps it until %(date)s."), row["held_until"])
    if row["pinned"]:
        return "stays", _until(say("A pin keeps it."), say("A pin keeps it until %(date)s."), row["pinned_until"])
    if row["delete_after"]:
        return "soon", say("It is marked, and goes after %(date)s.") % {"date": moments.written(row["delete_after"])}
    return "stays", say("Nothing has marked it: it stays for now.")


def _told(found: Explanation, sheet: Sheet) -> tuple[str, str]:
    """What a plan that is made now says."""
    decision, cause = found.decision, found.cause
    date = {"date": moments.written(found.goes)} if found.goes else {"date": moments.NOTHING}
    rule = {"rule": found.decides or moments.NOTHING}
    if decision is None or decision == FINISH:
        return _decided(sheet)
    if cause == "unknown":
        return "stays", say("It stays for now: nobody knows at present what was used lately.")
    if cause in ("legal hold", "held", "pinned"):
        return _decided(sheet)
    if decision == UNMARK:
        return "stays", say("The next run takes its mark back.")
    if decision == PURGE:
        return "soon", say("Its grace is over: the next run deletes it.")
    if decision == WAIT:
        return "soon", say("It is marked, and goes after %(date)s.") % date
    if decision == MARK:
        return "soon", say("The next run marks it, because of “%(rule)s”, and it goes when its grace is over.") % rule
    if cause == "protected":
        return "stays", say("The keep rule “%(rule)s” keeps it.") % rule
    if found.goes is None:
        return "stays", say("No rule asks for it to go: it stays.")
    return "goes", say("It goes on %(date)s at the earliest, unless it is used.") % date


def _until(always: str, dated: str, date: datetime | None) -> str:
    return dated % {"date": moments.written(date)} if date else always
