"""Erasing from backups: the audio of somebody leaves the bucket, and the backups that had it say so.

What is sealed in journal and segments needs no visit: without its key it is noise. Audio is not sealed by anybody's key, so it is
looked for. First every listing that names it is written anew without it, its manifest too; only then goes what nothing names any
more, in all versions. Killed in between, a piece too many is left, and the next call takes it.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from voxledger.catalog.backup.audio import LISTING
from voxledger.catalog.backup.audio import listed as listed_audio
from voxledger.catalog.backup.bucket import Bucket, Listed
from voxledger.catalog.backup.contents import Audio, Manifest, SavedAudio, SavedFile
from voxledger.catalog.backup.locks import Lock, held
from voxledger.catalog.backup.passphrase import Seal
from voxledger.catalog.backup.pieces import LARGEST, cut
from voxledger.catalog.backup.pruning import unneeded
from voxledger.catalog.errors import BackupError
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.progress import Progress

if TYPE_CHECKING:
    from voxledger.catalog.objects.deleting import Deleter

_encode = msgspec.json.Encoder().encode


class Gone(NamedTuple):
    """What was done: `backups` were written anew, `objects` left the bucket, `kept` names those that it would not let go, and
    `with_vault` counts the backups that were made together with a file of the vault, which nobody can reach from here.
    """

    backups: int
    objects: int
    kept: tuple[str, ...]
    with_vault: int


def erase(
    bucket: Bucket, ids: Container[str], copies: Iterator[str], deleter: Deleter, folder: Path, progress: Progress
) -> Gone:
    """Take the audio with these ids (as `SavedAudio` has them) out of all backups; `copies` goes through the ids once more.

    `folder` takes a listing on its way. Repeating is safe. Raises BackupError where a backup cannot be read, because then nobody can
    tell what it needs, or when backups are being made; StoreError.
    """
    listed = bucket.listed()
    if not listed:
        return Gone(0, 0, (), 0)
    with held(bucket.store, bucket.name, "prune") as lock:
        manifests = [_manifest(bucket, each) for each in lock.renewing(listed)]
        written = 0
        for number, (each, manifest, seal) in enumerate(manifests, 1):
            if manifest.audio is not None and _names(bucket, seal, manifest.audio, ids, lock):
                _rewrite(bucket, each, manifest, seal, ids, lock, deleter, folder)
                failpoint("erasure.after_manifest")
                written += 1
            progress("looking through backups", number, len(manifests))
        audio = any(manifest.audio is not None for _, manifest, _ in manifests)
        with_vault = sum(manifest.with_vault for _, manifest, _ in manifests)
        if not audio:
            return Gone(0, 0, (), with_vault)
        lock.require()
        keys = unneeded(bucket, lock, progress)
        older = [f"audio/{each}" for each in copies] if deleter.keeps_versions(bucket.name) is not False else []
        answers = deleter.delete(bucket.name, keys, perhaps=older)
        kept = tuple(sorted(key for key, answer in answers.items() if not answer.gone))
        return Gone(written, sum(key in answers and answers[key].gone for key in keys), kept, with_vault)


def _manifest(bucket: Bucket, listed: Listed) -> tuple[Listed, Manifest, Seal]:
    try:
        return (listed, *bucket.manifest(listed))
    except BackupError as error:
        raise BackupError(
            f"{error}. What that backup holds is not known, so nothing was taken out of {bucket.name}; `voxledger backup prune --drop"
            f" {listed.id[-8:]}` gives it up"
        ) from error


def _names(bucket: Bucket, seal: Seal, audio: Audio, ids: Container[str], lock: Lock) -> bool:
    saved = lock.renewing(listed_audio(bucket, seal, audio))
    return any(not each.erased and each.id in ids for each in saved)


def _rewrite(
    bucket: Bucket,
    listed: Listed,
    manifest: Manifest,
    seal: Seal,
    ids: Container[str],
    lock: Lock,
    deleter: Deleter,
    folder: Path,
) -> None:
    """The backup again, under its own id: of what was erased nothing is left but the id, and that it was erased."""
    assert manifest.audio is not None
    objects = size = erased = 0
    with tempfile.TemporaryDirectory(dir=folder) as place:
        path = Path(place) / LISTING
        with path.open("wb") as file:
            for saved in lock.renewing(listed_audio(bucket, seal, manifest.audio)):
                kept = saved
                if saved.erased or saved.id in ids:
                    kept, erased = SavedAudio(id=saved.id, bytes=0, sha256="", erased=True), erased + 1
                else:
                    objects, size = objects + 1, size + saved.bytes
                file.write(_encode(kept) + b"\n")
        listing = _put(bucket, path, seal)
    audio = Audio(objects=objects, bytes=size, listing=listing, erased=erased)
    after = bucket.put_manifest(msgspec.structs.replace(manifest, audio=audio), seal)
    if after.key != listed.key:
        failpoint("erasure.between_manifests")
        lock.require()
        refused = [answer for answer in deleter.delete(bucket.name, [listed.key]).values() if not answer.gone]
        if refused:
            raise BackupError(
                f"the store keeps the former manifest {bucket.name}/{listed.key}: {refused[0].reason or refused[0].code}; run it again"
                " with a key that may delete it"
            )


def _put(bucket: Bucket, path: Path, seal: Seal) -> SavedFile:
    content, pieces = hashlib.sha256(), []
    for part in cut(path, LARGEST):
        content.update(part)
        piece, _ = bucket.put_piece(part, seal, name=seal.name(part))
        bucket.settle(bucket.piece_key(piece.name))
        pieces.append(piece)
    return SavedFile(path=LISTING, bytes=path.stat().st_size, sha256=content.hexdigest(), pieces=tuple(pieces))
