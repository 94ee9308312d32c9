"""Verifying: whether everything a backup needs lies in the bucket as it was put there.

What is damaged is noted there (see `damage`), so that the next backup replaces it. Nothing else is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from voxledger.catalog.backup import damage
from voxledger.catalog.backup.audio import listed as listed_audio
from voxledger.catalog.backup.bucket import Bucket, Listed
from voxledger.catalog.backup.contents import Manifest, Piece, SavedAudio
from voxledger.catalog.backup.passphrase import Seal
from voxledger.catalog.errors import BackupDamaged
from voxledger.catalog.objects.hashing import hash_object
from voxledger.catalog.objects.patience import patiently
from voxledger.catalog.parallel import Crew
from voxledger.catalog.progress import Progress

MOST = 100
"""Problems of one backup that are told one by one."""
_THREADS = 8


class Checked(NamedTuple):
    """What was found of one backup; `problems` name objects and what is wrong with them. `manifest` is None when it cannot be
    read. `noted` says whether what is damaged stands in the bucket now, for the next backup to replace it.
    """

    listed: Listed
    manifest: Manifest | None
    objects: int
    bytes: int
    problems: tuple[str, ...]
    noted: bool = False

    @property
    def intact(self) -> bool:
        """Nothing is wrong."""
        return not self.problems


def verify(bucket: Bucket, backups: Sequence[Listed], *, quick: bool, progress: Progress) -> list[Checked]:
    """Look at backups: at every byte, each piece once; or, if `quick`, only whether everything is there in its size.

    What is damaged is noted in the bucket. Raises BackupError for another key, StoreError when the store does not answer.
    """
    return _Verifier(bucket, quick=quick, progress=progress).run(backups)


class _Verifier:
    def __init__(self, bucket: Bucket, *, quick: bool, progress: Progress) -> None:
        self._bucket = bucket
        self._quick = quick
        self._progress = progress
        self._there = {info.key.rpartition("/")[2]: info.bytes for info in bucket.pieces()}
        self._known: dict[tuple[bool, str], str | None] = {}
        self._damaged: set[str] = set()

    def run(self, backups: Sequence[Listed]) -> list[Checked]:
        with Crew(_THREADS, name="verify") as pool:
            self._pool = pool
            found = [self._one(listed, number, len(backups)) for number, listed in enumerate(backups, 1)]
        noted = bool(self._damaged) and damage.note(self._bucket, self._damaged)
        return [checked._replace(noted=noted and not checked.intact) for checked in found]

    def _one(self, listed: Listed, number: int, count: int) -> Checked:
        what = f"checking backup {number} of {count}"
        try:
            manifest, seal = self._bucket.manifest(listed)
        except BackupDamaged as error:
            return Checked(listed, None, 0, 0, (str(error),))
        problems: list[str] = []
        objects = size = 0
        total = manifest.bytes + (manifest.audio.bytes if manifest.audio else 0)
        for batch in _batches(self._things(manifest, seal, problems)):
            for (_, length), found in zip(
                batch, self._pool.map(lambda pair: self._look(pair[0], seal), batch), strict=True
            ):  # used at once
                objects, size = objects + 1, size + length
                if found and len(problems) < MOST and found not in problems:
                    problems.append(found)
                self._progress(what, size, max(size, total))
        return Checked(listed, manifest, objects, size, tuple(problems))

    def _things(self, manifest: Manifest, seal: Seal, problems: list[str]) -> Iterator[tuple[Piece | SavedAudio, int]]:
        for file in manifest.files:
            yield from _pieces(file.pieces, file.bytes)
        if manifest.audio is None:
            return
        listing = manifest.audio.listing
        yield from _pieces(listing.pieces, listing.bytes)
        try:
            for saved in listed_audio(self._bucket, seal, manifest.audio):
                if saved.erased:
                    continue  # it is gone on purpose
                if saved.pieces:
                    yield from _pieces(saved.pieces, saved.bytes)
                elif saved.bytes or seal.header is None:
                    yield saved, saved.bytes
        except BackupDamaged as error:
            if str(error) not in problems:
                problems.append(str(error))

    def _look(self, thing: Piece | SavedAudio, seal: Seal) -> str | None:
        """What is wrong with an object, in words."""
        if isinstance(thing, SavedAudio):
            return self._copied(thing)
        key = (seal.header is not None, thing.name)
        if key not in self._known:
            self._known[key] = patiently(lambda: self._piece(thing, seal))
        return self._known[key]

    def _piece(self, piece: Piece, seal: Seal) -> str | None:
        key = self._bucket.piece_key(piece.name)
        size = self._there.get(piece.name)
        if size is None:
            return f"{self._bucket.name}/{key} is missing"
        # Sent again, a piece may have been packed by another version of the compressor: what counts is what is in it.
        if size != piece.stored or not self._quick:
            try:
                self._bucket.get_piece(piece, seal)
            except BackupDamaged as error:
                self._damaged.add(key)
                return str(error)
        return None

    def _copied(self, saved: SavedAudio) -> str | None:
        store, key = self._bucket.store, f"audio/{saved.id}"
        if self._quick:
            info = patiently(lambda: store.head(self._bucket.name, key))
            wrong = "is missing" if info is None else "has another size" if info.bytes != saved.bytes else None
            return wrong and f"{self._bucket.name}/{key} {wrong}"

        found = hash_object(store, self._bucket.name, key)
        if found is None:
            return f"{self._bucket.name}/{key} is missing"
        if found.sha256 == saved.sha256:
            return None
        self._damaged.add(key)
        return f"{self._bucket.name}/{key} is damaged"


def _pieces(pieces: Iterable[Piece], size: int) -> Iterator[tuple[Piece, int]]:
    """Pieces, each with its share of the bytes."""
    found = list(pieces)
    for number, piece in enumerate(found):
        yield piece, size * (number + 1) // len(found) - size * number // len(found)


def _batches(
    things: Iterator[tuple[Piece | SavedAudio, int]],
) -> Iterator[list[tuple[Piece | SavedAudio, int]]]:
    while batch := list(islice(things, _THREADS * 4)):
        yield batch
