"""Arriving: what is being fetched into the cache, noted so that nothing of it is left behind by a kill.

Whoever fetches a clip looks once more when it is there, and deletes it again where its deletion began meanwhile: the purge, or the
erasure, may have looked into the cache too early. Whoever is killed between the two leaves a note, and the next ledger looks.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from voxledger.catalog.cache_files import remove_empty, walk
from voxledger.catalog.events import new_id
from voxledger.catalog.home import Home
from voxledger.catalog.journal.owners import new_owner, owner_gone

FOLDER = "arriving"


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a note. `place` is a hash of the path below the cache, whose words may be names of people."""

    clip: str
    place: str
    owner: str


class Arriving:
    """The notes of a HOME, in `HOME/arriving`. `hashed` hides a path: the vault's keyed hash."""

    def __init__(self, home: Home, hashed: Callable[[bytes], str]) -> None:
        self._cache = home.cache
        self._folder = home.path / FOLDER
        self._hashed = hashed
        self._owner = new_owner()

    @contextlib.contextmanager
    def noted(self, clip: str, path: Path) -> Iterator[None]:
        """Within this block a file of a clip arrives at a path, and is looked at again."""
        note = _Note(clip=clip, place=self._place(path.relative_to(self._cache).as_posix()), owner=self._owner)
        file = self._folder / f"{new_id()}.json"
        # Not brought onto the disk: what a kill leaves is enough, and fetches are to be quick.
        self._folder.mkdir(mode=0o700, exist_ok=True)
        file.write_bytes(msgspec.json.encode(note))
        try:
            yield
        finally:
            file.unlink(missing_ok=True)

    def look_again(self, is_purged: Callable[[str], bool]) -> int:
        """Delete what arrived for clips whose deletion began, and whose fetch was killed; says how many files. Raises what
        `is_purged` does, and then nothing is forgotten.
        """
        notes = {file: _read(file) for file in sorted(self._folder.glob("*.json"))}
        dead = {file: note for file, note in notes.items() if note is None or owner_gone(note.owner)}
        places = {note.place for note in dead.values() if note is not None and is_purged(note.clip)}
        gone = 0
        if places:
            for found, _ in walk(self._cache):
                if self._place(found.path) in places:
                    path = self._cache / found.path
                    path.unlink(missing_ok=True)
                    remove_empty(path.parent, self._cache)
                    gone += 1
        for file in dead:
            file.unlink(missing_ok=True)
        return gone

    def _place(self, path: str) -> str:
        return self._hashed(path.encode("utf-8", "surrogateescape"))


def noted(home: Home) -> bool:
    """Whether there are notes: somebody fetches, or was killed at it."""
    with contextlib.suppress(FileNotFoundError), os.scandir(home.path / FOLDER) as found:
        return any(True for _ in found)
    return False


def _read(file: Path) -> _Note | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Note)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
