"""What a backup consists of: files in pieces, and the manifest that names them."""

from __future__ import annotations

from datetime import datetime

import msgspec

FORMAT = 1


class Piece(msgspec.Struct, frozen=True, array_like=True):
    """A piece of a file: its name in the bucket, and how many bytes lie there under that name, with which ETag.

    Backups that were made before this was noted have no ETag.
    """

    name: str
    stored: int
    etag: str = ""


class SavedFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file of HOME by its path from there on. `head` is the chain's digest (hex) after the last event of a segment."""

    path: str
    bytes: int
    sha256: str
    pieces: tuple[Piece, ...]
    modified_ns: int = 0
    head: str | None = None


class Audio(msgspec.Struct, frozen=True, kw_only=True):
    """The audio that a backup covers; `listing` is a file of `SavedAudio`, one JSON line each, by id."""

    objects: int
    bytes: int
    listing: SavedFile
    erased: int = 0
    """Objects that were in it once, and whose person, or voice, was erased since: the listing names their ids and no more."""


class SavedAudio(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One object of audio: of a clip, by its id, or of a voice, as `voices/KEY`.

    Sealed in `pieces`, with everything that brings it back; or copied by the store to `audio/ID`, and then a clip is
    without its key, which may hold names, and with the ETag of the copy. `erased`: nothing of it is there any more, on purpose.
    """

    id: str
    bytes: int
    sha256: str
    pieces: tuple[Piece, ...] = ()
    bucket: str = ""
    key: str = ""
    content_type: str = ""
    metadata: dict[str, str] = {}
    etag: str = ""
    erased: bool = False


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One backup. `through` is the newest event in it, `head` the chain's digest (hex) there: what `verify` shows of a HOME
    that was restored from it.
    """

    format: int
    id: str
    node: str
    created: datetime
    version: str
    through: int
    head: str | None
    files: tuple[SavedFile, ...]
    audio: Audio | None
    with_vault: bool
    without: tuple[str, ...] = ()
    """What was left out for its secrets, in words."""

    @property
    def bytes(self) -> int:
        """Of the files, without audio."""
        return sum(file.bytes for file in self.files)
