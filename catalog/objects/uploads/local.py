"""The local file of an upload: still what was recorded, and compared with what the store holds."""

from __future__ import annotations

import hashlib
from pathlib import Path

from voxledger.catalog.lazy import lazy
from voxledger.catalog.objects.multipart import LARGE
from voxledger.catalog.objects.object_info import ObjectInfo
from voxledger.catalog.objects.sending import LocalFileError
from voxledger.catalog.objects.uploads.upload import Upload

_IN_MEMORY = 8_000_000
"""Files up to this many bytes are read once and sent from memory."""
_PIECE = 1 << 20
_REMEDIES = {
    "LocalFileMissing": "is gone and was never uploaded; put it back and run `voxledger store retry`",
    "LocalFileChanged": "is not what was recorded; put it back from a backup and run `voxledger store retry`",
}


class LocalFile:
    """The file that a task names. Small ones are read and checked at once, large ones while they are sent.

    Raises LocalFileError when it is gone or not what was recorded, OSError when it cannot be read.
    """

    def __init__(self, upload: Upload) -> None:
        self.path = Path(upload.path)
        self._upload = upload
        try:
            if self.path.stat().st_size != upload.bytes:
                raise complaint(upload, "LocalFileChanged")
            self.content: bytes | Path = self.path.read_bytes() if upload.bytes <= _IN_MEMORY else self.path
            """What is handed to the store."""
            if upload.bytes <= LARGE and self._digests[0] != upload.sha256:
                raise complaint(upload, "LocalFileChanged")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise complaint(upload, "LocalFileMissing") from error

    @property
    def md5(self) -> str:
        """In hex. A large file is read for it, and checked on this occasion."""
        sha256, md5 = self._digests
        if sha256 != self._upload.sha256:
            raise complaint(self._upload, "LocalFileChanged")
        return md5

    def is_in(self, found: ObjectInfo, *, parts_etag: str | None) -> bool | None:
        """Whether an object has these bytes; None when only reading it could tell.

        An ETag that is an MD5 tells, also that of parts if we know which; else the SHA-256 in the metadata.
        """
        if found.bytes != self._upload.bytes:
            return False
        if parts_etag is not None and found.etag == parts_etag:
            return True
        if found.md5 is not None and self._upload.bytes <= LARGE:
            return found.md5 == self.md5
        told = found.metadata.get("sha256")
        if told:
            return told == self._upload.sha256
        return None if found.md5 is None else found.md5 == self.md5

    @lazy
    def _digests(self) -> tuple[str, str]:
        sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        if isinstance(self.content, bytes):
            sha256.update(self.content)
            md5.update(self.content)
        else:
            with self.path.open("rb") as file:
                while piece := file.read(_PIECE):
                    sha256.update(piece)
                    md5.update(piece)
        return sha256.hexdigest(), md5.hexdigest()


def complaint(upload: Upload, code: str) -> LocalFileError:
    """The error for a file that is gone (`LocalFileMissing`) or another one (`LocalFileChanged`), with its remedy."""
    return LocalFileError(f"the file {upload.path} {_REMEDIES[code]}", code=code)
