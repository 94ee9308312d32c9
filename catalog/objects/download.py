"""Downloads: from an answer of the store into a file that appears whole, checked, or not at all."""

from __future__ import annotations

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
    """Write the body of an answer to `path`. Raises StoreUnavailable when it ends early, StoreError when it is damaged."""
    hashed, size = hashlib.sha256(), 0
    handle, name = tempfile.mkstemp(prefix=".download-", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file, answer["Body"] as body:
            for piece in body.iter_chunks(_PIECE):
                file.write(piece)
                hashed.update(piece)
                size += len(piece)
            if size != answer["ContentLength"]:
                raise StoreUnavailable(
                    f"GET {what}: {size} of {answer['ContentLength']} bytes came; try again", code="IncompleteRead"
                )
            if sha256 is not None and hashed.hexdigest() != sha256:
                raise StoreError(
                    f"GET {what}: the object is not what was recorded: its SHA-256 is {hashed.hexdigest()}, not {sha256};"
                    " it was altered in the store",
                    code="Damaged",
                )
            platform.fsync_file(file)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
