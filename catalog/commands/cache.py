"""Commands about the local copies of clips: `cache status | trim | verify`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

import msgspec
from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.cache import Cache, Differing, Trimmed, Verified
    from voxledger.catalog.home import Home
    from voxledger.catalog.settings import Settings

_KEPT = {
    "waiting": "not in the store yet; `voxledger status` says why",
    "missing": "the store has lost them; `voxledger reconcile --repair` uploads them again",
    "unproved": "nothing shows that the store has the same bytes; `voxledger reconcile` reads them",
    "purging": "their purge is under way",
    "used": "used a moment ago (cache.keep)",
    "open": "open in some program",
    "altered": "not of the size on record: these files are not what was stored",
    "unknown": "of no clip that the catalog knows",
}
"""Why copies stay, in words."""
_FATES = {
    "aside": "moved aside; whoever uses the clip next gets it from the store",
    "only": "kept: it was never stored, so there is no other copy; speak the text again",
    "lost": "kept: the store does not hold these bytes either; `voxledger reconcile` tells what it holds",
    "unasked": "kept, because the store does not say whether it has the right bytes; run it again",
    "unreadable": "kept: this user cannot read the file, or the disk cannot",
}
"""What became of copies that differ, in words."""


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    home: Home
    settings: Settings

    @property
    def cache(self) -> Cache:
        """Local copies."""


class Commands:
    """The commands about the cache, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        cache = App(name="cache", help="Local copies of clips, in HOME/cache.")
        for command in (self.status, self.trim, self.verify):
            cache.command(command)
        app.command(cache)

    def status(self, *, json: bool = False) -> None:
        """Say how large the cache is, what its limit is, and what of it could go.

        **Examples**

            voxledger cache status
            voxledger cache status --json

        Parameters
        ----------
        json
            Print one JSON document.
        """
        with self._opened() as door:
            with terminal.errors.status("counting …"):
                size = door.cache.count()
                could = door.cache.trim(to=0, dry=True)
            limit, folder = door.settings.cache.max_bytes, door.home.cache
        assert could is not None  # it waits for its turn
        if json:
            terminal.print_json(
                {"folder": str(folder), "bytes": size.bytes, "files": size.files, "max_bytes": limit or None,
                 "could_go": {"clips": could.clips, "bytes": could.bytes}, "kept": could.kept}
            )  # fmt: skip
            return
        share = f"of {terminal.size(limit)}" if limit else "without a limit (cache.max_bytes)"
        style = "yellow" if limit and size.bytes > limit else "bold"
        terminal.console.print(
            f"[{style}]{terminal.size(size.bytes)}[/] {share}, {terminal.count(size.files, 'file')} in ",
            terminal.text(folder),
            sep="",
        )
        if could.clips:
            terminal.console.print(
                f"{terminal.count(could.clips, 'copy', 'copies')}, {terminal.size(could.bytes)}, could go: as far as the log"
                " knows they are in the store, and nobody uses them just now"
            )
        _print_kept(could)

    def trim(self, *, to: str | None = None, dry_run: bool = False, json: bool = False) -> int:
        """Remove local copies until the cache is small enough, those that nobody has used for longest first.

        Only what the store confirms this moment goes, and never what is open, or was used within `cache.keep`. Whoever
        asks for such a clip later gets it from the store.

        **Examples**

            voxledger cache trim
            voxledger cache trim --to 2GB
            voxledger cache trim --to 0 --dry-run

        Parameters
        ----------
        to
            How large it may be: 500MB, 2GiB, 0. By default `cache.max_bytes`.
        dry_run
            Only say what would go, without asking the store.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            target = _target(to, door.settings.cache.max_bytes)
            with terminal.transfer_progress(quiet=json) as bar:
                task = bar.add_task("making room", total=max(1, door.cache.count().bytes - target))
                done = door.cache.trim(to=target, dry=dry_run, progress=lambda more, _: bar.update(task, advance=more))
        assert done is not None  # it waits for its turn
        enough = done.left <= target
        if json:
            terminal.print_json(
                {"clips": done.clips, "bytes": done.bytes, "left": done.left, "target": target, "kept": done.kept,
                 "trouble": done.trouble, "dry_run": dry_run}
            )  # fmt: skip
        else:
            _print_trimmed(done, target, dry=dry_run)
            if done.trouble:
                terminal.console.print(terminal.text(done.trouble), style="yellow", soft_wrap=True)
        return 0 if enough else 1

    def verify(self, *, json: bool = False) -> int:
        """Read every local copy and compare it with the SHA-256 that the log has. Exit status 1 when one differs.

        A copy that differs is moved aside, never deleted, once the store was seen to have the right bytes; the next use fetches it
        from there. The last copy of a clip stays where it is, and is named. Playing and fetching look at the size only.

        **Examples**

            voxledger cache verify
            voxledger cache verify --json

        Parameters
        ----------
        json
            Print one JSON document.
        """
        differing: list[Differing] = []
        with self._opened() as door, terminal.transfer_progress(quiet=json) as bar:
            task = bar.add_task("reading local copies", total=max(1, door.cache.count().bytes))
            try:
                found = door.cache.verify(heard=lambda more: bar.update(task, advance=more), told=differing.append)
            except KeyboardInterrupt as interrupt:
                bar.stop()
                if not json:
                    _print_differing(differing)  # some may have been moved
                raise KeyboardInterrupt("The rest was not looked at; run it again.") from interrupt
        if json:
            terminal.print_json(msgspec.to_builtins(found, enc_hook=str))
        else:
            _print_differing(differing)
            _print_verified(found)
        return 1 if differing else 0


def _print_verified(found: Verified) -> None:
    say, count = terminal.console.print, len(found.differing)
    if count:
        say(f"[red bold]{terminal.count(count, 'copy', 'copies')}[/] not as the log says")
    say(f"{terminal.count(found.files, 'copy', 'copies')} as the log says, {terminal.size(found.bytes)}")
    for number, why in ((found.unknown, _KEPT["unknown"]), (found.purging, _KEPT["purging"])):
        if number:
            say(f"{number:,} not looked at: {why}", style="dim")
    if found.aside is not None:
        say(
            "what was moved aside is in ",
            terminal.text(found.aside),
            "; look at it, then delete it",
            sep="",
            soft_wrap=True,
        )
    if found.trouble:
        say(terminal.text(found.trouble), style="yellow", soft_wrap=True)


def _print_differing(found: Sequence[Differing]) -> None:
    if not found:
        return
    made = terminal.table("Not as the log says", "clip", "file", "size", "what became of it", right=("size",))
    for each in found:
        made.add_row(each.clip[-8:], terminal.text(each.path), terminal.size(each.bytes), _FATES[each.fate])
    terminal.console.print(made)


def _print_trimmed(done: Trimmed, target: int, *, dry: bool) -> None:
    if not done.clips and done.left <= target:
        terminal.console.print(
            f"nothing {'would go' if dry else 'went'}: the cache has {terminal.size(done.left)}, and may have"
            f" {terminal.size(target)}"
        )
        return
    terminal.console.print(
        f"{'would remove' if dry else 'removed'} [bold]{terminal.count(done.clips, 'copy', 'copies')}[/],"
        f" {terminal.size(done.bytes)}; {terminal.size(done.left)} {'would stay' if dry else 'stay'}"
    )
    if done.left > target:
        terminal.console.print(f"that is more than {terminal.size(target)}", style="yellow")
    if dry and done.clips:
        terminal.console.print(
            "nothing was removed; a real run asks the store first, and what it does not confirm stays", style="dim"
        )
    if dry or done.left > target:
        _print_kept(done)


def _print_kept(done: Trimmed) -> None:
    if not done.kept:
        return
    made = terminal.table("What cannot go", "copies", "why", right=("copies",))
    for reason, count in sorted(done.kept.items(), key=lambda each: -each[1]):
        made.add_row(f"{count:,}", _KEPT.get(reason, reason))
    terminal.console.print(made)


def _target(to: str | None, limit: int) -> int:
    from voxledger.catalog.settings import parse_size

    if to is None:
        if not limit:
            raise VoxledgerError("the cache has no limit: give one with --to, or set cache.max_bytes")
        return limit
    try:
        return parse_size(to)
    except ValueError as error:
        raise VoxledgerError(f"--to {to}: {error}") from error
