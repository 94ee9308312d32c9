"""`retention hold | renew | release | holds`: people keep clips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from voxledger.catalog import terminal
from voxledger.catalog.commands.retention.door import Door
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.retention import Hold


class HoldCommands:
    """The commands with which people keep clips."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, retention: App) -> None:
        """Register them."""
        for command in (self.hold, self.renew, self.release, self.holds):
            retention.command(command)

    def hold(
        self,
        *clips: str,
        reason: str,
        where: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
        plan: str | None = None,
        until: str | None = None,
        legal: bool = False,
        review: str | None = None,
        json: bool = False,
    ) -> int:
        """Keep clips: those named, those that a plan has marked, or all for which an expression is true now.

        What is marked is unmarked by the next run. What is being deleted cannot be held any more. A legal hold also stands
        against erasure, and is the deed of an admin, which everybody is who can write to this HOME. Exit status 1: the
        deletion of some clips began at that very moment.

        **Examples**

            voxledger retention hold 8f3a91c2 0d51aa0e --reason "the client has not listened yet" --until 30d
            voxledger retention hold --where "session = 'pilot'" --reason "season 2 builds on it"
            voxledger retention hold --plan 3f9c2e10aa51b7d4 --reason "this plan goes too far"
            voxledger retention hold --where "actor = 'ann'" --legal --reason "case 4711" --review 2027-06-30

        Parameters
        ----------
        clips
            Their ids, or the last 4 to 8 digits of them.
        reason
            Why, for those who ask later.
        where
            All for which this expression over the columns of `clips` (docs/sql.md) is true.
        plan
            All that this plan has marked.
        until
            When it ends by itself: 2027-06-30T12:00:00Z, 2027-06-30 (the end of that day), or 30d (in thirty days).
        legal
            Also against erasure, without an end.
        review
            When somebody has to look at a legal hold again; written like --until.
        json
            Print one JSON document.
        """
        from voxledger.catalog.query.moment import end_of

        with self._opened() as door:
            zone = door.loaded.settings.general.time_zone
            with terminal.progress(quiet=json) as bar:
                task = bar.add_task("holding", total=None)
                done = door.retention.hold(
                    *clips, reason=reason, where=where, plan=plan, until=end_of("--until", until, zone), legal=legal,
                    review=end_of("--review", review, zone),
                    progress=lambda at, end: bar.update(task, completed=at, total=end),
                )  # fmt: skip
        if json:
            terminal.print_json(done.as_dict())
        else:
            _print_hold(done)
        return 1 if done.late else 0

    def renew(
        self,
        hold: str,
        /,
        *,
        until: str | None = None,
        review: str | None = None,
        reason: str | None = None,
        json: bool = False,
    ) -> None:
        """Give a hold another end, or a legal one another day of review.

        **Examples**

            voxledger retention renew 5c1e09ab77d2 --review 2027-12-31
            voxledger retention renew 77d2 --until 60d --reason "they asked for more time"

        Parameters
        ----------
        hold
            Its id, or the last 4 digits or more of it.
        until
            When an ordinary one ends by itself; without it, never.
        review
            When somebody has to look at a legal one again.
        reason
            Why; without it the reason stays.
        json
            Print one JSON document.
        """
        from voxledger.catalog.query.moment import end_of

        with self._opened() as door:
            zone = door.loaded.settings.general.time_zone
            done = door.retention.renew(
                hold, reason=reason, until=end_of("--until", until, zone), review=end_of("--review", review, zone)
            )
        if json:
            terminal.print_json(done.as_dict())
        else:
            _print_hold(done)

    def release(self, hold: str, /, *, reason: str | None = None, json: bool = False) -> None:
        """Take a hold off all its clips. What the rules condemn is marked by the next run, and goes after its grace.

        **Examples**

            voxledger retention release 5c1e09ab77d2 --reason "the case is closed"

        Parameters
        ----------
        hold
            Its id, or the last 4 digits or more of it.
        reason
            Why, for those who ask later.
        json
            Print one JSON document.
        """
        with self._opened() as door, terminal.progress(quiet=json) as bar:
            task = bar.add_task("releasing", total=None)
            done = door.retention.release(
                hold, reason=reason, progress=lambda at, end: bar.update(task, completed=at, total=end)
            )
        if json:
            terminal.print_json(done.as_dict())
        else:
            terminal.console.print(f"hold [bold]{done.hold}[/] no longer keeps {terminal.count(done.clips, 'clip')}")

    def holds(self, *, every: bool = False, due: bool = False, json: bool = False) -> None:
        """List the holds that keep clips, the oldest first.

        **Examples**

            voxledger retention holds
            voxledger retention holds --due
            voxledger retention holds --every --json

        Parameters
        ----------
        every
            Also those that have ended or were released.
        due
            Only legal ones that somebody should have looked at again by now.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            found = door.retention.holds(every=every, due=due)
        if json:
            terminal.print_json([hold.as_dict() for hold in found])
            return
        if not found:
            terminal.console.print("No legal hold waits for a review." if due else "Nothing is held.")
            return
        made = terminal.table("", "hold", "kind", "clips", "owner", "reason", "placed", "ends", right=("clips",))
        made.columns[0].no_wrap = True  # an id that is broken over two lines cannot be copied
        for hold in found:
            made.add_row(
                f"[bold]{hold.id}[/]", hold.kind, _clips(hold), terminal.text(hold.owner or "(erased)"),
                terminal.text(hold.reason or "(erased)"), f"{hold.placed:%Y-%m-%d}", _ends(hold),
            )  # fmt: skip
        terminal.console.print(made)


def _clips(hold: Hold) -> str:
    """How many it keeps, or kept; those that are gone in spite of it are told apart."""
    kept = hold.standing or hold.clips - hold.gone
    return f"{kept:,} [dim]+ {hold.gone:,} gone[/]" if hold.gone else f"{kept:,}"


def _ends(hold: Hold) -> str:
    if hold.released:
        return f"[dim]released {hold.released:%Y-%m-%d}[/]"
    if hold.review:
        day = f"{hold.review:%Y-%m-%d}"
        return f"[red]review overdue since {day}[/]" if hold.overdue else f"review {day}"
    if hold.until is None:
        return "·"
    return f"{hold.until:%Y-%m-%d %H:%M}" if hold.state == "open" else f"[dim]ended {hold.until:%Y-%m-%d}[/]"


def _print_hold(hold: Hold) -> None:
    kind = "legal hold" if hold.kind == "legal" else "hold"
    ends = f" until {hold.until:%Y-%m-%d %H:%M} UTC" if hold.until else ""
    if hold.review:
        ends = f"; somebody has to look at it again by {hold.review:%Y-%m-%d %H:%M} UTC"
    terminal.console.print(
        f"{kind} [bold]{hold.id}[/] keeps {terminal.count(hold.standing, 'clip')}{ends}", soft_wrap=True
    )
    if hold.late:
        few = ", ".join(clip[-8:] for clip in hold.late[:10]) + (" …" if len(hold.late) > 10 else "")
        terminal.console.print(
            f"[red]too late[/] for {terminal.count(len(hold.late), 'clip')}, whose deletion had begun: {few}",
            soft_wrap=True,
        )
