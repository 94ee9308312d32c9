"""The seam to boto3: a client made from settings, and its errors in our own words."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.objects import direct, outgoing
from voxledger.catalog.objects.embedded.state import Endpoint
from voxledger.catalog.settings import Store as StoreSettings

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_s3 import S3Client

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 60.0
"""Seconds between two bytes of an answer."""
_THROTTLED = {"SlowDown", "ServiceUnavailable", "Throttling", "ThrottlingException", "TooManyRequests"}
BUSY = frozenset(_THROTTLED | {"429", "502", "503", "504"})
"""Codes of a store that is there but cannot serve anyone right now."""
TRANSIENT = BUSY | {"InternalError", "RequestTimeout", "RequestTimeTooSkewed", "OperationAborted", "500"}
"""Codes of failures that pass."""
CREDENTIALS = frozenset({
    "AuthorizationHeaderMalformed", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "NoCredentials",
    "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired",
})  # fmt: skip
"""Codes that every request would meet: nothing is wrong with what was asked, only with who asked."""
REFUSED = frozenset({"403", "AccessDenied"})
MISSING = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})
TAKEN = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict", "409"})
"""Codes of a conditional PUT that found an object in its place, or one on its way there."""
NOT_KNOWN = frozenset({"NotImplemented", "501", "MethodNotAllowed", "405"})
"""Codes of a store that does not know what was asked for."""
_ISOLATED = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}
_REMEDIES = {
    "AccessDenied": "give the access key the right to do this, or use another one (store.access_key)",
    "AllAccessDisabled": "the account or bucket is blocked; ask who runs the store",
    "InvalidAccessKeyId": "the store does not know this access key; check store.access_key",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key; check store.secret_key",
    "ExpiredToken": "the credentials have run out; renew them",
    "RequestTimeTooSkewed": "set the clock of this machine: it is more than 15 minutes off",
    "NoSuchBucket": "create the bucket, or name another one in voxledger.toml",
    "PermanentRedirect": "the bucket lies in another region; set store.region",
    "AuthorizationHeaderMalformed": "the store expects another region; set store.region",
    "EntityTooLarge": "the object is larger than this store takes in one piece",
    "QuotaExceeded": "the store is full; make room there",
    "403": "give the access key the right to do this, or use another one (store.access_key)",
}


def make_client(settings: StoreSettings, endpoint: Endpoint | None, *, connections: int) -> S3Client:
    """An S3 client: safe for many threads, though making one is not. Without `endpoint` it serves `store.endpoint`.

    It never repeats a request by itself: whoever calls knows better when that is right. Raises StoreError.
    """
    import boto3
    import botocore.session
    from botocore.config import Config
    from botocore.credentials import Credentials
    from botocore.exceptions import BotoCoreError, PartialCredentialsError, ProfileNotFound

    embedded = endpoint is not None
    # The user's own AWS profile and proxy have nothing to do with a server on this machine.
    core = botocore.session.Session(_ISOLATED if embedded else None)
    outgoing.prepare_session(core)
    target = endpoint or Endpoint(url=settings.endpoint, access_key=settings.access_key, secret_key=settings.secret_key)
    region, by_path = "us-east-1" if embedded else settings.region, embedded or settings.path_style
    try:
        made = boto3.session.Session(botocore_session=core).client(
            "s3",
            endpoint_url=target.url,
            region_name=region,
            aws_access_key_id=target.access_key or None,
            aws_secret_access_key=target.secret_key or None,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path" if by_path else "virtual"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                max_pool_connections=connections,
                connect_timeout=CONNECT_TIMEOUT,
                read_timeout=READ_TIMEOUT,
                retries={"total_max_attempts": 1, "mode": "standard"},
                proxies={} if embedded else None,
                user_agent=outgoing.user_agent(),
            ),
        )
    except (BotoCoreError, ValueError) as error:
        raise StoreError(
            f"no S3 client can be made for {target.url}: {error}; check the section [store] of voxledger.toml"
            " and your AWS profile",
            code="NoCredentials"
            if isinstance(error, (ProfileNotFound, PartialCredentialsError))
            else type(error).__name__,
        ) from error
    outgoing.prepare_client(made)
    if by_path and target.url:
        keys = Credentials(target.access_key, target.secret_key) if target.access_key else core.get_credentials()
        direct.prepare(made, target.url, region, keys)
    return made


@contextlib.contextmanager
def translated(url: str, what: str) -> Iterator[None]:
    """Turn boto3's errors into StoreError and StoreUnavailable; `what` was being done: `GET bucket/key`."""
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        raise _refused(error, url, what) from error
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
    ) as error:
        raise StoreError(
            f"{what}: no keys for {url}: set store.access_key and store.secret_key, or the AWS_* variables",
            code="NoCredentials",
        ) from error
    except (exceptions.HTTPClientError, exceptions.ConnectionError, exceptions.IncompleteReadError) as error:
        raise StoreUnavailable(
            f"{what}: {_trouble(error)} at {url}; check the endpoint and the network (store.endpoint)",
            code=type(error).__name__,
        ) from error
    except exceptions.BotoCoreError as error:
        raise StoreError(f"{what}: {error}", code=type(error).__name__) from error


def is_transient(error: StoreError) -> bool:
    """Whether the same request may succeed later, without anybody changing anything."""
    return isinstance(error, StoreUnavailable) or error.code in TRANSIENT


def plain_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """User metadata as headers can carry it: names in lower case, values in ASCII, what is not percent-encoded."""
    from urllib.parse import quote

    safe = " !\"#$&'()*+,-./:;<=>?@[]^_`{|}~"
    return {name.lower(): quote(value, safe=safe) for name, value in metadata.items() if value}


def plain_tags(tags: dict[str, str]) -> dict[str, str]:
    """Tags in the characters S3 allows (letters, digits, blank and `+-=._:/@`), at most ten of them."""
    return {_tag(name, 128): _tag(value, 256) for name, value in list(tags.items())[:10] if value}


def _tag(text: str, limit: int) -> str:
    return "".join(letter if letter.isalnum() or letter in " +-=._:/@" else "_" for letter in text)[:limit]


def _refused(error: ClientError, url: str, what: str) -> StoreError:
    answer: dict[str, Any] = {**error.response.get("Error", {})}
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code = str(answer.get("Code") or status)
    if code not in TRANSIENT and (status == 429 or status >= 500):
        # NotImplemented is a 501, and stays so.
        code = code if status == 501 else str(status)
    said = str(answer.get("Message") or "").strip().rstrip(".")
    reason = f"{code}, {said}" if said and said != code else code
    remedy = _REMEDIES.get(code)
    return StoreError(f"{what}: {url} answered {reason}" + (f"; {remedy}" if remedy else ""), code=code)


def _trouble(error: Exception) -> str:
    from botocore import exceptions

    if isinstance(error, exceptions.ReadTimeoutError):
        return f"no answer within {READ_TIMEOUT:g} s"
    if isinstance(error, exceptions.ConnectTimeoutError):
        return f"no connection within {CONNECT_TIMEOUT:g} s"
    if isinstance(error, exceptions.EndpointConnectionError):
        return "nobody answers"
    if isinstance(error, exceptions.SSLError):
        return "no trusted TLS connection"
    return "the connection broke off"
