"""Multipart: a large file goes into the store in parts, over several connections, and goes on where it was interrupted."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from voxledger.catalog.errors import StoreError
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.objects import client as seam
from voxledger.catalog.objects.sending import Begun, Body, LocalFileError, Sending, Stopped

if TYPE_CHECKING:
    from hashlib import _Hash

    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

    from voxledger.catalog.objects.store import Store

LARGE = 16 << 20
"""Files of more bytes than this are sent in parts."""
PART = 8 << 20
"""Bytes of a part, unless more are needed."""
MOST_PARTS = 10_000
"""As S3 has it."""
ONE_PIECE = 5 * 1024**3
"""Most bytes of one PUT, as S3 has it."""
TRIES = 3
"""Attempts at one part before the whole is put off."""
_PIECE = 1 << 20
_AHEAD = 2
"""Parts that are hashed and wait, for each connection."""
_LOOK = 0.1
"""Seconds between two looks whether to end."""


def part_bytes(size: int) -> int:
    """Bytes of each part but the last, so that 10,000 of them suffice; a whole number of MiB."""
    least = -(-size // MOST_PARTS)
    return max(PART, -(-least // _PIECE) * _PIECE)


def put_in_parts(
    store: Store,
    bucket: str,
    key: str,
    path: Path,
    *,
    options: dict[str, Any],
    conditional: bool,
    sending: Sending,
) -> str:
    """Put a file in parts and give the object's ETag. The object is there whole or not at all.

    Each part goes with its MD5, and parts that an earlier process has brought are not sent again, where `sending` has a
    memory and the store lists them. An upload that fails and is not remembered is given up, so that nothing stays in
    the store; one that is stays for the next attempt. `options` are those of CreateMultipartUpload; `conditional`: never
    over an object that is there, which is a StoreError with the code `PreconditionFailed`.

    Raises LocalFileError when the file is not what `sending.sha256` says, Stopped when it was asked to end, StoreError,
    OSError when the file or the memory fails.
    """
    run = _Run(store, bucket, key, path, sending)
    memory = sending.memory
    begun = memory.recall() if memory else None
    there = run.listed(begun) if begun else None
    kept = there is not None
    if not kept:
        begun = Begun(run.create(options), part_bytes(run.size))
        failpoint("upload.after_create")
    assert begun is not None
    try:
        if memory and not kept:
            memory.remember(begun)
            kept = True
        parts = run.send(begun, there or {})
        failpoint("upload.before_complete")
        etag = run.complete(begun, parts, conditional=conditional)
    except BaseException as error:
        if not kept:
            with contextlib.suppress(StoreError):
                give_up(store, bucket, key, begun.upload)
        elif memory and isinstance(error, StoreError) and error.code == "NoSuchUpload":
            memory.forget()
        raise
    if memory:
        memory.forget()
    return etag or sending.parts_etag or ""


def give_up(store: Store, bucket: str, key: str, upload: str) -> None:
    """Let the store throw away the parts of an upload. One that it does not know any more is no error."""
    try:
        store.request(
            f"ABORT {bucket}/{key}", lambda s3: s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        )
    except StoreError as error:
        if error.code not in seam.MISSING | {"NoSuchUpload"}:
            raise


class _Part(NamedTuple):
    number: int
    start: int
    length: int
    md5: bytes


class _Listed(NamedTuple):
    etag: str
    length: int


class _Run:
    """One attempt: the caller's own thread hashes the parts in order, others send those that lack."""

    def __init__(self, store: Store, bucket: str, key: str, path: Path, sending: Sending) -> None:
        self._store = store
        self._what = f"{bucket}/{key}"
        self._place: dict[str, Any] = {"Bucket": bucket, "Key": key}
        self._path = path
        self._sending = sending
        self._slots = sending.slots or threading.Semaphore(store.settings.upload_threads)
        self._changed = threading.Condition()
        self._todo: deque[_Part] = deque()
        self._etags: dict[int, str] = {}
        self._error: BaseException | None = None
        self._ended = False
        self._upload = ""
        self.size = path.stat().st_size

    def create(self, options: dict[str, Any]) -> str:
        """Begin an upload; gives its id."""
        return self._store.request(
            f"BEGIN {self._what}", lambda s3: s3.create_multipart_upload(**self._place, **options)["UploadId"]
        )

    def listed(self, begun: Begun) -> dict[int, _Listed] | None:
        """The parts that are there already; None when the store does not say, or knows nothing of the upload."""
        found: dict[int, _Listed] = {}
        marker: dict[str, Any] = {}
        try:
            while True:
                page = self._store.request(
                    f"PARTS of {self._what}",
                    lambda s3: s3.list_parts(**self._place, UploadId=begun.upload, **marker),  # noqa: B023  # called at once
                )
                for part in page.get("Parts", []):
                    found[part["PartNumber"]] = _Listed(part["ETag"].strip('"'), part["Size"])
                if not page.get("IsTruncated"):
                    return found
                marker = {"PartNumberMarker": page["NextPartNumberMarker"]}
        except StoreError as error:
            if seam.is_transient(error) or error.code in seam.CREDENTIALS:
                raise
            with contextlib.suppress(StoreError):
                give_up(self._store, self._place["Bucket"], self._place["Key"], begun.upload)
            return None

    def send(self, begun: Begun, there: dict[int, _Listed]) -> list[CompletedPartTypeDef]:
        """Send what lacks; gives the list of parts that completes the upload."""
        self._upload = begun.upload
        count = max(1, -(-self.size // begun.part_bytes))
        ahead = _AHEAD * self._store.settings.upload_threads
        crew = [
            threading.Thread(target=self._work, name=f"voxledger-part-{number}", daemon=True)
            for number in range(min(count, self._store.settings.upload_threads))
        ]
        whole, digests = hashlib.sha256(), []
        try:
            for thread in crew:
                thread.start()
            with self._path.open("rb") as file:
                for number in range(1, count + 1):
                    part = _read(file, number, begun.part_bytes, whole)
                    digests.append(part.md5)
                    known = there.get(number)
                    if known == (part.md5.hex(), part.length):
                        self._etags[number] = known.etag
                    else:
                        self._hand_out(part, ahead)
            if self._sending.sha256 not in (None, whole.hexdigest()):
                raise LocalFileError("the file is not what was recorded", code="LocalFileChanged")
            self._wait(count)
        except FileNotFoundError as error:
            raise LocalFileError("the file is gone", code="LocalFileMissing") from error
        except KeyboardInterrupt:
            # A part on a slow line takes as long as it takes; what has come is remembered.
            self._sending.break_off()
            raise
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            for thread in crew:
                while thread.is_alive() and not self._sending.stopped():
                    thread.join(_LOOK)
        self._sending.parts_etag = f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{count}"
        return [{"PartNumber": number, "ETag": self._etags[number]} for number in range(1, count + 1)]

    def complete(self, begun: Begun, parts: list[CompletedPartTypeDef], *, conditional: bool) -> str:
        """Make the parts an object; gives its ETag."""
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if conditional else {}

        def step(s3: S3Client) -> str:
            answer = s3.complete_multipart_upload(
                **self._place, UploadId=begun.upload, MultipartUpload={"Parts": parts}, **condition
            )
            return answer["ETag"].strip('"')

        return self._store.request(f"COMPLETE {self._what}", step)

    def _hand_out(self, part: _Part, ahead: int) -> None:
        with self._changed:
            self._check()
            while len(self._todo) >= ahead:
                self._changed.wait(_LOOK)
                self._check()
            self._todo.append(part)
            self._changed.notify_all()

    def _wait(self, count: int) -> None:
        with self._changed:
            while len(self._etags) < count:
                self._check()
                self._changed.wait(_LOOK)
            self._check()

    def _halted(self) -> bool:
        return self._sending.closing() or self._sending.stopped()

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if self._halted():
            raise Stopped

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._todo or self._ended or self._halted()):
                    self._changed.wait(_LOOK)
                if self._ended or self._halted() or self._error is not None:
                    self._changed.notify_all()
                    return
                part = self._todo.popleft()
            try:
                etag = self._send(part)
            except BaseException as error:  # noqa: BLE001  # it is raised where the upload was asked for
                with self._changed:
                    self._error = self._error or error
                    self._changed.notify_all()
                return
            with self._changed:
                self._etags[part.number] = etag
                self._changed.notify_all()
            failpoint("upload.after_part")

    def _send(self, part: _Part) -> str:
        """One part, tried a few times: a connection that breaks is no reason to look at the whole again."""
        for attempt in range(1, TRIES + 1):
            try:
                with self._slots:
                    if self._halted():
                        raise Stopped
                    return self._store.request(
                        f"PUT part {part.number} of {self._what}", lambda s3: self._put(s3, part)
                    )
            except StoreError as error:
                if self._halted():
                    raise Stopped from error
                if attempt == TRIES or not seam.is_transient(error):
                    raise
                self._pause(0.2 * 2**attempt)
        raise AssertionError

    def _put(self, s3: S3Client, part: _Part) -> str:
        with Body(self._path, part.start, part.length, pace=self._store.pace, sending=self._sending) as body:
            return body.sent_by(
                lambda: s3.upload_part(
                    **self._place, UploadId=self._upload, PartNumber=part.number, Body=body,  # type: ignore[arg-type]  # reads like a file
                    ContentMD5=base64.b64encode(part.md5).decode(),
                )["ETag"]
            )  # fmt: skip

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            while (left := deadline - time.monotonic()) > 0 and not self._ended and not self._halted():
                self._changed.wait(min(left, _LOOK))


def _read(file: BinaryIO, number: int, size: int, whole: _Hash) -> _Part:
    """The next part of a file, hashed."""
    start, length, md5 = file.tell(), 0, hashlib.md5(usedforsecurity=False)
    while length < size and (piece := file.read(min(_PIECE, size - length))):
        whole.update(piece)
        md5.update(piece)
        length += len(piece)
    return _Part(number, start, length, md5.digest())
