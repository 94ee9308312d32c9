"""Direct: the two requests of each clip, a PUT and the HEAD that verifies it, without most of what boto3 does around a request.

Of their time in boto3 more than half goes into choosing an endpoint, calling hooks and reading a model of the answer. Here
botocore's own signer and its own connections are used, and of the rest what reads errors. Whatever is out of the ordinary, a
redirect, an answer that lacks something, a HEAD that was refused, is asked for again the long way, which knows it.
"""

from __future__ import annotations

import hashlib
import weakref
from email.utils import parsedate_to_datetime
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from voxledger.catalog.objects import outgoing

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

_META = "x-amz-meta-"
_HEADERS = {
    "ContentMD5": "Content-MD5", "ContentType": "Content-Type", "IfNoneMatch": "If-None-Match", "Tagging": "x-amz-tagging",
}  # fmt: skip
"""Those of a PUT, by boto3's names for them; `Metadata` beside them."""
_SMALL = 1 << 20
"""Bodies of more bytes are sent the long way, which asks first whether they are wanted."""
_ELSEWHERE = frozenset({400, *range(300, 400)})
"""Statuses that may mean another region or endpoint: the long way follows there."""
_known: weakref.WeakKeyDictionary[S3Client, _Asker] = weakref.WeakKeyDictionary()


def prepare(client: S3Client, url: str, region: str, credentials: Credentials | None) -> None:
    """Let `head` and `put` be quick with this client, which finds buckets in the path of `url`."""
    session = getattr(getattr(client, "_endpoint", None), "http_session", None)
    if session is not None and credentials is not None:
        _known[client] = _Asker(session, url.rstrip("/"), region, credentials)


def head(client: S3Client, bucket: str, key: str) -> HeadObjectOutputTypeDef:
    """As `head_object`, errors included. Of the answer only the fields that `object_info` reads."""
    asker = _known.get(client)
    found = asker.head(bucket, key) if asker is not None else None
    return client.head_object(Bucket=bucket, Key=key) if found is None else found


def put(
    client: S3Client, bucket: str, key: str, content: bytes, options: dict[str, Any], *, sha256: str | None = None
) -> str:
    """As `put_object`, errors included; gives the ETag as it was answered. `sha256` (hex) of the content, where it is known."""
    asker = _known.get(client)
    etag = None
    if asker is not None and len(content) < _SMALL and options.keys() <= {*_HEADERS, "Metadata"}:
        headers = {_HEADERS[name]: value for name, value in options.items() if name in _HEADERS}
        headers |= {f"{_META}{name}": value for name, value in options.get("Metadata", {}).items()}
        etag = asker.put(bucket, key, content, headers, sha256 or hashlib.sha256(content).hexdigest())
    return client.put_object(Bucket=bucket, Key=key, Body=content, **options)["ETag"] if etag is None else etag


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
        from botocore.exceptions import ClientError

        answer = self._send("HEAD", bucket, key, {}, b"", "")
        if answer.status_code == 404:
            told: Any = {"Error": {"Code": "404", "Message": "Not Found"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
            raise ClientError(told, "HeadObject")
        if answer.status_code != 200:
            return None
        return _read({name.lower(): value for name, value in answer.raw.headers.items()})

    def put(self, bucket: str, key: str, content: bytes, headers: dict[str, str], sha256: str) -> str | None:
        """The ETag; None where the long way must be gone. Raises what botocore does."""
        from botocore.exceptions import ClientError
        from botocore.parsers import RestXMLParser

        answer = self._send("PUT", bucket, key, headers, content, sha256)
        if answer.status_code == 200:
            etag: str | None = answer.headers.get("ETag")
            return etag
        if answer.status_code in _ELSEWHERE:
            return None
        told = {"status_code": answer.status_code, "headers": answer.headers, "body": answer.content}
        # Without the model of an answer only errors can be read.
        raise ClientError(RestXMLParser().parse(told, None), "PutObject")  # type: ignore[arg-type]

    def _send(self, method: str, bucket: str, key: str, headers: dict[str, str], content: bytes, sha256: str) -> Any:
        from botocore.awsrequest import AWSRequest

        url = f"{self._url}/{bucket}/{quote(key, safe='/~')}"
        request = AWSRequest(method=method, url=url, headers={"User-Agent": self._agent, **headers}, data=content)
        # As they are at this moment: those of a role are renewed meanwhile.
        _signer()(self._credentials.get_frozen_credentials(), "s3", self._region, sha256).add_auth(request)
        prepared = request.prepare()
        if content:
            prepared.body = outgoing.Strides(content)
        return self._session.send(prepared)


@cache
def _signer() -> Any:
    """Of requests whose body was hashed before. Made when it is needed: importing botocore takes long."""
    from botocore.auth import S3SigV4Auth

    class Signer(S3SigV4Auth):
        def __init__(self, credentials: Any, service: str, region: str, sha256: str) -> None:
            super().__init__(credentials, service, region)
            self._sha256 = sha256

        def payload(self, request: Any) -> Any:
            return self._sha256 or super().payload(request)

    return Signer


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
