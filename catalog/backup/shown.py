"""How backups look in a terminal, and what of them machines get."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voxledger.catalog import terminal
from voxledger.catalog.backup import Checked, Created, Entry, Pruned, Restored
from voxledger.catalog.backup.contents import Manifest

_SHOWN = 20


def created(done: Created) -> dict[str, Any]:
    """What was made, for machines."""
    manifest = done.manifest
    return {
        "backup": manifest.id, "node": manifest.node, "created": manifest.created, "through": manifest.through,
        "head": manifest.head, "files": len(manifest.files), "bytes": manifest.bytes, "sent_objects": done.objects,
        "sent_bytes": done.bytes, "encrypted": done.encrypted, "with_vault": manifest.with_vault,
        "audio": None if manifest.audio is None else {
            "objects": manifest.audio.objects, "bytes": manifest.audio.bytes, "lacking": done.lacking,
            "waiting": done.waiting,
        },
        "sent_again": done.again, "still_damaged": done.damaged, "without": list(manifest.without), "elapsed_us": done.elapsed_us,
    }  # fmt: skip


def print_created(done: Created, *, vault: Path | None, inside: bool) -> None:
    """What was made, and what it does not hold."""
    say, manifest = terminal.console.print, done.manifest
    say(
        f"[green bold]backup {manifest.id[-8:]}[/] · {terminal.count(manifest.through, 'event')},"
        f" {terminal.count(len(manifest.files), 'file')}, {terminal.size(manifest.bytes)} · {terminal.size(done.bytes)} travelled in"
        f" {done.elapsed_us / 1e6:.1f} s · {'encrypted' if done.encrypted else '[yellow]not encrypted[/]'}"
    )
    if manifest.audio is not None:
        say(
            f"audio: {terminal.count(manifest.audio.objects, 'object')}, {terminal.size(manifest.audio.bytes)}"
            + (
                f", [yellow]{done.lacking:,} not in the store as stored[/] (`voxledger reconcile` tells)"
                if done.lacking
                else ""
            )
        )
    if done.waiting:
        say(
            f"{terminal.count(done.waiting, 'clip')} not uploaded yet: their audio is in no backup, make one again later",
            style="yellow",
        )
    if done.again:
        say(
            f"sent again: {terminal.count(done.again, 'object')} that lay in the bucket, but not as it was sent (damaged or altered)",
            style="yellow",
        )
    if done.damaged:
        say(
            f"not mended: {terminal.count(done.damaged, 'object')} that a `voxledger backup verify` found damaged, and that this backup"
            " does not need; verify again names what is left, and the backups that need it",
            style="yellow",
        )
    if manifest.head:
        say(f"head {manifest.through}:{manifest.head}", soft_wrap=True)
    for words in manifest.without:
        say(terminal.text(f"left out, because this backup is not encrypted: {words}"), style="yellow")
    if vault is not None:
        say(terminal.text(f"the vault lies in {vault}; keep file and passphrase apart from the backups"))
    else:
        say("The vault is not in it: without its keys (--vault FILE) names and texts stay sealed.", style="dim")
    if inside:
        say(
            "This backup lies in HOME itself, in the embedded store, and is lost with this disk: set backup.endpoint.",
            style="yellow",
        )


def entry(entry: Entry) -> dict[str, Any]:
    """A backup of a list, for machines."""
    manifest = entry.manifest
    about: dict[str, Any] = {
        "backup": entry.listed.id, "created": entry.listed.created, "encrypted": entry.encrypted,
        "trouble": entry.trouble or None,
    }  # fmt: skip
    if manifest is not None:
        about |= {
            "node": manifest.node, "through": manifest.through, "head": manifest.head, "files": len(manifest.files),
            "bytes": manifest.bytes, "audio_objects": manifest.audio.objects if manifest.audio else None,
            "audio_bytes": manifest.audio.bytes if manifest.audio else None, "with_vault": manifest.with_vault,
            "version": manifest.version,
        }  # fmt: skip
    return about


def print_list(found: Sequence[Entry]) -> None:
    """The backups, a line each."""
    if not found:
        terminal.console.print("There is no backup yet; `voxledger backup create` makes one.")
        return
    nodes = {entry.manifest.node for entry in found if entry.manifest}
    columns = (
        "backup",
        "made",
        *(("node",) if len(nodes) > 1 else ()),
        "events",
        "size",
        "audio",
        "encrypted",
        "vault",
    )
    made = terminal.table("", *columns, right=("events", "size", "audio"))
    for entry in found:
        head = (f"[bold]{entry.listed.id[-8:]}[/]", terminal.moment(entry.listed.created))
        manifest = entry.manifest
        if manifest is None:
            made.add_row(*head, *("·" for _ in columns[2:-2]), "yes" if entry.encrypted else "[red]damaged[/]", "·")
            continue
        node = (manifest.node[-8:],) if len(nodes) > 1 else ()
        audio = f"{manifest.audio.objects:,} · {terminal.size(manifest.audio.bytes)}" if manifest.audio else "·"
        made.add_row(
            *head, *node, f"{manifest.through:,}", terminal.size(manifest.bytes), audio,
            "yes" if entry.encrypted else "no", "saved" if manifest.with_vault else "·",
        )  # fmt: skip
    terminal.console.print(made)
    for trouble in dict.fromkeys(entry.trouble for entry in found if entry.trouble):
        terminal.console.print(terminal.text(trouble), style="yellow", soft_wrap=True)


def checked(checked: Checked) -> dict[str, Any]:
    """What a look at a backup found, for machines."""
    return {
        "backup": checked.listed.id, "intact": checked.intact, "objects": checked.objects, "bytes": checked.bytes,
        "through": checked.manifest.through if checked.manifest else None,
        "head": checked.manifest.head if checked.manifest else None, "problems": list(checked.problems),
        "noted": checked.noted, "erased": _erased(checked.manifest),
    }  # fmt: skip


def _erased(manifest: Manifest | None) -> int:
    return manifest.audio.erased if manifest is not None and manifest.audio is not None else 0


def print_checked(found: Sequence[Checked], *, quick: bool) -> None:
    """What a look at them found."""
    say = terminal.console.print
    if not found:
        say("There is no backup yet; `voxledger backup create` makes one.")
    for checked in found:
        state = "[green bold]intact[/]" if checked.intact else "[red bold]damaged[/]"
        looked = "looked at" if quick else "read"
        say(
            f"{checked.listed.id[-8:]} {terminal.moment(checked.listed.created)} · {state} ·"
            f" {terminal.count(checked.objects, 'object')}, {terminal.size(checked.bytes)} {looked}"
        )
        if erased := _erased(checked.manifest):
            say(f"  {terminal.count(erased, 'object')} of audio erased since, with the person or voice", style="dim")
        for problem in checked.problems[:_SHOWN]:
            say(terminal.text(f"  {problem}"), style="red", soft_wrap=True)
        if len(checked.problems) > _SHOWN:
            say(f"  [dim]{len(checked.problems) - _SHOWN:,} more (--json tells all)[/]")
    if any(checked.noted for checked in found):
        say(
            "What is damaged is noted in the bucket: the next `voxledger backup create` (for audio --with-audio) sends again what its"
            " HOME still has of it. A backup that is damaged even then is given up with `voxledger backup prune --drop ID`."
        )


def restored(done: Restored) -> dict[str, Any]:
    """What a restore did, for machines."""
    return {
        "backup": done.manifest.id, "home": str(done.home), "node": done.manifest.node, "through": done.manifest.through,
        "head": done.manifest.head, "lost": list(done.lost) if done.lost[0] else None, "came_back": done.back,
        "actors": done.actors, "actors_with_key": done.keys,
        "audio": None if done.audio is None else done.audio._asdict(), "settings_beside": done.settings_beside,
        "elapsed_us": done.elapsed_us, "erased_keys": done.erased,
    }  # fmt: skip


def print_restored(done: Restored) -> None:
    """What came back, and what did not."""
    say, manifest = terminal.console.print, done.manifest
    say(
        f"[green bold]restored[/] backup {manifest.id[-8:]} of {terminal.moment(manifest.created)} into",
        terminal.text(done.home), f"· {terminal.count(manifest.through, 'event')}, proved in {done.elapsed_us / 1e6:.1f} s",
    )  # fmt: skip
    if manifest.head:
        head = f"{manifest.through}:{manifest.head}"
        say(f"head {head}, and after it the record of this restore. Proved again by:", soft_wrap=True)
        say(
            terminal.text(f"  voxledger --home {shlex.quote(str(done.home))} verify --head {head}"),
            style="dim",
            soft_wrap=True,
        )
    first, last = done.lost
    if first:
        missing = last - first + 1 - done.back
        say(
            f"After the backup this node gave the positions {first:,} to {last:,}: {done.back:,} came back from the store,"
            f" {'[yellow]' if missing else ''}{missing:,} are lost{'[/]' if missing else ''}"
        )
    if done.erased:
        say(
            f"{terminal.count(done.erased, 'key')} in the vault file belonged to somebody who was erased since, and was not brought back."
            " Save the vault again over that file: `voxledger backup create --vault FILE`.",
            style="yellow",
        )
    if done.keys < done.actors:
        say(
            f"Of {terminal.count(done.actors, 'actor')}, the keys of {done.actors - done.keys:,} are not here: their names and texts stay"
            " sealed. Only a restore with --vault brings keys back.",
            style="yellow",
        )
    if done.audio is not None:
        say(
            f"audio: {done.audio.back:,} brought back, {done.audio.there:,} were there, {done.audio.left:,} left as they are"
        )
    if done.settings_beside:
        say("The settings of the backup lie beside those that were here, as voxledger.toml.restored", style="yellow")


def pruned(done: Pruned) -> dict[str, Any]:
    """What the rules let go and keep, for machines."""
    return {
        "applied": done.applied,
        "backups": [
            {
                "backup": decision.backup.id, "node": decision.backup.node, "created": decision.backup.created,
                "keep": decision.keep, "reasons": list(decision.reasons),
            }
            for decision in done.decisions
        ],
        "dropped": [listed.id for listed in done.dropped], "objects": done.objects, "bytes": done.bytes,
    }  # fmt: skip


def print_pruned(done: Pruned) -> None:
    """What the rules let go, and why the others stay."""
    say = terminal.console.print
    if done.decisions:
        made = terminal.table("", "backup", "made", "decision", "why")
        for decision in done.decisions:
            words = "keep" if decision.keep else "[red]gone[/]" if done.applied else "[red]let go[/]"
            made.add_row(
                f"[bold]{decision.backup.id[-8:]}[/]", terminal.moment(decision.backup.created), words,
                terminal.text(", ".join(decision.reasons) or "no rule keeps it"),
            )  # fmt: skip
        say(made)
    going = len(done.dropped) + sum(not decision.keep for decision in done.decisions)
    freed = f"{terminal.count(going, 'backup')} and {terminal.count(done.objects, 'object')} that no other backup needs"
    if done.applied:
        say(f"deleted: {freed}, {terminal.size(done.bytes)}")
    elif going or done.objects:
        say(f"--apply would delete {freed}, {terminal.size(done.bytes)}")
    else:
        say("nothing to delete")
