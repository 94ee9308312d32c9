"""Places: where the bytes of a clip may still be, each looked into and proved by the SHA-256 that the log has."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.hashing import sha256_of
from voxledger.catalog.objects.absence import versions_of
from voxledger.catalog.objects.client import MISSING, REFUSED
from voxledger.catalog.objects.download import write_download
from voxledger.catalog.objects.patience import patiently
from voxledger.catalog.objects.ranged import fetch_object

if TYPE_CHECKING:
    from voxledger.catalog.objects import Store

Source: TypeAlias = Literal["grace", "store", "versioning", "backup", "cache"]
_NOT_TOLD = MISSING | {"Damaged", "Changed", "AccessDenied", "403", "NotImplemented", "501", "MethodNotAllowed", "405"}
"""Codes of a place that does not have it, or does not let us look."""


class Places:
    """Looks for the bytes of clips: in the cache, in the store, among its old versions, under other clips."""

    def __init__(self, store: Store, cache: Path, twins: Callable[[Clip], Sequence[tuple[str, str]]]) -> None:
        """`twins` names bucket and key of other clips with the same bytes."""
        self._store = store
        self._cache = cache.resolve()
        self._twins = twins

    def holds(self, clip: Clip, key: str) -> bool:
        """Whether the store is seen to have it where it belongs, as far as its size tells. Raises StoreUnavailable."""
        try:
            found = patiently(lambda: self._store.head(clip.bucket, key))
        except StoreUnavailable:
            raise
        except StoreError as error:
            if error.code not in _NOT_TOLD:
                raise
            return False  # `find` says why
        return found is not None and found.bytes == clip.bytes

    def find(self, clip: Clip, key: str, path: Path) -> tuple[Source | None, Path, list[str], bool]:
        """Where it was found, a file with its bytes (`path`, or the one in the cache), what each place said, and whether one would
        not let us look: it may be there then.

        Raises StoreUnavailable when nobody answers.
        """
        said: list[str] = []
        refused = False
        cached = self._cache / key
        if cached.resolve().is_relative_to(self._cache) and _is(cached, clip):
            return "cache", cached, said, False
        said.append("not in the cache")
        looks: tuple[tuple[Source, str, str, Callable[[], bool]], ...] = (
            ("store", f"not in {clip.bucket}", f"{clip.bucket}", lambda: self._fetched(clip, clip.bucket, key, path)),
            ("versioning", "no old version of it", "its old versions", lambda: self._version(clip, key, path)),
            ("store", "under no other clip", "clips with the same bytes", lambda: self._twin(clip, path)),
        )
        for source, nothing, place, look in looks:
            try:
                if look():
                    return source, path, said, False
                said.append(nothing)
            except StoreUnavailable:
                raise
            except StoreError as error:
                if error.code not in _NOT_TOLD:
                    raise
                if error.code in REFUSED:
                    refused = True
                    said.append(f"the access key may not look at {place}")
                else:
                    said.append(nothing if error.code in MISSING else f"{nothing} ({error.code})")
        return None, path, said, refused

    def _fetched(self, clip: Clip, bucket: str, key: str, path: Path) -> bool:
        found = patiently(lambda: self._store.head(bucket, key))
        if found is None or found.bytes != clip.bytes:
            return False
        patiently(lambda: fetch_object(self._store, bucket, key, path, bytes=clip.bytes, sha256=clip.sha256, threads=2))
        return True

    def _version(self, clip: Clip, key: str, path: Path) -> bool:
        if self._store.is_embedded:
            return False
        for version in versions_of(self._store, clip.bucket, [key], threads=1).get(key, ()):
            if version.is_marker or version.bytes != clip.bytes:
                continue
            named: Any = {"Bucket": clip.bucket, "Key": key, "VersionId": version.id}
            try:
                patiently(lambda: self._download(named, path, clip.sha256))  # noqa: B023  # called at once
            except StoreError as error:
                if error.code not in _NOT_TOLD or error.code in REFUSED:
                    raise
                continue
            return True
        return False

    def _download(self, named: Any, path: Path, sha256: str) -> None:
        self._store.request(
            "GET an old version", lambda s3: write_download(s3.get_object(**named), path, "an old version", sha256)
        )

    def _twin(self, clip: Clip, path: Path) -> bool:
        return any(self._fetched(clip, bucket, key, path) for bucket, key in self._twins(clip))


def _is(path: Path, clip: Clip) -> bool:
    try:
        return path.stat().st_size == clip.bytes and sha256_of(path) == clip.sha256
    except (OSError, ValueError):
        return False
