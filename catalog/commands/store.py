"""Commands about the S3 store: `store start | stop | status | env | retry`."""

from __future__ import annotations

import shlex
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.errors import StoreError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.journal import Journal
    from voxledger.catalog.objects import EmbeddedStore, Progress, Store, Uploader

_WAIT = 30.0
"""Seconds without a byte or a file, after which `retry` waits no longer."""


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    journal: Journal

    @property
    def store(self) -> Store:
        """The S3 store."""

    @property
    def uploader(self) -> Uploader:
        """Uploads."""

    def close(self, *, wait: float | None = None) -> None:
        """Let everything go."""


class Commands:
    """The commands about the store, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        store = App(name="store", help="The S3 store: the embedded one, or the endpoint of `store.endpoint`.")
        for command in (self.start, self.stop, self.status, self.env, self.retry):
            store.command(command)
        app.command(store)

    def start(self, *, json: bool = False) -> None:
        """Start the embedded store; it stops by itself when nobody uses it.

        **Examples**

            voxledger store start
            voxledger store start --json | jq -r .url

        Parameters
        ----------
        json
            Print one JSON document, as `store status` does.
        """
        with self._opened() as door:
            endpoint = _embedded(door).start()
            facts = _facts(door.store)
        if json:
            terminal.print_json(facts)
        else:
            terminal.console.print(f"the embedded store answers at [bold]{endpoint.url}[/]")

    def stop(self, *, json: bool = False) -> None:
        """Stop the embedded store; whoever needs it next starts it again.

        **Examples**

            voxledger store stop
            voxledger store stop --json

        Parameters
        ----------
        json
            Print one JSON document: whether it was running.
        """
        with self._opened() as door:
            stopped = _embedded(door).stop()
        if json:
            terminal.print_json({"stopped": stopped})
        else:
            terminal.console.print("the embedded store is stopped" if stopped else "the embedded store was not running")

    def status(self, *, json: bool = False) -> None:
        """Say where the store is and whether it answers.

        **Examples**

            voxledger store status
            voxledger store status --json

        Parameters
        ----------
        json
            Print one JSON document.
        """
        with self._opened() as door:
            facts = _facts(door.store)
        if json:
            terminal.print_json(facts)
            return
        made = terminal.table("", "what", "value")
        for name, value in facts.items():
            made.add_row(name.replace("_", " "), terminal.text("·" if value is None else value))
        terminal.console.print(made)

    def env(self) -> None:
        """Print the variables that let any S3 client at the store, for `eval`.

        **Examples**

            eval "$(voxledger store env)"; aws s3 ls --recursive s3://indextts-audio
        """
        with self._opened() as door:
            for name, value in door.store.environment().items():
                print(f"export {name}={shlex.quote(value)}")

    def retry(self, *, json: bool = False) -> int:
        """Upload now what waits for the store, parked uploads too. Exit status 1 when something waits still.

        **Examples**

            voxledger store retry
            voxledger store retry --json

        Parameters
        ----------
        json
            Print one JSON document.
        """
        from voxledger.catalog.journal import UPLOAD

        with self._opened() as door:
            door.journal.hurry(UPLOAD)
            before = door.uploader.flush(timeout=0)
            waiting = _watched(door.uploader, before, quiet=json)
            counts = door.journal.counts()
            parked = min(
                waiting, sum(found.count for found in counts if (found.kind, found.state) == (UPLOAD, "parked"))
            )
            done = door.uploader.progress
            door.close(wait=0)
        if json:
            terminal.print_json(
                {"files": before - waiting, "bytes": done.bytes, "waiting": waiting - parked, "parked": parked,
                 "trouble": done.trouble if waiting else None}
            )  # fmt: skip
            return 1 if waiting else 0
        files = f"{terminal.count(before - waiting, 'file')} uploaded, {terminal.size(done.bytes)}"
        said = f"{files}; {waiting - parked:,} waiting"
        terminal.console.print(said + (f", {parked:,} parked: `voxledger status` says why" if parked else ""))
        if waiting and done.trouble:
            terminal.console.print(terminal.text(done.trouble), style="yellow", soft_wrap=True)
        return 1 if waiting else 0


def _watched(uploader: Uploader, before: int, *, quiet: bool) -> int:
    """Let it upload `before` files, and show how far it is; gives how many are left when nothing moves any more."""
    with terminal.progress(quiet=quiet) as bar:
        task = bar.add_task("uploading", total=before)
        last, moved = (before, 0), time.monotonic()

        def shown(left: int, progress: Progress) -> bool:
            nonlocal last, moved
            if (left, progress.sent) != last:
                last, moved = (left, progress.sent), time.monotonic()
            speed = f", {terminal.size(progress.rate)}/s" if progress.rate else ""
            bar.update(
                task, completed=max(0, before - left), description=f"uploading, {terminal.size(progress.sent)}{speed}"
            )
            return time.monotonic() - moved < _WAIT

        return uploader.flush(watch=shown)


def _embedded(door: Door) -> EmbeddedStore:
    embedded = door.store.embedded
    if embedded is None:
        raise StoreError(f"store.endpoint is {door.store.endpoint}: Voxledger does not run that store")
    return embedded


def _facts(store: Store) -> dict[str, Any]:
    if store.embedded is None:
        return {"kind": "endpoint", "url": store.endpoint, "answers": store.answers()}
    return {"kind": "embedded", **store.embedded.status()}
