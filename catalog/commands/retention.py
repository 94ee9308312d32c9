"""Commands about what may go: `retention plan | apply | explain`."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.errors import PolicyError
from voxledger.catalog.settings import format_span
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.retention import Applied, Plan, Retention

_SHOWN = 50
_WORDS = {
    "finish": "purge again",
    "purge": "purge now",
    "mark": "mark",
    "wait": "marked, in grace",
    "unmark": "take mark back",
    "keep": "keep",
}


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    @property
    def retention(self) -> Retention:
        """Says what may go."""


class Commands:
    """The commands about retention, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        retention = App(name="retention", help="Which audio may go, why, and letting it go.")
        for command in (self.plan, self.apply, self.explain):
            retention.command(command)
        app.command(retention)

    def plan(self, *, every: bool = False, limit: int = _SHOWN, json: bool = False) -> None:
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
            _print_plan(plan, every=every, limit=limit)

    def apply(self, *, plan: str | None = None, yes: bool = False, json: bool = False) -> int:
        """Carry a plan out: mark what is condemned, purge what was marked and whose grace is over.

        **Examples**

            voxledger retention apply
            voxledger retention apply --plan 3f9c2e10aa51b7d4 --yes

        Parameters
        ----------
        plan
            The id that `retention plan` showed: if anything has changed since, nothing is done.
        yes
            Do not ask.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            found = door.retention.plan()
            if plan is None and not yes:
                plan = found.id
                _print_plan(found, every=False, limit=_SHOWN)
                if found.idle:
                    return 0
                _confirm(found)
            with terminal.progress(quiet=json) as bar:
                task = bar.add_task("purging", total=None)
                done = door.retention.apply(plan, progress=lambda at, end: bar.update(task, completed=at, total=end))
        if json:
            terminal.print_json(done.as_dict())
        else:
            _print_applied(done)
        return 1 if done.failed else 0

    def explain(self, clip: str, /) -> None:
        """Say why a clip is kept, when it will go, and what would keep it.

        **Examples**

            voxledger retention explain 8f3a91c2

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        """
        with self._opened() as door:
            for sentence in door.retention.explain(clip):
                terminal.console.print(terminal.text(sentence))


def _print_plan(plan: Plan, *, every: bool, limit: int) -> None:
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


def _confirm(plan: Plan) -> None:
    if not sys.stdin.isatty():
        raise PolicyError("nobody is there to ask: give --yes, or --plan with the id of a plan that was looked at")
    purged = plan.amounts["purge"].clips + plan.amounts["finish"].clips
    question = f"Mark {plan.amounts['mark'].clips:,} and purge {purged:,} for good? Type yes: "
    if terminal.console.input(question).strip().lower() != "yes":
        raise PolicyError("not confirmed; nothing was changed")


def _print_applied(done: Applied) -> None:
    terminal.console.print(
        f"[bold]{done.marked:,} marked[/], {done.unmarked:,} marks taken back, [bold]{done.purged:,} purged[/]"
        f" ({terminal.size(done.freed_bytes)} freed)"
    )
    for what, notes in (("skipped", done.skipped), ("[red]failed[/]", done.failed)):
        for note in notes[:_SHOWN]:
            terminal.console.print(f"{what} {note.clip[-8:]}: ", terminal.text(note.reason), sep="")
        if len(notes) > _SHOWN:
            terminal.console.print(f"{len(notes) - _SHOWN:,} more {what}")
