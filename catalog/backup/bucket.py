"""The bucket of backups: which objects lie there, under which names.

```
keys/NAME.json         a random key, wrapped under a passphrase (see `passphrase`)
data/ab/NAME           a piece of a file; equal pieces have one name, whichever backup or node they belong to
audio/ID               audio that the store has copied, when backups are not encrypted
backups/ID.SUM         a manifest: a line in the open, then the manifest, packed; SUM is the beginning of its SHA-256
locks/ID.json          somebody who makes, restores or prunes backups right now (see `locks`)
damaged/KEY            that the object KEY was found damaged (see `damage`)
```
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from voxledger.catalog.backup import passphrase as keys
from voxledger.catalog.backup.contents import FORMAT, Manifest, Piece, SavedFile
from voxledger.catalog.backup.passphrase import Header, Plain, Seal
from voxledger.catalog.backup.pieces import packed, unpacked
from voxledger.catalog.errors import BackupDamaged, BackupError, BackupNotFound, StoreError

if TYPE_CHECKING:
    from voxledger.catalog.objects import ObjectInfo, Store

_T = TypeVar("_T")
_MANIFEST = re.compile(r"backups/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.([0-9a-f]{32})")
_MOST_MANIFEST = 1 << 30
MISSING = ("NoSuchKey", "NoSuchBucket", "404", "NotFound")


class Listed(NamedTuple):
    """A backup as a listing shows it."""

    id: str
    sum: str
    bytes: int

    @property
    def key(self) -> str:
        """Where its manifest lies."""
        return f"backups/{self.id}.{self.sum}"

    @property
    def created(self) -> datetime:
        """When it was begun: a UUIDv7 begins with that."""
        return datetime.fromtimestamp(int(self.id.replace("-", "")[:12], 16) / 1000, UTC)


class _Open(msgspec.Struct, frozen=True, kw_only=True):
    """The line that stands in the open before a manifest."""

    format: int
    key: Header | None = None


class Bucket:
    """Objects of backups in one bucket. Safe for many threads; making it contacts nobody.

    Methods raise StoreError as the store does, and BackupError for what is not as it should be.
    """

    def __init__(self, store: Store, name: str, passphrase: str) -> None:
        self.store = store
        self.name = name
        self._passphrase = passphrase
        self._seals: dict[str, Seal] = {}

    def __repr__(self) -> str:
        return f"<Bucket {self.name}>"

    def seal(self) -> Seal:
        """What seals the next backup; the first one makes the key.

        Raises BackupError when backups here need another one, BackupDamaged when a key is damaged and no other one works.
        """
        wrapped = list(self.store.list(self.name, "keys/"))
        if not self._passphrase:
            if wrapped:
                raise BackupError(
                    f"the backups in {self.name} are encrypted, and backup.key is empty: set it (VOXLEDGER_BACKUP_KEY), or"
                    " let backups without encryption go to another bucket (store.backup). Nothing was sent"
                )
            return Plain()
        # Two nodes may have made one each at the same time: every manifest says which one it needs.
        damaged: list[BackupDamaged] = []
        for info in sorted(wrapped, key=lambda info: (info.modified, info.key)):
            try:
                found = self._opened(info.key)
            except BackupDamaged as error:
                damaged.append(error)
                continue
            if found is not None:
                return found
        if damaged:
            raise damaged[0]
        if wrapped:
            raise self._wrong_key()
        made = keys.new(self._passphrase)
        content = msgspec.json.encode(made.header)
        self.store.put(self.name, f"keys/{hashlib.sha256(content).hexdigest()[:32]}.json", content)
        return made

    def piece_key(self, name: str) -> str:
        """Where a piece lies."""
        return f"data/{name[:2]}/{name}"

    def put_piece(self, content: bytes, seal: Seal, *, name: str) -> tuple[Piece, str]:
        """Send a piece; gives it, with the ETag that the store answered, and the MD5 (hex) of what was sent."""
        stored = packed(content, seal, about=name)
        md5 = hashlib.md5(stored, usedforsecurity=False).hexdigest()
        etag = self.store.put(self.name, self.piece_key(name), stored, md5=md5)
        return Piece(name, len(stored), etag), md5

    def get_piece(self, piece: Piece, seal: Seal) -> bytes:
        """A piece as it was cut. Raises BackupDamaged when it is missing or not what its name says."""
        key = self.piece_key(piece.name)
        try:
            return self._read(key, lambda stored: _checked(stored, seal, piece.name))
        except ValueError as error:
            raise BackupDamaged(f"{self.name}/{key} is damaged: {error}", objects=[key]) from error

    def settle(self, *keys: str) -> None:
        """Make what was put survive a power cut, where that is left to us: in the embedded store."""
        if keys:
            self.store.settle(self.name, *keys)

    def pieces(self) -> Iterator[ObjectInfo]:
        """Every piece that lies there; the name is what stands behind the last slash."""
        return self.store.list(self.name, "data/")

    def content(self, file: SavedFile, seal: Seal) -> Iterator[bytes]:
        """A file piece by piece."""
        return (self.get_piece(piece, seal) for piece in file.pieces)

    def listed(self) -> list[Listed]:
        """Every backup, oldest first."""
        found = ((_MANIFEST.fullmatch(info.key), info.bytes) for info in self.store.list(self.name, "backups/"))
        return sorted(Listed(name[1], name[2], size) for name, size in found if name)

    def find(self, reference: str) -> Listed:
        """The backup with this id, or with these last digits of it; `latest` is the newest. Raises BackupNotFound."""
        listed = self.listed()
        if not listed:
            raise BackupNotFound(f"there is no backup in {self.name} yet; `voxledger backup create` makes one")
        if reference == "latest":
            return listed[-1]
        wanted = reference.lower().replace("-", "")
        found = [each for each in listed if len(wanted) >= 4 and each.id.replace("-", "").endswith(wanted)]
        if len({each.id for each in found}) == 1:
            return found[-1]
        if found:
            names = ", ".join(sorted({each.id for each in found})[:5])
            raise BackupNotFound(f"{reference!r} may be any of {len(found)} backups ({names}); give more digits")
        raise BackupNotFound(
            f"there is no backup {reference!r} in {self.name}; `voxledger backup list` shows those that there are"
        )

    def trusted(self, reference: str) -> tuple[Manifest, Seal]:
        """The backup that `find` finds, to be restored: under a passphrase only one that was sealed with it, because whoever
        may write into the bucket can put one in the open there. `latest` is then the newest that is encrypted.
        """
        found = self.find(reference)
        for listed in reversed(self.listed()):
            if reference == "latest" or listed.id == found.id:
                manifest, seal = self.manifest(listed)
                if seal.header is not None or not self._passphrase:
                    return manifest, seal
        which = f"none of the backups in {self.name} is" if reference == "latest" else f"backup {found.id} is not"
        raise BackupError(
            f"{which} encrypted, and backup.key is set: anybody who may write into {self.name} can have made it. Where you know"
            " better, restore with an empty backup.key (VOXLEDGER_BACKUP_KEY)"
        )

    def put_manifest(self, manifest: Manifest, seal: Seal) -> Listed:
        """Put a manifest, which makes the backup one, and read it back."""
        head = msgspec.json.encode(_Open(format=FORMAT, key=seal.header))
        content = head + b"\n" + packed(msgspec.json.encode(manifest), seal, about=manifest.id)
        listed = Listed(manifest.id, hashlib.sha256(content).hexdigest()[:32], len(content))
        self.store.put(self.name, listed.key, content, md5=hashlib.md5(content, usedforsecurity=False).hexdigest())
        if self.manifest(listed)[0] != manifest:
            raise BackupDamaged(f"{self.name}/{listed.key} is not what was sent", objects=[listed.key])
        self.settle(listed.key)
        return listed

    def manifest(self, listed: Listed) -> tuple[Manifest, Seal]:
        """Read a manifest, and what opens its pieces. Raises BackupDamaged, and BackupError for another key or version."""
        try:
            content = self._read(listed.key, lambda stored: _summed(stored, listed.sum))
        except ValueError as error:
            raise self._damaged(listed, str(error)) from error
        head, _, rest = content.partition(b"\n")
        try:
            opened = msgspec.json.decode(head, type=_Open)
            if opened.format != FORMAT:
                raise BackupError(
                    f"backup {listed.id} has format {opened.format}, this version of Voxledger knows {FORMAT}; upgrade Voxledger"
                )
            seal = Plain() if opened.key is None else self._unlocked(opened.key)
            if seal is None:
                raise self._wrong_key()
            manifest = msgspec.json.decode(unpacked(rest, seal, about=listed.id, most=_MOST_MANIFEST), type=Manifest)
        except (ValueError, msgspec.DecodeError) as error:
            raise self._damaged(listed, str(error)) from error
        if manifest.id != listed.id:
            raise self._damaged(listed, "it is the manifest of another one")
        return manifest, seal

    def _opened(self, key: str) -> Seal | None:
        """What a wrapped key opens; None when it is another passphrase's."""
        try:
            return self._read(key, lambda stored: self._unlocked(_header(stored)))
        except ValueError as error:
            raise BackupDamaged(
                f"{self.name}/{key} is damaged: {error}. Delete it: every backup carries its own key as well, and the next one makes"
                " a new key",
                objects=[key],
            ) from error

    def _read(self, key: str, checked: Callable[[bytes], _T]) -> _T:
        """An object as `checked` makes it. One that fails is read once more: it may have been damaged on its way only.

        Raises BackupDamaged when it is missing, ValueError as `checked` does.
        """
        try:
            try:
                return checked(self.store.get(self.name, key))
            except ValueError:
                return checked(self.store.get(self.name, key))
        except StoreError as error:
            if error.code in MISSING:
                raise BackupDamaged(f"{self.name}/{key} is missing", objects=[key]) from error
            raise

    def _unlocked(self, header: Header) -> Seal | None:
        if not self._passphrase:
            raise BackupError(f"the backups in {self.name} are encrypted: set backup.key (VOXLEDGER_BACKUP_KEY)")
        if header.wrapped not in self._seals:
            found = keys.unlocked(header, self._passphrase)
            if found is None:
                return None
            self._seals[header.wrapped] = found
        return self._seals[header.wrapped]

    def _wrong_key(self) -> BackupError:
        return BackupError(
            f"backup.key does not open the backups in {self.name}: they were made with another one. Set that one"
            " (VOXLEDGER_BACKUP_KEY), or let backups go to another bucket (store.backup)"
        )

    def _damaged(self, listed: Listed, why: str) -> BackupDamaged:
        return BackupDamaged(
            f"backup {listed.id} is damaged: {self.name}/{listed.key}: {why}; take another backup", objects=[listed.key]
        )


def _checked(stored: bytes, seal: Seal, name: str) -> bytes:
    content = unpacked(stored, seal, about=name)
    if seal.name(content) != name:
        raise ValueError("it is not what its name says")
    return content


def _header(stored: bytes) -> Header:
    try:
        return msgspec.json.decode(stored, type=Header)
    except msgspec.DecodeError as error:
        raise ValueError(f"it is no key ({error})") from error


def _summed(stored: bytes, expected: str) -> bytes:
    if hashlib.sha256(stored).hexdigest()[:32] != expected:
        raise ValueError("its manifest is not what its name says")
    return stored
