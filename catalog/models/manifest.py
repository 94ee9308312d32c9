"""Manifests: which files a model version has, their sizes and their SHA-256. Equal files make equal bytes."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import msgspec

from voxledger.catalog.errors import ModelError
from voxledger.catalog.models.names import Reference

MOST_FILES = 100_000
MOST_BYTES = 64_000_000
"""Of a manifest, not of a model: a hundred thousand long lines."""
_LONGEST_PART, _LONGEST_PATH = 255, 1024
_FORBIDDEN = set('<>:"|?*\\')
"""What some file system gives a meaning of its own, beside the slash and control characters."""
_DEVICES = {"con", "prn", "aux", "nul", *(f"{name}{number}" for name in ("com", "lpt") for number in range(10))}

_Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class ModelFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of a version. `path` is relative, with slashes; `sha256` in hex."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST_PATH)]
    bytes: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    sha256: _Sha256


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The files of one model version, ordered by path. `made_manifest` and `read_manifest` check what is in it."""

    format: Literal[1] = 1
    name: str
    version: str
    files: tuple[ModelFile, ...]

    @property
    def reference(self) -> Reference:
        """Which version it is."""
        return Reference(self.name, self.version)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)

    @property
    def contents(self) -> dict[str, ModelFile]:
        """The contents that differ, by SHA-256, each with the first file that has it."""
        found: dict[str, ModelFile] = {}
        for file in self.files:
            found.setdefault(file.sha256, file)
        return found

    def encoded(self) -> bytes:
        """The bytes that are stored, and whose SHA-256 is the version's identity."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    @property
    def sha256(self) -> str:
        """The SHA-256 of `encoded()`, in hex."""
        return hashlib.sha256(self.encoded()).hexdigest()


def made_manifest(reference: Reference, files: Iterable[ModelFile]) -> Manifest:
    """A manifest of these files. Raises ModelError for a path that could not be written everywhere."""
    ordered = tuple(sorted(files, key=lambda file: file.path))
    manifest = Manifest(name=reference.name, version=reference.version, files=ordered)
    _check(manifest)
    return manifest


def read_manifest(content: bytes, reference: Reference, *, where: str) -> Manifest:
    """Read a manifest that anybody may have written; `where` it lies is for the error.

    Raises ModelError when it is no manifest, is another version's, or names a path that leads out of a folder.
    """
    if len(content) > MOST_BYTES:
        raise ModelError(f"{where} is no manifest of a model: it has {len(content):,} bytes")
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{where} is no manifest of a model ({error}); `voxledger models restore {reference}` puts it back"
        ) from error
    if manifest.reference != reference:
        raise ModelError(
            f"{where} is the manifest of {manifest.reference}, not of {reference}; it was put there by hand"
        )
    try:
        _check(manifest)
    except ModelError as error:
        raise ModelError(f"{where} is not taken: {error}", files=error.files) from error
    return manifest


def _check(manifest: Manifest) -> None:
    if not manifest.files:
        raise ModelError(f"{manifest.reference} has no files")
    if len(manifest.files) > MOST_FILES:
        raise ModelError(f"{manifest.reference} has {len(manifest.files):,} files, more than {MOST_FILES:,}")
    sizes: dict[str, int] = {}
    places: dict[str, str] = {}
    folders: dict[str, str] = {}
    for file in manifest.files:
        parts = file.path.split("/")
        trouble = next(_troubles(file.path, parts), None)
        if trouble:
            raise ModelError(f"the path {file.path!r} {trouble}", files=[file.path])
        if sizes.setdefault(file.sha256, file.bytes) != file.bytes:
            raise ModelError(
                f"{file.path} has a size that another file with the same SHA-256 has not", files=[file.path]
            )
        folded = _folded(file.path)
        if folded in places:
            raise ModelError(
                f"the paths {places[folded]!r} and {file.path!r} are the same file where case does not count; rename one",
                files=[places[folded], file.path],
            )
        places[folded] = file.path
        for depth in range(1, len(parts)):
            above = "/".join(parts[:depth])
            if folders.setdefault(_folded(above), above) != above:
                raise ModelError(
                    f"the folders {folders[_folded(above)]!r} and {above!r} are the same where case does not count; rename one",
                    files=[file.path],
                )
    for folded, path in places.items():
        if folded in folders:
            raise ModelError(f"{path!r} is a file and a folder at once", files=[path])


def _troubles(path: str, parts: list[str]) -> Iterator[str]:
    if path.startswith("/"):
        yield "is absolute"
    if any(part in ("", ".", "..") for part in parts):
        yield "leads out of its folder, or around in it"
    if any(character in _FORBIDDEN or not character.isprintable() for character in path):
        yield "holds a character that cannot be written everywhere; rename it"
    for part in parts:
        if len(part.encode("utf-8", "replace")) > _LONGEST_PART:
            yield "has a part of more than 255 bytes; rename it"
        if part.endswith((".", " ")) or part.startswith(" "):
            yield "has a part that begins or ends with a blank, or ends with a dot; rename it"
        if part.partition(".")[0].lower() in _DEVICES:
            yield "has a part that is the name of a device on Windows; rename it"


def _folded(path: str) -> str:
    """What file systems that ignore case, or spelling in Unicode, take for the same."""
    return unicodedata.normalize("NFC", path).casefold()
