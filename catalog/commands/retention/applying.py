"""`retention apply`: carries a plan out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.commands.retention.door import Door
from voxledger.catalog.commands.retention.planning import SHOWN, print_plan
from voxledger.catalog.errors import PolicyError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.retention import Applied, Plan


class ApplyCommands:
    """The commands that carry out what a plan says."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, retention: App) -> None:
        """Register them."""
        retention.command(self.apply)

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
                print_plan(found, every=False, limit=SHOWN)
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
        for note in notes[:SHOWN]:
            terminal.console.print(f"{what} {note.clip[-8:]}: ", terminal.text(note.reason), sep="")
        if len(notes) > SHOWN:
            terminal.console.print(f"{len(notes) - SHOWN:,} more {what}")
