"""What a store says of an object."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef, ObjectTypeDef


class ObjectInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One object; `modified` is aware, in UTC. A listing knows neither content type nor metadata."""

    key: str
    bytes: int
    etag: str
    modified: datetime
    content_type: str | None = None
    metadata: Mapping[str, str] = {}
    md5: str | None = None
    """The ETag where it is the MD5 of the content: not after multipart, nor under a customer's or a KMS key."""


def from_head(key: str, found: HeadObjectOutputTypeDef) -> ObjectInfo:
    """Read the answer to a HEAD."""
    etag = found["ETag"].strip('"')
    encrypted = found.get("SSECustomerAlgorithm") or "kms" in found.get("ServerSideEncryption", "")
    return ObjectInfo(
        key=key,
        bytes=found["ContentLength"],
        etag=etag,
        modified=found["LastModified"].astimezone(UTC),
        content_type=found.get("ContentType"),
        # Header names have no case; rclone gives them another one than was sent.
        metadata={name.lower(): value for name, value in found["Metadata"].items()},
        md5=etag if re.fullmatch("[0-9a-f]{32}", etag) and not encrypted else None,
    )


def from_listing(found: ObjectTypeDef) -> ObjectInfo:
    """Read an entry of a listing."""
    return ObjectInfo(
        key=found["Key"],
        bytes=found["Size"],
        etag=found["ETag"].strip('"'),
        modified=found["LastModified"].astimezone(UTC),
    )
