"""A folder that is to become a model version: its files, found with care and hashed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from voxledger.catalog.errors import ModelError
from voxledger.catalog.models.manifest import MOST_FILES, Manifest, ModelFile, made_manifest
from voxledger.catalog.models.names import Reference
from voxledger.catalog.parallel import in_parallel
from voxledger.catalog.progress import Heard, unheard

_PIECE = 1 << 20
_HASHERS = 4
_SHOWN = 5


class Stamp(NamedTuple):
    """What changes when a file is written to."""

    bytes: int
    time_ns: int
    inode: int


class Source(NamedTuple):
    """One file to push: where its bytes are, what they are, and the MD5 (hex) that a store compares."""

    file: ModelFile
    path: Path
    stamp: Stamp
    md5: str


class FolderRead(NamedTuple):
    """A folder that was read: its manifest, where each file is, and how many hidden ones were left out."""

    manifest: Manifest
    sources: dict[str, Source]
    hidden: int


def read_folder(folder: Path, reference: Reference, *, follow: bool, hashed: Heard = unheard) -> FolderRead:
    """Find and hash the files of a folder; `hashed` hears of each piece that was read. Files and folders whose names
    begin with a dot are left out: they belong to git, to a downloader or to a desktop.

    Raises ModelError for an empty folder, for what is no regular file, and for symbolic links unless `follow`.
    """
    found, hidden = _found(folder, follow=follow)
    if not found:
        raise ModelError(f"the folder {folder} holds no files; name the folder of a model")
    # The names are checked before hours may go into hashing.
    made_manifest(reference, [ModelFile(path=name, bytes=0, sha256="0" * 64) for name in found])
    sources = dict(in_parallel(lambda name: _hashed(name, found[name], hashed), found, threads=_HASHERS, name="hash"))
    manifest = made_manifest(reference, [source.file for source in sources.values()])
    return FolderRead(manifest, sources, hidden)


def total_bytes(folder: Path, *, follow: bool) -> int:
    """Size of what `read_folder` would read. Raises ModelError."""
    return sum(path.stat().st_size for path in _found(folder, follow=follow)[0].values())


def require_unchanged(source: Source) -> None:
    """Raises ModelError when a file was written to since it was hashed."""
    if stamp(source.path) != source.stamp:
        raise ModelError(
            f"the file {source.path} changed while the model was pushed; push it again when it is finished",
            files=[source.file.path],
        )


def stamp(path: Path) -> Stamp | None:
    """None where there is no such file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ino)


def md5_of(path: Path) -> str:
    """In hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _found(folder: Path, *, follow: bool) -> tuple[dict[str, Path], int]:
    if not folder.is_dir():
        raise ModelError(f"there is no folder {folder}; name the folder of a model")
    found: dict[str, Path] = {}
    hidden = 0
    links: list[str] = []
    for path, name, is_hidden in _entries(folder, "", follow, (os.path.realpath(folder),), links):
        if is_hidden:
            hidden += 1
            continue
        found[name] = path
        if len(found) > MOST_FILES:
            raise ModelError(f"the folder {folder} has more than {MOST_FILES:,} files; name the folder of one model")
    if links:
        more = f" and {len(links) - _SHOWN:,} more" if len(links) > _SHOWN else ""
        raise ModelError(
            f"the folder {folder} holds symbolic links: {', '.join(links[:_SHOWN])}{more}. With --follow what they lead to"
            " is pushed in their place",
            files=links,
        )
    return found, hidden


def _entries(
    folder: Path, prefix: str, follow: bool, above: tuple[str, ...], links: list[str]
) -> Iterator[tuple[Path, str, bool]]:
    """Each file below, with its name in the model and whether it is hidden. Links that are not followed go to `links`."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise ModelError(f"the folder {folder} cannot be read: {error.strerror}; change its permissions") from error
    for entry in entries:
        name, path = f"{prefix}{entry.name}", Path(entry.path)
        if entry.name.startswith("."):
            yield path, name, True
            continue
        if entry.is_symlink() and not follow:
            links.append(name)
            continue
        try:
            mode = path.stat().st_mode
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}", files=[name]) from error
        if stat.S_ISDIR(mode):
            real = os.path.realpath(path)
            if real in above:
                raise ModelError(f"the symbolic link {path} leads in a circle; remove it", files=[name])
            yield from _entries(path, f"{name}/", follow, (*above, real), links)
        elif stat.S_ISREG(mode):
            yield path, name, False
        else:
            raise ModelError(f"{path} is no regular file (a pipe, a socket or a device); remove it", files=[name])


def _hashed(name: str, path: Path, hashed: Heard) -> Source:
    before = stamp(path)
    sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                sha256.update(piece)
                md5.update(piece)
                size += len(piece)
                hashed(len(piece))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}; change its permissions", files=[name]) from error
    if before is None or before != stamp(path) or before.bytes != size:
        raise ModelError(f"the file {path} changed while it was read; push it again when it is finished", files=[name])
    return Source(ModelFile(path=name, bytes=size, sha256=sha256.hexdigest()), path, before, md5.hexdigest())
