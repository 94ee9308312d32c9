"""What commands about Mixpanel print."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from voxledger.catalog import terminal

if TYPE_CHECKING:
    from voxledger.analytics.mixpanel import Comparison, Difference, Reason, Status, Waiting

_MOST_REASONS = 20
_LEFT_OUT = "sent nowhere: Mixpanel does not hear of these"
_SILENT = "sent nowhere: about people of whom nothing is sent, or who were erased"
_MEANING = {
    "waiting": "not sent yet; `voxledger mixpanel status`",
    "quarantined": "Mixpanel refused them; `voxledger mixpanel quarantine list`",
    "silent": "about people of whom nothing is sent, or who were erased",
    "late": "recorded after the file was written",
    "missing": "nothing explains it; `voxledger mixpanel backfill --since DAY` sends them again",
    "foreign": "under a name or an id that this HOME does not know",
}
"""Why Mixpanel may lack events, or have others, in words."""


def show_status(found: Status, waiting: Sequence[Waiting], quarantined: int) -> None:
    """What waits, and what a person should know."""
    told = [each for each in waiting if each.name]
    total = sum(each.events for each in told)
    target = f"for {found.host}" if found.configured else "(mixpanel.token is not set, so nothing is sent)"
    amount = f"[bold]{terminal.count(total, 'event')}[/]" if total else "nothing"
    terminal.console.print(f"{amount} waiting {target}", soft_wrap=True)
    if waiting:
        table = terminal.table("", "event", "waiting", "the oldest", right=["waiting"])
        for each in [*told, *(each for each in waiting if not each.name)]:
            name = each.name or (_SILENT if each.silent else _LEFT_OUT)
            table.add_row(name, f"{each.events:,}", terminal.moment(each.oldest))
        terminal.console.print(table)
    if found.updated:
        when = terminal.moment(datetime.fromtimestamp(found.updated, UTC))
        if found.note:
            terminal.console.print(terminal.text(f"last try {when}: {found.note}"), soft_wrap=True)
        else:
            terminal.console.print(f"last delivery {when}")
    if quarantined:
        terminal.console.print(
            f"[bold]{terminal.count(quarantined, 'event')}[/] in quarantine: `voxledger mixpanel quarantine list` says why",
            soft_wrap=True,
        )
    if found.opted_out:
        terminal.console.print(
            "nothing is sent about " + ", ".join(str(terminal.text(name)) for name in found.opted_out)
        )
    for name in found.unknown:
        terminal.console.print(
            terminal.text(f"mixpanel.actors names {name!r}, and nobody here is called so"), soft_wrap=True
        )
    for other in found.told_otherwise:
        when = terminal.moment(datetime.fromtimestamp(other.until, UTC))
        terminal.console.print(
            terminal.text(
                f"until {when} events were sent under mixpanel.actor_ids = {other.actor_ids!r}; sent again under today's ids they"
                " count twice: `backfill` and `quarantine retry` leave them unless you say --again"
            ),
            soft_wrap=True,
        )
    if found.backfill:
        terminal.console.print(
            f"a backfill since {terminal.moment(found.backfill.since)} was broken off: `voxledger mixpanel backfill` goes on",
            soft_wrap=True,
        )


def show_reasons(reasons: Sequence[Reason]) -> None:
    """Why events lie in quarantine."""
    shown = reasons[:_MOST_REASONS]
    table = terminal.table("In quarantine", "events", "event", "field", "what Mixpanel said", "since", right=["events"])
    for each in shown:
        table.add_row(
            f"{each.events:,}",
            each.name,
            terminal.text(each.field),
            terminal.text(each.reason),
            terminal.moment(each.first),
        )
    terminal.console.print(table)


def show_comparison(found: Comparison, rows: Sequence[Difference]) -> None:
    """These rows of a comparison, what the columns mean, and what came of it."""
    whys = [
        name
        for name in ("waiting", "quarantined", "silent", "late", "missing", "foreign")
        if any(getattr(row, name) for row in rows)
    ]
    if rows:
        numbers = ["here", "Mixpanel", *whys]
        table = terminal.table("", "day", "event", *numbers, right=numbers)
        for row in rows:
            table.add_row(
                str(row.day), terminal.text(row.name), f"{row.local:,}", f"{row.theirs:,}", *(_number(getattr(row, name)) for name in whys)
            )  # fmt: skip
        terminal.console.print(table)
    for name in whys:
        terminal.console.print(f"[dim]{name}[/]: {_MEANING[name]}", soft_wrap=True)
    how = "event by event" if found.by_id else "by counts only, because the file has no $insert_id"
    terminal.console.print(
        f"{found.first} to {found.last} (UTC), {how}: {found.local:,} here, {found.theirs:,} at Mixpanel, {found.missing:,} missing",
        soft_wrap=True,
    )
    if found.repeats:
        terminal.console.print(
            f"{terminal.count(found.repeats, 'repeat')} in the file, which Mixpanel drops when it counts"
        )


def _number(value: int) -> str:
    return f"{value:,}" if value else ""
