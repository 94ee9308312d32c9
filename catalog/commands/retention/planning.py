"""`retention plan`: what the rules would do, and why."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.commands.retention.door import Door
from voxledger.catalog.settings import format_span
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.retention import Plan

SHOWN = 50
"""Most clips that a table names."""
_WORDS = {
    "finish": "purge again",
    "purge": "purge now",
    "mark": "mark",
    "wait": "marked, in grace",
    "unmark": "take mark back",
    "keep": "keep",
}


class PlanCommands:
    """The commands that look and change nothing."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, retention: App) -> None:
        """Register them."""
        retention.command(self.plan)

    def plan(self, *, every: bool = False, limit: int = SHOWN, json: bool = False) -> None:
        """Show what the rules would do, and why. Changes nothing.

        **Examples**

            voxledger retention plan
            voxledger retention plan --every
            voxledger retention plan --json > plan.json

        Parameters
        ----------
        every
            Name every clip, also those that stay.
        limit
            How many clips are named at most; --json names all.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            plan = door.retention.plan()
        if json:
            sys.stdout.write(plan.to_json(kept=every) + "\n")
        else:
            print_plan(plan, every=every, limit=limit)


def print_plan(plan: Plan, *, every: bool, limit: int) -> None:
    """Print a plan's rules, its clips, its warnings and its blown fuses."""
    terminal.console.print(
        f"[bold]plan {plan.id}[/] of {terminal.count(plan.live, 'clip')}: {plan.condemned.clips:,} condemned,"
        f" {terminal.size(plan.condemned.bytes)}"
    )
    if plan.rules:
        made = terminal.table(
            "", "rule", "for", "keeps", "clips", "condemned", "bytes", right=("clips", "condemned", "bytes")
        )
        for rule in plan.rules:
            total = sum(amount.clips for amount in rule.amounts.values())
            made.add_row(
                terminal.text(rule.name), terminal.text(rule.condition), format_span(rule.keep_for), f"{total:,}",
                f"{rule.condemned.clips:,}", terminal.size(rule.condemned.bytes),
            )  # fmt: skip
        terminal.console.print(made)
    rows = plan.rows(*(_WORDS if every else ()), limit=limit)
    total = plan.frame.height if every else sum(amount.clips for name, amount in plan.amounts.items() if name != "keep")
    if rows.height:
        clips = terminal.table("", "clip", "decision", "why")
        for row in rows.iter_rows(named=True):
            clips.add_row(f"[bold]{row['id'][-8:]}[/]", _WORDS[row["decision"]], terminal.text(row["reason"]))
        terminal.console.print(clips)
    if total > rows.height:
        terminal.console.print(f"[dim]{total - rows.height:,} more; --limit or --json shows them[/]")
    for warning in plan.warnings:
        terminal.console.print("[yellow]warning[/] ", terminal.text(warning), sep="")
    for fuse in plan.fuses:
        if fuse.blown:
            terminal.console.print("[red]fuse[/] ", terminal.text(fuse.sentence()), sep="")
