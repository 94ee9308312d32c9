"""Purging: deletes the audio of clips in the store and in the cache, and makes sure that it is gone."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.objects.client import MISSING
from voxledger.catalog.objects.records import record_key
from voxledger.catalog.parallel import in_parallel
from voxledger.catalog.retention.applying.store import Deletable

_log = logging.getLogger(__name__)


class Doomed(msgspec.Struct, frozen=True, kw_only=True):
    """A clip whose audio is to go: where it lies, and the plan and rule that condemned it."""

    id: str
    bucket: str
    key: str | None
    path: str | None
    bytes: int
    plan: str
    rule: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one clip: `failure` is None when its absence was seen, else what happened, in words.

    `kind` is the failure's category, without names or keys: it may leave the house.
    """

    clip: Doomed
    failure: str | None = None
    kind: str = ""


class Purger:
    """Deletes audio. Deleting what is gone already is fine, so a purge can be repeated after any interruption.

    `condemn` is called with bucket and key before an object is deleted, for stores with a backstop behind us
    (`objects.lifecycle`); that it fails stops nothing. `away` is set once the store has stopped answering; nothing more
    is asked of it then.
    """

    def __init__(
        self,
        store: Deletable,
        cache: Path,
        *,
        threads: int = 4,
        condemn: Callable[[str, str], None] | None = None,
    ) -> None:
        self.away: StoreUnavailable | None = None
        self._store = store
        self._cache = cache.resolve()
        self._threads = threads
        self._condemn = condemn

    def probe(self, clip: Doomed) -> None:
        """Raises StoreUnavailable or StoreError when the store does not answer as it should."""
        if clip.key is not None:
            self._store.head(clip.bucket, clip.key)

    def purge(self, clips: Iterable[Doomed], done: Callable[[Outcome], None]) -> None:
        """Delete several clips at a time; `done` hears of each one, in order and in the calling thread."""
        for _, outcome in in_parallel(self._attempt, clips, threads=self._threads, name="purge"):
            done(outcome)

    def _attempt(self, clip: Doomed) -> Outcome:
        if self.away:
            return Outcome(
                clip=clip, failure=f"not tried, the store has gone away: {self.away}", kind="StoreUnavailable"
            )
        if clip.key is None:
            unknown = "nobody knows its key any more: the personal fields of its actor were erased"
            return Outcome(clip=clip, failure=unknown, kind="KeyUnknown")
        try:
            left = self._delete(clip, clip.key)
        except StoreUnavailable as error:
            self.away = error
            return Outcome(clip=clip, failure=str(error), kind="StoreUnavailable")
        except StoreError as error:
            return Outcome(clip=clip, failure=str(error), kind=error.code or "StoreError")
        except OSError as error:
            return Outcome(clip=clip, failure=f"its cached file cannot be removed: {error}", kind=type(error).__name__)
        if left:
            return Outcome(
                clip=clip,
                failure=f"the store accepted the deletion, but still has {clip.bucket}/{left}",
                kind="StillThere",
            )
        return Outcome(clip=clip)

    def _delete(self, clip: Doomed, key: str) -> str | None:
        """The key that is still there, None when all is gone."""
        keys = (key, record_key(key))
        for name in keys:
            self._tag(clip, name)
            with _without_bucket():
                self._store.delete(clip.bucket, name)
        for file in {self._cache / (clip.path or key), self._cache / key}:
            self._remove(file, clip.id)
        return next((name for name in keys if self._store.head(clip.bucket, name) is not None), None)

    def _tag(self, clip: Doomed, key: str) -> None:
        if self._condemn is None:
            return
        try:
            self._condemn(clip.bucket, key)
        except StoreUnavailable:
            raise
        except StoreError as error:
            level = logging.DEBUG if error.code in MISSING else logging.WARNING
            _log.log(level, "clip %s: no tag for the store's own rules (%s)", clip.id[-8:], error.code)

    def _remove(self, path: Path, clip: str) -> None:
        """Remove a file of the cache and the folders it leaves empty; what lies elsewhere is never touched."""
        place = path.parent.resolve()
        if path.name in ("", "..") or not place.is_relative_to(self._cache):
            _log.warning("clip %s: its file lies outside the cache and was left where it is", clip[-8:])
            return
        (place / path.name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            while place != self._cache:
                place.rmdir()
                place = place.parent


@contextlib.contextmanager
def _without_bucket() -> Iterator[None]:
    """A bucket that was never made holds nothing."""
    try:
        yield
    except StoreError as error:
        if error.code != "NoSuchBucket":
            raise
