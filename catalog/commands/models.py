"""Commands about models: `models push | pull | list | verify | restore | rollback | remove | gc`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.models import Checked, Models, ModelVersion, Pulled, Pushed, Restored, Waste

_SHOWN = 10
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
        with self._opened() as door, _watched(quiet=json) as progress:
            done = door.models.push(folder, reference, follow=follow, current=not aside, progress=progress)
        if json:
            terminal.print_json(_pushed(done))
        else:
            _print_pushed(done, aside=aside)

    def pull(self, reference: str, /, *, json: bool = False) -> None:
        """Bring a version of a model onto this machine, unless it is here. Prints the folder.

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
        with self._opened() as door, _watched(quiet=json) as progress:
            done = door.models.pull(reference, progress=progress)
        if json:
            terminal.print_json(_pulled(done))
        else:
            _print_pulled(done)

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
        with self._opened() as door:
            found = door.models.list()
        if json:
            terminal.print_json([_version(each) for each in found])
        elif found:
            _print_versions(found)
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
        with self._opened() as door, _watched(quiet=json) as progress:
            found = door.models.verify(reference, deep=deep, here_only=here, progress=progress)
        if json:
            terminal.print_json([_checked(each) for each in found])
        else:
            _print_checked(found, deep=deep)
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
        with self._opened() as door, _watched(quiet=json) as progress:
            done = door.models.restore(reference, deep=deep, progress=progress)
        if json:
            terminal.print_json(_restored(done))
        else:
            _print_restored(done)

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
        with self._opened() as door:
            files, size = door.models.waste_here()
            waste = None if here else door.models.gc() if apply else door.models.waste()
            if apply:
                size = door.models.gc_here()
        if json:
            terminal.print_json(_waste(waste, files, size, applied=apply))
        else:
            _print_waste(waste, files, size, applied=apply)


@contextmanager
def _watched(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar in bytes on standard error, a line for each thing that is done."""
    with terminal.transfer_progress(quiet=quiet) as bar:
        tasks: dict[str, Any] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(_WAITING if what == "waiting" else what, total=total or None)
            if what != "waiting" and "waiting" in tasks:
                bar.update(tasks["waiting"], visible=False)
            bar.update(tasks[what], completed=done, total=total or None)

        yield progress


def _print_pushed(done: Pushed, *, aside: bool) -> None:
    reference, manifest = done.manifest.reference, done.manifest
    if not done.is_new and not done.sent_files:
        terminal.console.print(f"{_DONE} [bold]{reference}[/] was in the store already, with the same files")
    else:
        sent = f"{terminal.size(done.sent_bytes)} sent" if done.sent_bytes else "nothing had to be sent"
        terminal.console.print(
            f"{_DONE} [bold]{reference}[/] is in the store: {terminal.count(len(manifest.files), 'file')},"
            f" {terminal.size(manifest.size)}; {sent} in {done.elapsed_us / 1e6:.1f} s"
        )
    if done.hidden:
        terminal.console.print(
            f"[dim]{terminal.count(done.hidden, 'hidden file or folder', 'hidden files or folders')} left out[/]"
        )
    if aside:
        terminal.console.print(
            f"[dim]the current version stays as it was: voxledger models rollback {reference.name} --to …[/]"
        )
    elif done.was_current not in (None, reference):
        terminal.console.print(f"it is the current version; {done.was_current} was it before")


def _print_pulled(done: Pulled) -> None:
    reference = done.manifest.reference
    for damage in done.damaged:
        terminal.console.print("[yellow]damaged[/] ", terminal.text(f"{damage.path} {damage.why}; replaced"), sep="")
    if done.was_here:
        terminal.console.print(f"{_DONE} [bold]{reference}[/] is here")
    else:
        seconds = done.elapsed_us / 1e6
        terminal.console.print(
            f"{_DONE} [bold]{reference}[/] is here: {terminal.count(len(done.manifest.files), 'file')},"
            f" {terminal.size(done.manifest.size)}; {terminal.size(done.fetched_bytes)} fetched in {seconds:.1f} s"
        )
    terminal.console.print(terminal.text(done.path), style="dim", soft_wrap=True)


def _print_versions(found: tuple[ModelVersion, ...]) -> None:
    made = terminal.table(
        "", "", "model", "files", "size", "own", "store", "here", "pushed", right=("files", "size", "own")
    )
    colours = {"yes": "green", "no": "dim", "removed": "dim", "deleted": "red", "damaged": "red", "incomplete": "red"}
    for each in found:
        made.add_row(
            "[cyan]→[/]" if each.is_current else "", f"[bold]{each.reference}[/]", f"{each.files:,}",
            terminal.size(each.bytes), terminal.size(each.own_bytes),
            f"[{colours[each.in_store]}]{each.in_store}[/]", f"[{colours[each.here]}]{each.here}[/]",
            f"{each.pushed.astimezone():%Y-%m-%d}" if each.pushed else "·",
        )  # fmt: skip
    terminal.console.print(made)
    terminal.console.print("[dim]→ current version · own: bytes that no other version has[/]")
    for each in found:
        if each.in_store in ("deleted", "damaged") or each.here == "incomplete":
            terminal.console.print(f"[yellow]voxledger models restore {each.reference}[/] puts it back")


def _print_checked(found: tuple[Checked, ...], *, deep: bool) -> None:
    if not found:
        terminal.console.print("no models, so nothing is wrong")
    for each in found:
        where = "in the store" if each.place == "store" else "here"
        if each.is_whole:
            read = "every byte read" if deep else "sizes compared"
            terminal.console.print(
                f"{_DONE} [bold]{each.reference}[/] is whole {where}: {terminal.count(each.files, 'file')},"
                f" {terminal.size(each.bytes)}, {read}"
            )
            continue
        terminal.console.print(f"[red]●[/] [bold]{each.reference}[/] is not whole {where}")
        if each.trouble:
            terminal.console.print("  ", terminal.text(each.trouble), sep="")
        for damage in each.damages[:_SHOWN]:
            terminal.console.print("  ", terminal.text(f"{damage.path} {damage.why}"), sep="")
        if len(each.damages) > _SHOWN:
            terminal.console.print(f"  [dim]{len(each.damages) - _SHOWN:,} more; --json names them[/]")
    broken = [each for each in found if not each.is_whole]
    for reference in dict.fromkeys(each.reference for each in broken):
        # Here every byte is read in any case.
        in_store = any(each.place == "store" for each in broken if each.reference == reference)
        terminal.console.print(
            f"[yellow]voxledger models restore {reference}{' --deep' if deep and in_store else ''}[/] puts it back"
        )


_SOURCES = {
    "store": "the store", "versioning": "the versions that the bucket keeps", "objects": "copies in the store",
    "node": "this machine",
}  # fmt: skip


def _print_restored(done: Restored) -> None:
    if done.store.source is None:
        terminal.console.print(f"{_DONE} [bold]{done.reference}[/] is whole in the store")
    else:
        terminal.console.print(
            f"{_DONE} [bold]{done.reference}[/] is whole in the store again: {terminal.count(done.store.files, 'file')},"
            f" {terminal.size(done.store.bytes)}, from {_SOURCES[done.store.source]}"
        )
    if done.store.made_current:
        terminal.console.print("it is the current version now; nobody knew which was")
    if done.here is not None:
        _print_pulled(done.here)


def _print_waste(waste: Waste | None, files: int, size: int, *, applied: bool) -> None:
    verb = "deleted" if applied else "would be deleted"
    if waste is not None:
        terminal.console.print(
            f"store: [bold]{terminal.count(len(waste.contents), 'file')}[/] {verb} ({terminal.size(waste.bytes)}),"
            f" {waste.named:,} needed" + (f", {waste.young:,} too young" if waste.young else "")
        )
        for listed in waste.removed:
            gone = "can no longer be restored" if applied else "could then no longer be restored"
            terminal.console.print(f"  {listed.reference}, which was removed, {gone}")
    terminal.console.print(f"here: [bold]{terminal.count(files, 'file')}[/] {verb} ({terminal.size(size)})")
    if not applied and (files or (waste is not None and waste.contents)):
        terminal.console.print("[dim]nothing was changed; --apply deletes[/]")


def _pushed(done: Pushed) -> dict[str, Any]:
    return {
        "reference": str(done.manifest.reference), "manifest": done.manifest.sha256, "files": len(done.manifest.files),
        "bytes": done.manifest.size, "sent_files": done.sent_files, "sent_bytes": done.sent_bytes, "hidden": done.hidden,
        "new": done.is_new, "was_current": str(done.was_current) if done.was_current else None,
        "elapsed_s": done.elapsed_us / 1e6,
    }  # fmt: skip


def _pulled(done: Pulled) -> dict[str, Any]:
    return {
        "reference": str(done.manifest.reference), "manifest": done.manifest.sha256, "path": str(done.path),
        "files": len(done.manifest.files), "bytes": done.manifest.size, "fetched_files": done.fetched_files,
        "fetched_bytes": done.fetched_bytes, "damaged": [damage._asdict() for damage in done.damaged],
        "was_here": done.was_here, "elapsed_s": done.elapsed_us / 1e6,
    }  # fmt: skip


def _version(each: ModelVersion) -> dict[str, Any]:
    return {
        "reference": str(each.reference), "model": each.reference.name, "version": each.reference.version,
        "files": each.files, "bytes": each.bytes, "own_bytes": each.own_bytes, "manifest": each.manifest or None,
        "pushed": each.pushed, "store": each.in_store, "here": each.here, "current": each.is_current,
    }  # fmt: skip


def _checked(each: Checked) -> dict[str, Any]:
    return {
        "reference": str(each.reference), "place": each.place, "whole": each.is_whole, "files": each.files,
        "bytes": each.bytes, "trouble": each.trouble or None, "damages": [damage._asdict() for damage in each.damages],
    }  # fmt: skip


def _restored(done: Restored) -> dict[str, Any]:
    store = {"files": done.store.files, "bytes": done.store.bytes, "source": done.store.source}
    return {
        "reference": str(done.reference), "store": {**store, "made_current": done.store.made_current},
        "here": _pulled(done.here) if done.here else None,
    }  # fmt: skip


def _waste(waste: Waste | None, files: int, size: int, *, applied: bool) -> dict[str, Any]:
    store = None
    if waste is not None:
        store = {
            "files": len(waste.contents), "bytes": waste.bytes, "young": waste.young, "needed": waste.named,
            "removed": [str(listed.reference) for listed in waste.removed],
        }  # fmt: skip
    return {"applied": applied, "store": store, "here": {"files": files, "bytes": size}}
