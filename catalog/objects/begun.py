"""Begun: large contents that are on their way into the store, remembered here, so that another process goes on within them."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.objects.multipart import give_up
from voxledger.catalog.objects.sending import Begun, Memory
from voxledger.catalog.objects.store import Store

_SUFFIX = ".begun"
_log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a file."""

    endpoint: str
    bucket: str
    key: str
    upload: str
    part_bytes: int


class _Remembered:
    """Remembers the upload of one content: a `sending.Memory`. Where that cannot be written, it begins anew once killed."""

    def __init__(self, path: Path, endpoint: str, bucket: str, key: str) -> None:
        self._path = path
        self._endpoint = endpoint
        self._bucket = bucket
        self._key = key

    def recall(self) -> Begun | None:
        """What was begun and not finished."""
        kept = None
        with _without_memory():
            kept = _read(self._path)
        return None if kept is None else Begun(kept.upload, kept.part_bytes)

    def remember(self, begun: Begun) -> None:
        """It is begun."""
        kept = _Kept(
            endpoint=self._endpoint,
            bucket=self._bucket,
            key=self._key,
            upload=begun.upload,
            part_bytes=begun.part_bytes,
        )
        with _without_memory():
            platform.write_atomic(self._path, msgspec.json.encode(kept), mode=0o600)

    def forget(self) -> None:
        """It is finished or given up."""
        with _without_memory():
            self._path.unlink(missing_ok=True)


class Uploads:
    """What one run may remember and go on with; of nothing, where another one is at it."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def of(self, store: Store, bucket: str, key: str) -> Memory | None:
        """The memory of one content: its key tells its bytes."""
        if self._folder is None:
            return None
        endpoint = store.settings.endpoint
        name = hashlib.sha256(f"{endpoint}\0{bucket}\0{key}".encode()).hexdigest()[:32]
        return _Remembered(self._folder / f"{name}{_SUFFIX}", endpoint, bucket, key)

    def sweep(self, store: Store, *, before: datetime) -> int:
        """Give up what was begun in this store before a time and never finished; says how many. Raises StoreError."""
        found = [] if self._folder is None else sorted(self._folder.glob(f"*{_SUFFIX}"))
        given_up = 0
        for path in found:
            kept = _read(path)
            if (
                kept is not None
                and kept.endpoint == store.settings.endpoint
                and path.stat().st_mtime <= before.timestamp()
            ):
                give_up(store, kept.bucket, kept.key, kept.upload)
                path.unlink(missing_ok=True)
                given_up += 1
        return given_up


@contextlib.contextmanager
def uploads(folder: Path) -> Iterator[Uploads]:
    """What was begun from here. Two runs must not go on with the same upload: one at a time has it, others begin their own."""
    with contextlib.ExitStack() as stack:
        held = False
        with contextlib.suppress(OSError):  # whoever may only read here sends without a memory
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            held = stack.enter_context(platform.locked(folder / ".lock", blocking=False))
        yield Uploads(folder if held else None)


def _read(path: Path) -> _Kept | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


@contextlib.contextmanager
def _without_memory() -> Iterator[None]:
    """The disk that remembers is not the one that is read: what it refuses is no fault of what is sent."""
    try:
        yield
    except OSError as error:
        _log.warning("what is being sent cannot be remembered here (%s); killed, it begins anew", error.strerror)
