"""Outgoing: what is done to boto3's requests before they leave, and how the times in answers are read.

A clip is small, and boto3 spends more time on a request than the network does. What is done here takes a third of that away:
measured in benchmarks/objects.py. The object that is put, and what is signed, stay the same.
"""

from __future__ import annotations

import base64
import hashlib
import platform
from datetime import datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.session import Session
    from mypy_boto3_s3 import S3Client

_WORTH_ASKING = 1 << 20
"""From so many bytes on a store is asked whether it wants a body at all before it is sent."""
_STRIDE = 64 << 10


def prepare_session(session: Session) -> None:
    """For the clients that are made of it."""
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)


def prepare_client(client: S3Client) -> None:
    """For its requests."""
    from botocore.handlers import add_expect_header

    events = client.meta.events
    # boto3 asks for each body first, were it a few bytes, and that takes a round trip more.
    events.unregister("before-call.s3", add_expect_header)
    events.register("before-call.s3", _ask_first)
    events.register("before-call.s3.DeleteObjects", _vouch)
    events.register_last("request-created.s3", _leave)


def user_agent() -> str:
    """What we call ourselves to stores. Without one of our own, boto3 composes a long one anew for each request."""
    import botocore

    return f"voxledger/{version('voxledger')} botocore/{botocore.__version__} python/{platform.python_version()}"


def _ask_first(params: dict[str, Any], **_: Any) -> None:
    from botocore.utils import determine_content_length

    body = params.get("body")
    if hasattr(body, "read") and (determine_content_length(body) or 0) >= _WORTH_ASKING:
        params["headers"]["Expect"] = "100-continue"


def _vouch(params: dict[str, Any], **_: Any) -> None:
    """S3 wants a checksum of every list of keys to delete: boto3 sends a CRC32, and older stores know only Content-MD5."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"].setdefault("Content-MD5", base64.b64encode(digest).decode())


def _leave(request: Any, **_: Any) -> None:
    """The last step: it has been signed. From now on what is read of a body is sent."""
    if isinstance(request.data, BytesIO):
        request.data = Strides(request.data.getvalue())
    begin = getattr(request.data, "begin", None)
    if begin is not None:
        begin()


class Strides(BytesIO):
    """A body that goes out in few pieces: after each one other threads have their turn.

    Never in one: each piece has the connection's timeout for itself, and on a slow line a whole clip would not come through.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """At least a stride, whatever urllib3 asks for: it takes what comes."""
        return super().read(size if size is None or size < 0 else max(size, _STRIDE))


def _moment(value: Any) -> datetime:
    """A time in an answer. S3 has two forms; boto3 would try many."""
    try:
        if isinstance(value, str) and value.endswith(" GMT"):
            return parsedate_to_datetime(value)
        if isinstance(value, str) and value.endswith("Z"):
            return datetime.fromisoformat(value)
    except ValueError:
        pass
    from botocore.utils import parse_timestamp

    found: datetime = parse_timestamp(value)
    return found
