"""Copying: the store copies an object itself, and only one that is what it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from voxledger.catalog.errors import StoreError
from voxledger.catalog.objects.client import TAKEN
from voxledger.catalog.objects.hashing import hash_object

if TYPE_CHECKING:
    from voxledger.catalog.objects import Store


class Place(NamedTuple):
    """Where an object lies."""

    bucket: str
    key: str


class Expected(NamedTuple):
    """What an object is: its bytes, their SHA-256 (hex), and the ETag under which they were seen; empty where nobody knows it."""

    bytes: int
    sha256: str
    etag: str


def copy_within(store: Store, source: Place, target: Place, expected: Expected, *, read: bool = False) -> str:
    """Have the store copy an object, with its metadata and tags, and see that the copy is there; gives the copy's ETag.

    An object whose ETag is not the expected one is read first, and in any case with `read`. Raises StoreError: with the code
    `Damaged` when it is not what is expected, `NoSuchKey` when it is not there.
    """
    about = store.head(*source)
    if about is None:
        raise StoreError("the object to be copied is not in the store", code="NoSuchKey")
    doubtful = read or not expected.etag or about.etag != expected.etag
    if about.bytes != expected.bytes or (doubtful and not is_same(store, source, expected)):
        raise StoreError("the object to be copied is not what it should be", code="Damaged")
    store.ensure_bucket(target.bucket)
    # Ceph compares what it is sent as it is; others want the quotes, as HTTP has it.
    if not any(_copied(store, source, target, etag) for etag in (f'"{about.etag}"', about.etag)):
        raise StoreError("the object to be copied was replaced meanwhile", code="Damaged")
    found = store.head(*target)
    if found is None or found.bytes != expected.bytes:
        raise StoreError("the store copied an object, but does not have it as it was", code="NotConfirmed")
    store.settle(*target)
    return found.etag


def _copied(store: Store, source: Place, target: Place, etag: str) -> bool:
    """Whether the store copied it; False when it says that another one lies there by now."""
    try:
        store.request(
            "COPY of audio",
            lambda s3: s3.copy_object(
                Bucket=target.bucket,
                Key=target.key,
                CopySource={"Bucket": source.bucket, "Key": source.key},
                CopySourceIfMatch=etag,
                MetadataDirective="COPY",
            ),
        )
    except StoreError as error:
        if error.code in TAKEN:
            return False
        raise
    return True


def is_same(store: Store, place: Place, expected: Expected) -> bool:
    """Whether an object is what is expected, by every byte of it. Raises StoreError."""
    found = hash_object(store, *place)
    return found is not None and (found.bytes, found.sha256) == (expected.bytes, expected.sha256)
