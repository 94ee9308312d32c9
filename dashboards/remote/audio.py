"""Audio of a node's clips: downloaded once into a folder of this machine, checked against the SHA-256 on record."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias

import requests

from voxledger.catalog.clip import Clip, Purpose
from voxledger.catalog.errors import HomeError, StoreError
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.remote.connection import Connection, NodeUnreachable

Use: TypeAlias = Purpose | Literal["none"]
MOST = 2_000_000_000
_PIECE = 1 << 18
_TRIES = 5


class RemoteAudio:
    """Of `voxledger.catalog.clip.Access`: the way to the audio of clips that a node has. Uses are recorded there."""

    def __init__(self, connection: Connection, folder: Path, *, most: int = MOST) -> None:
        """`most`: bytes that the folder keeps, more or less."""
        self._connection = connection
        self._folder = folder
        self._most = most

    def local(self, clip: Clip, *, progress: Callable[[int], None] | None = None) -> Path:
        """A file with the audio; an interrupted download goes on where it stopped. Raises StoreError, NodeUnreachable.

        It counts as use where somebody else made the clip: the node lets nobody hear those without a trace.
        """
        return self._file(clip, "none", progress)

    def fetch(self, clip: Clip, *, progress: Callable[[int], None] | None = None) -> Path:
        """`local`, as a use of the clip."""
        return self._file(clip, "fetch", progress)

    def url(self, clip: Clip, expires: int = 300) -> str:
        """A link that works for `expires` seconds, without a token."""
        found: str = self._connection.send("POST", f"/api/clips/{clip.id}/url", {"expires": expires})["url"]
        return found

    def accessed(self, clip: Clip, purpose: Purpose) -> None:
        """Tell the node that the clip was used: its first byte is asked for."""
        for _ in self._pieces(clip, purpose, {"Range": "bytes=0-0"}):
            pass

    def _file(self, clip: Clip, use: Use, progress: Callable[[int], None] | None) -> Path:
        path = self._folder / clip.sha256[:2] / f"{clip.sha256}.{clip.format}"
        with contextlib.suppress(OSError):
            if path.stat().st_size == clip.bytes:
                if use != "none":
                    self.accessed(clip, use)
                return path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A file of its own: others may want the same clip at this moment.
            descriptor, name = tempfile.mkstemp(suffix=".part", prefix=f"{clip.sha256[:12]}-", dir=path.parent)
            part = Path(name)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    self._download(clip, file, use, progress)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
            self._make_room(path)
        except OSError as error:
            raise HomeError(f"{path} could not be written: {error.strerror}") from error
        return path

    def _make_room(self, newest: Path) -> None:
        """Beyond the limit, those that were fetched or read longest ago go."""
        found = []
        with contextlib.suppress(OSError):  # another process makes room, too
            for each in self._folder.glob("*/*"):
                told = each.stat()
                found.append((max(told.st_atime, told.st_mtime), told.st_size, each))
            left = sum(size for _, size, _ in found)
            for _, size, each in sorted(found):
                if left <= self._most:
                    return
                if each != newest:
                    each.unlink(missing_ok=True)
                    left -= size

    def _download(self, clip: Clip, file: BinaryIO, use: Use, progress: Callable[[int], None] | None) -> None:
        hashed = hashlib.sha256()
        for tries in range(_TRIES):
            try:
                for piece in self._rest(clip, file.tell(), use):
                    file.write(piece)
                    hashed.update(piece)
                    if progress:
                        progress(len(piece))
                break
            except requests.RequestException as error:
                if tries == _TRIES - 1:
                    raise NodeUnreachable(f"the download of clip {clip.short} broke off again and again") from error
        _synced(file)
        if hashed.hexdigest() != clip.sha256:
            raise StoreError(
                f"the audio of clip {clip.short} arrived other than it was recorded; ask for it again", code="Damaged"
            )

    def _rest(self, clip: Clip, since: int, use: Use) -> Iterator[bytes]:
        headers = {"Range": f"bytes={since}-", "If-Match": f'"{clip.sha256}"'} if since else {}
        try:
            yield from self._pieces(clip, use, headers)
        except Refused as refused:
            if refused.code != "use":  # else somebody else made it
                raise
            yield from self._pieces(clip, "fetch", headers)

    def _pieces(self, clip: Clip, use: Use, headers: Mapping[str, str]) -> Iterator[bytes]:
        with self._connection.answer(
            "GET", f"/api/clips/{clip.id}/audio", params={"use": use}, headers=headers, stream=True, safe=True
        ) as response:
            yield from response.iter_content(_PIECE)


def _synced(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
