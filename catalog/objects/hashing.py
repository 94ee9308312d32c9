"""Hashing: the SHA-256 of an object as it lies in the store, every byte read and none kept."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from voxledger.catalog.errors import StoreError
from voxledger.catalog.objects import client as seam
from voxledger.catalog.objects.patience import patiently
from voxledger.catalog.progress import Heard, unheard

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from voxledger.catalog.objects.store import Store

_PIECE = 1 << 20
_CHANGED = frozenset({"PreconditionFailed", "412", "InvalidRange", "416"})


class Hashed(NamedTuple):
    """What an object is: its bytes, and their SHA-256 in hex."""

    bytes: int
    sha256: str


def hash_object(
    store: Store, bucket: str, key: str, *, version: str | None = None, heard: Heard = unheard
) -> Hashed | None:
    """What lies there, or lay there as `version`; None when nothing does.

    An answer that breaks off goes on where it stopped, and a store that is busy or away is asked again, a few times.
    Raises StoreError then: that nobody answers says nothing of what lies there.
    """
    hashing = _Hashing(bucket, key, version, heard)
    try:
        patiently(lambda: store.request(f"GET {bucket}/{key}", hashing.go_on), got=lambda: hashing.bytes)
    except StoreError as error:
        if error.code in seam.MISSING:
            hashing.begin()
            return None
        if error.code in _CHANGED and hashing.bytes:
            # Another object came in the middle.
            hashing.begin()
            return hash_object(store, bucket, key, version=version, heard=heard)
        raise
    return Hashed(hashing.bytes, hashing.digest.hexdigest())


class _Hashing:
    """How far one object has been read."""

    def __init__(self, bucket: str, key: str, version: str | None, heard: Heard) -> None:
        self._place: dict[str, Any] = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
        self._heard = heard
        self._etag = ""
        self.digest = hashlib.sha256()
        self.bytes = 0

    def begin(self) -> None:
        """Forget what was read."""
        self._heard(-self.bytes)
        self._etag, self.digest, self.bytes = "", hashlib.sha256(), 0

    def go_on(self, s3: S3Client) -> None:
        """One request, for what lacks of the object that answered first."""
        options: dict[str, Any] = (
            {"Range": f"bytes={self.bytes}-", "IfMatch": self._etag} if self.bytes and self._etag else {}
        )
        answer = s3.get_object(**self._place, **options)
        with contextlib.closing(answer["Body"]) as body:
            if self.bytes and not answer.get("ContentRange", "").startswith(f"bytes {self.bytes}-"):
                self.begin()
            self._etag = answer.get("ETag", "")
            for piece in body.iter_chunks(_PIECE):
                self.digest.update(piece)
                self.bytes += len(piece)
                self._heard(len(piece))
