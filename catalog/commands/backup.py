"""Commands about backups: `backup create | list | verify | restore | prune`."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from cyclopts import App, Parameter

from voxledger.catalog import terminal
from voxledger.catalog.errors import BackupError
from voxledger.catalog.progress import Progress
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.backup import Backups
    from voxledger.catalog.settings import Settings

_BYTES = ("sending", "saving audio", "fetching", "bringing audio back")


class Door(AbstractContextManager["Door"], Protocol):
    """What making a backup needs of a ledger."""

    settings: Settings

    @property
    def backups(self) -> Backups:
        """Backups of this HOME."""


class Place(Protocol):
    """Finds the backups of a HOME that is not opened, and need not be there: that of `into`, where one is given."""

    def __call__(self, into: Path | None = None) -> AbstractContextManager[tuple[Settings, Backups]]:
        """Settings of that place and of the environment, and the backups they lead to."""


class Commands:
    """The commands about backups: `opened` opens a HOME, `place` does not."""

    def __init__(self, opened: Opener[Door], *, place: Place) -> None:
        self._opened = opened
        self._place = place

    def add_to(self, app: App) -> None:
        """Register them."""
        backup = App(name="backup", help="Backups of this HOME: made, proved, restored on any machine, and pruned.")
        for command in (self.create, self.list, self.verify, self.restore, self.prune):
            backup.command(command)
        app.command(backup)

    def create(self, *, with_audio: bool = False, vault: Path | None = None, json: bool = False) -> int:
        """Make a backup: journal, segments, settings with the rules of retention, heads. Only what is new travels.

        It goes to the bucket `store.backup`, encrypted if `backup.key` is set. The keys that seal personal fields (the vault)
        are never in it: give them a file of their own, on another disk, or nobody can read names and texts after a loss.

        **Examples**

            voxledger backup create
            VOXLEDGER_BACKUP_KEY="correct horse" voxledger backup create --with-audio
            voxledger backup create --vault /media/key/voxledger.vault

        Parameters
        ----------
        with_audio
            Also the audio of clips and voices that is in the store.
        vault
            Where the vault goes, sealed under a passphrase of its own (backup.vault_key, else it is asked for).
        json
            Print one JSON document.
        """
        from voxledger.catalog.backup import shown

        with self._opened() as door:
            passphrase = _passphrase(door.settings, new=True) if vault else ""
            said = "There is no backup of it yet; the next `voxledger backup create` sends only what has not arrived."
            with terminal.interruptible(said), _watched(quiet=json) as progress:
                done = door.backups.create(with_audio=with_audio, vault=vault, vault_key=passphrase, progress=progress)
            inside = door.backups.bucket.store.is_embedded
        if json:
            terminal.print_json(shown.created(done))
        else:
            shown.print_created(done, vault=vault, inside=inside)
        return 1 if done.lacking else 0

    def list(self, *, json: bool = False) -> None:
        """Show the backups in the bucket, of all nodes.

        **Examples**

            voxledger backup list
            voxledger backup list --json

        Parameters
        ----------
        json
            Print one JSON document.
        """
        from voxledger.catalog.backup import shown

        with self._place() as (_, backups):
            found = backups.list()
        if json:
            terminal.print_json([shown.entry(entry) for entry in found])
        else:
            shown.print_list(found)

    def verify(self, backup: str | None = None, /, *, quick: bool = False, json: bool = False) -> int:
        """Read everything that backups need, and see whether it is what was put there.

        What is damaged is noted in the bucket: the next `backup create` sends it again, where its HOME still has the content.
        Nothing else is changed. The exit status is 1 when something is missing or damaged.

        **Examples**

            voxledger backup verify
            voxledger backup verify 8f3a91c2
            voxledger backup verify --quick --json

        Parameters
        ----------
        backup
            Its id, the last digits of it, or `latest`; all of them without it.
        quick
            Only look whether everything is there in its size; nothing is read.
        json
            Print one JSON document.
        """
        from voxledger.catalog.backup import shown

        with self._place() as (_, backups), _watched(quiet=json) as progress:
            found = backups.verify(backup, quick=quick, progress=progress)
        if json:
            terminal.print_json([shown.checked(checked) for checked in found])
        else:
            shown.print_checked(found, quick=quick)
        return 0 if all(checked.intact for checked in found) else 1

    def restore(
        self,
        backup: str,
        /,
        *,
        into: Path,
        vault: Path | None = None,
        with_audio: bool = False,
        no_catch_up: bool = False,
        json: bool = False,
    ) -> None:
        """Make a HOME of a backup, in an empty folder, on this or any machine. Its log is proved before it is put in its place.

        What this node sealed into the store after the backup comes back from there. Interrupted and started again, it goes on.
        The store and the keys come from the environment, from a voxledger.toml in the folder, or from `--home`.

        **Examples**

            voxledger backup restore latest --into ~/voxledger
            voxledger backup restore 8f3a91c2 --into /srv/voxledger --vault /media/key/voxledger.vault
            voxledger --home /old/home backup restore latest --into /tmp/look --no-catch-up

        Parameters
        ----------
        backup
            Its id, the last digits of it, or `latest`.
        into
            The folder of the new HOME: empty, or not there yet; only a voxledger.toml may lie in it.
        vault
            The file that `backup create --vault` wrote. Without it names and texts stay sealed.
        with_audio
            Bring audio back that the store lacks. It needs the vault.
        no_catch_up
            Do not ask the store for what came after the backup.
        json
            Print one JSON document.
        """
        from voxledger.catalog.backup import shown

        with self._place(into) as (settings, backups):
            passphrase = _passphrase(settings, new=False) if vault else ""
            said = "Nothing is restored yet; the same command goes on where it was."
            with terminal.interruptible(said), _watched(quiet=json) as progress:
                done = backups.restore(
                    backup, into, vault=vault, vault_key=passphrase, with_audio=with_audio, catch_up=not no_catch_up,
                    progress=progress,
                )  # fmt: skip
        if json:
            terminal.print_json(shown.restored(done))
        else:
            shown.print_restored(done)

    def prune(
        self,
        *,
        keep_last: int | None = None,
        keep_daily: int | None = None,
        keep_weekly: int | None = None,
        keep_monthly: int | None = None,
        drop: Annotated[Sequence[str] | None, Parameter(negative=())] = None,
        apply: bool = False,
        json: bool = False,
    ) -> None:
        """Show which backups the rules let go, and why the others stay; with `--apply` let them go.

        Each rule keeps the newest backup of so many days, weeks or months that have one, for each node. What a backup that
        stays needs is never deleted. A node's newest backup always stays.

        **Examples**

            voxledger backup prune
            voxledger backup prune --keep-last 2 --keep-daily 14 --apply
            voxledger backup prune --drop 8f3a91c2 --apply

        Parameters
        ----------
        keep_last
            Keep so many of the newest; by default backup.keep_last, and so on.
        keep_daily
            Keep the newest of so many days.
        keep_weekly
            Keep the newest of so many weeks, which begin on Monday.
        keep_monthly
            Keep the newest of so many months.
        drop
            Let these backups go and no others, damaged ones too; may be given several times, and without any --keep-….
        apply
            Do it; otherwise it is only shown.
        json
            Print one JSON document.
        """
        import msgspec

        from voxledger.catalog.backup import rules_of, shown

        given = {"last": keep_last, "daily": keep_daily, "weekly": keep_weekly, "monthly": keep_monthly}
        if any(number is not None and number < 0 for number in given.values()):
            raise BackupError("a rule keeps 0 or more backups")
        with self._place() as (settings, backups), _watched(quiet=json) as progress:
            changed = {name: number for name, number in given.items() if number is not None}
            rules = msgspec.structs.replace(rules_of(settings), **changed) if changed else None
            done = backups.prune(rules=rules, drop=drop or (), apply=apply, progress=progress)
        if json:
            terminal.print_json(shown.pruned(done))
        else:
            shown.print_pruned(done)


def _passphrase(settings: Settings, *, new: bool) -> str:
    """The vault's passphrase: from the settings, else from whoever sits there."""
    if settings.backup.vault_key:
        return settings.backup.vault_key
    if not sys.stdin.isatty():
        raise BackupError("the vault needs a passphrase: set backup.vault_key (VOXLEDGER_BACKUP_VAULT_KEY)")
    given = getpass.getpass("Passphrase of the vault: ")
    if not given:
        raise BackupError("an empty passphrase protects nothing")
    if new and getpass.getpass("The same again: ") != given:
        raise BackupError("the two are not the same; nothing was written")
    return given


@contextmanager
def _watched(*, quiet: bool) -> Iterator[Progress]:
    """A line on standard error for each thing that is done, with a bar for what travels."""
    with terminal.transfer_progress(quiet=quiet) as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int | None) -> None:
            travels = what in _BYTES or what.startswith("checking backup")
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total if travels else None)
            if travels:
                bar.update(tasks[what], completed=done, total=total or None)

        yield show
