"""Commands about the log: `verify` and `rebuild`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Annotated, Protocol

from cyclopts import App, Parameter

from voxledger.catalog import terminal
from voxledger.catalog.errors import StoreError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.home import Home
    from voxledger.catalog.journal import Journal
    from voxledger.catalog.log import Head, Keeper
    from voxledger.catalog.log.verify import Verdict
    from voxledger.catalog.objects import Store
    from voxledger.catalog.progress import Counting
    from voxledger.catalog.recorder import Recorder
    from voxledger.catalog.settings import Settings

_SHOWN = 50


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    home: Home
    journal: Journal
    recorder: Recorder
    settings: Settings
    actor: str

    @property
    def keeper(self) -> Keeper:
        """The log."""

    @property
    def store(self) -> Store:
        """Where heads are published."""


class Commands:
    """The commands about the log, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        app.command(self.verify)
        app.command(self.rebuild)

    def verify(
        self,
        *,
        head: Annotated[list[str] | None, Parameter(negative=())] = None,
        no_store: bool = False,
        json: bool = False,
    ) -> int:
        """See whether the log is what was acknowledged: every event, every batch, every segment.

        Names the positions that were lost, altered or inserted. Nothing is changed. The exit status is 1 when something is
        wrong. Against the owner of the folder only a head helps that was kept elsewhere: in the store, or on a weekly report.

        **Examples**

            voxledger verify
            voxledger verify --head 120000:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
            voxledger verify --no-store --json

        Parameters
        ----------
        head
            A head of the chain as a weekly report shows it, POSITION:DIGEST; may be given several times.
        no_store
            Do not ask the store for the heads that were published there.
        json
            Print one JSON document.
        """
        from voxledger.catalog.log.heads import parse
        from voxledger.catalog.log.verify import verify

        heads = [parse(written, origin="the command line") for written in head or ()]
        with self._opened() as door, _bar("Verifying", quiet=json) as progress:
            unasked = None if no_store else _from_store(door, heads)
            verdict = verify(door.keeper, heads, progress=progress)
        if json:
            terminal.print_json({**_as_dict(verdict), "store": unasked})
        else:
            _print(verdict, unasked)
        return 0 if verdict.intact else 1

    def rebuild(self, *, from_store: bool = False, json: bool = False) -> None:
        """Fold the whole log anew into the tables. The old ones serve until the new ones take their place.

        Interrupted, it goes on where it stopped when it is called again.

        **Examples**

            voxledger rebuild
            voxledger --home /srv/new-home rebuild --from-store

        Parameters
        ----------
        from_store
            Where the log itself is lost: fill an empty HOME from what lies beside the objects in the store. With the old vault
            in HOME, clips come back as they were; without it, with what is known in the open.
        json
            Print one JSON document.
        """
        if from_store:
            self._rebuild_from_store(json=json)
            return
        with self._opened() as door, _bar("Rebuilding", quiet=json) as progress:
            reached = door.keeper.rebuild(progress=progress)
        if json:
            terminal.print_json({"position": reached})
        else:
            terminal.console.print(f"The tables are folded anew from {terminal.count(reached, 'event')}.")

    def _rebuild_from_store(self, *, json: bool) -> None:
        from voxledger.catalog.reconcile import Around, rebuild_from_store

        with self._opened() as door, terminal.steps(quiet=json) as progress:
            found = rebuild_from_store(Around.of(door), progress=progress)
        if json:
            terminal.print_json(found.as_dict())
            return
        say = terminal.console.print
        came = found.whole + found.open
        say(
            f"[green bold]{terminal.count(came, 'clip')} came back[/] · {terminal.length(found.duration_us / 1e6)},"
            f" {terminal.size(found.bytes)} · of {terminal.count(found.objects, 'object')}"
        )
        for number, sentence in (
            (found.whole, "whole, as they were recorded"),
            (found.open, "with what is known in the open: no record, or the vault lacks its key"),
            (found.known, "known from an earlier run"),
            (found.unknown, "do not say what they are; `voxledger adopt` makes clips of those that are audio"),
        ):
            if number:
                say(f"[dim]{number:,} {sentence}[/]", soft_wrap=True)


@contextmanager
def _bar(what: str, *, quiet: bool) -> Iterator[Counting]:
    with terminal.progress(quiet=quiet) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, end: bar.update(task, completed=done, total=end)


def _from_store(door: Door, heads: list[Head]) -> str | None:
    """Add the heads that were published to the store; gives why there are none, if there are none."""
    from voxledger.catalog.objects.shipping import published

    if door.store.is_embedded:
        return "the embedded store lies in HOME itself, so its heads prove nothing more"
    try:
        found = published(door.store, door.settings.store.events, door.journal.node)
    except StoreError as error:
        return str(error)
    heads.extend(found)
    return None if found else "no head has been published to the store yet"


def _as_dict(verdict: Verdict) -> dict[str, object]:
    return {
        "intact": verdict.intact, "events": verdict.events, "batches": verdict.batches, "segments": verdict.segments,
        "position": verdict.position, "head": verdict.digest, "heads_compared": verdict.heads, "heads_void": verdict.void,
        "waiting": verdict.waiting,
        "known_lost": [{"first": first, "last": last, "reason": reason} for first, last, reason in verdict.told],
        "findings": [
            {"kind": found.kind, "first": found.first, "last": found.last, "why": found.why} for found in verdict.findings
        ],
    }  # fmt: skip


def _print(verdict: Verdict, unasked: str | None) -> None:
    say = terminal.console.print
    counted = (
        f"{terminal.count(verdict.events, 'event')} in {terminal.count(verdict.batches, 'batch', 'batches')},"
        f" {terminal.count(verdict.segments, 'segment')} and {terminal.count(verdict.heads, 'outside head')} compared"
    )
    if verdict.intact:
        say(f"[green bold]intact[/] · {counted}")
    else:
        say(f"[red bold]not intact[/] · {counted}")
        table = terminal.table("", "what", "positions", "why")
        for found in verdict.findings[:_SHOWN]:
            span = f"{found.first:,}" if found.first == found.last else f"{found.first:,} to {found.last:,}"
            table.add_row(f"[red]{found.kind}[/]", span, terminal.text(found.why))
        say(table)
        if len(verdict.findings) > _SHOWN:
            say(f"[dim]{len(verdict.findings) - _SHOWN:,} more (--json tells all)[/]")
    for first, last, reason in verdict.told:
        say(f"[yellow]known[/] · positions {first:,} to {last:,} were lost with a journal ({reason})")
    if verdict.void:
        say(f"[dim]{terminal.count(verdict.void, 'outside head')} of these positions: nothing is left to compare[/]")
    if verdict.waiting:
        say(f"[dim]{terminal.count(verdict.waiting, 'event')} in the journal not drained yet[/]")
    if verdict.digest:
        say(f"head {verdict.position}:{verdict.digest}", soft_wrap=True)
    if not verdict.heads:
        why = f" ({unasked})" if unasked else ""
        say(
            terminal.text(
                "Compared with itself alone, the log is protected against accidents, not against the owner of the folder"
                f"{why}. A head that was kept elsewhere proves more: --head POSITION:DIGEST, as a weekly report shows it."
            ),
            style="dim",
        )
