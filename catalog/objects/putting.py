"""Putting: one object on its way into the store, in one piece or in parts, with what the store is known to be able to do."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from voxledger.catalog.errors import StoreError
from voxledger.catalog.objects import client as seam
from voxledger.catalog.objects import direct
from voxledger.catalog.objects.features import Features
from voxledger.catalog.objects.multipart import LARGE, ONE_PIECE, put_in_parts
from voxledger.catalog.objects.pace import Pace
from voxledger.catalog.objects.sending import Body, Sending

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from voxledger.catalog.objects.store import Store

_TRIES = 5


class Put:
    """One object to be put. `headers` are those of S3, in boto3's names; `md5` (hex) is asked for when it is sent in one piece."""

    def __init__(
        self,
        bucket: str,
        key: str,
        content: bytes | Path,
        *,
        headers: dict[str, Any],
        tags: dict[str, str],
        md5: Callable[[], str | None],
        if_absent: bool,
        sending: Sending,
    ) -> None:
        self.bucket = bucket
        self.key = key
        self._content = content
        self._headers = headers
        self._tags = tags
        self._md5 = md5
        self._if_absent = if_absent
        self._sending = sending
        self._size = len(content) if isinstance(content, bytes) else content.stat().st_size

    def into(self, store: Store, features: Features) -> str:
        """Put it; gives the ETag. Raises StoreError, and what `Sending` raises."""
        in_parts = self._goes_in_parts(store, features)
        for attempt in range(1, _TRIES + 1):
            tagged = bool(self._tags) and not store.tags_refused
            try:
                if in_parts:
                    return self._in_parts(store, features, self._options(tagged=tagged))
                return self._in_one(store, features, self._options(tagged=tagged))
            except StoreError as error:
                if error.code == "NoSuchBucket":
                    store.make_bucket_again(self.bucket)
                elif error.code == "NotImplemented" and tagged:
                    store.tags_refused = True
                elif error.code in seam.NOT_KNOWN and in_parts and self._size <= ONE_PIECE:
                    in_parts = False
                elif store.is_embedded and error.code == "InternalError" and attempt < _TRIES:
                    # rclone 1.75: of several objects that are the first in a new folder, one may fail like this.
                    continue
                else:
                    raise
        raise StoreError(
            f"PUT {self.bucket}/{self.key}: the bucket vanishes as soon as it is made", code="NoSuchBucket"
        )

    def _goes_in_parts(self, store: Store, features: Features) -> bool:
        if isinstance(self._content, bytes) or self._size <= LARGE:
            return False
        if self._size > ONE_PIECE:
            return True
        # The embedded store is on this disk: parts would be written twice.
        return features.multipart is not False and not store.is_embedded

    def _options(self, *, tagged: bool) -> dict[str, Any]:
        if not tagged:
            return self._headers
        return {**self._headers, "Tagging": urlencode(seam.plain_tags(self._tags), quote_via=quote)}

    def _in_one(self, store: Store, features: Features, options: dict[str, Any]) -> str:
        if md5 := self._md5():
            options = {**options, "ContentMD5": base64.b64encode(bytes.fromhex(md5)).decode()}
        if self._if_absent and features.never_overwrites:
            options = {**options, "IfNoneMatch": "*"}
        return store.request(f"PUT {self.bucket}/{self.key}", partial(self._send, options=options, pace=store.pace))

    def _in_parts(self, store: Store, features: Features, options: dict[str, Any]) -> str:
        assert isinstance(self._content, Path)
        conditional = self._if_absent and features.conditional_multipart is True
        if self._if_absent and not conditional and _is_taken(store, self.bucket, self.key):
            raise StoreError(f"PUT {self.bucket}/{self.key}: an object lies there already", code="PreconditionFailed")
        return put_in_parts(
            store, self.bucket, self.key, self._content, options=options, conditional=conditional, sending=self._sending
        )

    def _send(self, s3: S3Client, *, options: dict[str, Any], pace: Pace | None) -> str:
        content, sending = self._content, self._sending
        if isinstance(content, bytes):
            if pace is not None:
                return self._send_file(s3, _Held(content), options=options, pace=pace)  # type: ignore[arg-type]  # opened, and nothing else
            etag = direct.put(s3, self.bucket, self.key, content, options, sha256=sending.sha256)
            sending.sent(len(content))
            return etag.strip('"')
        return self._send_file(s3, content, options=options, pace=pace)

    def _send_file(self, s3: S3Client, file: Path, *, options: dict[str, Any], pace: Pace | None) -> str:
        with Body(file, 0, self._size, pace=pace, sending=self._sending) as body:
            return body.sent_by(lambda: s3.put_object(Bucket=self.bucket, Key=self.key, Body=body, **options)["ETag"])  # type: ignore[arg-type]  # reads like a file


class _Held:
    """Content in memory, opened as a file is: what has a pace goes out in pieces, wherever it lies."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def open(self, _mode: str) -> BytesIO:
        return BytesIO(self._content)


def _is_taken(store: Store, bucket: str, key: str) -> bool:
    """Whether something lies there, as far as we may look."""
    try:
        return store.exists(bucket, key)
    except StoreError as error:
        if error.code in seam.REFUSED:
            return False
        raise
