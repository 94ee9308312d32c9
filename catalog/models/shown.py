"""How model versions look in a terminal, and what of them machines get."""

from __future__ import annotations

from typing import Any

from voxledger.catalog import terminal
from voxledger.catalog.models import Checked, ModelVersion, Pulled, Pushed, Restored, Waste

_DONE = "[green]●[/]"
_SHOWN = 10


def print_pushed(done: Pushed, *, aside: bool) -> None:
    """What a push did."""
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


def print_pulled(done: Pulled) -> None:
    """What a pull did."""
    reference = done.manifest.reference
    for damage in done.damaged:
        terminal.console.print("[yellow]●[/] ", terminal.text(f"{damage.path} {damage.why}; replaced"), sep="")
    if done.was_here:
        terminal.console.print(f"{_DONE} [bold]{reference}[/] is here")
    else:
        seconds = done.elapsed_us / 1e6
        terminal.console.print(
            f"{_DONE} [bold]{reference}[/] is here: {terminal.count(len(done.manifest.files), 'file')},"
            f" {terminal.size(done.manifest.size)}; {terminal.size(done.fetched_bytes)} fetched in {seconds:.1f} s"
        )
    terminal.console.print(terminal.text(done.path), style="dim", soft_wrap=True)


def print_versions(found: tuple[ModelVersion, ...]) -> None:
    """The versions, a line each."""
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


def print_checked(found: tuple[Checked, ...], *, deep: bool) -> None:
    """What a look at them found."""
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


def print_restored(done: Restored, *, deep: bool) -> None:
    """What was put back."""
    if done.store.source is None:
        read = "every byte read" if deep else "sizes compared; --deep reads every byte"
        terminal.console.print(f"{_DONE} [bold]{done.reference}[/] is whole in the store, {read}")
    else:
        terminal.console.print(
            f"{_DONE} [bold]{done.reference}[/] is whole in the store again: {terminal.count(done.store.files, 'file')},"
            f" {terminal.size(done.store.bytes)}, from {_SOURCES[done.store.source]}"
        )
    if done.store.made_current:
        terminal.console.print("it is the current version now; nobody knew which was")
    if done.here is not None:
        print_pulled(done.here)


def print_waste(waste: Waste | None, files: int, size: int, *, applied: bool) -> None:
    """What nobody needs."""
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


def pushed(done: Pushed) -> dict[str, Any]:
    """What a push did, for machines."""
    return {
        "reference": str(done.manifest.reference), "manifest": done.manifest.sha256, "files": len(done.manifest.files),
        "bytes": done.manifest.size, "sent_files": done.sent_files, "sent_bytes": done.sent_bytes, "hidden": done.hidden,
        "new": done.is_new, "was_current": str(done.was_current) if done.was_current else None,
        "elapsed_s": done.elapsed_us / 1e6,
    }  # fmt: skip


def pulled(done: Pulled) -> dict[str, Any]:
    """What a pull did, for machines."""
    return {
        "reference": str(done.manifest.reference), "manifest": done.manifest.sha256, "path": str(done.path),
        "files": len(done.manifest.files), "bytes": done.manifest.size, "fetched_files": done.fetched_files,
        "fetched_bytes": done.fetched_bytes, "damaged": [damage._asdict() for damage in done.damaged],
        "was_here": done.was_here, "elapsed_s": done.elapsed_us / 1e6,
    }  # fmt: skip


def version(each: ModelVersion) -> dict[str, Any]:
    """A version of a list, for machines."""
    return {
        "reference": str(each.reference), "model": each.reference.name, "version": each.reference.version,
        "files": each.files, "bytes": each.bytes, "own_bytes": each.own_bytes, "manifest": each.manifest or None,
        "pushed": each.pushed, "store": each.in_store, "here": each.here, "current": each.is_current,
    }  # fmt: skip


def checked(each: Checked) -> dict[str, Any]:
    """What a look at one found, for machines."""
    return {
        "reference": str(each.reference), "place": each.place, "whole": each.is_whole, "files": each.files,
        "bytes": each.bytes, "trouble": each.trouble or None, "damages": [damage._asdict() for damage in each.damages],
    }  # fmt: skip


def restored(done: Restored) -> dict[str, Any]:
    """What was put back, for machines."""
    store = {"files": done.store.files, "bytes": done.store.bytes, "source": done.store.source}
    return {
        "reference": str(done.reference), "store": {**store, "made_current": done.store.made_current},
        "here": pulled(done.here) if done.here else None,
    }  # fmt: skip


def waste(waste: Waste | None, files: int, size: int, *, applied: bool) -> dict[str, Any]:
    """What nobody needs, for machines."""
    store = None
    if waste is not None:
        store = {
            "files": len(waste.contents), "bytes": waste.bytes, "young": waste.young, "needed": waste.named,
            "removed": [str(listed.reference) for listed in waste.removed],
        }  # fmt: skip
    return {"applied": applied, "store": store, "here": {"files": files, "bytes": size}}
