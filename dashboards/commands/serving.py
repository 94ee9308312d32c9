"""Commands about the node: `serve` and `schedule`."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import signal
import sys
import urllib.request
import webbrowser
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter
from rich.markup import escape
from rich.text import Text

from voxledger.catalog import terminal
from voxledger.catalog.errors import HomeError, VoxledgerError
from voxledger.catalog.settings import format_span
from voxledger.catalog.terminal import Opener
from voxledger.dashboards.leaving import leave
from voxledger.dashboards.observing import logs

if TYPE_CHECKING:
    from voxledger.dashboards.door import Door
    from voxledger.dashboards.node import Node

_PATIENCE = 10.0
"""Seconds for our own node to answer."""
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """A defect that ends the node stands in its log with its place: nobody can start it again with `--verbose` to see it."""
    try:
        yield
    except VoxledgerError:
        raise
    except Exception:
        _log.exception("the node ends because of a defect")
        raise


class Commands:
    """The commands of this floor, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[AbstractContextManager[Door]]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        app.command(self.serve)
        app.command(self.open)
        app.command(self.schedule)

    def serve(self, *, no_web: bool = False, host: str | None = None, port: int | None = None) -> None:
        """Serve this HOME: speech as OpenAI's clients ask for it, the catalog, SQL; and upload, drain, deliver and report meanwhile.

        Runs until SIGTERM or Ctrl-C, finishes what it is doing, and leaves the rest for the next start. Commands and
        `voxledger.connect()` on this machine find it by themselves.

        **Examples**

            voxledger serve
            voxledger serve --host 0.0.0.0 --port 8080
            voxledger serve --no-web

        Parameters
        ----------
        no_web
            Only the jobs, without pages and HTTP API.
        host
            Address to listen at, instead of `serve.host`.
        port
            Port to listen at, instead of `serve.port`; 0 = one that is free.
        """
        given = {name: value for name, value in {"serve_host": host, "serve_port": port}.items() if value is not None}
        with _told(), self._opened(**given) as door:
            logs.configure(door.settings.serve)
            in_json = door.settings.serve.log == "json"
            # Polars puts a handler of its own in front of whoever handles Ctrl-C when it is imported, and keeps the signal for itself
            # while a query of it runs in any thread. Imported before, it stands behind ours.
            importlib.import_module("polars")
            if no_web:
                self._jobs_only(door)
            else:
                from voxledger.dashboards.server.running import serve

                serve(door, version("voxledger"), on_started=lambda url, way: _welcome(door, url, way))
            _say("finishing …", in_json=in_json)
        _say("[bold]stopped[/] cleanly", in_json=in_json)
        leave()

    def open(self, *, print_: Annotated[bool, Parameter(name="--print")] = False) -> None:
        """Open the pages of the node that serves this HOME in a browser, signed in as its owner.

        The link that it follows works once, within ten minutes.

        **Examples**

            voxledger open
            voxledger open --print

        Parameters
        ----------
        print_
            Print the link instead of opening it: for a browser on another machine, say.
        """
        with self._opened() as door:
            address = _signed_in(door)
        if print_:
            terminal.console.print(terminal.text(address), soft_wrap=True)
        elif not webbrowser.open(address):
            raise HomeError("there is no browser here that could be opened; `voxledger open --print` gives the link")

    def _jobs_only(self, door: Door) -> None:
        from voxledger.dashboards.node import Node

        node = Node(door)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: _stop(node))
        node.run(on_started=lambda: _tell(door, ""))

    def schedule(self, *, json: bool = False) -> None:
        """Show the jobs of `voxledger serve`: when each ran last and runs next, and why something did not run.

        **Examples**

            voxledger schedule
            voxledger schedule --json

        Parameters
        ----------
        json
            Print one JSON document.
        """
        from voxledger.catalog.events import now
        from voxledger.dashboards.schedule import schedule

        with self._opened() as door:
            found = schedule(door, now())
        if json:
            terminal.print_json(found.as_dict())
            return
        if not found.serving:
            terminal.console.print(
                "[yellow]nobody serves this HOME[/], so nothing runs by itself: `voxledger serve --no-web`"
            )
        made = terminal.table("", "job", "when", "last", "next", "what, and what keeps it")
        made.columns[0].no_wrap = True
        for job in found.jobs:
            last = f"{_clock(job.last)} {job.last_of}".strip()
            about = terminal.text(job.what)
            if job.why:
                about.append(f"\n{job.why}", style="yellow" if job.ended in ("stopped", "failed") else "dim")
            made.add_row(job.name, job.when, last, _clock(job.next), about)
        terminal.console.print(made)
        for note in found.notes:
            terminal.console.print(terminal.text(f"reports: {note}"), style="dim", soft_wrap=True)


def _stop(node: Node) -> None:
    """The first signal; with the second one nothing is waited for any more."""
    if node.stopping:
        os._exit(130)
    node.stop()


def _signed_in(door: Door) -> str:
    """A link that signs the owner of HOME in, once. Raises HomeError where nobody serves it."""
    from voxledger.catalog.log import link

    found = link.found(door.home)
    if found is None or not found.url:
        raise HomeError(f"nobody serves the pages of {door.home.path}; start `voxledger serve`")
    asked = urllib.request.Request(  # noqa: S310  # our own node, on this machine
        f"{found.url}/sign-in/link", method="POST", headers={"Authorization": f"Bearer {found.secret}"}
    )
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with straight.open(asked, timeout=_PATIENCE) as answer:
            path = json.loads(answer.read())["path"]
    except (OSError, ValueError, KeyError) as error:
        raise HomeError(f"the node at {found.url} does not answer as it should; see `voxledger status`") from error
    return f"{door.settings.serve.url.rstrip('/') or found.url}{path}"


def _welcome(door: Door, url: str, way: str) -> None:
    """What is told when it listens; at the first start also the one token without which nobody else could come in."""
    _tell(door, f" at {url}")
    if door.settings.serve.tokens == "required" and door.tokens.none_yet():
        made = door.tokens.create("admin", name="admin")
        _say(
            f"[bold]first start[/]: an admin's token, {made.token.id}, stands on standard output, and nowhere else from now on;"
            " `voxledger tokens` makes others, and revokes it",
            in_json=door.settings.serve.log == "json",
        )
        terminal.console.print(terminal.text(made.written), soft_wrap=True)
    if door.settings.serve.tokens == "required":
        in_json = door.settings.serve.log == "json"
        if sys.stdout.isatty() and not in_json:
            _say("the pages, signed in; the link works once, within ten minutes:", in_json=False)
            people = door.settings.serve.url.rstrip("/") or url
            terminal.console.print(terminal.text(f"{people}{way}"), soft_wrap=True)
        else:  # what is kept somewhere should hold nothing that opens anything
            _say("`voxledger open` opens the pages, signed in", in_json=in_json)


def _tell(door: Door, where: str) -> None:
    """What somebody who has just started it wants to know."""
    schedule = door.settings.schedule
    sends = (
        f"delivers every {format_span(schedule.deliver)}"
        if door.settings.mixpanel.token
        else "delivers nothing (mixpanel.token is not set)"
    )
    _say(
        f"[bold]serving[/] {escape(str(door.home.path))}{where}: uploads, drains every {format_span(schedule.drain)}, {sends},"
        f" looks for closed weeks every {format_span(schedule.report)}. Ctrl-C stops.",
        in_json=door.settings.serve.log == "json",
    )


def _say(words: str, *, in_json: bool) -> None:
    """To whoever has started it; as a line of the log where that has one form for all lines."""
    if in_json:
        _log.info("%s", Text.from_markup(words).plain)
    else:
        terminal.errors.print(words, soft_wrap=True)


def _clock(when: datetime | None) -> str:
    """To the minute where it is not of today, to the second where it is."""
    if when is None:
        return "–"
    shown = terminal.moment(when)
    return shown[11:] if shown[:10] == terminal.moment(datetime.now().astimezone())[:10] else shown[:16]
