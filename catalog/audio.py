"""Audio: the way to a clip's sound, from the cache, or from the store through a checked download or a link."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from voxledger.catalog.arriving import Arriving
from voxledger.catalog.cache_files import remove_empty
from voxledger.catalog.clip import Clip, Purpose
from voxledger.catalog.errors import StoreError, VoxledgerError
from voxledger.catalog.events import AudioAccessed, Channel, Fact, ObjectMissing, ObjectVerified, now
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import Home
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import format_span

if TYPE_CHECKING:
    from voxledger.catalog.objects import Store

LONGEST_LINK = 7 * 86400
"""Seconds, as S3 has it for signature version 4."""
_GONE = frozenset({"NoSuchKey", "404", "NotFound"})
_OTHER = frozenset({"Changed", "Damaged"})
_REMEMBERED = 10_000
_log = logging.getLogger(__name__)


class Kept(NamedTuple):
    """What the catalog knows now of where a clip's audio is."""

    stored: bool
    missing: bool
    purged: bool


class _Place(NamedTuple):
    path: Path
    bytes: int


class Audio:
    """Gives local files of clips, and links to them; each is a use of the clip, unless it says otherwise.

    Uses are recorded a moment later (`Accesses`), a link's before it is given. That the store lacks what it held is
    recorded when it shows.
    """

    def __init__(
        self,
        home: Home,
        recorder: Recorder,
        store: Callable[[], Store],
        *,
        actor: str,
        channel: Channel,
        uploaded: Callable[[str], bool],
        look: Callable[[str], Kept],
        arrived: Callable[[int], None] | None = None,
    ) -> None:
        """`uploaded` waits a little for a clip's upload and says whether it is done; `look` asks the catalog anew;
        `arrived` hears how many bytes a download has put into the cache.
        """
        self._home = home
        self._recorder = recorder
        self._store = store
        self._actor = actor
        self._channel = channel
        self._uploaded = uploaded
        self._look = look
        self._arrived = arrived
        self._arriving = Arriving(home, lambda place: recorder.vault.keyed_hash(place, purpose="arriving"))
        self._lock = Lock()
        self._places: OrderedDict[str, _Place] = OrderedDict()

    def local(self, clip: Clip, *, progress: Callable[[int], None] | None = None) -> Path:
        """A local file with the clip's audio, of the size on record: the cached one, or downloaded, checked and kept.

        A download that was interrupted goes on where it stopped. `progress` hears by how many bytes more are there.
        Raises StoreError, and DiskFull.
        """
        if clip.state in ("purging", "purged") or clip.key is None:
            raise _purged(clip)
        path = clip.path or self._cache(clip, clip.key)
        if not _given(path, clip.bytes):
            if clip.state in ("local", "upload failed") and not (kept := self._look(clip.id)).stored:
                raise _purged(clip) if kept.purged else _never_stored(clip)
            path = self._download(clip, clip.key, progress)
        self._remember(clip.id, _Place(path, clip.bytes))
        return path

    def fetch(self, clip: Clip, *, progress: Callable[[int], None] | None = None) -> Path:
        """`local`, as a use of the clip."""
        path = self.local(clip, progress=progress)
        self.accessed(clip, "fetch")
        return path

    def handed(self, clip: Clip) -> None:
        """Somebody was given this clip, and may ask for it by its id next."""
        if clip.path is not None and clip.state not in ("purging", "purged"):
            self._remember(clip.id, _Place(clip.path, clip.bytes))

    def fetch_again(self, clip: str) -> Path | None:
        """`fetch` by a whole id, without asking the catalog, where file or clip was given before and the file is still there."""
        with self._lock:
            place = self._places.get(clip)
        return None if place is None else self.fetch_known(clip, place.path, place.bytes)

    def fetch_known(self, clip: str, path: Path, size: int) -> Path | None:
        """`fetch` of the file in which this clip's audio lies, if it is there in its size.

        Its bytes are not hashed: that costs more than all the rest. `Cache.verify` does it for all.
        """
        if not _given(path, size):
            return None
        self._note(clip, AudioAccessed(channel=self._channel, purpose="fetch"))
        self._remember(clip, _Place(path, size))
        return path

    def url(self, clip: Clip, expires: int = 300) -> str:
        """A presigned link to the stored audio for `expires` seconds, on disk as a use of the clip before it is given.

        Raises StoreError while the upload has not been confirmed.
        """
        if not 1 <= expires <= LONGEST_LINK:
            raise StoreError(
                f"a link lives between 1 second and 7 days, not {format_span(expires)}", code="InvalidExpiry"
            )
        if clip.state in ("purging", "purged") or clip.key is None:
            raise _purged(clip)
        if clip.state == "missing":
            raise StoreError(
                f"the store has lost clip {clip.short}, so a link would lead nowhere; `voxledger reconcile --repair`"
                " uploads it again where this machine still has it",
                code="NoSuchKey",
            )
        if clip.state != "stored" and not self._uploaded(clip.id):
            raise StoreError(
                f"clip {clip.short} is not in the store yet, so a link would lead nowhere; `voxledger status` says what it waits for"
            )
        link = self._store().presign(clip.bucket, clip.key, expires)
        until = now() + timedelta(seconds=expires)
        self._note(clip.id, AudioAccessed(channel=self._channel, purpose="link", expires=until))
        self._recorder.accesses.flush()
        return link

    def accessed(self, clip: Clip, purpose: Purpose) -> None:
        """Record that a clip was used; soon, and at the latest when the ledger is closed."""
        self._note(clip.id, AudioAccessed(channel=self._channel, purpose=purpose))

    def _note(self, clip: str, fact: AudioAccessed) -> None:
        actor = self._recorder.vault.actor(self._actor)
        self._recorder.accesses.note(self._recorder.draft(fact, subject=clip, actor=actor))

    def _remember(self, clip: str, place: _Place) -> None:
        with self._lock:
            self._places[clip] = place
            self._places.move_to_end(clip)
            if len(self._places) > _REMEMBERED:
                self._places.popitem(last=False)

    def _cache(self, clip: Clip, key: str) -> Path:
        """Where a clip's file belongs. Keys of our own are safe as a path; others may have been adopted."""
        parts = key.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in parts) or PurePosixPath(key).is_absolute():
            raise StoreError(
                f"clip {clip.short} has a key that is no path of a file, {key!r}; `voxledger url {clip.short}` gives a"
                " link to it",
                code="InvalidKey",
            )
        return self._home.cache.joinpath(*parts)

    def _download(self, clip: Clip, key: str, progress: Callable[[int], None] | None) -> Path:
        from voxledger.catalog.objects.ranged import fetch_object

        path, store = self._cache(clip, key), self._store()
        with self._arriving.noted(clip.id, path):
            try:
                for again in (True, False):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    try:
                        fetch_object(
                            store, clip.bucket, key, path, bytes=clip.bytes, sha256=clip.sha256, progress=progress
                        )
                        break
                    except FileNotFoundError:
                        if not again:  # an eviction may take an empty folder away at that moment, but not twice
                            raise
            except StoreError as error:
                if error.code in _GONE | _OTHER:
                    raise self._lost(clip, key, error, store) from error
                raise
            failpoint("fetch.after_publish")
            self._require_alive(clip, path)
        if clip.state == "missing":
            self._found(clip, key, store)
        if self._arrived is not None:
            self._arrived(clip.bytes)
        return path

    def look_again(self) -> None:
        """What was fetched for clips that were purged meanwhile, by processes that were killed before they noticed, goes."""
        self._arriving.look_again(lambda clip: self._look(clip).purged)

    def _require_alive(self, clip: Clip, path: Path) -> None:
        """A purge or an erasure that began meanwhile may have looked into the cache before the file was there: it goes again."""
        alive = False
        try:
            alive = not self._look(clip.id).purged
        finally:
            if not alive:
                path.unlink(missing_ok=True)
                remove_empty(path.parent, self._home.cache)
        if not alive:
            raise _purged(clip)

    def _lost(self, clip: Clip, key: str, error: StoreError, store: Store) -> StoreError:
        """The store does not hold what it should: recorded once, said in words."""
        kept = self._look(clip.id)
        if kept.purged:
            return _purged(clip)
        if not kept.stored:
            return _never_stored(clip)
        absent = error.code in _GONE
        if not kept.missing:
            self._report(clip, lambda: self._missing(clip, key, store, absent=absent))
        state = "is not in the store any more" if absent else "was replaced in the store by other audio"
        return StoreError(
            f"the audio of clip {clip.short} {state} ({clip.bucket}/{key}), and this machine has no copy;"
            f" `voxledger clips history {clip.short}` tells what happened to it",
            code=error.code,
        )

    def _missing(self, clip: Clip, key: str, store: Store, *, absent: bool) -> Iterable[Fact]:
        found = None if absent else store.head(clip.bucket, key)
        yield ObjectMissing(
            bucket=clip.bucket,
            state="absent" if found is None else "changed",
            bytes=clip.bytes,
            found_bytes=None if found is None else found.bytes,
            found_etag=None if found is None else found.etag,
            key=key,
        )

    def _found(self, clip: Clip, key: str, store: Store) -> None:
        """What was thought lost has just been read, every byte of it."""

        def verified() -> Iterable[Fact]:
            found = store.head(clip.bucket, key)
            if found is not None:
                yield ObjectVerified(bucket=clip.bucket, method="content", bytes=clip.bytes, etag=found.etag, key=key)

        self._report(clip, verified)

    def _report(self, clip: Clip, facts: Callable[[], Iterable[Fact]]) -> None:
        """Record facts about the object, sealed for whom the clip belongs to. Failing at it is not what the caller asked about."""
        try:
            actor = self._recorder.vault.actor(clip.actor or self._actor)
            for fact in facts():
                self._recorder.emit(fact, subject=clip.id, actor=actor)
        except VoxledgerError as error:
            _log.warning("what the store holds of clip %s could not be recorded (%s)", clip.short, type(error).__name__)


def _given(path: Path, size: int) -> bool:
    """Whether the file is there in its size; then it is marked as used now, so that no eviction takes it right away.

    The event of the use may still wait in this process, where others do not see it.
    """
    try:
        state = path.stat()
        if state.st_size != size or not stat.S_ISREG(state.st_mode):
            return False
        with contextlib.suppress(PermissionError):  # somebody else's file, or a file system that is only read
            os.utime(path, ns=(time.time_ns(), state.st_mtime_ns))
    except OSError as error:
        return error.errno == errno.EROFS
    return True


def _never_stored(clip: Clip) -> StoreError:
    return StoreError(
        f"the audio of clip {clip.short} is neither here nor in the store: its local file is gone, and it was never"
        f" uploaded; speak its text again (`voxledger show {clip.short}`)",
        code="NoSuchKey",
    )


def _purged(clip: Clip) -> StoreError:
    return StoreError(
        f"the audio of clip {clip.short} was purged; `voxledger retention explain {clip.short}` says why",
        code="Purged",
    )
