"""An upload: what a task asks for."""

from __future__ import annotations

from typing import Any

import msgspec


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """What an upload task asks for. `record` is the text of the acknowledged event that lies beside the object."""

    bucket: str
    key: str
    path: str
    content_type: str
    sha256: str
    bytes: int
    metadata: dict[str, str] = {}
    tags: dict[str, str] = {}
    record: str | None = None
    event: bool = True
    """Whether the log hears of it. Files that are no clip's are only put away."""
    replace: bool = False
    """Whether other bytes that lie under the key make way: a repair. Else they stay, and the task waits for a person."""


def read_upload(content: Any) -> Upload:
    """Raises msgspec.ValidationError when a task's payload is not an upload."""
    return msgspec.convert(content, Upload)
