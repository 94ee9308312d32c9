"""`mixpanel status | flush`: delivery of events to Mixpanel."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.errors import SettingsError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.analytics.mixpanel import Mixpanel
    from voxledger.catalog.settings import Settings


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    settings: Settings

    @property
    def mixpanel(self) -> Mixpanel:
        """Delivery to Mixpanel."""


class Commands:
    """The commands of this group, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        mixpanel = App(name="mixpanel", help="Delivery of events to Mixpanel.")
        mixpanel.command(self.status)
        mixpanel.command(self.flush)
        app.command(mixpanel)

    def status(self, *, json: bool = False) -> None:
        """Say how many events wait for Mixpanel, and why.

        **Examples**

            voxledger mixpanel status

        Parameters
        ----------
        json
            Print one JSON document.
        """
        with self._opened() as door:
            found = door.mixpanel.status()
        if json:
            terminal.print_json(
                {
                    "configured": found.configured,
                    "host": found.host,
                    "cursor": found.cursor,
                    "waiting": found.waiting,
                    "note": found.note,
                }
            )
            return
        target = f"for {found.host}" if found.configured else "(mixpanel.token is not set, so nothing is sent)"
        terminal.console.print(f"[bold]{terminal.count(found.waiting, 'event')}[/] waiting {target}")
        if found.note:
            terminal.console.print(terminal.text(found.note))

    def flush(self, *, json: bool = False) -> None:
        """Send what waits for Mixpanel now.

        **Examples**

            VOXLEDGER_MIXPANEL_TOKEN=… voxledger mixpanel flush

        Parameters
        ----------
        json
            Print one JSON document.
        """
        with self._opened() as door:
            if not door.mixpanel.status().configured:
                raise SettingsError(
                    "nothing can be sent: set mixpanel.token (VOXLEDGER_MIXPANEL_TOKEN)", name="mixpanel.token"
                )
            done = door.mixpanel.deliver()
        if json:
            terminal.print_json(
                {"state": done.state, "sent": done.sent, "quarantined": done.quarantined, "waiting": done.waiting}
            )
            return
        terminal.console.print(
            f"{terminal.count(done.sent, 'event')} sent, {done.quarantined:,} quarantined, {done.waiting:,} waiting"
        )
