"""Trials with objects: each does one thing to a store, and says whether it was done right.

A trial raises StoreError when the store refuses; what a refusal means is for the probe to say.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.objects.client import CREDENTIALS, REFUSED, is_transient
from voxledger.catalog.objects.probing.place import Place

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART = 5 * 1024 * 1024
"""The smallest part but the last that S3 allows."""
RACERS = 8
RACES = 3
_FIRST, _SECOND = b"voxledger was here first", b"and this came second"
_REFUSED_CONDITIONS = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
_LINK_SECONDS = 60
_LINK_TIMEOUT = 10.0


def conditional_put(place: Place) -> bool:
    """A second PUT with `If-None-Match: *` is refused with 412, and the first one's bytes stay."""
    key = place.key("conditional")
    _put(place, key, _FIRST, IfNoneMatch="*")
    try:
        _put(place, key, _SECOND, IfNoneMatch="*")
    except StoreError as error:
        if error.code not in _REFUSED_CONDITIONS:
            raise
        return place.store.get(place.bucket, key) == _FIRST if _may_read(place, key) else True
    return False


def conditional_race(place: Place) -> bool:
    """Of eight conditional PUTs that start at once exactly one wins; three times."""
    return all(_race(place, place.key(f"race-{number}")) for number in range(RACES))


def conditional_multipart(place: Place) -> bool:
    """Completing a multipart upload with `If-None-Match: *` onto an object that is there is refused."""
    key = place.key("conditional-multipart")
    _put(place, key, _FIRST)

    def complete(s3: S3Client, upload: dict[str, Any], parts: list[Any]) -> None:
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*")

    try:
        _multipart(place, key, [_SECOND], complete)
    except StoreError as error:
        if error.code not in _REFUSED_CONDITIONS:
            raise
        return True
    return False


def conditional_get(place: Place) -> bool:
    """A GET with the `If-Match` of another version is refused with 412, one with the right ETag is answered."""
    key = place.key("conditional-get")
    etag = _put(place, key, _FIRST)
    _put(place, key, _SECOND)
    try:
        _get(place, key, IfMatch=etag)
    except StoreError as error:
        if error.code not in _REFUSED_CONDITIONS:
            raise
        return True
    return False


def multipart(place: Place) -> bool:
    """An object of two parts arrives whole."""
    key = place.key("multipart")

    def complete(s3: S3Client, upload: dict[str, Any], parts: list[Any]) -> None:
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})

    _multipart(place, key, [_letters(PART), _FIRST], complete)
    return _get(place, key, Range=f"bytes={PART - 3}-") == _letters(PART)[-3:] + _FIRST


def list_parts(place: Place) -> bool:
    """The parts of an unfinished upload are listed with the ETags that they were answered with."""
    seen = []

    def look(s3: S3Client, upload: dict[str, Any], parts: list[Any]) -> None:
        listed = s3.list_parts(**upload).get("Parts", [])
        seen.append([(part["PartNumber"], part["ETag"].strip('"'), part["Size"]) for part in listed])
        seen.append([(part["PartNumber"], part["ETag"].strip('"'), len(_FIRST)) for part in parts])
        s3.abort_multipart_upload(**upload)

    _multipart(place, place.key("parts"), [_FIRST], look)
    return seen[0] == seen[1]


def list_uploads(place: Place) -> bool:
    """An unfinished upload is listed under the prefix of its key."""
    key = place.key("uploads")
    seen = []

    def look(s3: S3Client, upload: dict[str, Any], _parts: list[Any]) -> None:
        listed = s3.list_multipart_uploads(Bucket=place.bucket, Prefix=key).get("Uploads", [])
        seen.append(any(found["UploadId"] == upload["UploadId"] for found in listed))
        s3.abort_multipart_upload(**upload)

    _multipart(place, key, [_FIRST], look)
    return seen[0]


def ranges(place: Place) -> bool:
    """A GET of a range answers with these bytes and no others."""
    key = place.key("range")
    _put(place, key, _FIRST)
    return _get(place, key, Range="bytes=3-9") == _FIRST[3:10]


def presign(place: Place) -> bool:
    """A presigned link gives the object to anybody, and one with another signature gives it to nobody."""
    key = place.key("link")
    _put(place, key, _FIRST)
    link = place.store.presign(place.bucket, key, _LINK_SECONDS)
    status, body = anonymous_get(link)
    if status in (401, 403):
        raise StoreError(f"a link into {place.bucket} was refused", code=str(status))
    if status == 0:
        raise StoreUnavailable(f"a link into {place.bucket} was not answered", code="NoAnswer")
    altered = link[:-1] + ("0" if link[-1] != "0" else "1")
    return status == 200 and body == _FIRST and anonymous_get(altered)[0] != 200


def copy(place: Place) -> bool:
    """A copy within the store has the same bytes."""
    source, target = place.key("original"), place.key("copy")
    _put(place, source, _FIRST)
    place.store.request(
        f"COPY in {place.bucket}",
        lambda s3: s3.copy_object(Bucket=place.bucket, Key=target, CopySource={"Bucket": place.bucket, "Key": source}),
    )
    return place.store.get(place.bucket, target) == _FIRST


def metadata(place: Place) -> bool:
    """User metadata comes back as it was sent."""
    key, sent = place.key("metadata"), {"emotion": "happy", "engine": "espeak 1.52"}
    _put(place, key, _FIRST, Metadata=sent)
    found = place.store.request(f"HEAD in {place.bucket}", lambda s3: s3.head_object(Bucket=place.bucket, Key=key))
    return {name.lower(): value for name, value in found.get("Metadata", {}).items()} == sent


def tags(place: Place) -> bool:
    """Tags that were sent with an object come back, and can be changed."""
    key = place.key("tags")
    _put(place, key, _FIRST, Tagging="app=voxledger&emotion=happy")
    if _tags(place, key) != {"app": "voxledger", "emotion": "happy"}:
        return False
    place.store.request(
        f"TAG in {place.bucket}",
        lambda s3: s3.put_object_tagging(
            Bucket=place.bucket, Key=key, Tagging={"TagSet": [{"Key": "app", "Value": "other"}]}
        ),
    )
    return _tags(place, key) == {"app": "other"}


def md5_refused(place: Place) -> bool:
    """A body that is not what its Content-MD5 promises is refused, and nothing is kept of it."""
    promised = hashlib.md5(_SECOND, usedforsecurity=False).digest()
    return _damaged(place, "md5", ContentMD5=base64.b64encode(promised).decode())


def sha256_refused(place: Place) -> bool:
    """A body that is not what x-amz-checksum-sha256 promises is refused, and nothing is kept of it."""
    promised = hashlib.sha256(_SECOND).digest()
    return _damaged(place, "sha256", ChecksumSHA256=base64.b64encode(promised).decode())


def anonymous_get(link: str) -> tuple[int, bytes]:
    """Status and the first bytes of what somebody without any credentials is answered; 0 when nobody answers."""
    import requests

    try:
        # A session of its own, so that no password of a .netrc file goes along; proxies as boto3 takes them.
        with requests.Session() as session:
            session.auth = _nobody
            authorities = os.environ.get("AWS_CA_BUNDLE") or True
            with session.get(link, timeout=_LINK_TIMEOUT, stream=True, verify=authorities) as answer:
                return answer.status_code, next(answer.iter_content(4096), b"")
    except requests.RequestException:
        return 0, b""


def _nobody(request: Any) -> Any:
    return request


def _race(place: Place, key: str) -> bool:
    gate = threading.Barrier(RACERS)

    def run(number: int) -> bool:
        gate.wait()
        try:
            _put(place, key, f"racer {number}".encode(), IfNoneMatch="*")
        except StoreError as error:
            if error.code not in _REFUSED_CONDITIONS:
                raise
            return False
        return True

    with ThreadPoolExecutor(RACERS, thread_name_prefix="probe") as pool:
        won = list(pool.map(run, range(RACERS)))
    return sum(won) == 1


def _damaged(place: Place, name: str, **promise: str) -> bool:
    key = place.key(f"damaged-{name}")
    try:
        _put(place, key, _FIRST, **promise)
    except StoreError as error:
        if error.code in REFUSED | CREDENTIALS | {"501", "NotImplemented"} or is_transient(error):
            raise
        return True
    return False


def _may_read(place: Place, key: str) -> bool:
    try:
        return place.store.head(place.bucket, key) is not None
    except StoreError:
        return False


def _put(place: Place, key: str, content: bytes, **options: Any) -> str:
    answer = place.store.request(
        f"PUT in {place.bucket}", lambda s3: s3.put_object(Bucket=place.bucket, Key=key, Body=content, **options)
    )
    return answer["ETag"]


def _get(place: Place, key: str, **options: Any) -> bytes:
    return place.store.request(
        f"GET in {place.bucket}", lambda s3: s3.get_object(Bucket=place.bucket, Key=key, **options)["Body"].read()
    )


def _tags(place: Place, key: str) -> dict[str, str]:
    found = place.store.request(
        f"TAGS in {place.bucket}", lambda s3: s3.get_object_tagging(Bucket=place.bucket, Key=key)
    )
    return {tag["Key"]: tag["Value"] for tag in found.get("TagSet", [])}


def _multipart(
    place: Place, key: str, parts: list[bytes], end: Callable[[S3Client, dict[str, Any], list[Any]], None]
) -> None:
    """Send parts, and let `end` say what becomes of the upload; it is given up when something goes wrong."""

    def step(s3: S3Client) -> None:
        upload: dict[str, Any] = {"Bucket": place.bucket, "Key": key}
        upload["UploadId"] = s3.create_multipart_upload(Bucket=place.bucket, Key=key)["UploadId"]
        try:
            sent = [
                {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=part)["ETag"]}
                for number, part in enumerate(parts, 1)
            ]
            end(s3, upload, sent)
        except BaseException:
            s3.abort_multipart_upload(**upload)
            raise

    place.store.request(f"MULTIPART in {place.bucket}", step)


def _letters(length: int) -> bytes:
    """Bytes that are not all the same, so that a part that is moved shows."""
    return (b"0123456789abcdef" * (length // 16 + 1))[:length]
