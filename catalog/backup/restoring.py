"""Restoring: a HOME is built beside where it will be, proved, and only then put in its place.

Everything happens in the folder `.restoring` of the new HOME. Killed at any point, the next call goes on. As long as the
folder is there, nobody opens that HOME.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from voxledger.catalog import platform, tombstones
from voxledger.catalog.backup import vault_file
from voxledger.catalog.backup.bringing import Brought, bring_back
from voxledger.catalog.backup.bucket import Bucket
from voxledger.catalog.backup.contents import Manifest
from voxledger.catalog.backup.fetching import fetch
from voxledger.catalog.backup.locks import held_if_allowed
from voxledger.catalog.backup.passphrase import Seal
from voxledger.catalog.backup.taking import HEADS, JOURNAL
from voxledger.catalog.errors import BackupDamaged, BackupError, StoreError
from voxledger.catalog.events import RestoreCompleted, new_id
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import RESTORING, Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.journal.copying import settle
from voxledger.catalog.log import Keeper
from voxledger.catalog.log.verify import verify
from voxledger.catalog.log.writer import nothing_to_recover
from voxledger.catalog.objects.shipping import Archive, given
from voxledger.catalog.progress import Progress
from voxledger.catalog.queries import load
from voxledger.catalog.recorder import SYSTEM, Recorder
from voxledger.catalog.settings import FILE_NAME
from voxledger.catalog.settings import load as load_settings
from voxledger.catalog.tombstones import Tombstone
from voxledger.catalog.vault import Vault

if TYPE_CHECKING:
    from voxledger.catalog.objects import Store

_MAY_LIE_THERE = frozenset([RESTORING, FILE_NAME, "lost+found"])
_SQL = load("backup.sql", "voxledger.catalog.backup")
_log = logging.getLogger(__name__)


class Restored(NamedTuple):
    """A HOME that was restored. `lost` are the positions that had been given after the backup (0, 0: none is known), `back` how
    many of them came back from the store. `keys` says of how many actors personal fields can be read, `actors` of how many there
    are.
    """

    manifest: Manifest
    home: Path
    lost: tuple[int, int]
    back: int
    actors: int
    keys: int
    audio: Brought | None
    settings_beside: bool
    elapsed_us: int
    erased: int = 0
    """Keys in the vault file whose owners were erased since; they were not brought back."""


class _State(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore that was killed had come to. `event` is the id under which it is recorded, once; `vault` says whether the
    keys were there when the building began.
    """

    backup: str
    event: str
    phase: Literal["fetching", "building", "moving"] = "fetching"
    vault: bool = False
    lost: tuple[int, int] = (0, 0)
    back: int = 0
    actors: int = 0
    keys: int = 0


class Restorer:
    """Restores one backup into one place."""

    def __init__(
        self,
        bucket: Bucket,
        manifest: Manifest,
        seal: Seal,
        into: Path,
        *,
        store: Store | None,
        events: str,
        catch_up: bool,
    ) -> None:
        """`store` is the one that the node used, if it is known; with `catch_up` it is asked for what came after the backup,
        in the bucket `events`.
        """
        self._bucket = bucket
        self._manifest = manifest
        self._seal = seal
        self._into = into
        self._store = store
        self._past = store if catch_up else None
        self._events = events
        self._work = into / RESTORING
        self._stones: list[Tombstone] = []
        self._home = self._work / "home"

    def restore(
        self,
        *,
        vault: Path | None,
        vault_key: str,
        with_audio: bool,
        progress: Progress,
    ) -> Restored:
        """Build the HOME, prove that its log is the one that was backed up, record it, and put it in its place.

        Raises BackupError when the place is not empty or the vault does not fit, BackupDamaged when anything is missing or
        altered, DiskFull, StoreError, OSError; then nothing but `.restoring` is in the place.
        """
        started = time.perf_counter()
        manifest = self._manifest
        keys = None if vault is None else vault_file.opened(vault, node=manifest.node, passphrase=vault_key)
        if with_audio and (manifest.audio is None or keys is None):
            raise BackupError(
                "this backup holds no audio"
                if manifest.audio is None
                else "audio needs the vault (--vault FILE): only with its keys it is known where clips belong, and who was erased"
            )
        erased = 0
        with self._working() as state, held_if_allowed(self._bucket.store, self._bucket.name, "restore") as lock:
            progress = lock.told(progress) if lock else progress
            self._stones = self._tombstones()
            if keys is not None:
                keys, erased = vault_file.without(keys, tombstones.destroyed(self._stones))
            if state.phase == "fetching":
                fetch(self._bucket, manifest, self._seal, self._home, progress)
                if keys is not None:
                    platform.write_atomic(self._home / "vault.sqlite", keys, mode=0o600)
                # From here on files change: they are not what the backup holds any more, and are not fetched again.
                state = self._write(state, phase="building", vault=keys is not None)
            elif keys is not None and not state.vault:
                raise BackupError(
                    f"what was restored into {self._into} so far has no vault, and cannot get one any more: go on without --vault, or"
                    " empty that folder and begin anew"
                )
            if state.phase == "building":
                done = self._build(state, started, with_audio=with_audio, progress=progress)
                failpoint("restore.before_moving")
            else:
                done = Restored(
                    manifest, self._into, state.lost, state.back, state.actors, state.keys, None, settings_beside=False,
                    elapsed_us=0,
                )  # fmt: skip
            beside = self._move(done)
        return done._replace(
            settings_beside=beside, elapsed_us=round((time.perf_counter() - started) * 1e6), erased=erased
        )

    def _build(
        self,
        state: _State,
        started: float,
        *,
        with_audio: bool,
        progress: Progress,
    ) -> Restored:
        manifest = self._manifest
        (self._home / HEADS).unlink(missing_ok=True)
        epoch = settle(self._home / JOURNAL, given=self._given())
        with self._opened() as (recorder, keeper):
            tombstones.destroy(self._stones, recorder)
            if not recorder.journal.knows(state.event):
                keeper.drain(progress=lambda done, end: progress("filling the log", done, end))
                self._prove(keeper, progress)
                failpoint("restore.after_drained")
                fact = RestoreCompleted(
                    backup=manifest.id, bucket=self._bucket.name, through=manifest.through, head=manifest.head,
                    files=len(manifest.files), bytes=manifest.bytes, with_vault=state.vault, with_audio=with_audio,
                    elapsed_us=round((time.perf_counter() - started) * 1e6),
                )  # fmt: skip
                system = recorder.vault.actor(SYSTEM)
                recorder.journal.emit(recorder.draft(fact, subject=manifest.id, actor=system, event_id=state.event))
            keeper.drain()  # segments that were shipped after the backup come back with this
            if tombstones.record(self._stones, recorder, keeper):
                keeper.drain()
            lost = (epoch.lost_first or 0, epoch.lost_last or 0)
            with keeper.reading(fresh=False) as reading:
                back = int(reading.tuples(_SQL["between"], {"first": lost[0], "last": lost[1]})[0][0]) if lost[0] else 0
                actors = [str(actor) for (actor,) in reading.tuples(_SQL["actors"])]
            audio = None
            if with_audio and manifest.audio is not None:
                with self._target() as store:
                    audio = bring_back(self._bucket, self._seal, manifest.audio, store, keeper, self._work, progress)
            known = sum(recorder.vault.key(actor) is not None for actor in actors)
        return Restored(
            manifest, self._into, lost, back, len(actors), known, audio, settings_beside=False, elapsed_us=0
        )

    def _tombstones(self) -> list[Tombstone]:
        """Who was erased, as both buckets say. A store that is asked for nothing else is not asked for this either."""
        places = [(self._bucket.store, self._bucket.name)]
        if self._store is not None:
            places.append((self._store, self._events))
        try:
            return tombstones.everywhere(*places)
        except StoreError as error:
            if len(places) == 1:
                raise
            _log.warning("who was erased is known from %s alone: %s", self._bucket.name, error)
            return tombstones.everywhere(places[0])

    def _prove(self, keeper: Keeper, progress: Progress) -> None:
        manifest = self._manifest
        verdict = verify(keeper, progress=lambda done, end: progress("verifying", done, end))
        if not verdict.intact:
            found = verdict.findings[0]
            raise BackupDamaged(
                f"backup {manifest.id} gives no whole log: position {found.first} is {found.kind} ({found.why}). Nothing was restored;"
                " take another backup"
            )
        if (verdict.position, verdict.digest) != (manifest.through if manifest.head else 0, manifest.head):
            raise BackupDamaged(
                f"backup {manifest.id} gives another log than was backed up: its head is {verdict.position}:{verdict.digest}, not"
                f" {manifest.through}:{manifest.head}. Nothing was restored; take another backup"
            )

    def _given(self) -> int:
        """The highest position that this node is known to have given: positions are final, also those after the backup."""
        through = self._manifest.through
        if self._past is None:
            return through
        try:
            return max(through, given(self._past, self._events, self._manifest.node))
        except StoreError as error:
            _log.warning("the store does not tell what came after the backup: %s", error)
            return through

    @contextmanager
    def _opened(self) -> Iterator[tuple[Recorder, Keeper]]:
        home = Home.open(self._home)
        with contextlib.ExitStack() as stack:
            vault = Vault(home.vault)
            stack.callback(vault.close)
            journal = Journal(home.journal)
            stack.callback(journal.close)
            recorder = Recorder(journal, vault)
            archive = Archive(self._past, self._events, recorder, home.segments) if self._past else None
            yield recorder, Keeper(home, recorder, recover=archive.recover if archive else nothing_to_recover)

    @contextmanager
    def _target(self) -> Iterator[Store]:
        """The store that the restored HOME will use: the one we have, another endpoint, or its own embedded one."""
        from voxledger.catalog.objects import Store

        place = self._into if (self._into / FILE_NAME).exists() else self._home
        settings = load_settings(place).settings.store
        if self._store is not None and settings.endpoint and settings.endpoint == self._store.settings.endpoint:
            yield self._store
            return
        with contextlib.closing(Store(Home(self._home), settings)) as store:
            try:
                yield store
            finally:
                if store.embedded is not None:  # it must not serve a folder that moves
                    store.embedded.stop()

    @contextmanager
    def _working(self) -> Iterator[_State]:
        """The state of this restore, begun or found, while nobody else works on it."""
        self._check_place()
        for folder in (self._into, self._work, self._home):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with platform.locked(self._work / "lock", blocking=False) as mine:
            if not mine:
                raise BackupError(f"another process is restoring into {self._into}; wait for it")
            yield self._state()
        shutil.rmtree(self._work)
        platform.fsync_folder(self._into)

    def _check_place(self) -> None:
        if self._into.exists() and not self._into.is_dir():
            raise BackupError(f"{self._into} is a file; name a folder that is empty, or not there yet")
        found = sorted(path.name for path in self._into.iterdir()) if self._into.exists() else []
        foreign = [name for name in found if name not in _MAY_LIE_THERE]
        if foreign and not ((self._work / "state.json").exists() and self._state().phase == "moving"):
            raise BackupError(
                f"{self._into} is not empty ({', '.join(foreign[:3])}, …): a backup is restored into an empty folder only. Name another"
                " one, or move what lies there away. Nothing was changed"
            )

    def _state(self) -> _State:
        path = self._work / "state.json"
        with contextlib.suppress(FileNotFoundError):
            state = msgspec.json.decode(path.read_bytes(), type=_State)
            if state.backup != self._manifest.id:
                raise BackupError(
                    f"{self._work} holds what was restored of backup {state.backup} so far; finish that, or delete the folder"
                )
            return state
        return self._write(_State(backup=self._manifest.id, event=new_id()))

    def _write(self, state: _State, **changes: Any) -> _State:
        """Note, durably, what this has come to."""
        state = msgspec.structs.replace(state, **changes)
        platform.write_atomic(self._work / "state.json", msgspec.json.encode(state))
        return state

    def _move(self, done: Restored) -> bool:
        """Put everything in its place, the journal last; says whether the settings had to go beside others."""
        self._write(self._state(), phase="moving", lost=done.lost, back=done.back, actors=done.actors, keys=done.keys)
        beside = False
        for path in sorted(self._home.iterdir(), key=lambda path: path.name == JOURNAL):
            target = self._into / path.name
            if path.name == FILE_NAME and target.exists():
                target, beside = target.with_name(f"{FILE_NAME}.restored"), True
            elif target.exists():
                raise BackupError(f"{target} appeared while the backup was restored; move it away and run it again")
            path.replace(target)
            failpoint("restore.after_moved")
        platform.fsync_folder(self._into)
        return beside
