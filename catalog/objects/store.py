"""The store: objects at an S3 endpoint, the configured one or the embedded one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.home import Home
from voxledger.catalog.objects import client as seam
from voxledger.catalog.objects import direct
from voxledger.catalog.objects.download import write_download
from voxledger.catalog.objects.embedded.embedded import EmbeddedStore
from voxledger.catalog.objects.embedded.state import Endpoint
from voxledger.catalog.objects.features import store_features
from voxledger.catalog.objects.object_info import ObjectInfo, from_head, from_listing
from voxledger.catalog.objects.pace import pace_of
from voxledger.catalog.objects.putting import Put
from voxledger.catalog.objects.ranged import THREADS
from voxledger.catalog.objects.records import wants_records
from voxledger.catalog.objects.sending import Sending
from voxledger.catalog.settings import Store as StoreSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from voxledger.catalog.objects.deleting import Answer

_T = TypeVar("_T")
_BATCH = 1000
"""Most keys of one DeleteObjects request."""
_DELETES = 4
"""Requests to delete many that the embedded store serves at a time."""
_SPARE = 4
"""Connections for what is asked beside uploads and transfers."""
_FOREIGN = seam.REFUSED | {"InvalidAccessKeyId", "SignatureDoesNotMatch"}
"""What a stranger on the embedded store's port would answer."""
_CHECKSUM_MODE = {
    "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
    "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
}


class Store:
    """Objects in buckets. Safe for many threads; making it contacts nobody.

    Every method raises StoreUnavailable when nobody answers, StoreError with the store's own `code` when it refuses.
    Nothing is repeated, with one exception: a request to the embedded store that ended or was replaced meanwhile.
    """

    def __init__(self, home: Home, settings: StoreSettings, *, threads: int = 0) -> None:
        """`threads`: over how many connections others than uploads and fetches transfer, where that may be more."""
        self.settings = settings
        # What the pool cannot hold is opened anew for each request, with its handshakes.
        self._connections = settings.upload_threads + max(settings.upload_threads, THREADS, threads) + _SPARE
        self.pace = pace_of(settings.upload_limit)
        """How fast this process may send; None without a limit."""
        self._home = home
        self.embedded = None if settings.endpoint else EmbeddedStore(home, settings)
        self._lock = threading.Lock()
        self._client: S3Client | None = None
        self._serves: Endpoint | None = None
        self._buckets: set[str] = set()
        self.deleting = threading.Semaphore(_DELETES if self.embedded is not None else 1)
        """Whose turn it is to delete many: at Ceph such requests at the same time are slower than one after the other, because
        they wait for the same index of the bucket.
        """
        self.tags_refused = False
        """Whether it was seen that the store takes no tags."""

    def __repr__(self) -> str:
        return f"<Store {self.endpoint or 'embedded'}>"

    def close(self) -> None:
        """Let connections go. Idempotent; the next use opens new ones."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    @property
    def home(self) -> Home:
        """The HOME whose store it is."""
        return self._home

    @property
    def is_embedded(self) -> bool:
        """Whether this HOME serves its own objects."""
        return self.embedded is not None

    @property
    def endpoint(self) -> str:
        """The URL of the endpoint; empty while an embedded store does not run."""
        return self.settings.endpoint if self.embedded is None else str(self.embedded.status().get("url", ""))

    @property
    def wants_records(self) -> bool:
        """Whether records are put beside objects, by `store.records` and by what is known of the store."""
        forgetful = store_features(self._home, self.settings).metadata is False
        return wants_records(self.settings.records, forgetful=forgetful)

    def answers(self) -> bool:
        """Whether somebody answers, were it only with a refusal."""
        try:
            self.request(f"HEAD {self.settings.audio}", lambda s3: s3.head_bucket(Bucket=self.settings.audio))
        except StoreUnavailable:
            return False
        except StoreError:
            return True
        return True

    def ensure_bucket(self, bucket: str) -> None:
        """Create a bucket that is not there; asked once. A key that may not look is trusted to know its bucket."""
        if bucket in self._buckets:
            return
        try:
            self.request(f"HEAD {bucket}", lambda s3: s3.head_bucket(Bucket=bucket))
        except StoreError as error:
            if error.code in seam.MISSING:
                self._create(bucket)
            elif error.code not in seam.REFUSED:
                raise
        self._buckets.add(bucket)

    def put(
        self,
        bucket: str,
        key: str,
        content: bytes | Path,
        *,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        md5: str | Callable[[], str | None] | None = None,
        if_absent: bool = False,
        sending: Sending | None = None,
    ) -> str:
        """Put an object and give its ETag. It is there whole or not at all.

        `md5` (hex, or what gives it) is sent along, and the store refuses what arrives different. Metadata and tags are written in the
        characters that S3 allows. Files of more than 16 MiB go in parts, each with its MD5, where the store can do that.
        `if_absent`: where the store is known to honour it, an object that is there stays, which is a StoreError with a
        code of `client.TAKEN`. Also raises OSError when a file cannot be read, and what `sending` makes of it.
        """
        put = Put(
            bucket,
            key,
            content,
            headers={"ContentType": content_type, "Metadata": seam.plain_metadata(dict(metadata or {}))},
            tags=dict(tags or {}),
            md5=md5 if callable(md5) else lambda: md5,
            if_absent=if_absent,
            sending=sending or Sending(),
        )
        self.ensure_bucket(bucket)
        return put.into(self, store_features(self._home, self.settings))

    def make_bucket_again(self, bucket: str) -> None:
        """A bucket that was there is gone: create it."""
        self._buckets.discard(bucket)
        self.ensure_bucket(bucket)

    def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """What the store knows of an object; None when it, or its bucket, is not there."""
        try:
            found = self.request(f"HEAD {bucket}/{key}", lambda s3: direct.head(s3, bucket, key))
        except StoreError as error:
            if error.code in seam.MISSING:
                return None
            raise
        return from_head(key, found)

    def exists(self, bucket: str, key: str) -> bool:
        """Whether an object is there."""
        return self.head(bucket, key) is not None

    def get(self, bucket: str, key: str) -> bytes:
        """An object's content, for small ones. StoreError's code is `NoSuchKey` when it is not there."""
        return self.request(f"GET {bucket}/{key}", lambda s3: s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def download(self, bucket: str, key: str, path: Path, *, sha256: str | None = None) -> Path:
        """Write an object into a file that appears whole, checked, or not at all; `sha256` in hex. Also raises OSError.

        The folder must be there. Content that is not what `sha256` promises is a StoreError with the code `Damaged`.
        """
        self.request(
            f"GET {bucket}/{key}",
            lambda s3: write_download(s3.get_object(Bucket=bucket, Key=key), path, f"{bucket}/{key}", sha256),
        )
        return path

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object. One that is not there is no error."""
        self.request(f"DELETE {bucket}/{key}", lambda s3: s3.delete_object(Bucket=bucket, Key=key))

    def delete_many(self, bucket: str, keys: Iterable[str]) -> dict[str, str]:
        """Delete objects, a thousand a request; gives the code of refusal for each key that could not be deleted."""
        wanted = list(keys)
        refused: dict[str, str] = {}
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            try:
                refused |= self._delete_batch(bucket, batch)
            except StoreError as error:
                # Under an IAM policy Ceph 16.2 allows to delete one object, and refuses the same for several at once.
                if error.code not in seam.REFUSED:
                    raise
                refused |= self._delete_singly(bucket, batch)
        return refused

    def _delete_batch(self, bucket: str, batch: Sequence[str]) -> dict[str, str]:
        answer = self.request(
            f"DELETE {len(batch)} objects of {bucket}",
            lambda s3: s3.delete_objects(
                Bucket=bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
            ),
        )
        return {error["Key"]: error.get("Code", "") for error in answer.get("Errors", [])}

    def _delete_singly(self, bucket: str, batch: Sequence[str]) -> dict[str, str]:
        refused = {}
        for key in batch:
            try:
                self.delete(bucket, key)
            except StoreError as error:
                if error.code not in seam.REFUSED:
                    raise
                refused[key] = error.code or ""
        return refused

    def purge(self, bucket: str, keys: Iterable[str], *, perhaps: Iterable[str] = ()) -> dict[str, Answer]:
        """Delete objects with all their versions, and see that they are gone: `deleting.Deleter`. Never raises StoreError."""
        from voxledger.catalog.objects.deleting import Deleter

        return Deleter(self).delete(bucket, keys, perhaps=perhaps)

    def list(self, bucket: str, prefix: str = "") -> Iterator[ObjectInfo]:
        """All objects whose key begins with `prefix`, a page at a time. A bucket that is not there has none."""
        following: dict[str, Any] = {}
        while True:
            try:
                page = self.request(
                    f"LIST {bucket}/{prefix}",
                    lambda s3: s3.list_objects_v2(Bucket=bucket, Prefix=prefix, **following),  # noqa: B023  # called at once
                )
            except StoreError as error:
                if error.code == "NoSuchBucket":
                    return
                raise
            if "IsTruncated" not in page:
                # An answer whose end was lost with its headers reads like that of an empty bucket.
                raise StoreUnavailable(f"LIST {bucket}/{prefix}: half an answer came; try again", code="IncompleteRead")
            for found in page.get("Contents", []):
                yield from_listing(found)
            if not page["IsTruncated"]:
                return
            following = {"ContinuationToken": page["NextContinuationToken"]}

    def presign(self, bucket: str, key: str, expires: int) -> str:
        """A link that lets anyone GET the object for `expires` seconds. Stores refuse those of more than seven days."""
        return self.request(
            f"link to {bucket}/{key}",
            lambda s3: s3.generate_presigned_url(
                "get_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=expires
            ),
        )

    def settle(self, bucket: str, *keys: str) -> None:
        """Make accepted objects survive a power cut, where that is left to us: in the embedded store."""
        if self.embedded is not None:
            self.embedded.settle(bucket, keys)

    def environment(self) -> dict[str, str]:
        """The AWS_* variables that let any S3 client at this store; starts the embedded one. Holds secrets."""
        if self.embedded is not None:
            endpoint, region = self.embedded.ensure(), "us-east-1"
        else:
            endpoint = Endpoint(self.settings.endpoint, self.settings.access_key, self.settings.secret_key)
            region = self.settings.region
        keys = {"AWS_ACCESS_KEY_ID": endpoint.access_key, "AWS_SECRET_ACCESS_KEY": endpoint.secret_key}
        return {
            "AWS_ENDPOINT_URL": endpoint.url,
            **(keys if endpoint.access_key else {}),
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            **_CHECKSUM_MODE,
        }

    def _create(self, bucket: str) -> None:
        region = self.settings.region
        place: dict[str, Any] = {}
        if not self.is_embedded and region != "us-east-1":
            place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
        try:
            self.request(f"CREATE {bucket}", lambda s3: s3.create_bucket(Bucket=bucket, **place))
        except StoreError as error:
            # Another process was faster.
            if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise

    def _connected(self) -> tuple[S3Client, Endpoint | None]:
        endpoint = self.embedded.ensure() if self.embedded is not None else None
        with self._lock:
            if self._client is None or self._serves != endpoint:
                former = self._client
                self._client = seam.make_client(self.settings, endpoint, connections=self._connections)
                self._serves = endpoint
                if former is not None:
                    former.close()
            return self._client, endpoint

    def request(self, what: str, step: Callable[[S3Client], _T]) -> _T:
        """What `step` makes of the client, its errors in our words; `what` is being done: `GET bucket/key`."""
        client, endpoint = self._connected()
        url = endpoint.url if endpoint else self.settings.endpoint
        try:
            with seam.translated(url, what):
                return step(client)
        except StoreError as error:
            if self.embedded is None or not (isinstance(error, StoreUnavailable) or error.code in _FOREIGN):
                raise
            self.embedded.forget()
            client, again = self._connected()
            if again == endpoint:
                raise
        assert again is not None
        with seam.translated(again.url, what):
            return step(client)
