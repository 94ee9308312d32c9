"""Models: versions of an engine's files, between a folder, the store and this machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from voxledger.catalog.errors import CatalogBusy, ModelError, ModelNotFound, StoreError
from voxledger.catalog.events import Fact, ModelPulled, ModelPushed, ModelRemoved, ModelRestored, ModelRolledBack
from voxledger.catalog.models import collecting, pointing, verifying
from voxledger.catalog.models.bucket import Bucket
from voxledger.catalog.models.listing import ModelVersion, listed
from voxledger.catalog.models.local import Local
from voxledger.catalog.models.manifest import Manifest
from voxledger.catalog.models.names import Reference, parse, parse_loose
from voxledger.catalog.models.progress import Meter
from voxledger.catalog.models.pulling import Pulled, manifest_in, pull
from voxledger.catalog.models.pushing import Pushed, push
from voxledger.catalog.models.restoring import Mended, damaged_in_store, find_manifest, mend_store
from voxledger.catalog.models.verifying import Checked
from voxledger.catalog.objects.begun import uploads
from voxledger.catalog.progress import Progress, silent
from voxledger.catalog.queries import load
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import Settings

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.objects import Store

_log = logging.getLogger(__name__)
_SQL = load("models.sql", "voxledger.catalog.models")
_PATIENCE = 5.0
"""Seconds that a pull waits for the log, to compare with what it has; without it the manifest alone vouches."""


class Restored(NamedTuple):
    """What `restore` did: `store` is what was mended there, `here` what came onto this machine (None: nothing belongs here)."""

    reference: Reference
    store: Mended
    here: Pulled | None


class Models:
    """The model versions of a HOME. Safe from many threads; processes take turns in changing `models.folder`.

    A version never changes. What is pulled is complete or not there, and shares its unchanged files with other versions.
    """

    def __init__(
        self,
        settings: Settings,
        recorder: Recorder,
        keeper: Callable[[], Keeper],
        store: Callable[[], Store],
        *,
        actor: str,
    ) -> None:
        """Contacts nobody. `actor` pushes, pulls and restores."""
        self._settings = settings
        self._recorder = recorder
        self._keeper = keeper
        self._store = store
        self._actor = actor
        self.local = Local(Path(settings.models.folder))

    @property
    def bucket(self) -> Bucket:
        """The bucket of models in the store."""
        return Bucket(self._store(), self._settings.store.models)

    def path(self, reference: str) -> Path | None:
        """Where a version lies on this machine, whole; None when it does not. Contacts nobody. `NAME` means the version
        that was last known as the current one.
        """
        name, version = parse_loose(reference)
        version = version or self.local.current(name)
        if version is None or self.local.complete(Reference(name, version)) is None:
            return None
        return self.local.path(Reference(name, version))

    def push(
        self,
        folder: Path | str,
        reference: str,
        *,
        follow: bool = False,
        current: bool = True,
        progress: Progress = silent,
    ) -> Pushed:
        """Put a folder into the store as `NAME@VERSION`, and make it the current version, unless told otherwise.

        Files that another version has already do not travel again; after a crash neither do those that had arrived,
        nor the parts of large ones.
        Hidden files are left out; `follow` takes what symbolic links lead to. Raises ModelError for a version that is there
        with other files, and for a folder that cannot be pushed as it is; StoreError.
        """
        wanted, bucket = parse(reference), self.bucket
        done = push(
            bucket, Path(folder), wanted, begun=self.local.begun, follow=follow, current=current, threads=self._settings.models.threads,
            progress=progress,
        )  # fmt: skip
        if done.is_new or done.sent_files:
            self._record(
                ModelPushed(
                    model=wanted.name, model_version=wanted.version, manifest=done.manifest.sha256,
                    files=len(done.manifest.files), bytes=done.manifest.size, sent_bytes=done.sent_bytes,
                    elapsed_us=done.elapsed_us,
                ),
                wanted,
            )  # fmt: skip
        return done

    def pull(self, reference: str, *, progress: Progress = silent) -> Pulled:
        """Bring `NAME@VERSION`, or the current version of `NAME`, onto this machine, unless it is here.

        Goes on where an earlier one was interrupted; each file is verified before it counts. A version that is here needs no
        store; for `NAME` the one that was current here stands in while the store does not answer. Raises ModelNotFound,
        ModelError when the store lacks a file or the version was altered, DiskFull, StoreError.
        """
        bucket = self.bucket
        try:
            wanted, expected = self._wanted(bucket, reference)
        except StoreError:
            known = self.local.current(reference)
            here = Reference(reference, known) if known is not None else None
            if here is None or (done := self._here(here, self._recorded(here))) is None:
                raise
            _log.warning("the store does not say which version of %s is current; taking %s as before", reference, known)
            return done
        recorded = self._recorded(wanted)
        if "@" in reference and (done := self._here(wanted, recorded)) is not None:
            return done
        manifest = manifest_in(bucket, wanted, expected=recorded or expected)
        done = self._pulled(bucket, manifest, progress=progress)
        if "@" not in reference:
            self.local.remember_current(wanted.name, wanted.version)
        return done

    def ensure(self, reference: str, *, progress: Progress = silent) -> Path:
        """The folder of a version, pulled if it is not here. One that is costs a few `stat` calls and contacts nobody;
        `NAME` asks the store which is current, and takes the one known here when it does not answer. Raises as `pull` does.
        """
        name, version = parse_loose(reference)
        wanted = Reference(name, version) if version else self._current(name)
        if self.local.complete(wanted) is None:
            _log.warning("the model %s is not here; it is pulled from the store, once", wanted)
            self.pull(str(wanted), progress=progress)
        if version is None:
            self.local.remember_current(wanted.name, wanted.version)
        return self.local.path(wanted)

    def list(self) -> tuple[ModelVersion, ...]:
        """Every version in the store, on this machine, or deleted and not forgotten, by name and time."""
        return listed(self.bucket, self.local)

    def verify(
        self, reference: str | None = None, *, deep: bool = False, here_only: bool = False, progress: Progress = silent
    ) -> tuple[Checked, ...]:
        """Whether versions are whole, here and in the store: sizes, or with `deep` every byte. Mends nothing."""
        bucket = None if here_only else self.bucket
        known = {*self.local.versions()}
        if bucket is not None:
            known |= verifying.in_store(bucket)
        if reference is not None:
            wanted = parse(reference)
            if wanted not in known:
                raise ModelNotFound(
                    f"there is no {wanted}, {'on this machine' if here_only else 'here or in the store'}"
                )
            known = {wanted}
        checked = verifying.verify_local(self.local, known, deep=deep, progress=progress)
        if bucket is not None:
            recorded = self._log_has()
            checked += verifying.verify_store(
                bucket, sorted(known), deep=deep, recorded=recorded.get, progress=progress
            )
        return tuple(sorted(checked, key=lambda each: (each.reference, each.place)))

    def restore(self, reference: str, *, deep: bool = False, progress: Progress = silent) -> Restored:
        """Put back what was deleted or damaged of `NAME@VERSION`: in the store from its copies, from the versions that the
        bucket keeps, or from this machine; here, every byte checked, from the store.

        `deep` also reads every byte in the store. This machine gets the version if it had it, or if nothing had to be done in
        the store. Raises ModelNotFound, and ModelError that names the files that nobody here has.
        """
        wanted, bucket, threads = parse(reference), self.bucket, self._settings.models.threads
        bucket.store.ensure_bucket(bucket.name)
        found = find_manifest(bucket, self.local, wanted, expected=self._recorded(wanted))
        had, damaged = self.local.manifest(wanted) is not None, frozenset[str]()
        if deep:
            meter = Meter("checking", found.manifest.size, progress)
            damaged = frozenset(file.sha256 for file in damaged_in_store(bucket, found.manifest, meter.add))
        mended = mend_store(bucket, self.local, found, damaged=damaged, threads=threads, progress=progress)
        if mended.source is not None:
            self._restored(found.manifest, mended)
        here = None
        if had or mended.source is None:
            here = self._pulled(bucket, found.manifest, deep=True, restored=had, progress=progress)
        return Restored(wanted, mended, here)

    def rollback(self, name: str, *, to: str | None = None) -> pointing.Moved:
        """Make the version before the current one the current one again, or the version `to`. Versions stay where they are.

        Raises ModelNotFound when there is none before, or it is not in the store.
        """
        moved = pointing.rollback(self.bucket, name, to=to)
        if self.local.current(name) is not None:
            self.local.remember_current(moved.now.name, moved.now.version)
        if moved.was != moved.now:
            was = moved.was.version if moved.was else None
            self._record(
                ModelRolledBack(model=moved.now.name, model_version=moved.now.version, former_version=was), moved.now
            )
        return moved

    def remove(self, reference: str, *, store: bool = False, force: bool = False) -> int:
        """Take a version away from this machine; gives the bytes that became free. With `store` from the store instead, where
        `gc` frees its files after `models.grace`; until then `restore` brings it back.

        Raises ModelError when this machine may have the only copy, or it is the current version, unless `force`.
        """
        wanted = parse(reference)
        if store:
            pointing.remove(self.bucket, wanted, force=force)
            self._removed(wanted, "store", forced=force)
            return 0
        if wanted not in self.local.versions():
            raise ModelNotFound(f"{wanted} is not on this machine")
        if not force:
            self._require_in_store(wanted)
        with self.local.locked():
            freed = self.local.remove(wanted)
        self._removed(wanted, "local", forced=force, freed=freed)
        return freed

    def waste(self) -> collecting.Waste:
        """What `gc` would delete from the store. Changes nothing."""
        return collecting.waste(self.bucket, now=datetime.now(UTC), grace=self._settings.models.grace)

    def waste_here(self) -> tuple[int, int]:
        """Files, and their bytes, that no version on this machine has: left by pulls that were given up."""
        found = self.local.unnamed()
        return len(found), sum(size for _, size in found)

    def gc(self) -> collecting.Waste:
        """Delete from the store what no version names, once it is older than `models.grace`; gives what was deleted. Large files that
        a push from here began before that, and never finished, are given up.
        """
        now, grace, bucket = datetime.now(UTC), self._settings.models.grace, self.bucket
        try:
            with uploads(self.local.begun) as known:
                known.sweep(bucket.store, before=now - timedelta(seconds=grace))
        except StoreError as error:  # a key that may not do this may still delete
            _log.warning("unfinished uploads of models are not given up: %s", error)
        return collecting.collect(bucket, now=now, grace=grace)

    def gc_here(self) -> int:
        """Delete `waste_here`; gives the bytes that became free."""
        with self.local.locked():
            return self.local.sweep()

    def _here(self, wanted: Reference, recorded: str | None) -> Pulled | None:
        """A version that is here whole, by its sizes, and is what the log has of it (`recorded`), if it has it."""
        started = time.perf_counter()
        manifest = self.local.complete(wanted)
        if manifest is None or recorded not in (None, manifest.sha256):
            return None
        return Pulled(
            manifest=manifest, path=self.local.path(wanted), fetched_files=0, fetched_bytes=0, damaged=(), was_here=True,
            elapsed_us=round((time.perf_counter() - started) * 1e6),
        )  # fmt: skip

    def _pulled(
        self, bucket: Bucket, manifest: Manifest, *, deep: bool = False, restored: bool = False, progress: Progress
    ) -> Pulled:
        done = pull(
            bucket, self.local, manifest, room=self._settings.general.min_free_disk, threads=self._settings.models.threads,
            deep=deep, progress=progress,
        )  # fmt: skip
        if done.was_here:
            return done
        about: dict[str, Any] = {
            "model": manifest.name, "model_version": manifest.version, "manifest": manifest.sha256,
            "files": len(manifest.files), "bytes": manifest.size, "elapsed_us": done.elapsed_us,
        }  # fmt: skip
        if restored:
            fact: Fact = ModelRestored(**about, place="local", source="store" if done.fetched_files else "node")
        else:
            fact = ModelPulled(**about, fetched_bytes=done.fetched_bytes)
        self._record(fact, manifest.reference)
        return done

    def _restored(self, manifest: Manifest, mended: Mended) -> None:
        assert mended.source is not None
        self._record(
            ModelRestored(
                model=manifest.name, model_version=manifest.version, manifest=manifest.sha256, place="store",
                source=mended.source, files=len(manifest.files), bytes=manifest.size, elapsed_us=mended.elapsed_us,
            ),
            manifest.reference,
        )  # fmt: skip

    def _removed(self, gone: Reference, place: Literal["local", "store"], *, forced: bool, freed: int = 0) -> None:
        self._record(
            ModelRemoved(model=gone.name, model_version=gone.version, place=place, forced=forced, freed_bytes=freed),
            gone,
        )

    def _record(self, fact: Fact, subject: Reference) -> None:
        self._recorder.emit(fact, subject=str(subject), actor=self._recorder.vault.actor(self._actor))

    def _wanted(self, bucket: Bucket, reference: str) -> tuple[Reference, str | None]:
        name, version = parse_loose(reference)
        if version is not None:
            return Reference(name, version), None
        pointer = pointing.pointer(bucket, name)
        return pointer.current, pointer.history[-1].manifest

    def _current(self, name: str) -> Reference:
        try:
            return pointing.pointer(self.bucket, name).current
        except StoreError as error:
            known = self.local.current(name)
            if known is None:
                raise
            _log.warning(
                "the store does not say which version of %s is current; taking %s as before: %s", name, known, error
            )
            return Reference(name, known)

    def _require_in_store(self, wanted: Reference) -> None:
        try:
            if self.bucket.manifest(wanted) is not None:
                return
            why = f"the store has no {wanted}"
        except (ModelError, StoreError) as error:
            why = f"the store cannot say that it has {wanted}: {error}"
        raise ModelError(f"this machine may have the only copy: {why}. Push or restore it first, or use --force")

    def _recorded(self, wanted: Reference) -> str | None:
        return self._log_has().get(wanted)

    def _log_has(self) -> dict[Reference, str]:
        try:
            with self._keeper().reading(patience=_PATIENCE) as reading:
                rows = reading.tuples(_SQL["recorded"])
        except CatalogBusy as error:
            _log.warning("the log is not asked which files the models should have: %s", error)
            return {}
        return {Reference(str(name), str(version)): str(manifest) for name, version, manifest in rows}
