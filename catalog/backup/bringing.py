"""Bringing audio back: what the store lacks comes from a backup, except what was purged or erased."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from voxledger.catalog.backup.audio import VOICES, listed
from voxledger.catalog.backup.bucket import MISSING, Bucket
from voxledger.catalog.backup.contents import Audio, SavedAudio
from voxledger.catalog.backup.copying import Expected, Place, copy_within
from voxledger.catalog.backup.passphrase import Seal
from voxledger.catalog.errors import BackupDamaged, StoreError
from voxledger.catalog.events import new_id
from voxledger.catalog.hashing import sha256_of
from voxledger.catalog.log.columns import bodies
from voxledger.catalog.objects.patience import patiently
from voxledger.catalog.objects.ranged import fetch_object
from voxledger.catalog.objects.records import CONTENT_TYPE, record_key
from voxledger.catalog.parallel import Crew
from voxledger.catalog.progress import Progress
from voxledger.catalog.queries import load

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.objects import Store

_PAGE = 500
_THREADS = 8
_SQL = load("backup.sql", "voxledger.catalog.backup")
_log = logging.getLogger(__name__)


class Brought(NamedTuple):
    """What became of the audio of a backup: brought back, there already, or left where it is because it was purged, erased, or
    something else lies in its place.
    """

    back: int
    there: int
    left: int


class _Wanted(NamedTuple):
    saved: SavedAudio
    bucket: str
    key: str
    record: bytes | None


def bring_back(
    bucket: Bucket,
    seal: Seal,
    audio: Audio,
    store: Store,
    keeper: Keeper,
    folder: Path,
    progress: Progress,
) -> Brought:
    """Bring back what `store` lacks of a backup's audio; `folder` takes what passes through. Repeating is safe.

    Raises BackupDamaged that names what is missing or altered, StoreError, DiskFull, OSError.
    """
    done, found = 0, {"back": 0, "there": 0, "left": 0}
    entries = listed(bucket, seal, audio)
    with keeper.reading(fresh=False) as reading:
        gone = {str(sha256) for row in reading.tuples(_SQL["erased_voices"]) for sha256 in row if sha256}
    with Crew(_THREADS, name="restore") as pool:
        while page := list(islice(entries, _PAGE)):
            wanted = list(_wanted(page, keeper, gone, records=store.wants_records))
            found["left"] += len(page) - len(wanted)
            for outcome in pool.map(lambda each: patiently(lambda: _one(each, bucket, seal, store, folder)), wanted):
                found[outcome] += 1
            done += sum(saved.bytes for saved in page)
            progress("bringing audio back", done, audio.bytes)
    return Brought(**found)


def _wanted(page: Sequence[SavedAudio], keeper: Keeper, gone: Container[str], *, records: bool) -> Iterator[_Wanted]:
    """Those that belong somewhere, and where. What has a hash of `gone` was erased."""
    ids = [saved.id for saved in page if not saved.id.startswith(VOICES)]
    with keeper.reading(fresh=False) as reading:
        places = {str(row[0]): row[1:] for row in reading.tuples(_SQL["keys"], {"ids": ids})}
        for saved in page:
            if saved.erased or _hash_of(saved) in gone:
                continue
            if saved.id in places:
                to_bucket, key, position = places[saved.id]
                record = None
                if records:
                    rows = reading.table(_SQL["events"], {"first": position, "last": position})
                    record = next((body for _, body, _ in bodies(rows)), None)
                yield _Wanted(saved, str(to_bucket), str(key), record)
            elif saved.id.startswith(VOICES):
                yield _Wanted(saved, saved.bucket, saved.key, None)


def _hash_of(saved: SavedAudio) -> str:
    """Of a voice, or of the document that consents to it: what its key begins with."""
    return saved.id.rpartition("/")[2].partition(".")[0] if saved.id.startswith(VOICES) else ""


def _one(wanted: _Wanted, bucket: Bucket, seal: Seal, store: Store, folder: Path) -> str:
    saved = wanted.saved
    there = store.head(wanted.bucket, wanted.key)
    if there is not None:
        if there.bytes == saved.bytes:
            return "there"
        _log.warning("something else lies where the audio of %s belongs; it stays", saved.id)
        return "left"
    name = f"audio/{saved.id}"
    try:
        if not saved.pieces and saved.bytes and bucket.store is store:
            expected = Expected(saved.bytes, saved.sha256, saved.etag)
            copy_within(store, Place(bucket.name, name), Place(wanted.bucket, wanted.key), expected)
        else:
            _through_here(wanted, bucket, seal, store, folder / f"{new_id()}.audio")
    except StoreError as error:
        if error.code not in (*MISSING, "Damaged"):
            raise
        wrong = "damaged" if error.code == "Damaged" else "missing"
        raise BackupDamaged(f"{bucket.name}/{name} is {wrong}", objects=[name]) from error
    if wanted.record is not None:
        store.put(wanted.bucket, record_key(wanted.key), wanted.record, content_type=CONTENT_TYPE)
    return "back"


def _through_here(wanted: _Wanted, bucket: Bucket, seal: Seal, store: Store, path: Path) -> None:
    saved = wanted.saved
    try:
        kind, metadata = saved.content_type, saved.metadata
        if saved.pieces or seal.header is not None:
            with path.open("wb") as file:
                for piece in saved.pieces:
                    file.write(bucket.get_piece(piece, seal))
            if sha256_of(path) != saved.sha256:
                raise BackupDamaged(f"the audio of {saved.id} is not what was backed up")
        else:
            key = f"audio/{saved.id}"
            fetch_object(bucket.store, bucket.name, key, path, bytes=saved.bytes, sha256=saved.sha256, threads=2)
            about = bucket.store.head(bucket.name, key)
            kind, metadata = (about.content_type or "", dict(about.metadata)) if about else ("", {})
        store.put(wanted.bucket, wanted.key, path, content_type=kind or "application/octet-stream", metadata=metadata)
        store.settle(wanted.bucket, wanted.key)
    finally:
        path.unlink(missing_ok=True)
