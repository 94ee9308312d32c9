"""One transfer: a local file, checked, into the store, checked again."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import msgspec

from voxledger.catalog.errors import StoreError
from voxledger.catalog.objects import records
from voxledger.catalog.objects.client import REFUSED
from voxledger.catalog.objects.store import Store

_IN_MEMORY = 8_000_000
"""Files up to this many bytes are read once and sent from memory."""
_PIECE = 1 << 20


class LocalFileError(StoreError):
    """The local file is gone, or is not what was recorded: no store can help."""


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """What an upload task asks for. `record` is the text of the acknowledged event that lies beside the object."""

    bucket: str
    key: str
    path: str
    content_type: str
    sha256: str
    bytes: int
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    record: str | None = None
    event: bool = True
    """Whether the log hears of it. Files that are no clip's are only put away."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer that the store has confirmed; `transfer_us` is the time it took."""

    etag: str
    bytes: int
    transfer_us: int


def read_upload(content: Any) -> Upload:
    """Raises msgspec.ValidationError when a task's payload is not an upload."""
    return msgspec.convert(content, Upload)


def transfer(store: Store, upload: Upload, *, tried: bool) -> Sent:
    """Put a file into the store and see that it is there. Repeating it is safe.

    After an earlier try the store is asked first: an answer may have been lost when the object was not. Raises
    LocalFileError for the file, StoreError for the store, OSError when the file cannot be read.
    """
    started = time.perf_counter()
    content, md5 = _local(upload)
    etag = _stored_etag(store, upload, md5) if tried else None
    if not etag:
        sent = store.put(
            upload.bucket,
            upload.key,
            content,
            content_type=upload.content_type,
            metadata=upload.metadata,
            tags=upload.tags,
            md5=md5,
        )
        etag = _stored_etag(store, upload, md5, unseen=sent)
    if not etag:
        raise StoreError(
            f"the store accepted {upload.bucket}/{upload.key}, but does not have it as it was sent", code="NotConfirmed"
        )
    keys = [upload.key]
    if upload.record is not None and store.wants_records:
        keys.append(_put_record(store, upload, upload.record.encode()))
    store.settle(upload.bucket, *keys)
    return Sent(etag=etag, bytes=upload.bytes, transfer_us=round((time.perf_counter() - started) * 1e6))


def _stored_etag(store: Store, upload: Upload, md5: str, *, unseen: str = "") -> str:
    """The ETag of the object if it is the one we mean, else empty.

    A key that may write but not read, as an uploader's should, is refused a look. Then `unseen` stands: a store that was
    sent the MD5 has compared it.
    """
    try:
        found = store.head(upload.bucket, upload.key)
    except StoreError as error:
        if error.code in REFUSED:
            return unseen
        raise
    return found.etag if found is not None and found.bytes == upload.bytes and found.md5 in (None, md5) else ""


def _put_record(store: Store, upload: Upload, record: bytes) -> str:
    key = records.record_key(upload.key)
    md5 = hashlib.md5(record, usedforsecurity=False).hexdigest()
    store.put(upload.bucket, key, record, content_type=records.CONTENT_TYPE, md5=md5)
    return key


def _local(upload: Upload) -> tuple[bytes | Path, str]:
    """The content, or the file where it is large, with its MD5. The file must still be what was recorded."""
    path = Path(upload.path)
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    try:
        if path.stat().st_size != upload.bytes:
            raise _changed(upload)
        if upload.bytes <= _IN_MEMORY:
            whole = path.read_bytes()
            sha256.update(whole)
            md5.update(whole)
        else:
            with path.open("rb") as file:
                while piece := file.read(_PIECE):
                    sha256.update(piece)
                    md5.update(piece)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise LocalFileError(
            f"the file {path} is gone and was never uploaded; put it back and run `voxledger store retry`",
            code="LocalFileMissing",
        ) from error
    if sha256.hexdigest() != upload.sha256:
        raise _changed(upload)
    return (whole if upload.bytes <= _IN_MEMORY else path), md5.hexdigest()


def _changed(upload: Upload) -> LocalFileError:
    return LocalFileError(
        f"the file {upload.path} is not what was recorded; put it back from a backup and run `voxledger store retry`",
        code="LocalFileChanged",
    )
