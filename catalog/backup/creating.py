"""Creating: a HOME at one moment goes into the bucket, and the manifest last: only that makes it a backup."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.backup import damage, vault_file
from voxledger.catalog.backup.audio import Saver
from voxledger.catalog.backup.bucket import Bucket
from voxledger.catalog.backup.contents import FORMAT, Manifest, SavedFile
from voxledger.catalog.backup.locks import held
from voxledger.catalog.backup.passphrase import Seal
from voxledger.catalog.backup.sending import Sender, sending
from voxledger.catalog.backup.taking import Source, take
from voxledger.catalog.errors import BackupError, DiskFull, StoreError
from voxledger.catalog.events import BackupCompleted, new_id
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import Home
from voxledger.catalog.objects.begun import uploads
from voxledger.catalog.progress import Progress
from voxledger.catalog.recorder import SYSTEM, Recorder

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.objects import Store
    from voxledger.catalog.settings import Settings

FOLDER = "backup.tmp"
"""The folder in HOME for copies on their way; it is there only while a backup is made."""


class Created(NamedTuple):
    """A backup that was made: `objects` and `bytes` had to travel, `again` of them or of those that the store copied because what
    lay there was not what had been sent. `lacking` objects of audio are not in the store as they should be, and `waiting` have not
    been uploaded yet. `damaged` objects of other backups were noted as damaged, and nothing here can replace them.
    """

    manifest: Manifest
    objects: int
    bytes: int
    encrypted: bool
    lacking: int
    waiting: int
    elapsed_us: int
    again: int = 0
    damaged: int = 0


class Creator:
    """Makes backups of one HOME."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        recorder: Recorder,
        keeper: Keeper,
        store: Store,
        bucket: Bucket,
        version: str,
    ) -> None:
        """`store` has the audio, `bucket` gets the backups, `version` is Voxledger's."""
        self._home = home
        self._settings = settings
        self._recorder = recorder
        self._keeper = keeper
        self._store = store
        self._bucket = bucket
        self._version = version

    def create(self, *, with_audio: bool, vault: Path | None, vault_key: str, progress: Progress) -> Created:
        """Make a backup and record it. Killed, the next one sends only what has not arrived.

        `vault` is where the vault goes, sealed under `vault_key`. Raises BackupError, LogCorrupt when events are missing,
        StoreError, DiskFull.
        """
        started = time.perf_counter()
        if vault is not None:
            vault_file.check(self._home, vault, node=self._recorder.journal.node, passphrase=vault_key)
        self._keeper.drain(
            progress=lambda done, total: progress("filling the log", done, total)
        )  # may take long: no lock yet
        with self._alone(), self._folder() as folder, held(self._bucket.store, self._bucket.name, "create") as lock:
            progress = lock.told(progress)
            seal = self._bucket.seal()
            before = self._before(seal)
            suspect = damage.noted(self._bucket)
            identity, created = new_id(), datetime.now(UTC)
            taken = take(self._home, self._keeper, folder, before, encrypted=seal.header is not None, progress=progress)
            threads = max(4, self._settings.store.upload_threads)
            with sending(self._bucket, seal, lock, threads=threads, suspect=suspect) as sender:
                if before is not None:
                    sender.trust(piece for file in before.files for piece in file.pieces)
                files = _files(taken.sources, sender, progress)
                audio = saver = None
                if with_audio:
                    with uploads(self._home.path / "uploads" / "backup") as begun:
                        saver = Saver(
                            self._store,
                            self._bucket,
                            sender,
                            seal,
                            folder,
                            voices=self._settings.store.voices,
                            threads=threads,
                            begun=begun,
                            suspect=suspect,
                        )
                        audio = saver.save(self._keeper, before, progress)
                        with suppress(StoreError):  # what cannot be given up now is given up by the next backup
                            begun.sweep(self._bucket.store, before=datetime.now(UTC))
                progress("confirming", 0, 0)
                sender.confirm()
                if saver is not None:
                    saver.confirm()
                files = tuple(msgspec.structs.replace(file, pieces=sender.keep(file.pieces)) for file in files)
            if vault is not None:
                vault_file.save(self._home, vault, node=taken.node, passphrase=vault_key)
            manifest = Manifest(
                format=FORMAT, id=identity, node=taken.node, created=created, version=self._version,
                through=taken.through, head=taken.head, files=files, audio=audio.audio if audio else None,
                with_vault=vault is not None, without=taken.without,
            )  # fmt: skip
            failpoint("backup.before_manifest")
            lock.require()
            self._bucket.put_manifest(manifest, seal)
            failpoint("backup.after_manifest")
            damage.forget(self._bucket, sender.settled)
            done = Created(
                manifest, sender.sent.objects, sender.sent.bytes, seal.header is not None, audio.lacking if audio else 0,
                audio.waiting if audio else 0,
                round((time.perf_counter() - started) * 1e6), sender.sent.again, len(suspect - sender.settled),
            )  # fmt: skip
            self._record(done)
        return done

    def _record(self, done: Created) -> None:
        manifest = done.manifest
        fact = BackupCompleted(
            backup=manifest.id, bucket=self._bucket.name, through=manifest.through, head=manifest.head,
            files=len(manifest.files), bytes=manifest.bytes + (manifest.audio.bytes if manifest.audio else 0),
            sent_bytes=done.bytes, encrypted=done.encrypted, with_vault=manifest.with_vault,
            with_audio=manifest.audio is not None, elapsed_us=done.elapsed_us,
        )  # fmt: skip
        self._recorder.emit(fact, subject=manifest.id, actor=self._recorder.vault.actor(SYSTEM))

    def _before(self, seal: Seal) -> Manifest | None:
        """This node's newest backup under the same key: what it brought need not be looked at again."""
        for listed in reversed(self._bucket.listed()):
            try:
                manifest, under = self._bucket.manifest(listed)
            except BackupError:
                continue
            if manifest.node == self._recorder.journal.node and under.header == seal.header:
                return manifest
        return None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with platform.locked(self._home.path / "backup.lock", blocking=False) as mine:
            if not mine:
                raise BackupError(f"another process is making a backup of {self._home.path}; wait for it")
            yield

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        """For copies on their way; what a killed process left there goes first."""
        path = self._home.path / FOLDER
        shutil.rmtree(path, ignore_errors=True)
        size = self._home.journal.stat().st_size
        if platform.free_disk(self._home.path) < size + 64_000_000:
            raise DiskFull(
                f"a backup needs {size / 1e6:,.0f} MB for a copy of the journal, and {self._home.path} has not that much room;"
                " free some space. Nothing was backed up"
            )
        path.mkdir(mode=0o700)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def _files(sources: tuple[Source, ...], sender: Sender, progress: Progress) -> tuple[SavedFile, ...]:
    """Send what is not there yet."""
    sizes = [source.file.stat().st_size for source in sources]
    total, done = sum(sizes), 0
    files: list[SavedFile] = []

    def sent(more: int) -> None:
        nonlocal done
        done += more
        progress("sending", done, total)

    for source, size in zip(sources, sizes, strict=True):
        if source.same is not None and sender.has(source.same.pieces):
            files.append(msgspec.structs.replace(source.same, pieces=sender.keep(source.same.pieces)))
            sent(size)
        else:
            files.append(sender.put(source.file, source.path, size=source.piece, head=source.head, done=sent))
    return tuple(files)
