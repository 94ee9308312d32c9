"""Audio in a backup: copied within the store where backups lie there and are not encrypted, else through this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import msgspec

from voxledger.catalog.backup.bucket import MISSING, Bucket
from voxledger.catalog.backup.contents import Audio, Manifest, SavedAudio
from voxledger.catalog.backup.passphrase import Seal
from voxledger.catalog.backup.pieces import LARGEST
from voxledger.catalog.backup.sending import Sender
from voxledger.catalog.errors import BackupDamaged, StoreError
from voxledger.catalog.events import new_id
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.objects.patience import patiently
from voxledger.catalog.objects.ranged import fetch_object
from voxledger.catalog.queries import load

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.objects import Store

LISTING = "audio.jsonl"
VOICES = "voices/"
"""How the ids of voices begin; they sort behind those of clips."""
_PAGE = 10_000
"""Clips that the catalog is asked for at a time."""
_SQL = load("backup.sql", "voxledger.catalog.backup")
_GONE = (*MISSING, "Changed", "Damaged")
_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class Original(NamedTuple):
    """An object of audio in the store."""

    id: str
    bucket: str
    key: str
    bytes: int
    sha256: str


class SavedAll(NamedTuple):
    """The audio of a backup, how many objects are not in the store as they should be, and how many clips wait for their upload."""

    audio: Audio
    lacking: int
    waiting: int


class Saver:
    """Saves all audio that the catalog says is stored, and that of registered voices.

    Everything goes by id, a page at a time; what grows with the library is only what the sender knows of pieces.
    """

    def __init__(
        self,
        store: Store,
        bucket: Bucket,
        sender: Sender,
        seal: Seal,
        folder: Path,
        *,
        voices: str,
        threads: int,
    ) -> None:
        """`store` has the audio, `bucket` gets it; `folder` takes what passes through, `voices` is the bucket of voices."""
        self._store = store
        self._bucket = bucket
        self._sender = sender
        self._seal = seal
        self._folder = folder
        self._voices = voices
        self._threads = threads
        self._lacking = 0

    def save(self, keeper: Keeper, before: Manifest | None, progress: Callable[[str, int, int], None]) -> SavedAll:
        """Save what an earlier backup, `before`, has not. Raises StoreError, OSError, DiskFull."""
        (total, waiting), done, objects, size = self._total(keeper), 0, 0, 0
        path = self._folder / LISTING
        with path.open("wb") as file:
            originals = self._with_earlier(self._originals(keeper), before)
            while page := list(islice(originals, self._threads * 4)):
                for original, saved in zip(page, self._sender.each(self._one, page), strict=True):
                    done += original[0].bytes
                    progress("saving audio", done, max(total, done))
                    if saved is None:
                        self._lacking += 1
                        continue
                    objects, size = objects + 1, size + saved.bytes
                    file.write(_encode(saved) + b"\n")
        listing = self._sender.put(path, LISTING, size=LARGEST, done=_unheard)
        return SavedAll(Audio(objects=objects, bytes=size, listing=listing), self._lacking, waiting)

    def _total(self, keeper: Keeper) -> tuple[int, int]:
        """Bytes in the store, and clips that are not there yet."""
        with keeper.reading(fresh=False) as reading:
            size, waiting = reading.tuples(_SQL["audio"])[0]
        return int(size), int(waiting)

    def _originals(self, keeper: Keeper) -> Iterator[Original]:
        after = str(UUID(int=0))
        while True:
            with keeper.reading(fresh=False) as reading:
                rows = reading.tuples(_SQL["clips"], {"after": after, "limit": _PAGE})
            if not rows:
                break
            yield from (Original(str(row[0]), str(row[1]), str(row[2]), int(row[3]), str(row[4])) for row in rows)
            after = str(rows[-1][0])
        for info in self._store.list(self._voices):
            # A voice's key is the SHA-256 of the recording, or of the document that consents to it.
            sha256 = info.key.rpartition("/")[2].partition(".")[0]
            if len(sha256) == 64:
                yield Original(VOICES + info.key, self._voices, info.key, info.bytes, sha256)

    def _with_earlier(
        self, originals: Iterable[Original], before: Manifest | None
    ) -> Iterator[tuple[Original, SavedAudio | int | None]]:
        """Each original with what is known of it: its entry in an earlier backup, or the size of its copy. Both come by id."""
        known: Iterator[tuple[str, SavedAudio | int]] = iter(())
        if self._seal.header is None:
            copies = self._bucket.store.list(self._bucket.name, "audio/")
            known = ((info.key.removeprefix("audio/"), info.bytes) for info in copies)
        elif before is not None and before.audio is not None:
            known = ((saved.id, saved) for saved in listed(self._bucket, self._seal, before.audio))
        here = next(known, None)
        for original in originals:
            while here is not None and here[0] < original.id:
                here = next(known, None)
            yield original, here[1] if here is not None and here[0] == original.id else None

    def _one(self, pair: tuple[Original, SavedAudio | int | None]) -> SavedAudio | None:
        original, known = pair
        if isinstance(known, SavedAudio) and known.sha256 == original.sha256 and self._sender.has(known.pieces):
            self._sender.keep(known.pieces)
            return known
        try:
            return patiently(partial(self._saved, original, known))
        except StoreError as error:
            if error.code not in _GONE:
                raise
            # Keys may hold names, so the error's own words, which tell the key, are not logged.
            _log.warning("the audio of %s is not in the store as it was stored (%s)", original.id, error.code)
            return None

    def _saved(self, original: Original, known: SavedAudio | int | None) -> SavedAudio:
        name, sealed = f"audio/{original.id}", self._seal.header is not None
        is_voice = original.id.startswith(VOICES)
        saved = SavedAudio(
            id=original.id, bytes=original.bytes, sha256=original.sha256,
            bucket=original.bucket if sealed or is_voice else "", key=original.key if sealed or is_voice else "",
        )  # fmt: skip
        if not sealed and known == original.bytes:
            return saved
        if not sealed and self._bucket.store is self._store:
            copy_within(self._store, original.bucket, original.key, self._bucket.name, name, original.bytes)
            failpoint("backup.after_chunk")
            return saved
        about = self._store.head(original.bucket, original.key)
        if about is None:
            raise StoreError(f"{original.id} is not in the store", code="NoSuchKey")
        path = self._folder / f"{new_id()}.audio"
        try:
            fetch_object(
                self._store,
                original.bucket,
                original.key,
                path,
                bytes=original.bytes,
                sha256=original.sha256,
                threads=2,
            )
            kind = about.content_type or "application/octet-stream"
            if sealed:
                file = self._sender.put_here(path, LARGEST)
                return msgspec.structs.replace(saved, pieces=file, content_type=kind, metadata=dict(about.metadata))
            self._bucket.store.put(self._bucket.name, name, path, content_type=kind, metadata=about.metadata)
            self._sender.note(original.bytes)
        finally:
            path.unlink(missing_ok=True)
        return saved


def copy_within(store: Store, bucket: str, key: str, to_bucket: str, to_key: str, size: int) -> None:
    """Have the store copy an object, with its metadata and tags, and see that the copy is there. Raises StoreError."""
    store.ensure_bucket(to_bucket)
    store.request(
        "COPY of audio",
        lambda s3: s3.copy_object(
            Bucket=to_bucket, Key=to_key, CopySource={"Bucket": bucket, "Key": key}, MetadataDirective="COPY"
        ),
    )
    found = store.head(to_bucket, to_key)
    if found is None or found.bytes != size:
        raise StoreError("the store copied an object, but does not have it as it was", code="NotConfirmed")
    store.settle(to_bucket, to_key)


def listed(bucket: Bucket, seal: Seal, audio: Audio) -> Iterator[SavedAudio]:
    """The audio of a backup, by id. Raises BackupDamaged."""
    rest = b""
    for piece in bucket.content(audio.listing, seal):
        *lines, rest = (rest + piece).split(b"\n")
        yield from map(_saved, lines)
    if rest:
        yield _saved(rest)


def _saved(line: bytes) -> SavedAudio:
    try:
        return msgspec.json.decode(line, type=SavedAudio)
    except msgspec.DecodeError as error:
        raise BackupDamaged(f"the listing of the audio is damaged: {error}") from error


def _unheard(more: int) -> None:
    """Nobody watches."""
