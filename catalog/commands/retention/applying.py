"""`retention apply | undo | restore`: carries a plan out, and takes it back."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.commands.retention.door import Door
from voxledger.catalog.commands.retention.planning import SHOWN, print_plan
from voxledger.catalog.errors import PolicyError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.retention import Applied, Note, Plan, Restored, Undone


class ApplyCommands:
    """The commands that carry out what a plan says."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, retention: App) -> None:
        """Register them."""
        for command in (self.apply, self.undo, self.restore):
            retention.command(command)

    def apply(self, *, plan: str | None = None, yes: bool = False, json: bool = False) -> int:
        """Carry a plan out: mark what is condemned, purge what was marked and whose grace is over.

        The exit status is 1 when something failed, and 3 when nothing was done because all purges wait for the purge window.

        **Examples**

            voxledger retention apply
            voxledger retention apply --plan 3f9c2e10aa51b7d4 --yes

        Parameters
        ----------
        plan
            The id that `retention plan` showed: if anything has changed since, nothing is done. The id is the same when the marks are
            set and when their grace is over.
        yes
            Do not show the plan and ask.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            if not yes:
                from voxledger.catalog.retention.applying.executor import check  # brings Polars

                found = door.retention.plan()
                if plan is not None and plan != found.id:
                    check(found, plan)
                plan = found.id
                if not json:
                    print_plan(found, every=False, limit=SHOWN)
                if found.idle and not json:
                    _print_idle(found)
                    return 0
                if not found.idle:
                    _confirm(found)
            with terminal.progress(quiet=json) as bar:
                task = bar.add_task("purging", total=None)
                done = door.retention.apply(plan, progress=lambda at, end: bar.update(task, completed=at, total=end))
        if json:
            terminal.print_json(done.as_dict())
        else:
            print_applied(done)
        if done.failed:
            return 1
        return terminal.WAITS if done.waiting and not (done.marked or done.unmarked or done.purged) else 0

    def undo(self, plan: str, /, *, json: bool = False) -> int:
        """Take back every mark of a plan that still stands. What is purged already is named: `retention restore` may help.

        The exit status is 1 when it came too late for some clips, and 3 when it came too late for all.

        **Examples**

            voxledger retention undo 3f9c2e10aa51b7d4

        Parameters
        ----------
        plan
            The id of the plan, as `retention plan` or `retention explain` shows it.
        json
            Print one JSON document.
        """
        with self._opened() as door, terminal.progress(quiet=json) as bar:
            task = bar.add_task("taking marks back", total=None)
            done = door.retention.undo(plan, progress=lambda at, end: bar.update(task, completed=at, total=end))
        if json:
            terminal.print_json(done.as_dict())
        else:
            _print_undone(done)
        if not done.gone:
            return 0
        return 1 if done.unmarked else terminal.WAITS

    def restore(self, *clips: str, plan: str | None = None, json: bool = False) -> int:
        """Bring clips back: in grace by taking the mark back, after it from wherever the same bytes still are.

        Looked through in turn: the cache, the store, its old versions, other clips with the same bytes, backups with audio. What
        was erased never comes back.

        **Examples**

            voxledger retention restore 8f3a91c2
            voxledger retention restore --plan 3f9c2e10aa51b7d4

        Parameters
        ----------
        clips
            Their ids, or the last 4 to 8 digits of them.
        plan
            All that this plan marked or purged.
        json
            Print one JSON document.
        """
        with self._opened() as door, terminal.progress(quiet=json) as bar:
            task = bar.add_task("bringing back", total=None)
            done = door.retention.restore(
                *clips, plan=plan, progress=lambda at, end: bar.update(task, completed=at, total=end)
            )
        if json:
            terminal.print_json(done.as_dict())
        else:
            _print_restored(done)
        return 1 if done.failed else 0


def _confirm(plan: Plan) -> None:
    if not sys.stdin.isatty():
        raise PolicyError("nobody is there to ask: look at `retention plan`, and give its id with --plan, and --yes")
    purged = plan.amounts["purge"].clips + plan.amounts["finish"].clips
    question = f"Mark {plan.amounts['mark'].clips:,} and purge {purged:,} for good? Type yes: "
    if terminal.console.input(question).strip().lower() != "yes":
        raise PolicyError("not confirmed; nothing was changed")


def _print_idle(plan: Plan) -> None:
    terminal.console.print("[bold]nothing to do now[/]")
    _print_grace(plan.amounts["wait"].clips, plan.grace_ends)


def _print_grace(clips: int, ends: tuple[datetime, datetime] | None) -> None:
    if not ends:
        return
    first, last = (f"{end.astimezone(UTC):%Y-%m-%d %H:%M} UTC" for end in ends)
    when = first if first == last else f"{first} for the first and at {last} for the last"
    waits = "1 clip waits in its grace" if clips == 1 else f"{clips:,} clips wait in their grace"
    terminal.console.print(f"{waits}, which ends at {when}", soft_wrap=True)


def print_applied(done: Applied) -> None:
    """Print what a run did, and what it leaves for later ones."""
    versions = f", {terminal.count(done.versions, 'version')} went with it" if done.versions else ""
    stay = f"; old versions of {terminal.count(len(done.kept), 'clip')} stay" if done.kept else ""
    terminal.console.print(
        f"[bold]{done.marked:,} marked[/], {terminal.count(done.unmarked, 'mark')} taken back, [bold]{done.purged:,} purged[/]"
        f" ({terminal.size(done.freed_bytes)} freed{versions}{stay})"
    )
    _print_grace(done.in_grace, done.grace_ends)
    if done.waiting and done.opens:
        terminal.console.print(
            f"{terminal.count(done.waiting, 'purge waits', 'purges wait')}:"
            f" the purge window opens at {done.opens:%Y-%m-%d %H:%M %Z}"
        )
    _print_notes(("skipped", done.skipped), ("[yellow]kept[/]", done.kept), ("[red]failed[/]", done.failed))


def _print_undone(done: Undone) -> None:
    terminal.console.print(f"[bold]{terminal.count(done.unmarked, 'mark')} taken back[/]")
    if done.gone:
        few = ", ".join(clip[-8:] for clip in done.gone[:SHOWN])
        more = f" and {len(done.gone) - SHOWN:,} more" if len(done.gone) > SHOWN else ""
        terminal.console.print(
            f"too late for {terminal.count(len(done.gone), 'clip')} ({few}{more}):"
            f" voxledger retention restore --plan {done.plan}",
            soft_wrap=True,
        )


def _print_restored(done: Restored) -> None:
    sources = Counter(back.source for back in done.restored)
    told = ", ".join(f"{count:,} from {source}" for source, count in sources.most_common())
    terminal.console.print(f"[bold]{len(done.restored):,} back[/]{f' ({told})' if told else ''}")
    if done.there:
        terminal.console.print(f"{terminal.count(len(done.there), 'clip')} had never gone")
    _print_notes(("[red]not restored[/]", done.failed))


def _print_notes(*kinds: tuple[str, Sequence[Note]]) -> None:
    for what, notes in kinds:
        for note in notes[:SHOWN]:
            terminal.console.print(f"{what} {note.clip[-8:]}: ", terminal.text(note.reason), sep="")
        if len(notes) > SHOWN:
            terminal.console.print(f"{len(notes) - SHOWN:,} more {what}")
