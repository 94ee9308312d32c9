"""`report weekly`: what a week was like."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.analytics.reports import Reports
    from voxledger.catalog.settings import Settings


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
        from voxledger.catalog.query.moment import moment_of

        with self._opened() as door:
            moment = moment_of("--as-of", as_of, door.settings.general.time_zone)
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
