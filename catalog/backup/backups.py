"""Backups: made of one HOME, and listed, verified, restored and pruned without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from voxledger.catalog.backup.bucket import Bucket, Listed
from voxledger.catalog.backup.contents import Manifest
from voxledger.catalog.backup.creating import Created, Creator
from voxledger.catalog.backup.keeping import Rules
from voxledger.catalog.backup.pruning import Pruned, prune
from voxledger.catalog.backup.restoring import Restored, Restorer
from voxledger.catalog.backup.verifying import Checked, verify
from voxledger.catalog.errors import BackupDamaged, BackupError
from voxledger.catalog.home import Home
from voxledger.catalog.progress import Progress, silent
from voxledger.catalog.settings import Settings

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.objects import Store
    from voxledger.catalog.recorder import Recorder


class Source(NamedTuple):
    """The HOME that backups are made of, and the version of Voxledger that makes them."""

    recorder: Recorder
    keeper: Callable[[], Keeper]
    version: str


class Entry(NamedTuple):
    """A backup in the bucket; `manifest` is None when it cannot be read, and `trouble` says why."""

    listed: Listed
    manifest: Manifest | None
    encrypted: bool
    trouble: str


class Backups:
    """The backups in the bucket `store.backup`, at `backup.endpoint` or in the store itself. Contacts nobody when made.

    Every method raises StoreError and StoreUnavailable as the store does.
    """

    def __init__(
        self, home: Home, settings: Settings, store: Callable[[], Store], *, source: Source | None = None
    ) -> None:
        """Without a `source` no backup can be made, and everything else works."""
        self._home = home
        self._settings = settings
        self._store = store
        self._source = source
        self._bucket: Bucket | None = None

    @property
    def bucket(self) -> Bucket:
        """Where backups lie."""
        if self._bucket is None:
            self._bucket = Bucket(self._backup_store(), self._settings.store.backup, self._settings.backup.key)
        return self._bucket

    def close(self) -> None:
        """Let connections of our own go. Idempotent."""
        if self._bucket is not None and self._settings.backup.endpoint:
            self._bucket.store.close()

    def create(
        self, *, with_audio: bool = False, vault: Path | None = None, vault_key: str = "", progress: Progress = silent
    ) -> Created:
        """Make a backup: journal, segments, settings with the rules of retention, heads; `with_audio` the audio too.

        The vault goes only into the file `vault`, sealed under `vault_key`, by default `backup.vault_key`. Killed at any
        point, the next call sends only what has not arrived. Raises BackupError, LogCorrupt, DiskFull.
        """
        if self._source is None:
            raise BackupError("a backup is made of an open HOME: use voxledger.open().backups")
        passphrase = vault_key or self._settings.backup.vault_key
        if vault is not None and not passphrase:
            raise BackupError("the vault needs a passphrase: set backup.vault_key (VOXLEDGER_BACKUP_VAULT_KEY)")
        creator = Creator(
            self._home, self._settings, self._source.recorder, self._source.keeper(), self._store(), self.bucket,
            self._source.version,
        )  # fmt: skip
        return creator.create(with_audio=with_audio, vault=vault, vault_key=passphrase, progress=progress)

    def list(self) -> tuple[Entry, ...]:
        """Every backup, oldest first; those that the key does not open, or that are damaged, say so."""
        found = []
        for listed in self.bucket.listed():
            try:
                manifest, seal = self.bucket.manifest(listed)
            except BackupError as error:
                found.append(Entry(listed, None, not isinstance(error, BackupDamaged), str(error)))
            else:
                found.append(Entry(listed, manifest, seal.header is not None, ""))
        return tuple(found)

    def verify(
        self, reference: str | None = None, *, quick: bool = False, progress: Progress = silent
    ) -> tuple[Checked, ...]:
        """Read everything that one backup needs, or all; `quick` only looks whether it is there in its size."""
        backups: Sequence[Listed] = [self.bucket.find(reference)] if reference else self.bucket.listed()
        return tuple(verify(self.bucket, backups, quick=quick, progress=progress))

    def restore(
        self,
        reference: str,
        into: Path,
        *,
        vault: Path | None = None,
        vault_key: str = "",
        with_audio: bool = False,
        catch_up: bool = True,
        progress: Progress = silent,
    ) -> Restored:
        """Make a HOME of a backup (an id, its last digits, or `latest`) in an empty folder, proved to be what was backed up.

        `catch_up` asks the store for what this node sealed and published after the backup; positions that it gave
        are not given again. Killed at any point, the next call goes on. Where `backup.key` is set, a backup that is not
        encrypted is refused, and not taken for the latest. Raises BackupError, BackupDamaged, DiskFull.
        """
        passphrase = vault_key or self._settings.backup.vault_key
        if vault is not None and not passphrase:
            raise BackupError("the vault needs its passphrase: set backup.vault_key (VOXLEDGER_BACKUP_VAULT_KEY)")
        there = self._settings.store.endpoint or self._home.store.exists()
        restorer = Restorer(
            self.bucket, *self.bucket.trusted(reference), Path(into).expanduser().absolute(),
            store=self._store() if there else None, events=self._settings.store.events, catch_up=catch_up,
        )  # fmt: skip
        return restorer.restore(vault=vault, vault_key=passphrase, with_audio=with_audio, progress=progress)

    def prune(
        self, *, rules: Rules | None = None, drop: Sequence[str] = (), apply: bool = False, progress: Progress = silent
    ) -> Pruned:
        """Say which backups go by the rules (those of the settings), and let them go if `apply`; `drop` names some instead.

        Raises BackupError for both at once, and where nobody can tell what is still needed.
        """
        if drop and rules is not None:
            raise BackupError(
                "--drop and --keep-… do not go together: --drop lets the named backups go and no others; run prune twice"
            )
        chosen = rules if rules is not None else rules_of(self._settings)
        zone = ZoneInfo(self._settings.general.time_zone)
        return prune(self.bucket, chosen, zone, drop=drop, apply=apply, progress=progress)

    def _backup_store(self) -> Store:
        other = self._settings.backup
        if not other.endpoint:
            if not self._settings.store.endpoint and not self._home.path.exists():
                raise BackupError(
                    f"nothing says where backups lie: there is no HOME at {self._home.path}. Set store.endpoint or"
                    " backup.endpoint (VOXLEDGER_BACKUP_ENDPOINT), or name a HOME with --home"
                )
            return self._store()
        from voxledger.catalog.objects import Store

        settings = msgspec.structs.replace(
            self._settings.store, endpoint=other.endpoint, region=other.region, access_key=other.access_key,
            secret_key=other.secret_key,
        )  # fmt: skip
        return Store(self._home, settings)


def rules_of(settings: Settings) -> Rules:
    """The rules that the settings give."""
    found = settings.backup
    return Rules(last=found.keep_last, daily=found.keep_daily, weekly=found.keep_weekly, monthly=found.keep_monthly)
