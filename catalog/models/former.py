"""Former versions of an object, in a bucket that keeps them (S3 versioning)."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from voxledger.catalog.errors import StoreError
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.client import MISSING, NOT_KNOWN, REFUSED

LARGEST_COPY = 5_000_000_000
"""What S3 copies in one request."""
_NONE_KEPT = NOT_KNOWN | REFUSED | MISSING | {"InvalidArgument"}


class ObjectVersion(NamedTuple):
    """One version of an object, or the mark of its deletion."""

    id: str
    modified: datetime
    bytes: int
    is_deletion: bool


class Former:
    """The versions of one object. Every method also raises StoreError and StoreUnavailable."""

    def __init__(self, store: Store, bucket: str, key: str) -> None:
        self._store = store
        self._bucket = bucket
        self.key = key

    def versions(self) -> list[ObjectVersion]:
        """The newest first; none where the bucket keeps none, or we may not look."""
        try:
            answer = self._store.request(
                f"LIST versions of {self._bucket}/{self.key}",
                lambda s3: s3.list_object_versions(Bucket=self._bucket, Prefix=self.key, MaxKeys=1000),
            )
        except StoreError as error:
            if error.code in _NONE_KEPT:
                return []
            raise
        found = [
            (each["IsLatest"], ObjectVersion(each["VersionId"], each["LastModified"], each["Size"], False))
            for each in answer.get("Versions", [])
            if each["Key"] == self.key
        ] + [
            (each["IsLatest"], ObjectVersion(each["VersionId"], each["LastModified"], 0, True))
            for each in answer.get("DeleteMarkers", [])
            if each["Key"] == self.key
        ]
        # Times have whole seconds only, so the one that counts is put in front by what the store says.
        found.sort(key=lambda each: (each[0], each[1].modified), reverse=True)
        return [version for _, version in found]

    def read(self, version: ObjectVersion) -> bytes:
        """The content of a version, for small ones."""
        return self._store.request(
            f"GET {self._bucket}/{self.key}",
            lambda s3: s3.get_object(Bucket=self._bucket, Key=self.key, VersionId=version.id)["Body"].read(),
        )

    def delete(self, version: ObjectVersion) -> None:
        """Delete one version for good: of a deletion, that undoes it."""
        self._store.request(
            f"DELETE {self._bucket}/{self.key}",
            lambda s3: s3.delete_object(Bucket=self._bucket, Key=self.key, VersionId=version.id),
        )

    def copy(self, version: ObjectVersion) -> None:
        """Make a version the newest one, at most LARGEST_COPY bytes. What was the newest stays behind it."""
        self._store.request(
            f"COPY {self._bucket}/{self.key}",
            lambda s3: s3.copy_object(
                Bucket=self._bucket, Key=self.key,
                CopySource={"Bucket": self._bucket, "Key": self.key, "VersionId": version.id},
            ),
        )  # fmt: skip
