"""The command that serves: `serve`."""

from __future__ import annotations

import importlib
import logging
import signal
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.errors import SettingsError
from voxledger.catalog.settings import format_span
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.dashboards.node import Door


class Commands:
    """The commands of this floor, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[AbstractContextManager[Door]]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        app.command(self.serve)

    def serve(self, *, no_web: bool = False) -> None:
        """Keep this HOME going: upload, drain, deliver to Mixpanel, and write the report of each closed week.

        Runs until SIGTERM or Ctrl-C, finishes what it is doing, and leaves the rest for the next start.

        **Examples**

            voxledger serve --no-web
            VOXLEDGER_SCHEDULE_DELIVER=5s voxledger serve --no-web

        Parameters
        ----------
        no_web
            Without pages and HTTP API; the only way there is so far.
        """
        if not no_web:
            raise SettingsError("this version has no web page yet; run `voxledger serve --no-web`")
        from voxledger.dashboards.node import Node

        logging.getLogger("voxledger").setLevel(logging.INFO)
        with self._opened() as door:
            node = Node(door)
            # Polars puts a handler of its own in front of whoever handles Ctrl-C when it is imported, and keeps the signal for itself
            # while a query of it runs in any thread. Imported before, it stands behind ours.
            importlib.import_module("polars")
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: node.stop())

            def started() -> None:
                schedule = door.settings.schedule
                sends = (
                    f"delivers every {format_span(schedule.deliver)}"
                    if door.settings.mixpanel.token
                    else "delivers nothing (mixpanel.token is not set)"
                )
                terminal.errors.print(
                    f"[bold]serving[/] {door.home.path}: uploads, drains every {format_span(schedule.drain)}, {sends},"
                    f" looks for closed weeks every {format_span(schedule.report)}. Ctrl-C stops.",
                    soft_wrap=True,
                )

            node.run(on_started=started)
            terminal.errors.print("finishing …")
        terminal.errors.print("[bold]stopped[/] cleanly")
