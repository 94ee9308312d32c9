"""Heads: what a store says of an object, asked for without most of what boto3 does around a request.

Each upload is verified by a HEAD, and of its time in boto3 three quarters go into choosing an endpoint, calling hooks and
reading a model of the answer. Here botocore's own signer and its own connections are used, and nothing else of it. Whatever is
out of the ordinary, a redirect, a refusal, an answer that lacks something, is asked for again the long way, which knows it.
"""

from __future__ import annotations

import weakref
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from voxledger.catalog.objects import outgoing

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

_META = "x-amz-meta-"
_known: weakref.WeakKeyDictionary[S3Client, _Asker] = weakref.WeakKeyDictionary()


def prepare_heads(client: S3Client, url: str, region: str, credentials: Credentials | None) -> None:
    """Let `head` be quick with this client, which finds buckets in the path of `url`."""
    session = getattr(getattr(client, "_endpoint", None), "http_session", None)
    if session is not None and credentials is not None:
        _known[client] = _Asker(session, url.rstrip("/"), region, credentials)


def head(client: S3Client, bucket: str, key: str) -> HeadObjectOutputTypeDef:
    """As `head_object`, errors included. Of the answer only the fields that `object_info` reads."""
    asker = _known.get(client)
    found = asker.head(bucket, key) if asker is not None else None
    return client.head_object(Bucket=bucket, Key=key) if found is None else found


class _Asker:
    """Asks with one client's connections and keys."""

    def __init__(self, session: Any, url: str, region: str, credentials: Credentials) -> None:
        self._session = session
        self._url = url
        self._region = region
        self._credentials = credentials
        self._agent = outgoing.user_agent()

    def head(self, bucket: str, key: str) -> HeadObjectOutputTypeDef | None:
        """None where the long way must be gone. Raises what botocore does for a connection, and ClientError where nothing lies."""
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import ClientError

        url = f"{self._url}/{bucket}/{quote(key, safe='/~')}"
        request = AWSRequest(method="HEAD", url=url, headers={"User-Agent": self._agent})
        # As they are at this moment: those of a role are renewed meanwhile.
        S3SigV4Auth(self._credentials.get_frozen_credentials(), "s3", self._region).add_auth(request)
        answer = self._session.send(request.prepare())
        if answer.status_code == 404:
            told: Any = {"Error": {"Code": "404", "Message": "Not Found"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
            raise ClientError(told, "HeadObject")
        if answer.status_code != 200:
            return None
        return _read({name.lower(): value for name, value in answer.raw.headers.items()})


def _read(headers: dict[str, str]) -> HeadObjectOutputTypeDef | None:
    try:
        found: Any = {
            "ContentLength": int(headers["content-length"]),
            "ETag": headers["etag"],
            "LastModified": parsedate_to_datetime(headers["last-modified"]),
            "Metadata": {name.removeprefix(_META): value for name, value in headers.items() if name.startswith(_META)},
        }
    except (KeyError, ValueError):
        return None
    for name, header in (
        ("ContentType", "content-type"),
        ("ServerSideEncryption", "x-amz-server-side-encryption"),
        ("SSECustomerAlgorithm", "x-amz-server-side-encryption-customer-algorithm"),
    ):
        if header in headers:
            found[name] = headers[header]
    read: HeadObjectOutputTypeDef = found
    return read
