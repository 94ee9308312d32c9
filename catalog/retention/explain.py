"""Explaining: one clip's life in sentences, which rules match, when it goes, and what would keep it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import ClipNotFound
from voxledger.catalog.log import Keeper
from voxledger.catalog.queries import load
from voxledger.catalog.retention.planning.amounts import KEEP, MARK, PURGE, UNMARK, WAIT
from voxledger.catalog.retention.planning.planner import aware, one
from voxledger.catalog.retention.planning.wording import explained
from voxledger.catalog.retention.policy import Policy
from voxledger.catalog.settings import format_span

_SQL = load("retention.sql", "voxledger.catalog.retention")


def explain(keeper: Keeper, policy: Policy, reference: str | Clip, now: datetime) -> tuple[str, ...]:
    """Sentences about one clip, named by its id or the end of it. Raises ClipNotFound for none, and for several."""
    present = aware(now)
    reference = Clip.named(reference)
    ending = reference.replace("-", "")
    if not re.fullmatch(r"[0-9a-f]{4,32}", ending):
        raise ClipNotFound(
            f"{reference!r} is no clip id: give at least the last 4 hex digits of one (see `voxledger clips`)"
        )
    with keeper.reading() as reading:
        found = reading.rows(_SQL["one"], [ending])
        if len(found) > 1:
            raise ClipNotFound(f"more than one clip id ends in {reference!r}; give more of its digits")
        if not found:
            raise ClipNotFound(f"there is no clip {reference!r}; `voxledger clips` lists the newest")
        decided = one(reading, policy, present, found[0]["id"])
    life = _life(found[0])
    if found[0]["purged"]:
        return (*life, "Nothing brings it back from here; the same request makes a new clip.")
    row = explained(decided, policy, present).to_dicts()[0]
    return (*life, *_rules(decided, policy), *_verdict(row, str(decided["cause"][0]), policy))


def _life(row: Mapping[str, Any]) -> tuple[str, ...]:
    used = f"was played, fetched or linked {_times(row['plays'])} and answered {_times(row['reuses'])} a later request"
    said = [f"Clip {row['id'][-8:]} was made on {_date(row['created'])}, {used}, last on {_date(row['last_used'])}."]
    if not row["plays"] and not row["reuses"]:
        said = [f"Clip {row['id'][-8:]} was made on {_date(row['created'])} and has not been used since."]
    rule, plan = f"rule {row['mark_rule']!r}", f"plan {row['mark_plan']}"
    if row["purged"]:
        said.append(f"Its audio was deleted on {_date(row['purged'])} because of {rule} ({plan}).")
    elif row["purge_started"]:
        said.append(f"Its deletion began on {_date(row['purge_started'])} because of {rule} ({plan}).")
    elif row["delete_after"]:
        said.append(f"It is marked because of {rule} ({plan}); its grace ends on {_date(row['delete_after'])}.")
    else:
        said.append(f"Its audio is {row['state']}.")
    return tuple(said)


def _rules(decided: pl.DataFrame, policy: Policy) -> tuple[str, ...]:
    matched, protecting = (int(decided[name][0]) for name in ("matched", "protecting"))
    said = [f"K{rule.title[1:]} keeps it." for number, rule in enumerate(policy.keep) if protecting >> number & 1]
    fits = [rule for number, rule in enumerate(policy.rules) if matched >> number & 1]
    if not fits:
        return (*said, "No rule matches it.")
    spans = [format_span(rule.keep_for.total_seconds()) for rule in fits]
    said += [
        f"R{rule.title[1:]} keeps it for {span} after its last use." for rule, span in zip(fits, spans, strict=True)
    ]
    return (*said, f"The first decides: {fits[0].name!r}.") if len(fits) > 1 else tuple(said)


def _verdict(row: Mapping[str, Any], cause: str, policy: Policy) -> tuple[str, ...]:
    decision, grace = row["decision"], format_span(policy.grace.total_seconds())
    saves = "A pin keeps it; so does any use before that, for as long as its rule says."
    if cause == "purging":
        return ("The next `voxledger retention apply` finishes it; it cannot be stopped any more.",)
    if cause == "pinned":
        return (
            "A pin keeps it, whatever the rules say."
            if decision == KEEP
            else "It was pinned: the next run takes the mark back.",
        )
    if decision == UNMARK:
        return (f"The next run takes the mark back ({row['reason'].removeprefix('mark taken back: ')}).",)
    if decision == WAIT:
        return (f"It goes at the first run after {_date(row['goes'])}.", saves)
    if decision == PURGE:
        return ("Its grace is over: the next run deletes it.", saves)
    if decision == MARK:
        return (f"Its time is over: the next run marks it, and it goes {grace} after that.", saves)
    if row["goes"] is None:
        return ("It stays.",)
    marked = row["goes"] - policy.grace
    return (
        f"It is marked from {_date(marked)} on and goes {grace} after that, unless it is used ({row['reason']}).",
        saves,
    )


def _date(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
