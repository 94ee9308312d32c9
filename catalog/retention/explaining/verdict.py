"""The verdict: which rules match a clip now, which of them decides, when it goes, and what would keep it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from voxledger.catalog.retention.explaining.life import date
from voxledger.catalog.retention.planning.amounts import KEEP, MARK, PURGE, UNMARK, WAIT
from voxledger.catalog.retention.policy import KeepRule, Policy, Rule
from voxledger.catalog.settings import format_span

_MOST = 3
"""Most keep rules that are named among what would keep a clip."""
_BEATEN = ("expired", "kept", "linked", "minimum age", "over budget", "no rule")
"""The causes that a keep rule would beat."""


def rules(fits: Sequence[Rule], protecting: Sequence[KeepRule]) -> Iterator[str]:
    """All rules that match it now, and which of them decides."""
    for keep in protecting:
        yield f"K{keep.title[1:]} keeps it."
    if not fits:
        yield "No rule matches it."
    for rule in fits:
        yield f"R{rule.title[1:]} keeps it for {span(rule.keep_for)} after its last use."
    if len(fits) > 1:
        yield f"The first decides: {fits[0].name!r}."


def doubtful(unknown: str | None) -> Iterator[str]:
    """That a run could not be sure of anything at present."""
    if unknown:
        yield f"Nobody knows at present what was used lately: {unknown}. No run marks or deletes anything until that is over."


def verdict(row: Mapping[str, Any], cause: str, policy: Policy, clip: Mapping[str, Any]) -> Iterator[str]:
    """What will become of it, and when."""
    decision, grace = row["decision"], span(policy.grace)
    if cause == "purging":
        yield "The next run finishes it; it cannot be stopped any more."
    elif cause == "unknown":
        yield "It stays as it is until then."
    elif decision == UNMARK:
        yield f"The next run takes the mark back ({row['reason'].removeprefix('mark taken back: ')})."
    elif decision == WAIT:
        yield f"It goes at the first run after {date(row['goes'])}."
    elif decision == PURGE:
        yield "Its grace is over: the next run deletes it."
    elif decision == MARK:
        yield f"{_guilt(row, cause)}: the next run marks it, and it goes {grace} after that."
    elif cause == "legal hold":
        yield "A legal hold keeps it, from erasure too, until it is released."
    elif cause in ("held", "pinned"):
        what = "A hold" if cause == "held" else "A pin"
        over = clip["pinned_until"] if cause == "pinned" else None if clip["pinned"] else clip["held_until"]
        then = f" until {date(over)}; after that they decide" if over else ""
        yield f"{what} keeps it, whatever the rules say{then}."
    elif cause == "protected":
        yield "Keep rules win over rules and budgets: it stays as long as one matches it."
    elif row["goes"] is None:
        yield "It stays as long as no rule matches it and no budget asks for it."
    else:
        marked = row["goes"] - policy.grace
        yield f"It is marked from {date(marked)} on and goes {grace} after that, unless it is used ({row['reason']})."


def saving(decision: str, cause: str, fits: Sequence[Rule], idle: Sequence[KeepRule]) -> Iterator[str]:
    """What would keep it, where something is needed and would help. `idle` are the keep rules that do not match it."""
    if cause in ("purging", "unknown") or (
        decision in (KEEP, UNMARK) and cause not in ("kept", "linked", "minimum age")
    ):
        return
    if cause == "withdrawn":
        yield "Only a legal hold would keep it."
        return
    ways = ["a pin", "a hold"]
    if cause == "over budget":
        ways += ["a use or a better rating, if others are worth less then", "room in the budget"]
    elif fits:
        ways.append(f"any use, for {span(fits[0].keep_for)} from then on")
    yield f"What would keep it: {', '.join(ways[:-1])}, or {ways[-1]}."
    if idle and cause in _BEATEN:
        named = ", ".join(f"{rule.name!r} ({rule.words})" for rule in idle[:_MOST])
        more = f" and {len(idle) - _MOST} more" if len(idle) > _MOST else ""
        yield f"So would a keep rule, if it matched: {named}{more}."


def _guilt(row: Mapping[str, Any], cause: str) -> str:
    if cause == "expired":
        return "Its time is over"
    reason = str(row["reason"])
    return reason[:1].upper() + reason[1:]


def span(time: timedelta) -> str:
    """A time span as sentences write it."""
    return format_span(time.total_seconds())
