"""Downloads: from an answer of the store into a file that appears whole, checked, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from voxledger.catalog import platform
from voxledger.catalog.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

_PIECE = 1 << 20


def write_download(answer: GetObjectOutputTypeDef, path: Path, what: str, sha256: str | None) -> None:
    """Write an answer's body to `path`. Raises StoreUnavailable when it ends early, StoreError when it is damaged."""
    hashed, size = hashlib.sha256(), 0
    handle, name = tempfile.mkstemp(prefix=".download-", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file, contextlib.closing(answer["Body"]) as body:
            for piece in body.iter_chunks(_PIECE):
                file.write(piece)
                hashed.update(piece)
                size += len(piece)
            _check(what, answer["ContentLength"], size, sha256, hashed.hexdigest())
            platform.fsync_file(file)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _check(what: str, promised: int, size: int, expected: str | None, sha256: str) -> None:
    if size != promised:
        raise StoreUnavailable(f"GET {what}: {size} of {promised} bytes came; try again", code="IncompleteRead")
    if expected is not None and sha256 != expected:
        raise StoreError(
            f"GET {what}: the object was altered in the store: its SHA-256 is {sha256}, recorded was {expected}",
            code="Damaged",
        )
