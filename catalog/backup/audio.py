"""Audio in a backup: copied within the store where backups lie there and are not encrypted, else through this machine."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar
from uuid import UUID

import msgspec

from voxledger.catalog.backup.bucket import MISSING, Bucket
from voxledger.catalog.backup.contents import Audio, Manifest, SavedAudio
from voxledger.catalog.backup.copying import Expected, Place, copy_within, is_same
from voxledger.catalog.backup.passphrase import Seal
from voxledger.catalog.backup.pieces import LARGEST
from voxledger.catalog.backup.sending import Sender
from voxledger.catalog.errors import BackupDamaged, StoreError
from voxledger.catalog.events import new_id
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.objects.begun import Uploads
from voxledger.catalog.objects.patience import patiently
from voxledger.catalog.objects.ranged import fetch_object
from voxledger.catalog.objects.sending import Sending
from voxledger.catalog.progress import Progress
from voxledger.catalog.queries import load

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.objects import ObjectInfo, Store

LISTING = "audio.jsonl"
VOICES = "voices/"
"""How the ids of voices begin; they sort behind those of clips."""
_PAGE = 10_000
"""Clips that the catalog is asked for at a time."""
_SQL = load("backup.sql", "voxledger.catalog.backup")
_GONE = (*MISSING, "Changed", "Damaged")
_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_T = TypeVar("_T")


class Original(NamedTuple):
    """An object of audio in the store; `etag` is the one that the store gave when it was put there, where that is known."""

    id: str
    bucket: str
    key: str
    bytes: int
    sha256: str
    etag: str = ""


class _Task(NamedTuple):
    """An original, what an earlier backup says of it, and its copy in the bucket."""

    original: Original
    before: SavedAudio | None
    copy: ObjectInfo | None


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
        begun: Uploads,
        suspect: Container[str] = frozenset(),
    ) -> None:
        """`store` has the audio, `bucket` gets it; `folder` takes what passes through, `voices` is the bucket of voices. What
        `suspect` names in the bucket is read before it is taken over. `begun` remembers large objects that are on their way.
        """
        self._store = store
        self._bucket = bucket
        self._sender = sender
        self._seal = seal
        self._folder = folder
        self._voices = voices
        self._threads = threads
        self._suspect = suspect
        self._begun = begun
        self._lacking = 0

    def save(self, keeper: Keeper, before: Manifest | None, progress: Progress) -> SavedAll:
        """Save what an earlier backup, `before`, has not. Raises StoreError, OSError, DiskFull."""
        (total, waiting), done, objects, size = self._total(keeper), 0, 0, 0
        path = self._folder / LISTING
        with path.open("wb") as file:
            tasks = self._with_earlier(self._originals(keeper), before)
            while page := list(islice(tasks, self._threads * 4)):
                for task, saved in zip(page, self._sender.each(self._one, page), strict=True):
                    done += task.original.bytes
                    progress("saving audio", done, max(total, done))
                    if saved is None:
                        self._lacking += 1
                        continue
                    objects, size = objects + 1, size + saved.bytes
                    file.write(_encode(saved) + b"\n")
        listing = self._sender.put(path, LISTING, size=LARGEST, done=_unheard)
        return SavedAll(Audio(objects=objects, bytes=size, listing=listing), self._lacking, waiting)

    def confirm(self) -> None:
        """See that every copy lies in the bucket as it was made. Raises BackupDamaged that names what does not."""
        if self._seal.header is not None:
            return
        copies, wrong = _Along((info.key.removeprefix("audio/"), info) for info in self._copies()), []
        with (self._folder / LISTING).open("rb") as file:
            for saved in map(_saved, self._sender.renewing(file)):
                place, found = Place(self._bucket.name, f"audio/{saved.id}"), copies.at(saved.id)
                if found is not None and (found.bytes, found.etag) == (saved.bytes, saved.etag):
                    continue
                if not is_same(self._bucket.store, place, Expected(saved.bytes, saved.sha256, "")):
                    wrong.append(place.key)
        if wrong:
            raise BackupDamaged(
                f"{len(wrong)} copies of audio do not lie in {self._bucket.name} as they were made (the first: {wrong[0]}); make the"
                " backup again",
                objects=wrong,
            )

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
            for row in rows:
                yield Original(str(row[0]), str(row[1]), str(row[2]), int(row[3]), str(row[4]), str(row[5] or ""))
            after = str(rows[-1][0])
        for info in self._store.list(self._voices):
            # A voice's key is the SHA-256 of the recording, or of the document that consents to it.
            sha256 = info.key.rpartition("/")[2].partition(".")[0]
            if len(sha256) == 64:
                yield Original(VOICES + info.key, self._voices, info.key, info.bytes, sha256)

    def _with_earlier(self, originals: Iterable[Original], before: Manifest | None) -> Iterator[_Task]:
        """Each original with what is known of it. Everything comes by id."""
        known = _Along((saved.id, saved) for saved in self._earlier(before))
        sealed = self._seal.header is not None
        copies = _Along((info.key.removeprefix("audio/"), info) for info in (() if sealed else self._copies()))
        for original in originals:
            yield _Task(original, known.at(original.id), copies.at(original.id))

    def _earlier(self, before: Manifest | None) -> Iterator[SavedAudio]:
        if before is None or before.audio is None:
            return
        try:
            yield from listed(self._bucket, self._seal, before.audio)
        except BackupDamaged as error:
            _log.warning("what the last backup has of the audio is not known, so all of it is looked at: %s", error)

    def _copies(self) -> Iterator[ObjectInfo]:
        return self._bucket.store.list(self._bucket.name, "audio/")

    def _one(self, task: _Task) -> SavedAudio | None:
        original, before, _ = task
        known = before if before is not None and before.sha256 == original.sha256 else None
        if known is not None and known.pieces and self._sender.has(known.pieces, read=True):
            return msgspec.structs.replace(known, pieces=self._sender.keep(known.pieces))
        try:
            return patiently(partial(self._saved, task._replace(before=known)))
        except StoreError as error:
            if error.code not in _GONE:
                raise
            # Keys may hold names, so the error's own words, which tell the key, are not logged.
            _log.warning("the audio of %s is not in the store as it was stored (%s)", original.id, error.code)
            return None

    def _saved(self, task: _Task) -> SavedAudio:
        original = task.original
        sealed = self._seal.header is not None
        is_voice = original.id.startswith(VOICES)
        saved = SavedAudio(
            id=original.id, bytes=original.bytes, sha256=original.sha256,
            bucket=original.bucket if sealed or is_voice else "", key=original.key if sealed or is_voice else "",
        )  # fmt: skip
        if sealed:
            return self._through_here(original, saved)
        place = Place(self._bucket.name, f"audio/{original.id}")
        if task.copy is not None and self._is_fine(task, place, task.copy):
            self._sender.settle(place.key)
            return msgspec.structs.replace(saved, etag=task.copy.etag)
        if self._bucket.store is self._store:
            expected = Expected(original.bytes, original.sha256, original.etag)
            # What takes the place of something else must be right beyond doubt.
            source, read = Place(original.bucket, original.key), task.copy is not None
            saved = msgspec.structs.replace(saved, etag=copy_within(self._store, source, place, expected, read=read))
            failpoint("backup.after_chunk")
        else:
            saved = self._through_here(original, saved)
        self._sender.settle(place.key)
        if task.copy is not None:
            self._sender.note_again()
        return saved

    def _is_fine(self, task: _Task, place: Place, copy: ObjectInfo) -> bool:
        """Whether a copy that lies there is that of its original: as it was in an earlier backup, or as its original is, or read."""
        original, before, _ = task
        known = {original.etag, before.etag if before else ""} - {""}
        if copy.bytes == original.bytes and copy.etag in known and place.key not in self._suspect:
            return True
        return is_same(self._bucket.store, place, Expected(original.bytes, original.sha256, ""))

    def _through_here(self, original: Original, saved: SavedAudio) -> SavedAudio:
        """Fetch an original, look at every byte, and send it."""
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
            if self._seal.header is not None:
                file = self._sender.put_here(path, LARGEST)
                return msgspec.structs.replace(saved, pieces=file, content_type=kind, metadata=dict(about.metadata))
            name = f"audio/{original.id}"
            etag = self._bucket.store.put(
                self._bucket.name,
                name,
                path,
                content_type=kind,
                metadata=about.metadata,
                sending=Sending(memory=self._begun.of(self._bucket.store, self._bucket.name, name)),
            )
            self._sender.note(original.bytes)
        finally:
            path.unlink(missing_ok=True)
        return msgspec.structs.replace(saved, etag=etag)


class _Along(Generic[_T]):
    """Things by id, in order, asked for in the same order. Memory holds one of them."""

    def __init__(self, things: Iterator[tuple[str, _T]]) -> None:
        self._things = things
        self._here = next(things, None)

    def at(self, identity: str) -> _T | None:
        """What has this id; None when there is nothing."""
        while self._here is not None and self._here[0] < identity:
            self._here = next(self._things, None)
        return self._here[1] if self._here is not None and self._here[0] == identity else None


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
