"""The plan: what retention would do now, by rule and clip by clip; made once, and looked at in any order."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, NamedTuple, TypeVar
from urllib.parse import urlencode
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from voxledger.catalog.errors import PolicyError, QueryError
from voxledger.catalog.query.place import Place, read
from voxledger.catalog.retention.planning.amounts import DECISIONS, Amount
from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.api.audio import Reference
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.pages.retention.frame import SQL, Frame, Reader
from voxledger.dashboards.pages.words import later
from voxledger.dashboards.plans import View
from voxledger.dashboards.server.callers import Caller

if TYPE_CHECKING:
    import polars as pl

    from voxledger.catalog.retention import Plan
    from voxledger.catalog.retention.planning.decisions import Decisions
    from voxledger.catalog.retention.planning.looking import Change, Condemned

SHOWN = 50
"""Clips of a page."""
Decision = Literal["finish", "purge", "mark", "wait", "unmark"]
DECIDED: Mapping[str, str] = {
    "finish": later("Deletion begun"), "purge": later("Grace is over"), "mark": later("To be marked"), "wait": later("In grace"),
    "unmark": later("Mark taken back"),
}  # fmt: skip
"""What becomes of a clip."""
ORDERED: Mapping[str, str] = {
    "urgency": later("Most urgent first"), "bytes": later("Largest first"), "duration": later("Longest first"),
    "uses": later("Most used first"), "oldest": later("Oldest first"), "newest": later("Newest first"),
}  # fmt: skip
BY: Mapping[str, str] = {
    "policy": later("Rule"), "clips": later("Clips"), "bytes": later("Size"), "oldest": later("Oldest clip"),
}  # fmt: skip
_KEPT = 16
_BYTES = 250_000_000
"""Bytes that the clips of filters take up at most; the last ones are kept however many they are."""
_NOTHING = Amount()
_T = TypeVar("_T")


class Asked(BaseModel):
    """What of a plan is looked at. Without `view` the newest plan; `make` has one made."""

    model_config = ConfigDict(extra="ignore")

    view: str = Field("", max_length=40)
    make: bool = False
    decision: Decision | Literal[""] = ""
    rule: str = Field("", max_length=500)
    voice: str = Field("", max_length=500)
    actor: str = Field("", max_length=500)
    fresh: bool = False
    """Only clips that the plan before did not condemn."""
    order: Literal["urgency", "bytes", "duration", "uses", "oldest", "newest"] = "urgency"
    by: Literal["policy", "clips", "bytes", "oldest"] = "policy"
    cursor: str = Field("", max_length=500)

    @property
    def filtered(self) -> bool:
        """Whether some clips are left out."""
        return bool(self.decision or self.rule or self.voice or self.actor or self.fresh)

    def address(self, **other: Any) -> str:
        """The address of the same with something changed; a cursor never goes along by itself."""
        asked = {**self.model_dump(exclude={"cursor", "make"}), **other}
        given = {name: "1" if value is True else value for name, value in asked.items() if value}
        plain = {"order": "urgency", "by": "policy"}
        query = urlencode({name: value for name, value in given.items() if plain.get(name) != value})
        return f"/retention{'?' if query else ''}{query}"


class Before(NamedTuple):
    """The plan with which another is compared: its view, and when it was made. It holds no plan: those are large."""

    view: str
    now: datetime


class About(NamedTuple):
    """What is worked out about a plan once: what condemns how much, and how it differs from the one before."""

    condemned: Mapping[str, Condemned]
    before: Before | None
    change: Change | None


class Rule(NamedTuple):
    """A row of the table: what a rule, a budget or a withdrawal lets go."""

    name: str
    condition: str
    keep_for: float | None
    budget: bool
    new: Amount
    wait: Amount
    due: Amount
    all: Amount
    matched: Amount
    oldest: datetime | None


class Few(Generic[_T]):
    """The last answers to a few questions about plans, bounded in number and bytes; they end with their plan.

    Safe from many threads; two that ask the same at once may both work it out.
    """

    def __init__(self, size: Callable[[_T], int] = lambda _: 0) -> None:
        """`size`: the bytes of an answer, where they count."""
        self._size = size
        self._lock = threading.Lock()
        self._uses = itertools.count()
        self._found: WeakKeyDictionary[Decisions, dict[Hashable, tuple[_T, int, int]]] = WeakKeyDictionary()

    def get(self, plan: Plan, key: Hashable, make: Callable[[], _T]) -> _T:
        """The answer, worked out if need be; it must not hold the plan."""
        with self._lock:
            known = self._found.get(plan.decisions, {})
            if key in known:
                found, size, _ = known[key]
                known[key] = found, size, next(self._uses)
                return found
        made = make()
        with self._lock:
            self._found.setdefault(plan.decisions, {})[key] = made, self._size(made), next(self._uses)
            self._bound()
        return made

    def _bound(self) -> None:
        held = [(used, size, known, key) for known in self._found.values() for key, (_, size, used) in known.items()]
        held.sort(key=lambda each: -each[0])
        taken = 0
        for place, (_, size, known, key) in enumerate(held):
            taken += size
            if place and (place >= _KEPT or taken > _BYTES):
                del known[key]


class Previews:
    """Looks at plans for the pages."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._plans = frame.site.plans
        self._about: Few[About] = Few()
        self._among: Few[Sequence[pl.Series]] = Few(lambda found: sum(int(part.estimated_size()) for part in found))
        self._amounts: Few[Amount] = Few()

    def view(self, caller: Caller, wanted: Asked) -> View | None:
        """The plan that is meant; None where none was made yet. Raises PolicyError, and Refused for one that is kept no longer."""
        if wanted.make and not wanted.view:
            return self._plans.make(caller.ledger.retention, every=False, as_of=None, head=caller.ledger.journal.head())
        return self._plans.view(wanted.view) if wanted.view else self._plans.newest()

    def about(self, view: View) -> About:
        """What condemns how much, and what has changed."""
        about = self._about.get(view.plan, view.name, lambda: self._worked_out(view))
        if about.before is not None:
            with suppress(Refused):
                self._plans.view(about.before.view)  # kept as long as somebody looks at what is compared with it
        return about

    def _worked_out(self, view: View) -> About:
        from voxledger.catalog.retention.planning import looking

        before = self._plans.newest(before=view)
        if before is not None and before.plan.id == view.plan.id:
            before = None
        return About(
            condemned={each.rule: each for each in looking.condemned(view.plan)},
            before=Before(before.name, before.plan.now) if before is not None else None,
            change=looking.change(view.plan, before.plan) if before is not None else None,
        )

    def rules(self, view: View, by: str) -> list[Rule]:
        """The table by rule."""
        plan, condemned = view.plan, self.about(view).condemned
        budgets = {budget.name for budget in plan.budgets}
        found = [
            Rule(
                name=each.name,
                condition=each.condition,
                keep_for=each.keep_for,
                budget=each.name in budgets,
                new=each.amounts["mark"],
                wait=each.amounts["wait"],
                due=each.amounts["purge"],
                all=each.condemned,
                matched=sum(each.amounts.values(), _NOTHING),
                oldest=condemned[each.name].oldest if each.name in condemned else None,
            )
            for each in plan.rules
        ]
        if by == "clips":
            return sorted(found, key=lambda each: -each.all.clips)
        if by == "bytes":
            return sorted(found, key=lambda each: -each.all.bytes)
        if by == "oldest":
            return sorted(found, key=lambda each: each.oldest.timestamp() if each.oldest else float("inf"))
        return found

    def page(self, caller: Caller, view: View, wanted: Asked) -> dict[str, Any]:
        """A page of clips, how much all of them are, and the addresses of the pages before and after."""
        from voxledger.catalog.retention.planning import looking

        among = self._chosen(caller, view, wanted)
        look = looking.Look(
            order=wanted.order,
            decisions=(wanted.decision,) if wanted.decision else (),
            rule=wanted.rule or None,
        )
        order = f"plan {view.name} {wanted.order}"
        key = (view.name, wanted.decision, wanted.rule, wanted.voice, wanted.actor, wanted.fresh)
        rows, after = looking.page(view.plan, look, limit=SHOWN, after=_after(wanted, order), among=among)
        found = rows.to_dicts()
        known = self._frame.clips(caller, [row["id"] for row in found])
        following = None
        if after is not None:
            cursor = Place(order, after.value, after.id).token()
            following = wanted.address(view=view.name, cursor=cursor)
        return {
            "rows": [{**known.get(row["id"], {}), **row, "known": row["id"] in known} for row in found],
            "amount": self._amounts.get(view.plan, key, lambda: looking.amount(view.plan, look, among)),
            "next": following,
            "first": wanted.address(view=view.name) if wanted.cursor else "",
        }

    def _chosen(self, caller: Caller, view: View, wanted: Asked) -> Sequence[pl.Series] | None:
        """Where in the plan the clips are that fit; None = all of them."""
        from voxledger.catalog.retention.planning import looking

        before = self.about(view).before if wanted.fresh else None
        if before is None and not (wanted.voice or wanted.actor):
            return None

        def find() -> Sequence[pl.Series]:
            sets = [_among(caller, wanted)] if wanted.voice or wanted.actor else []
            if before is not None:
                sets.append(looking.newcomers(view.plan, self._plans.view(before.view).plan))
            fits = functools.reduce(lambda one, other: one.join(other, on=("high", "low"), how="semi"), sets)
            return looking.places(view.plan, fits)

        return self._among.get(view.plan, (view.name, wanted.voice, wanted.actor, before is not None), find)


def add(routes: APIRouter, frame: Frame) -> None:
    """`/retention`, and why a clip goes."""
    previews = Previews(frame)

    @routes.get("/retention")
    def show(request: Request, caller: Reader, wanted: Annotated[Asked, Query()]) -> Response:
        """How retention stands, and the newest plan; where none was made yet, one is asked for beside the page."""
        blocks = {"plan", "clips"}
        try:
            view, trouble = previews.view(caller, wanted), None
        except PolicyError as error:
            view, trouble = None, {"message": str(error), "remedy": "", "over": False}
        except Refused as error:
            view, trouble = (
                None,
                {"message": str(error), "remedy": error.remedy, "over": error.code == "view_not_found"},
            )
        standing, why = frame.standing(caller)
        values: dict[str, Any] = {
            "view": view, "trouble": trouble, "wanted": wanted, "standing": standing, "wrong": why, "figures": frame.figures(caller),
            "decided": DECIDED, "ordered": ORDERED, "by": BY, "now": None,
        }  # fmt: skip
        if view is not None:
            values |= _planned(previews, caller, view, wanted, frame.last(caller))
            values |= {"voices": frame.words(caller, "voice"), "actors": frame.words(caller, "actor")}
        return frame.show(request, caller, "plan", values, blocks=blocks)

    @routes.get("/retention/why/{clip}")
    def why(request: Request, reference: Reference, caller: Reader) -> Response:
        """All reasons of one clip, in sentences."""
        clip = caller.clip(reference)
        return frame.show(request, caller, "why", {"told": caller.ledger.retention.explain(clip), "clip": clip})


def _planned(
    previews: Previews, caller: Caller, view: View, wanted: Asked, last: Mapping[str, Any] | None
) -> dict[str, Any]:
    plan, about = view.plan, previews.about(view)
    ends = plan.grace_ends
    waiting = caller.ledger.journal.head() - plan.position
    fuses = [fuse for fuse in plan.fuses if fuse.blown]
    return {
        "plan": plan, "about": about, "rules": previews.rules(view, wanted.by), "clips": previews.page(caller, view, wanted),
        "goes": plan.now + plan.policy.grace, "ends": ends, "since": max(0, waiting), "fuses": fuses, "last": last,
        "window": plan.policy.window, "open": plan.policy.window is None or plan.policy.window.is_open(plan.now),
        "may_apply": not (plan.idle or plan.unknown or fuses or view.tried or (plan.problems and not plan.policy.empty)),
        "deleting": plan.amounts["purge"] + plan.amounts["finish"],
        "kept": [name for name in DECISIONS if name != "keep" and plan.amounts[name].clips],
    }  # fmt: skip


def _among(caller: Caller, wanted: Asked) -> pl.DataFrame:
    with asked(caller, fresh=False) as reading:
        return reading.frame(SQL["among"], {"voice": wanted.voice or None, "actor": wanted.actor or None})


def _after(wanted: Asked, order: str) -> Any:
    from voxledger.catalog.retention.planning.looking import After

    if not wanted.cursor:
        return None
    place = read(wanted.cursor, order=order)
    if wanted.order == "urgency" and place.value not in DECISIONS:
        raise QueryError(f"{wanted.cursor[:80]!r} is no cursor of a plan; begin with the first page")
    value = place.value if isinstance(place.value, (str, int)) else None
    return After(value=value, id=place.id)
