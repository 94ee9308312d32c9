"""`report weekly | explain | schema | send | list`: what a week was like, how it was counted, and who was told."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec
from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.analytics.publishing import AtChannel, Listed, Outdated, Sent
    from voxledger.analytics.reports import Reports
    from voxledger.catalog.settings import Settings

_COLORS = {"delivered": "green", "waiting": "yellow", "sending": "yellow", "unsent": "dim", "elsewhere": "dim"}
_WORDS = {"given_up": "given up", "unknown": "not known"}


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    settings: Settings

    @property
    def reports(self) -> Reports:
        """Weekly reports."""


class Commands:
    """The commands of this group, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        report = App(name="report", help="Reports of how the studio is used.")
        report.command(self.weekly)
        report.command(self.explain)
        report.command(self.schema)
        report.command(self.send)
        report.command(self.list_, name="list")
        app.command(report)

    def weekly(
        self, *, week: str | None = None, as_of: str | None = None, out: Path | None = None, json: bool = False
    ) -> None:
        """Report a week: what was generated, by whom, with which emotions, and what it takes up.

        **Examples**

            voxledger report weekly
            voxledger report weekly --out report/
            voxledger report weekly --week 2026-W46 --json
            voxledger report weekly --as-of 2026-11-20

        Parameters
        ----------
        week
            An ISO week; by default the running one, marked as not closed.
        as_of
            As it would have been made then: 2026-03-01T12:00:00Z, 2026-03-01 (the end of that day), or 7d (seven days ago).
        out
            A folder for the report as one HTML file, as Markdown and as JSON; without it the report is printed.
        json
            Print the report as JSON.
        """
        from rich.markdown import Markdown

        from voxledger.analytics.report import render_json, render_markdown

        with self._opened() as door:
            moment = _past(as_of, door.settings.general.time_zone)
            if out is not None:
                files = door.reports.publish(out, week=week, as_of=moment)
                if not json:
                    for file in files:
                        terminal.console.print(f"written: [bold]{file}[/]", soft_wrap=True)
                    return
            report = door.reports.weekly(week, as_of=moment)
        if json:
            print(render_json(report))
        else:
            terminal.console.print(Markdown(render_markdown(report)))

    def explain(self, metric: str, /, *, week: str | None = None, by: tuple[str, ...] = (), json: bool = False) -> None:
        """Say what a number of a report means, what it is for a week, and with which query it was told.

        **Examples**

            voxledger report explain clips
            voxledger report explain failure_rate --week 2026-W47
            voxledger report explain clip_share --week 2026-W47 --by emotion
            voxledger report explain retained_users --json

        Parameters
        ----------
        metric
            Its name; `voxledger metrics` lists them, and the page shows them under "How this is counted".
        week
            An ISO week; by default the running one.
        by
            Tell the groups of a dimension apart; may be repeated.
        json
            Print one JSON document.
        """
        from rich.syntax import Syntax

        from voxledger.analytics import metrics
        from voxledger.analytics.report import explained, wording

        known = metrics.metric(metric)
        with self._opened() as door:
            found = explained(door.reports.keeper, door.settings, metric, week, by)
        if json:
            terminal.print_json(found)
            return
        console = terminal.console
        console.print(f"[bold]{known.title}[/] ({known.name})")
        console.print(terminal.text(known.definition))
        if by:
            shown = terminal.table("", *by, known.name, right=(known.name,))
            for row in found["groups"]:
                cells = ["–" if row[name] is None else str(row[name]) for name in by]
                shown.add_row(*map(terminal.text, cells), wording.number(row[known.name], known.unit))
            console.print(shown)
        else:
            console.print(terminal.text(f"{found['week']}: {wording.number(found['value'], known.unit)}"))
        # Its lines are left as they are, so that they can be copied.
        lines = Syntax("", "sql", theme="ansi_light", background_color="default").highlight(found["query"])
        console.print(lines, soft_wrap=True, end="")

    def schema(self) -> None:
        """Print the JSON Schema of the weekly report as JSON.

        **Examples**

            voxledger report schema > weekly-report.schema.json
        """
        from voxledger.analytics.report import render_schema

        print(render_schema(), end="")

    def send(
        self,
        week: str,
        /,
        *,
        channel: Sequence[Literal["bucket", "mail", "webhook"]] = (),
        everyone: bool = False,
        json: bool = False,
    ) -> None:
        """Send the report of a week to its channels now, also where it was sent before. A week without a report gets one.

        It goes as it was made. Events that arrived since wait for its next revision, which `voxledger serve` makes, at most one a day.

        `voxledger serve` sends each report once by itself. This is for what it gave up, for what may or may not have arrived, and
        for a week that somebody wants again. A letter that reached some recipients, before it was given up, goes to the others.

        **Examples**

            voxledger report send 2026-W47
            voxledger report send 2026-W47 --channel mail
            voxledger report send 2026-W47 --channel mail --everyone
            voxledger report send 2026-W47 --channel mail --channel webhook --json

        Parameters
        ----------
        week
            An ISO week.
        channel
            bucket, mail or webhook; may be given several times. By default all that are set up. A report that is made for a message with
            a link to its page (webhook.link) goes into the bucket, too.
        everyone
            Write also to recipients who have it from an earlier try.
        json
            Print one JSON document.
        """
        from voxledger.analytics.publishing import NotPublished

        with self._opened() as door:
            done = door.reports.send(week, channel, everyone=everyone)
            lacking = door.reports.outdated(week)
        if json:
            terminal.print_json(msgspec.to_builtins(done))
        else:
            for sent in done:
                terminal.console.print(terminal.text(_told(sent)), soft_wrap=True)
        if lacking is not None:
            terminal.errors.print(terminal.text(_lacks(lacking)), soft_wrap=True)
        if not done:
            raise NotPublished(
                "nothing was sent: another process is sending it right now; `voxledger report list` tells how it goes"
            )
        failed = [sent for sent in done if sent.outcome != "delivered"]
        if failed:
            raise NotPublished(
                f"{terminal.count(len(failed), 'channel')} did not take it: see above, and `voxledger report list`"
            )

    def list_(self, *, weeks: int = 20, json: bool = False) -> None:
        """List the reports that were made, and how each went at each channel.

        **Examples**

            voxledger report list
            voxledger report list --weeks 4
            voxledger report list --json

        Parameters
        ----------
        weeks
            Most reports that are listed, the newest week first.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            found = door.reports.listed(limit=max(1, weeks))
        if json:
            terminal.print_json(msgspec.to_builtins(found))
            return
        if not found:
            terminal.console.print(
                "No report was made yet. `voxledger report weekly --out report/` makes one, `voxledger serve` one each week."
            )
            return
        terminal.console.print(_table(found))
        for report in found:
            for at in report.channels:
                if at.said and at.state != "delivered":
                    terminal.console.print(
                        terminal.text(f"{report.week} r{report.revision} {at.channel}: {at.said}"),
                        style="dim",
                        soft_wrap=True,
                    )


def _table(found: Sequence[Listed]) -> object:
    made = terminal.table(
        "Weekly reports", "week", "revision", "made", "for", "bucket", "mail", "webhook", right=("revision",)
    )
    for report in found:
        channels = {at.channel: at for at in report.channels}
        cells = [_cell(channels.get(name)) for name in ("bucket", "mail", "webhook")]
        why = report.by if report.closed else f"{report.by}, week not over"
        made.add_row(report.week, str(report.revision), terminal.moment(report.time)[:16], why, *cells)
    return made


def _cell(at: AtChannel | None) -> str:
    if at is None:
        return "[dim]–[/]"
    said = _WORDS.get(at.state, at.state)
    if at.state == "waiting" and at.again is not None:
        said += f" until {terminal.moment(at.again)[11:16]}"
    shown = f"[{_COLORS.get(at.state, 'red')}]{said}[/]"
    if at.arrived is not None and at.state != "delivered":
        return f"[green]delivered[/], then {shown}"
    return shown


def _told(sent: Sent) -> str:
    about = f"{sent.week} r{sent.revision} {sent.channel}"
    if sent.outcome == "delivered":
        return f"{about}: delivered" + (f", but {sent.said}" if sent.said else "")
    if sent.outcome == "waiting" and sent.again is not None:
        again = terminal.moment(datetime.fromtimestamp(sent.again).astimezone())[11:16]
        return f"{about}: {sent.said}; `voxledger serve` tries again at {again}"
    return f"{about}: {_WORDS.get(sent.outcome, sent.outcome)}: {sent.said}"


def _lacks(found: Outdated) -> str:
    """What was sent, and where the rest is to be had."""
    said = f"This is revision {found.revision} of {found.week}. Events of the week arrived after it was made:"
    if found.revised:
        return f"{said} they wait for the next one, which `voxledger serve` makes, at most one a day."
    return f"{said} no revision is made of it any more; `voxledger report weekly --week {found.week} --out FOLDER` shows them."


def _past(text: str | None, zone: str) -> datetime | None:
    """What `--as-of` says; None = now, which also a day means that is not over. Raises QueryError for the future."""
    from voxledger.catalog.errors import QueryError
    from voxledger.catalog.query.moment import moment_of

    moment, now = moment_of("--as-of", text, zone), datetime.now(UTC)
    if moment is None or moment < now:
        return moment
    if (began := moment_of("--as-of", text, zone, day="start")) and began > now:
        raise QueryError(f"--as-of {text!r} lies in the future; a report can be made as of a moment that is over")
    return None
