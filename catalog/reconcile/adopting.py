"""Adopting: audio that lies in a bucket already becomes clips, where it lies. Nothing in the bucket is changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from voxledger.catalog import platform
from voxledger.catalog.errors import DiskFull, StoreError, StoreUnavailable, VoxledgerError
from voxledger.catalog.events import AudioAdopted, Draft
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.hashing import sha256_of
from voxledger.catalog.objects.description import read_description
from voxledger.catalog.parallel import in_batches, in_parallel
from voxledger.catalog.progress import Progress, silent
from voxledger.catalog.reconcile.around import Around, workplace
from voxledger.catalog.reconcile.headers import SUFFIXES, Sound, Unreadable, read_header
from voxledger.catalog.reconcile.identity import clip_id, event_id, plausible
from voxledger.catalog.reconcile.known_audio import standings
from voxledger.catalog.reconcile.scratch import Scratch
from voxledger.catalog.reconcile.taken import Measure, Measures, Taken
from voxledger.catalog.reconcile.telling import Found

_PLACE = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(?P<prefix>.*))?", re.DOTALL)
_GOES_ON = "called again, this goes on where it stopped"
_BATCH = 100
"""Most objects that one journal transaction takes."""
_OURS = "it is a clip of Voxledger's own; `voxledger reconcile --repair` takes back those of this node"


class _Read(NamedTuple):
    """An object that was read to its end. `sound` is None, and `why` says why, when it is not taken."""

    found: Found
    sha256: str = ""
    sound: Sound | None = None
    measures: Measures | None = None
    why: str = ""


def adopt(
    around: Around,
    place: str,
    *,
    session: str | None = None,
    tags: Sequence[str] = (),
    measure: Measure | None = None,
    progress: Progress = silent,
) -> Taken:
    """Make a clip of each sound object under `s3://bucket/prefix`, at the store's endpoint, without moving it.

    Each is read to its end once, because a clip is known by its SHA-256. A clip is called what its key ends with, and is as
    old as the object. What is a clip already is passed over, so a run that was cut off is simply repeated. Raises
    VoxledgerError for a place that is none, StoreError, CatalogBusy.
    """
    named = _PLACE.fullmatch(place.strip())
    if named is None:
        raise VoxledgerError(f"{place!r} names no place in the store; write s3://BUCKET/PREFIX")
    bucket, prefix = named["bucket"], named["prefix"] or ""
    taken = Taken()
    with workplace(around.home) as folder, Scratch.open(folder) as scratch:
        listed = scratch.list_bucket(around.store, bucket, prefix, progress=progress)
        if not listed:
            raise StoreError(
                f"nothing lies under s3://{bucket}/{prefix} at {around.store.endpoint or 'the embedded store'}; check"
                " bucket and prefix",
                code="EmptyListing",
            )
        scratch.copy_catalog(around, progress=progress)
        strangers = list(enumerate(_strangers(scratch, taken)))
        taken.gone = int(scratch.execute("gone")[0][0])
        taken.known = listed - taken.found - taken.gone
        taken.found = listed
        read = in_parallel(
            lambda numbered: _read(around, numbered[1], folder / f"{numbered[0]}{_suffix(numbered[1].key)}", measure),
            strangers,
            threads=around.threads,
            name="reconcile",
        )
        done = 0
        for batch in in_batches((found for _, found in read), _BATCH):
            _take(around, batch, taken, session=session, tags=tuple(tags))
            done += len(batch)
            progress(f"Adopting from {bucket}", done, len(strangers))
    return taken


def _strangers(scratch: Scratch, taken: Taken) -> Iterator[Found]:
    for rows in scratch.rows("strangers"):
        for row in rows:
            taken.found += 1
            found = Found(**row)
            if found.record_bytes is not None:
                taken.refuse(found.key, _OURS)
            elif _suffix(found.key) not in SUFFIXES:
                taken.refuse(found.key, "its ending is none of a sound file")
            else:
                yield found


def _read(around: Around, found: Found, path: Path, measure: Measure | None) -> _Read:
    around.home.require_room(around.settings.general.min_free_disk)
    try:
        head = around.store.head(found.bucket, found.key)
        if head is None or head.etag != found.etag:
            return _Read(found, why="it changed while it was looked at; call this again")
        if read_description(head.metadata) is not None:
            return _Read(found, why=_OURS)
        around.store.download(found.bucket, found.key, path)
        if path.stat().st_size != found.bytes:
            return _Read(found, why="it changed while it was looked at; call this again")
        sound = read_header(path)
        return _Read(found, sha256_of(path), sound, measure(path) if measure else None)
    except Unreadable as error:
        return _Read(found, why=str(error))
    except StoreUnavailable:
        raise
    except StoreError as error:
        # What one object refuses, all may: only a missing one is its own affair.
        if error.code not in ("NoSuchKey", "404", "InvalidObjectState"):
            raise
        return _Read(found, why=f"the store does not give it out ({error.code})")
    except OSError as error:
        if platform.lacks_room(error, path.parent):
            raise DiskFull.at(f"an object could not be read into {path.parent}", _GOES_ON) from error
        raise
    finally:
        path.unlink(missing_ok=True)
        failpoint("adopt.after_copy")


def _take(around: Around, batch: Sequence[_Read], taken: Taken, *, session: str | None, tags: tuple[str, ...]) -> None:
    standing = standings(around.keeper, {read.sha256 for read in batch if read.sound})
    drafts: list[Draft] = []
    for read in batch:
        if read.sound is None:
            taken.refuse(read.found.key, read.why)
        elif standing.get(read.sha256) == "gone":
            taken.gone += 1
        else:
            drafts.append(_draft(around, read, read.sound, session=session, tags=tags))
            taken.taken += 1
            taken.bytes += read.found.bytes
            taken.duration_us += read.sound.duration_us
    if drafts:
        around.recorder.journal.emit(*drafts)
        failpoint("adopt.after_commit")


def _draft(around: Around, read: _Read, sound: Sound, *, session: str | None, tags: tuple[str, ...]) -> Draft:
    found, recorder = read.found, around.recorder
    made = plausible(found.modified)
    identity = clip_id(recorder.vault, made, "bucket", found.bucket, found.key, found.etag)
    path = PurePosixPath(found.key)
    measures = read.measures or Measures(loudness_lufs=None, true_peak_dbtp=None, silence_share=None)
    fact = AudioAdopted(
        source="bucket",
        made=made,
        format=sound.format,
        sample_rate=sound.sample_rate,
        channels=sound.channels,
        duration_us=sound.duration_us,
        bytes=found.bytes,
        sha256=read.sha256,
        bucket=found.bucket,
        stored=True,
        etag=found.etag,
        actor_label=around.actor,
        session=session or path.parent.name or found.bucket,
        name=path.stem,
        key=found.key,
        origin=f"s3://{found.bucket}/{found.key}",
        tags=tags,
        loudness_lufs=measures.loudness_lufs,
        true_peak_dbtp=measures.true_peak_dbtp,
        silence_share=measures.silence_share,
    )
    return recorder.draft(
        fact, subject=identity, actor=recorder.vault.actor(around.actor),
        event_id=event_id(recorder.vault, made, "adopted", identity),
    )  # fmt: skip


def _suffix(key: str) -> str:
    return PurePosixPath(key).suffix.lower()
