"""Commands about models: `models push | pull | list | verify | restore | rollback | remove | gc`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.models import Models
    from voxledger.catalog.progress import Progress

_DONE = "[green]●[/]"
_WAITING = "waiting for another process that changes models"


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    @property
    def models(self) -> Models:
        """Model versions."""


class Commands:
    """The commands about models, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        models = App(name="models", help="Versions of an engine's files: pushed once, pulled where they are needed.")
        for command in (
            self.push, self.pull, self.list, self.verify, self.restore, self.rollback, self.remove, self.gc,
        ):  # fmt: skip
            models.command(command)
        app.command(models)

    def push(
        self, folder: Path, reference: str, /, *, follow: bool = False, aside: bool = False, json: bool = False
    ) -> None:
        """Put a folder into the store as a version of a model. A version never changes.

        Only files that no version has yet travel; interrupted and started again it goes on. Hidden files stay behind.

        **Examples**

            voxledger models push ./checkpoints indextts@2.5
            voxledger models push ~/.cache/huggingface/hub/models--x/snapshots/main indextts@2.6 --follow
            voxledger models push ./tuned indextts@2.6-rc1 --aside

        Parameters
        ----------
        folder
            The folder with its files.
        reference
            What it is to be called: NAME@VERSION.
        follow
            Take what symbolic links lead to; else they are refused.
        aside
            Do not make it the current version.
        json
            Print one JSON document.
        """
        from voxledger.catalog.models import shown

        with self._opened() as door, _watched(quiet=json) as progress:
            done = door.models.push(folder, reference, follow=follow, current=not aside, progress=progress)
        if json:
            terminal.print_json(shown.pushed(done))
        else:
            shown.print_pushed(done, aside=aside)

    def pull(self, reference: str, /, *, json: bool = False) -> None:
        """Bring a version of a model onto this machine, unless it is here, and say where its folder is.

        Interrupted and started again it fetches the rest. Each file is checked by its SHA-256, and the folder is there whole
        or not at all.

        **Examples**

            voxledger models pull indextts@2.5
            voxledger models pull indextts
            VOXLEDGER_INDEXTTS_MODEL_DIR=$(voxledger models pull indextts@2.5 --json | jq -r .path) voxledger engines indextts

        Parameters
        ----------
        reference
            NAME@VERSION, or NAME for its current version.
        json
            Print one JSON document.
        """
        from voxledger.catalog.models import shown

        with self._opened() as door, _watched(quiet=json) as progress:
            done = door.models.pull(reference, progress=progress)
        if json:
            terminal.print_json(shown.pulled(done))
        else:
            shown.print_pulled(done)

    def list(self, *, json: bool = False) -> None:
        """Show every version: its size, whether the store and this machine have it, and which is the current one.

        **Examples**

            voxledger models list
            voxledger models list --json | jq -r '.[] | select(.current) | .reference'

        Parameters
        ----------
        json
            Print one JSON document.
        """
        from voxledger.catalog.models import shown

        with self._opened() as door:
            found = door.models.list()
        if json:
            terminal.print_json([shown.version(each) for each in found])
        elif found:
            shown.print_versions(found)
        else:
            terminal.console.print("no models yet; `voxledger models push DIR NAME@VERSION` brings one into the store")

    def verify(
        self, reference: str | None = None, /, *, deep: bool = False, here: bool = False, json: bool = False
    ) -> int:
        """Check that versions are whole, in the store and on this machine. Exit status 1 when one is not.

        **Examples**

            voxledger models verify
            voxledger models verify indextts@2.5 --deep
            voxledger models verify --here --deep

        Parameters
        ----------
        reference
            Only this version, NAME@VERSION.
        deep
            Read every byte; else sizes are compared.
        here
            Look at this machine only.
        json
            Print one JSON document.
        """
        from voxledger.catalog.models import shown

        with self._opened() as door, _watched(quiet=json) as progress:
            found = door.models.verify(reference, deep=deep, here_only=here, progress=progress)
        if json:
            terminal.print_json([shown.checked(each) for each in found])
        else:
            shown.print_checked(found, deep=deep)
        return 0 if all(each.is_whole for each in found) else 1

    def restore(self, reference: str, /, *, deep: bool = False, json: bool = False) -> None:
        """Put back what was deleted or damaged of a version, in the store and on this machine.

        The store gets it from its copies of manifests, from the versions that the bucket keeps, or from this machine if it
        has it; this machine from the store. Every byte here is checked.

        **Examples**

            voxledger models restore indextts@2.5
            voxledger models restore indextts@2.5 --deep

        Parameters
        ----------
        reference
            The version, NAME@VERSION.
        deep
            Read every byte in the store too; else sizes decide what is damaged there.
        json
            Print one JSON document.
        """
        from voxledger.catalog.models import shown

        with self._opened() as door, _watched(quiet=json) as progress:
            done = door.models.restore(reference, deep=deep, progress=progress)
        if json:
            terminal.print_json(shown.restored(done))
        else:
            shown.print_restored(done, deep=deep)

    def rollback(self, name: str, /, *, to: str | None = None, json: bool = False) -> None:
        """Make the version before the current one the current one again. Nothing is deleted.

        Whoever pulls NAME, or has `indextts.model = "NAME"`, gets it from the next start on.

        **Examples**

            voxledger models rollback indextts
            voxledger models rollback indextts --to 2.5

        Parameters
        ----------
        name
            The model.
        to
            This version instead, before or after the current one.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            moved = door.models.rollback(name, to=to)
            is_here = door.models.path(str(moved.now)) is not None
        if json:
            was = str(moved.was) if moved.was else None
            terminal.print_json({"was": was, "now": str(moved.now), "here": is_here})
            return
        was = f"; {moved.was} was it before" if moved.was else ""
        if moved.was == moved.now:
            was = ", as it was before"
        terminal.console.print(f"{_DONE} [bold]{moved.now}[/] is the current version{was}")
        if not is_here:
            terminal.console.print(f"[dim]it is not on this machine: voxledger models pull {moved.now}[/]")

    def remove(self, reference: str, /, *, store: bool = False, force: bool = False, json: bool = False) -> None:
        """Take a version away from this machine, or with --store out of the store.

        **Examples**

            voxledger models remove indextts@2.4
            voxledger models remove indextts@2.4 --store

        Parameters
        ----------
        reference
            The version, NAME@VERSION.
        store
            Out of the store: `models restore` brings it back until `models gc` frees its files.
        force
            Also when this machine may have the only copy, or it is the current version.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            freed = door.models.remove(reference, store=store, force=force)
        if json:
            terminal.print_json({"reference": reference, "place": "store" if store else "here", "freed_bytes": freed})
        elif store:
            terminal.console.print(
                f"{_DONE} {reference} is removed from the store; its files stay until [bold]models gc[/]"
            )
        else:
            terminal.console.print(f"{_DONE} {reference} is removed from this machine, {terminal.size(freed)} are free")

    def gc(self, *, apply: bool = False, here: bool = False, json: bool = False) -> None:
        """Show what no version needs any more, in the store and on this machine; --apply deletes it.

        In the store nothing goes that came, or was removed, within `models.grace`.

        **Examples**

            voxledger models gc
            voxledger models gc --apply
            voxledger models gc --here --apply

        Parameters
        ----------
        apply
            Delete it.
        here
            Look at this machine only.
        json
            Print one JSON document.
        """
        from voxledger.catalog.models import shown

        with self._opened() as door:
            files, size = door.models.waste_here()
            waste = None if here else door.models.gc() if apply else door.models.waste()
            if apply:
                size = door.models.gc_here()
        if json:
            terminal.print_json(shown.waste(waste, files, size, applied=apply))
        else:
            shown.print_waste(waste, files, size, applied=apply)


@contextmanager
def _watched(*, quiet: bool) -> Iterator[Progress]:
    """A bar in bytes on standard error, a line for each thing that is done."""
    with terminal.transfer_progress(quiet=quiet) as bar:
        tasks: dict[str, Any] = {}

        def progress(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(_WAITING if what == "waiting" else what, total=total or None)
            if what != "waiting" and "waiting" in tasks:
                bar.update(tasks["waiting"], visible=False)
            bar.update(tasks[what], completed=done, total=total or None)

        yield progress
