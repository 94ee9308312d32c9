"""Importing: sound files of a folder, such as IndexTTS's `outputs/`, become clips. The files themselves stay as they are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import DiskFull, VoxledgerError
from voxledger.catalog.events import AudioAdopted
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.journal import UPLOAD
from voxledger.catalog.objects.description import upload_of
from voxledger.catalog.objects.keys import object_key
from voxledger.catalog.parallel import in_batches, in_parallel
from voxledger.catalog.progress import Progress, silent
from voxledger.catalog.reconcile.around import Around, workplace
from voxledger.catalog.reconcile.headers import SUFFIXES, Sound, Unreadable, read_header
from voxledger.catalog.reconcile.identity import clip_id, event_id, plausible
from voxledger.catalog.reconcile.known_audio import standings
from voxledger.catalog.reconcile.taken import Measure, Measures, Taken

_BATCH = 200
"""Most files that one journal transaction takes."""
_PIECE = 1 << 20
_THREADS = 4


class _Copy(NamedTuple):
    """A file's copy among what is passing, with what it is. `sound` is None, and `why` says why, when it is not taken."""

    source: Path
    path: Path
    sha256: str = ""
    bytes: int = 0
    made: datetime = datetime.fromtimestamp(0, UTC)
    sound: Sound | None = None
    measures: Measures | None = None
    why: str = ""


def import_folder(
    around: Around,
    folder: Path,
    *,
    session: str | None = None,
    tags: Sequence[str] = (),
    measure: Measure | None = None,
    progress: Progress = silent,
) -> Taken:
    """Make a clip of each sound file under a folder (WAV, FLAC, Opus, Ogg Vorbis, MP3): copied, recorded, uploaded.

    A clip is called what its file is called, and is as old as the file. `session` is the folder's name by default. The
    same audio is taken once, also when this is called again or was cut off. Links are not followed. Raises
    VoxledgerError when there is no such folder, DiskFull, CatalogBusy.
    """
    root = folder.expanduser().absolute()
    if not root.is_dir():
        raise VoxledgerError(f"{folder} is not a folder; name the one that holds the sound files")
    if root.resolve().is_relative_to(around.home.path.resolve()):
        raise VoxledgerError(
            f"{folder} lies in this HOME: its clips are known already; `voxledger reconcile` looks after them"
        )
    taken = Taken()
    called = session or root.name
    with workplace(around.home) as place:
        files = list(enumerate(_files(root, taken)))
        done = 0
        copies = in_parallel(
            lambda numbered: _copy(around, numbered[1], place / f"{numbered[0]}", measure),
            files,
            threads=_THREADS,
            name="reconcile",
        )
        for batch in in_batches((copy for _, copy in copies), _BATCH):
            _take(around, batch, taken, root=root, session=called, tags=tuple(tags))
            done += len(batch)
            progress(f"Importing {root.name}", done, len(files))
    return taken


def _files(root: Path, taken: Taken) -> Iterator[Path]:
    """Every sound file below, in order. A folder that cannot be read is told, and does not end the rest."""

    def unreadable(error: OSError) -> None:
        taken.refuse(str(error.filename), f"the folder cannot be read: {error.strerror}")

    for folder, folders, files in os.walk(root, onerror=unreadable):
        folders.sort()
        for name in sorted(files):
            path = Path(folder) / name
            if path.suffix.lower() in SUFFIXES and not name.startswith(".") and not path.is_symlink():
                yield path


def _copy(around: Around, source: Path, path: Path, measure: Measure | None) -> _Copy:
    """Copy and hash in one go: what is recorded is what lies in the cache, whatever happens to the file meanwhile."""
    around.home.require_room(around.settings.general.min_free_disk)
    hashed, size = hashlib.sha256(), 0
    try:
        read_header(source)  # before anything is copied: a folder may hold anything
        made = datetime.fromtimestamp(source.stat().st_mtime, UTC)
        with source.open("rb") as file:
            reading = iter(lambda: file.read(_PIECE), b"")
            with path.open("xb") as copy:
                for piece in reading:
                    hashed.update(piece)
                    size += len(piece)
                    copy.write(piece)
                platform.fsync_file(copy)
        sound = read_header(path)
    except Unreadable as error:
        return _Copy(source, path, why=str(error))
    except OSError as error:
        if platform.lacks_room(error, path.parent):
            raise DiskFull.at(
                f"{source.name} could not be copied into {around.home.cache}",
                "called again, this goes on where it stopped",
            ) from error
        return _Copy(source, path, why=f"it cannot be read: {error.strerror}")
    measures = measure(path) if measure else None
    failpoint("adopt.after_copy")
    return _Copy(source, path, hashed.hexdigest(), size, plausible(made), sound, measures)


def _take(
    around: Around, batch: Sequence[_Copy], taken: Taken, *, root: Path, session: str, tags: tuple[str, ...]
) -> None:
    taken.found += len(batch)
    standing = dict(standings(around.keeper, {copy.sha256 for copy in batch if copy.sound}))
    new: list[tuple[Clip, AudioAdopted, int]] = []
    for copy in batch:
        if copy.sound is None:
            taken.refuse(str(copy.source), copy.why)
        elif copy.sha256 in standing:
            taken.gone += standing[copy.sha256] == "gone"
            taken.known += standing[copy.sha256] == "alive"
        else:
            standing[copy.sha256] = "alive"
            new.append(_clip(around, copy, copy.sound, root=root, session=session, tags=tags))
            continue
        copy.path.unlink(missing_ok=True)
    _record(around, new)
    taken.taken += len(new)
    taken.bytes += sum(clip.bytes for clip, _, _ in new)
    taken.duration_us += sum(clip.duration_us for clip, _, _ in new)


def _clip(
    around: Around, copy: _Copy, sound: Sound, *, root: Path, session: str, tags: tuple[str, ...]
) -> tuple[Clip, AudioAdopted, int]:
    """The copy moves to where the clip's key says; then the clip, with the event that it begins with."""
    identity = clip_id(around.recorder.vault, copy.made, "folder", around.actor, copy.sha256)
    name = copy.source.stem
    key = object_key(
        around.settings.store.key, actor=around.actor, session=session, name=name, clip=identity, ext=sound.format
    )
    path = around.home.cache / key
    path.parent.mkdir(parents=True, exist_ok=True)
    copy.path.replace(path)
    platform.fsync_folder(path.parent)
    measures = copy.measures or Measures(loudness_lufs=None, true_peak_dbtp=None, silence_share=None)
    fact = AudioAdopted(
        source="folder",
        made=copy.made,
        format=sound.format,
        sample_rate=sound.sample_rate,
        channels=sound.channels,
        duration_us=sound.duration_us,
        bytes=copy.bytes,
        sha256=copy.sha256,
        bucket=around.settings.store.audio,
        stored=False,
        etag=None,
        actor_label=around.actor,
        session=session,
        name=name,
        key=key,
        origin=str(copy.source.relative_to(root.parent)),
        tags=tags,
        loudness_lufs=measures.loudness_lufs,
        true_peak_dbtp=measures.true_peak_dbtp,
        silence_share=measures.silence_share,
    )
    clip = Clip(
        id=identity, created=copy.made, actor=around.actor, session=session, name=name, text=None, language="und", voice=None,
        emotion="unknown", engine="unknown", format=sound.format, sample_rate=sound.sample_rate, duration_us=sound.duration_us,
        bytes=copy.bytes, sha256=copy.sha256, loudness_lufs=measures.loudness_lufs, take=1, dropped=(), tags=tags,
        bucket=fact.bucket, key=key, path=path,
    )  # fmt: skip
    return clip, fact, sound.channels


def _record(around: Around, new: Sequence[tuple[Clip, AudioAdopted, int]]) -> None:
    """ONE journal transaction: the events and the uploads. Only then are the clips acknowledged."""
    if not new:
        return
    recorder, owner = around.recorder, around.recorder.vault.actor(around.actor)
    drafts = [
        recorder.draft(
            fact, subject=clip.id, actor=owner, event_id=event_id(recorder.vault, clip.created, "adopted", clip.id)
        )
        for clip, fact, _ in new
    ]
    known = {draft.id for draft in drafts if recorder.journal.knows(draft.id)}
    with recorder.journal.transaction() as write:
        for (clip, _, channels), event in zip(new, write.append(drafts), strict=True):
            if event.id not in known:
                upload = msgspec.to_builtins(upload_of(clip, event, channels=channels))
                payload = recorder.seal(upload, actor=owner, about=clip.id)
                write.add_task(UPLOAD, subject=clip.id, actor=owner.id, payload=payload)
        failpoint("adopt.before_commit")
    failpoint("adopt.after_commit")
