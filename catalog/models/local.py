"""Model versions on this machine: folders that are complete or not there, whose files are shared between versions.

NAME/VERSION/…            a version; its files are hard links to
.blobs/ab/abcdef…         the contents, by SHA-256, never written to again
.manifests/NAME/VERSION.json   what the folder should hold
.current/NAME             the version that was last known as the current one
.lock                     held by whoever changes anything in here
.begun/                   which large contents are on their way into the store
.staging/                 folders that are being built, or were taken away
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from voxledger.catalog import platform
from voxledger.catalog.errors import DiskFull, HomeError, ModelError
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.hashing import sha256_of
from voxledger.catalog.models.manifest import Manifest, ModelFile, read_manifest
from voxledger.catalog.models.names import Reference, parse, parse_loose
from voxledger.catalog.parallel import in_parallel
from voxledger.catalog.progress import Heard, unheard

_HASHERS = 4
_READ_ONLY = 0o444


class Damage(NamedTuple):
    """A file that is not what the manifest says; `why` in words."""

    path: str
    why: str


def place(folder: Path, reference: str) -> Path:
    """Where `NAME@VERSION` lies in `models.folder`, or would; of a bare `NAME` the version that was last known here as the
    current one, or the folder of all its versions. Raises ModelError.
    """
    name, version = parse_loose(reference)
    local = Local(folder)
    version = version or local.current(name)
    return local.path(Reference(name, version)) if version else folder / name


class Local:
    """The folder `models.folder`. Reading needs no lock; what changes anything is called within `locked()`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._blobs = folder / ".blobs"
        self._manifests = folder / ".manifests"
        self._current = folder / ".current"
        self._staging = folder / ".staging"
        self.begun = folder / ".begun"

    def path(self, reference: Reference) -> Path:
        """Where a version lies, or would."""
        return self.folder / reference.name / reference.version

    def blob(self, sha256: str) -> Path:
        """Where a content lies, or would."""
        return self._blobs / sha256[:2] / sha256

    def manifest(self, reference: Reference) -> Manifest | None:
        """What a version that was pulled here should hold; None when it never was, or nobody can tell any more."""
        path = self._manifest_path(reference)
        try:
            return read_manifest(path.read_bytes(), reference, where=str(path))
        except (OSError, ModelError):
            return None

    def complete(self, reference: Reference) -> Manifest | None:
        """The manifest of a version whose folder has every file in its right size, else None. Contacts nobody; a few
        `stat` calls.
        """
        manifest = self.manifest(reference)
        return manifest if manifest is not None and not any(self.gaps(manifest)) else None

    def gaps(self, manifest: Manifest) -> Iterator[Damage]:
        """Files of a version that are missing or have another size."""
        folder = self.path(manifest.reference)
        for file in manifest.files:
            try:
                size = (folder / file.path).stat().st_size
            except OSError:
                yield Damage(file.path, "is missing")
                continue
            if size != file.bytes:
                yield Damage(file.path, f"has {size:,} bytes, not {file.bytes:,}")

    def damages(self, manifest: Manifest, read: Heard = unheard) -> list[Damage]:
        """Like `gaps`, with every byte read; `read` hears of each piece."""
        found = {damage.path: damage for damage in self.gaps(manifest)}
        folder = self.path(manifest.reference)
        whole = [file for file in manifest.files if file.path not in found]
        for file, is_right in in_parallel(
            lambda file: _holds(folder / file.path, file, read), whole, threads=_HASHERS, name="hash"
        ):
            if not is_right:
                found[file.path] = Damage(file.path, "is damaged: its SHA-256 is another one")
        return [found[file.path] for file in manifest.files if file.path in found]

    def versions(self) -> list[Reference]:
        """The versions that were pulled here, whole or not, by name and version."""
        found = []
        for path in self._manifests.glob("*/*.json"):
            with contextlib.suppress(ModelError):
                found.append(parse(f"{path.parent.name}@{path.name.removesuffix('.json')}"))
        return sorted(found)

    def current(self, name: str) -> str | None:
        """The version that was last known here as the current one of a model."""
        try:
            version = (self._current / name).read_text(encoding="utf-8").strip()
            return parse(f"{name}@{version}").version
        except (OSError, UnicodeDecodeError, ModelError):
            return None

    @contextlib.contextmanager
    def locked(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Change something: one process at a time. `waiting` is called when another one is at it."""
        with _writing(self.folder):
            for folder in (self.folder, self._blobs, self._manifests, self._current, self._staging):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = self.folder / ".lock"
        with platform.locked(lock, blocking=False) as held:
            if held:
                yield
                return
        waiting()
        with platform.locked(lock):
            yield

    def keep(self, source: Path, file: ModelFile, read: Heard = unheard) -> bool:
        """Take a content from a file that lies in this folder already; False when that is not what it should be."""
        if not _holds(source, file, read):
            return False
        target = self.blob(file.sha256)
        if target != source:
            with _writing(self.folder):
                self._place(source, target)
        return True

    def linked(self, sha256s: Iterable[str]) -> dict[str, list[Path]]:
        """Where contents should lie in the folders of versions, by SHA-256. Reads each manifest here once."""
        found: dict[str, list[Path]] = {sha256: [] for sha256 in sha256s}
        for manifest in filter(None, map(self.manifest, self.versions())):
            for file in manifest.files:
                if file.sha256 in found:
                    found[file.sha256].append(self.path(manifest.reference) / file.path)
        return found

    def has(self, file: ModelFile, linked: dict[str, list[Path]], read: Heard = unheard) -> bool:
        """Whether a content is here, every byte read: a damaged one is taken away. One that only lies in the folder of a
        version is taken from there: `linked` says where.
        """
        blob = self.blob(file.sha256)
        if blob.exists():
            if _holds(blob, file, read):
                return True
            with _writing(self.folder):
                blob.unlink(missing_ok=True)
        others = linked.get(file.sha256, ())
        return any(self.keep(path, file, read) for path in others if path.is_file() and not path.is_symlink())

    def prepare(self, sha256: str) -> Path:
        """Where to write a content that comes; its folder is made."""
        path = self.blob(sha256)
        with _writing(self.folder):
            path.parent.mkdir(mode=0o700, exist_ok=True)
        return path

    def build(self, manifest: Manifest) -> Path:
        """Make a version's folder of contents that are here; it appears whole, in place of what was there before.

        Raises ModelError when something lies there that nobody here has put.
        """
        place, reference = self.path(manifest.reference), manifest.reference
        if os.path.lexists(place) and not self._manifest_path(reference).exists():
            raise ModelError(
                f"{place} lies where {reference} belongs, and was not put there by Voxledger; move it away"
            )
        with _writing(self.folder):
            staged = Path(tempfile.mkdtemp(prefix="new-", dir=self._staging))
            folders = {staged}
            for file in manifest.files:
                target = staged / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                folders.update(folder for folder in target.parents if staged in folder.parents)
                self._place(self.blob(file.sha256), target)
            for folder in folders:
                platform.fsync_folder(folder)
            path = self._manifest_path(reference)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            place.parent.mkdir(mode=0o700, exist_ok=True)
            platform.write_atomic(path, manifest.encoded())
            failpoint("models.before_folder")
            if os.path.lexists(place):
                place.rename(Path(tempfile.mkdtemp(prefix="old-", dir=self._staging)) / "was")
            staged.rename(place)
            platform.fsync_folder(place.parent)
            failpoint("models.after_folder")
            self._clear_staging()
        return place

    def remember_current(self, name: str, version: str) -> None:
        """Keep which version of a model is the current one."""
        if self.current(name) != version:
            with _writing(self.folder):
                platform.write_atomic(self._current / name, f"{version}\n".encode())

    def remove(self, reference: Reference) -> int:
        """Take a version away, and its contents that no other one has; gives the bytes that became free. What an interrupted
        pull of another version has brought stays for that.
        """
        place, manifest = self.path(reference), self.manifest(reference)
        with _writing(self.folder):
            if os.path.lexists(place):
                place.rename(Path(tempfile.mkdtemp(prefix="old-", dir=self._staging)) / "was")
            self._manifest_path(reference).unlink(missing_ok=True)
            for folder in (place.parent, self._manifest_path(reference).parent):
                with contextlib.suppress(OSError):  # another version lies there
                    folder.rmdir()
            self._clear_staging()
            named = self._named()
            if manifest is None or named is None:
                return 0
            freed = 0
            for file in manifest.contents.values():
                blob = self.blob(file.sha256)
                if file.sha256 not in named and blob.exists():
                    freed += blob.stat().st_size
                    blob.unlink()
        return freed

    def unnamed(self) -> list[tuple[Path, int]]:
        """Contents, and pieces of them, that no version here has, with their sizes."""
        hashes = self._named()
        if hashes is None:
            return []
        # Pieces that arrived are called .40-DIGITS.….part: see `part_file`.
        named = hashes | {sha256[:40] for sha256 in hashes}
        return [
            (path, path.lstat().st_size)
            for path in sorted(self._blobs.glob("*/*"))
            if named.isdisjoint(path.name.split("."))
        ]

    def sweep(self) -> int:
        """Delete `unnamed` contents; gives the bytes that became free."""
        freed = 0
        with _writing(self.folder):
            for path, size in self.unnamed():
                path.unlink(missing_ok=True)
                freed += size
            self._clear_staging()
        return freed

    def _named(self) -> set[str] | None:
        """The contents that versions here have; None when nobody can tell, as one's manifest cannot be read."""
        manifests = [self.manifest(reference) for reference in self.versions()]
        readable = [manifest for manifest in manifests if manifest is not None]
        if len(readable) < len(manifests):
            return None
        return {file.sha256 for manifest in readable for file in manifest.files}

    def _manifest_path(self, reference: Reference) -> Path:
        return self._manifests / reference.name / f"{reference.version}.json"

    def _place(self, source: Path, target: Path) -> None:
        """Link a file; copy it where a file system has no links."""
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            source.chmod(_READ_ONLY)
        try:
            os.link(source, target)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EXDEV, errno.EACCES):
                raise
            shutil.copyfile(source, target)
            with target.open("rb") as file:
                platform.fsync_file(file)

    def _clear_staging(self) -> None:
        for left in self._staging.iterdir():
            shutil.rmtree(left, ignore_errors=True)


def _holds(path: Path, file: ModelFile, read: Heard) -> bool:
    try:
        return path.stat().st_size == file.bytes and sha256_of(path, read) == file.sha256
    except OSError:
        return False


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Errors of the disk in our own words."""
    try:
        yield
    except OSError as error:
        if platform.lacks_room(error, folder):
            raise DiskFull.at(f"{folder} could not be written to", "what came so far is kept") from error
        raise HomeError(
            f"{folder} cannot be written to: {error.strerror or error}; change its permissions, or models.folder"
        ) from error
