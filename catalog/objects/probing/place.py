"""The place where a store is tried: a bucket that is made for it and removed, or a folder of a bucket in use."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.objects.client import CREDENTIALS, REFUSED
from voxledger.catalog.objects.store import Store

PREFIX = "voxledger-probe/"
"""Every object that probing makes lies under it, in whatever bucket."""
BUCKET = "voxledger-probe-"
"""How the buckets are called that probing makes."""
LEFT_BEHIND = timedelta(hours=1)
"""What is older than this was left by a probe that was killed."""
_RANDOM = 12
"""Hex digits in the name of a bucket after `BUCKET`."""


@dataclass(frozen=True)
class Place:
    """Where trials make their objects. `made` = the bucket was made for this, so its configuration may be changed."""

    store: Store
    bucket: str
    prefix: str
    made: bool = False
    locks: bool = False
    """Whether the bucket was made with object lock."""

    def key(self, name: str) -> str:
        """The key of an object of ours."""
        return self.prefix + name


@contextlib.contextmanager
def place_of(store: Store, bucket: str, *, versions: bool = False) -> Iterator[Place]:
    """A bucket of our own where the access key may make one, else a folder in `bucket`. Empty again at the end.

    With `versions` it is asked to have object lock, which brings them along. Raises StoreUnavailable,
    NoPlace when nothing can be tried with this key, StoreError when there is no bucket.
    """
    place = _made(store, versions) or Place(store, bucket, _folder())
    try:
        if not place.made:
            _require(store, bucket, place.key("place"))
        yield place
    finally:
        _clear(store, place.bucket, place.prefix)
        if place.made:
            _remove(store, place.bucket)


class NoPlace(StoreError):
    """The access key may neither make a bucket nor delete what it puts into one in use: nothing can be tried."""


def _require(store: Store, bucket: str, key: str) -> None:
    """See that what is put into a bucket in use can be removed again, old versions too.

    A key that may not look at the bucket is trusted to know it. Raises NoPlace, StoreError when there is no bucket.
    """
    try:
        store.request(f"HEAD {bucket}", lambda s3: s3.head_bucket(Bucket=bucket))
    except StoreError as error:
        if error.code not in REFUSED:
            raise
    try:
        store.delete(bucket, key)
        version = store.request(
            f"PUT in {bucket}", lambda s3: s3.put_object(Bucket=bucket, Key=key, Body=b"").get("VersionId")
        )
        which: dict[str, Any] = {"VersionId": version} if version else {}
        store.request(f"DELETE in {bucket}", lambda s3: s3.delete_object(Bucket=bucket, Key=key, **which))
    except StoreError as error:
        if error.code not in REFUSED:
            raise
        raise NoPlace(
            f"{bucket}: this key may not make a bucket, nor put and delete objects in this one", code="NoPlace"
        ) from error


def tidy(store: Store, buckets: Iterable[str]) -> int:
    """Remove what killed probes have left: their folders in `buckets`, and their own buckets. Gives how many of each."""
    latest = datetime.now(UTC) - LEFT_BEHIND
    removed = 0
    with contextlib.suppress(StoreError):
        found = store.request("LIST buckets", lambda s3: s3.list_buckets()).get("Buckets", [])
        for bucket in found:
            name = bucket.get("Name", "")
            if _is_ours(name) and bucket.get("CreationDate", latest) < latest:
                _clear(store, name, PREFIX)
                removed += _remove(store, name)
    for name in buckets:
        with contextlib.suppress(StoreError):
            folders = {
                item.key[len(PREFIX) :].partition("/")[0]
                for item in store.list(name, PREFIX)
                if item.modified < latest and "/" in item.key[len(PREFIX) :]
            }
            # Clips may lie here too: an actor can have this name.
            for folder in filter(_is_drawn, folders):
                _clear(store, name, f"{PREFIX}{folder}/")
                removed += 1
    return removed


def _folder() -> str:
    return f"{PREFIX}{secrets.token_hex(_RANDOM // 2)}/"


def _is_ours(bucket: str) -> bool:
    return bucket.startswith(BUCKET) and _is_drawn(bucket.removeprefix(BUCKET))


def _is_drawn(name: str) -> bool:
    """Whether a probe may have drawn this name by lot."""
    return len(name) == _RANDOM and all(digit in "0123456789abcdef" for digit in name)


def _made(store: Store, versions: bool) -> Place | None:
    """A new bucket. None when the access key may not make one."""
    region = store.settings.region
    options: dict[str, Any] = {}
    if not store.is_embedded and region != "us-east-1":
        options = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    for locks in (True, False) if versions else (False,):
        name = BUCKET + secrets.token_hex(_RANDOM // 2)
        lock = {"ObjectLockEnabledForBucket": True} if locks else {}
        try:
            store.request(f"CREATE {name}", partial(_create, Bucket=name, **options, **lock))
        except StoreUnavailable:
            raise
        except StoreError as error:
            if error.code in CREDENTIALS:
                raise
            if error.code in REFUSED:
                return None
            continue
        return Place(store, name, _folder(), made=True, locks=locks)
    return None


def _create(s3: Any, **options: Any) -> None:
    s3.create_bucket(**options)


def _clear(store: Store, bucket: str, prefix: str) -> None:
    """Delete everything under a prefix, old versions and unfinished uploads too, as far as the store knows of such."""
    with contextlib.suppress(StoreError):
        _give_up_uploads(store, bucket, prefix)
    with contextlib.suppress(StoreError):
        _delete_versions(store, bucket, prefix)
    with contextlib.suppress(StoreError):
        # One by one: under an IAM policy Ceph 16.2 refuses to delete several at once.
        for found in store.list(bucket, prefix):
            store.delete(bucket, found.key)


def _give_up_uploads(store: Store, bucket: str, prefix: str) -> None:
    listed = store.request(
        f"LIST uploads of {bucket}", lambda s3: s3.list_multipart_uploads(Bucket=bucket, Prefix=prefix)
    )
    for upload in listed.get("Uploads", []):
        place: dict[str, Any] = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
        if upload["Key"].startswith(prefix):
            store.request(f"ABORT {bucket}", lambda s3: s3.abort_multipart_upload(**place))  # noqa: B023  # called at once


def _delete_versions(store: Store, bucket: str, prefix: str) -> None:
    listed: Any = store.request(
        f"LIST versions of {bucket}", lambda s3: s3.list_object_versions(Bucket=bucket, Prefix=prefix)
    )
    for found in [*listed.get("Versions", []), *listed.get("DeleteMarkers", [])]:
        place = {"Bucket": bucket, "Key": found["Key"], "VersionId": found["VersionId"]}
        if found["Key"].startswith(prefix):
            store.request(f"DELETE {bucket}", lambda s3: s3.delete_object(**place))  # noqa: B023  # called at once


def _remove(store: Store, bucket: str) -> bool:
    with contextlib.suppress(StoreError):
        store.request(f"DELETE {bucket}", lambda s3: s3.delete_bucket(Bucket=bucket))
        return True
    return False
