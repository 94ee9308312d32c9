"""One signed request without boto3: is the store behind a port the one that has our key?

The signature is AWS Signature Version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html),
for `GET /` only. boto3 would take longer to load than the embedded store takes to start.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException

_REGION = "us-east-1"
_EMPTY = hashlib.sha256(b"").hexdigest()
_SIGNED = "host;x-amz-content-sha256;x-amz-date"


def is_ours(port: int, access_key: str, secret_key: str, *, timeout: float = 2.0) -> bool:
    """Whether the server on a loopback port takes our key, and no other one: a server without keys would take any."""
    try:
        return (
            _status(port, access_key, secret_key, timeout) == 200
            and _status(port, access_key, "x" * len(secret_key), timeout) == 403
        )
    except (OSError, HTTPException):
        return False


def _status(port: int, access_key: str, secret_key: str, timeout: float) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", "/", headers=_headers(f"127.0.0.1:{port}", access_key, secret_key, datetime.now(UTC)))
        return connection.getresponse().status
    finally:
        connection.close()


def _headers(host: str, access_key: str, secret_key: str, present: datetime) -> dict[str, str]:
    stamp = present.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{_REGION}/s3/aws4_request"
    request = f"GET\n/\n\nhost:{host}\nx-amz-content-sha256:{_EMPTY}\nx-amz-date:{stamp}\n\n{_SIGNED}\n{_EMPTY}"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{secret_key}".encode()
    for part in (stamp[:8], _REGION, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    credential = f"Credential={access_key}/{scope}"
    return {
        "Host": host,
        "X-Amz-Date": stamp,
        "X-Amz-Content-Sha256": _EMPTY,
        "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={_SIGNED}, Signature={signature}",
    }
