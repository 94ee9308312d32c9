"""Verifying the cache: every local copy of a clip is held against the SHA-256 that the log has of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import msgspec

from voxledger.catalog.cache_files import CachedFile, walk
from voxledger.catalog.cache_owners import owners
from voxledger.catalog.errors import StoreError
from voxledger.catalog.events import CacheEvicted, now
from voxledger.catalog.hashing import sha256_of
from voxledger.catalog.home import Home
from voxledger.catalog.objects.hashing import hash_object
from voxledger.catalog.parallel import in_batches, in_parallel
from voxledger.catalog.progress import Heard
from voxledger.catalog.recorder import Recorder

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.objects import Store

Fate: TypeAlias = Literal["aside", "only", "lost", "unasked", "unreadable"]
"""What became of a copy that differs: moved aside, because the store has the right bytes; or kept, because it was never stored, the
store has no such bytes either, the store does not say, or the file cannot be read and so may be right."""
_LOOKED_UP = 2000
"""Files that the catalog is asked about at a time."""
_THREADS = 4


class Differing(msgspec.Struct, frozen=True, kw_only=True):
    """A copy that is not what the log says; `path` begins below the cache."""

    clip: str
    path: str
    bytes: int
    fate: Fate


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was found: `files` and `bytes` are as the log has them. `unknown` files are of no clip, `purging` of one that goes.

    `aside` is the folder with what was moved, `trouble` why the store could not be asked.
    """

    files: int = 0
    bytes: int = 0
    differing: tuple[Differing, ...] = ()
    unknown: int = 0
    purging: int = 0
    aside: Path | None = None
    trouble: str | None = None


class _Copy(NamedTuple):
    file: CachedFile
    clip: dict[str, Any]


class Verifier:
    """One run. Raises JournalError, CatalogBusy, OSError. Interrupted, what was moved is recorded, and nothing is half done."""

    def __init__(
        self,
        home: Home,
        recorder: Recorder,
        keeper: Keeper,
        store: Store,
        *,
        heard: Heard,
        told: Callable[[Differing], None],
    ) -> None:
        """`heard` hears of bytes that were read, `told` at once of each copy that differs."""
        self._home = home
        self._recorder = recorder
        self._keeper = keeper
        self._store = store
        self._heard = heard
        self._told = told
        self._aside = home.path / f"{home.cache.name}.damaged-{now():%Y%m%dT%H%M%S%f}"
        self._trouble: str | None = None
        self._unknown = 0
        self._purging = 0

    def run(self) -> Verified:
        """Look at every file of the cache."""
        files, size, differing = 0, 0, list[Differing]()
        for copy, sound in in_parallel(self._is_sound, self._copies(), threads=_THREADS, name="hash"):
            if sound:
                files, size = files + 1, size + copy.file.bytes
            elif sound is None or (self._home.cache / copy.file.path).exists():
                fate: Fate | None = "unreadable" if sound is None else self._settled(copy)
                if fate is not None:
                    found = Differing(clip=copy.clip["id"], path=copy.file.path, bytes=copy.file.bytes, fate=fate)
                    differing.append(found)
                    self._told(found)
        return Verified(
            files=files, bytes=size, differing=tuple(differing), unknown=self._unknown, purging=self._purging,
            aside=self._aside if any(each.fate == "aside" for each in differing) else None, trouble=self._trouble,
        )  # fmt: skip

    def _copies(self) -> Iterator[_Copy]:
        """The files that are copies of clips, with these; the catalog is not held while they are read."""
        seen = (file for file, is_hidden in walk(self._home.cache) if not is_hidden)
        for number, files in enumerate(in_batches(seen, _LOOKED_UP)):
            with self._keeper.reading(fresh=not number) as reading:
                clips = owners(reading, [file.path for file in files])
            for file in files:
                clip = clips.get(file.path)
                if clip is None:
                    self._unknown += 1
                elif clip["state"] == "purging" or self._recorder.vault.key(clip["actor_id"]) is None:
                    self._purging += 1
                else:
                    yield _Copy(file, clip)

    def _is_sound(self, copy: _Copy) -> bool | None:
        """None when nobody can tell. One that went meanwhile counts as different, and is not found again."""
        path = self._home.cache / copy.file.path
        try:
            if copy.file.bytes != copy.clip["bytes"]:
                return False
            return sha256_of(path, self._heard, unnoticed=True) == str(copy.clip["sha256"])
        except FileNotFoundError:
            return False
        except OSError:
            return None

    def _settled(self, copy: _Copy) -> Fate | None:
        """What becomes of a copy that differs; None when there is a whole one in its place by now."""
        if copy.clip["state"] == "waiting":
            return "only"
        if self._trouble is not None:
            return "unasked"
        try:
            found = hash_object(self._store, copy.clip["bucket"], copy.clip["key"])
        except StoreError as error:
            self._trouble = f"the store does not say what it holds ({error.code})"
            return "unasked"
        if found is None or found.sha256 != copy.clip["sha256"]:
            return "lost"
        return "aside" if self._move_aside(copy) else None

    def _move_aside(self, copy: _Copy) -> bool:
        path, target = self._home.cache / copy.file.path, self._aside / copy.file.path
        used = max(copy.file.used, copy.clip["last_used"].timestamp())
        fact = CacheEvicted(
            bytes=copy.file.bytes, last_used=datetime.fromtimestamp(used, UTC), path=copy.file.path, reason="damaged"
        )
        draft = self._recorder.draft(fact, subject=copy.clip["id"], actor=self._recorder.known(copy.clip["actor_id"]))
        # Reading the store took its time: somebody may have put a whole file in its place, or do it now.
        try:
            before = _state(path)
            if sha256_of(path, unnoticed=True) == copy.clip["sha256"]:
                return False
            self._aside.mkdir(mode=0o700, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._recorder.journal.transaction() as write:
                if _state(path) != before:
                    return False
                path.rename(target)
                write.append([draft])
        except FileNotFoundError:
            return False
        return True


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns
