"""One transfer: a local file, checked, into the store, checked again."""

from __future__ import annotations

import hashlib
import time

import msgspec

from voxledger.catalog.errors import StoreError
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.objects import records
from voxledger.catalog.objects.client import REFUSED, TAKEN
from voxledger.catalog.objects.features import store_features
from voxledger.catalog.objects.hashing import hash_object
from voxledger.catalog.objects.object_info import ObjectInfo
from voxledger.catalog.objects.sending import LocalFileError, Sending
from voxledger.catalog.objects.store import Store
from voxledger.catalog.objects.uploads.local import LocalFile, complaint
from voxledger.catalog.objects.uploads.upload import Upload


class AnotherObject(StoreError):
    """Other bytes lie under the key. They stay, unless the upload was made to replace what is damaged (`Upload.replace`)."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer that the store has confirmed; `transfer_us` is the time it took."""

    etag: str
    bytes: int
    transfer_us: int


def transfer(store: Store, upload: Upload, *, tried: bool, sending: Sending | None = None) -> Sent:
    """Put a file into the store and see that it is there. Repeating it is safe.

    After an earlier try the store is asked first: an answer may have been lost when the object was not. Raises
    LocalFileError for the file, AnotherObject when the key is taken, StoreError for the store, OSError when the file
    cannot be read, and Stopped.
    """
    started = time.perf_counter()
    etag = _Transfer(store, upload, sending or Sending(sha256=upload.sha256)).run(tried=tried)
    keys = [upload.key]
    if upload.record is not None and store.wants_records:
        keys.append(_put_record(store, upload, upload.record.encode()))
    store.settle(upload.bucket, *keys)
    return Sent(etag=etag, bytes=upload.bytes, transfer_us=round((time.perf_counter() - started) * 1e6))


class _Transfer:
    def __init__(self, store: Store, upload: Upload, sending: Sending) -> None:
        self._store = store
        self._upload = upload
        self._sending = sending
        self._what = f"{upload.bucket}/{upload.key}"

    def run(self, *, tried: bool) -> str:
        """The ETag of the object, which is there when this returns."""
        try:
            file = LocalFile(self._upload)
        except LocalFileError as error:
            # It may have done its duty in an earlier life of the task.
            if tried and error.code == "LocalFileMissing" and (etag := self._arrived_before()):
                return etag
            raise
        found = self._look() if tried else None
        if found is not None:
            if self._is_ours(found, file):
                return found.etag
            if not self._upload.replace:
                raise self._another()
        try:
            sent = self._put(file)
        except LocalFileError as error:
            raise complaint(self._upload, str(error.code)) from error
        except StoreError as error:
            if error.code not in TAKEN:
                raise
            return self._whose(file, error, tried=tried)
        failpoint("upload.after_send")
        return self._confirmed(file, sent)

    def _put(self, file: LocalFile) -> str:
        upload = self._upload
        return self._store.put(
            upload.bucket,
            upload.key,
            file.content,
            content_type=upload.content_type,
            metadata={"sha256": upload.sha256, **upload.metadata},
            tags=upload.tags,
            md5=lambda: file.md5,
            if_absent=not upload.replace,
            sending=self._sending,
        )

    def _confirmed(self, file: LocalFile, sent: str) -> str:
        """The ETag as the store tells it now, or as it answered the PUT, where that is the MD5 and `store.confirm` has it so.

        A key that may write but not read, as an uploader's should, is refused a look. Then what the PUT was answered
        stands: a store that was sent the MD5 has compared it.
        """
        if self._answer_is_enough() and self._sending.parts_etag is None and sent == file.md5:
            return sent
        try:
            found = self._store.head(self._upload.bucket, self._upload.key)
        except StoreError as error:
            if error.code in REFUSED:
                return sent
            raise
        if found is None or not self._is_ours(found, file):
            raise StoreError(
                f"the store accepted {self._what}, but does not have it as it was sent", code="NotConfirmed"
            )
        return found.etag

    def _answer_is_enough(self) -> bool:
        confirm = self._store.settings.confirm
        if confirm == "auto":
            # It was sent a wrong MD5 and refused it: one that it accepts, it has compared.
            return store_features(self._store.home, self._store.settings).md5_refused is True
        return confirm == "answer"

    def _whose(self, file: LocalFile, refusal: StoreError, *, tried: bool) -> str:
        """The key is taken: by ourselves, in a try whose answer was lost, or by others.

        Who may not look after a first try believes the key, in which stands the id of this clip, or the content's hash.
        """
        try:
            found = self._store.head(self._upload.bucket, self._upload.key)
        except StoreError as error:
            if error.code not in REFUSED:
                raise
            if not tried:
                raise self._another() from refusal
            return self._sending.parts_etag or file.md5
        if found is None:  # somebody was putting it and did not: nothing speaks against another try
            raise StoreError(f"PUT {self._what}: another PUT was under way", code="OperationAborted") from refusal
        if not self._is_ours(found, file):
            raise self._another() from refusal
        return found.etag

    def _look(self) -> ObjectInfo | None:
        """What lies there, as far as we may look."""
        try:
            return self._store.head(self._upload.bucket, self._upload.key)
        except StoreError as error:
            if error.code in REFUSED:
                return None
            raise

    def _is_ours(self, found: ObjectInfo, file: LocalFile) -> bool:
        ours = file.is_in(found, parts_etag=self._sending.parts_etag)
        return self._reads_back() if ours is None else ours

    def _arrived_before(self) -> str:
        """The ETag, when the store has it although the file is gone; else empty."""
        found = self._look()
        if found is None or found.bytes != self._upload.bytes:
            return ""
        told = found.metadata.get("sha256")
        ours = told == self._upload.sha256 if told else self._reads_back()
        return found.etag if ours else ""

    def _reads_back(self) -> bool:
        """Whether the object has the right bytes, every one of them read. One that may not be read is believed."""

        try:
            found = hash_object(self._store, self._upload.bucket, self._upload.key)
        except StoreError as error:
            if error.code in REFUSED:
                return True
            raise
        return found is not None and found.sha256 == self._upload.sha256

    def _another(self) -> AnotherObject:
        return AnotherObject(
            f"another object lies at {self._what}, and stays there; see whose it is, move it away, and run"
            " `voxledger store retry`",
            code="AnotherObject",
        )


def _put_record(store: Store, upload: Upload, record: bytes) -> str:
    key = records.record_key(upload.key)
    md5 = hashlib.md5(record, usedforsecurity=False).hexdigest()
    store.put(upload.bucket, key, record, content_type=records.CONTENT_TYPE, md5=md5)
    return key
