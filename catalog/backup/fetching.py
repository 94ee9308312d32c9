"""Fetching: the files of a backup come back into a folder, each whole and checked or not at all."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.backup.bucket import Bucket
from voxledger.catalog.backup.contents import Manifest, SavedFile
from voxledger.catalog.backup.passphrase import Seal
from voxledger.catalog.backup.pieces import LARGEST, PAGES
from voxledger.catalog.backup.taking import HEADS, JOURNAL
from voxledger.catalog.errors import BackupDamaged, DiskFull
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.hashing import sha256_of
from voxledger.catalog.home import QUERY_NAME
from voxledger.catalog.objects.patience import patiently
from voxledger.catalog.parallel import Crew
from voxledger.catalog.progress import Progress
from voxledger.catalog.settings import FILE_NAME

_QUERY = re.compile(rf"queries/{QUERY_NAME.pattern}\.sql")
_SEGMENT = re.compile(r"segments/\d{12}-\d{12}\.jsonl\.zst")
_HEAD = re.compile(r"\d{12}-[0-9a-f]{64}\.json")
_THREADS = 8


def fetch(bucket: Bucket, manifest: Manifest, seal: Seal, folder: Path, progress: Progress) -> None:
    """Bring every file of a backup into a folder; what an earlier call brought is not fetched again.

    Raises BackupDamaged that names the object which is missing or altered, DiskFull, StoreError, OSError.
    """
    _check_paths(manifest)
    total, done = manifest.bytes, 0
    _require_room(folder, total)
    (folder / "segments").mkdir(parents=True, exist_ok=True)
    if any(_QUERY.fullmatch(file.path) for file in manifest.files):
        (folder / "queries").mkdir(mode=0o700, exist_ok=True)
    with Crew(_THREADS, name="restore") as pool:
        try:
            for size in pool.map(lambda file: _file(bucket, file, seal, folder / file.path), manifest.files):
                done += size
                progress("fetching", done, total)
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _full(folder, total) from error
            raise
    _spread_heads(folder)
    platform.fsync_folder(folder / "segments")
    platform.fsync_folder(folder)


def _check_paths(manifest: Manifest) -> None:
    """A manifest must not be able to write anywhere else."""
    for file in manifest.files:
        known = file.path in (JOURNAL, HEADS, FILE_NAME) or _SEGMENT.fullmatch(file.path) or _QUERY.fullmatch(file.path)
        if not known:
            raise BackupDamaged(f"backup {manifest.id} holds {file.path[:80]!r}, which belongs to no HOME")
    if [file.path for file in manifest.files].count(JOURNAL) != 1:
        raise BackupDamaged(f"backup {manifest.id} holds no journal")


def _file(bucket: Bucket, file: SavedFile, seal: Seal, target: Path) -> int:
    """Fetch one file; gives its size."""
    if target.exists() and target.stat().st_size == file.bytes:  # it appeared whole, or not at all
        return file.bytes
    part = target.with_name(f".{target.name}.part")
    resumed = _bring(bucket, file, seal, part)
    if not _is(file, part):
        part.unlink()
        if resumed:  # what a killed process had left there may not have reached the disk
            _bring(bucket, file, seal, part)
        if not resumed or not _is(file, part):
            part.unlink(missing_ok=True)
            raise BackupDamaged(f"{file.path} is not what was backed up", objects=_keys(bucket, file))
    part.replace(target)
    failpoint("restore.after_file")
    return file.bytes


def _bring(bucket: Bucket, file: SavedFile, seal: Seal, part: Path) -> bool:
    """Fetch the pieces that are missing into a file; says whether some were there."""
    size = PAGES if file.path == JOURNAL else LARGEST
    with part.open("ab") as sink:
        part.chmod(0o600)
        had = min(sink.tell() // size, len(file.pieces))
        sink.truncate(had * size)
        for piece in file.pieces[had:]:
            sink.write(patiently(lambda: bucket.get_piece(piece, seal)))  # noqa: B023  # called at once
        platform.fsync_file(sink)
    return had > 0


def _is(file: SavedFile, part: Path) -> bool:
    return sha256_of(part) == file.sha256


def _spread_heads(folder: Path) -> None:
    """Published heads lie in files of their own, and all in one within a backup."""
    together = folder / HEADS
    if not together.exists():
        return
    try:
        heads = msgspec.json.decode(together.read_bytes(), type=dict[str, str])
    except msgspec.DecodeError as error:
        raise BackupDamaged(f"{HEADS} is not what was backed up: {error}") from error
    for name, content in heads.items():
        if _HEAD.fullmatch(name):
            (folder / "segments" / name).write_text(content, encoding="utf-8")


def _keys(bucket: Bucket, file: SavedFile) -> Sequence[str]:
    return [bucket.piece_key(piece.name) for piece in file.pieces]


def _require_room(folder: Path, total: int) -> None:
    there = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if platform.free_disk(folder) < total - there:
        raise _full(folder, total)


def _full(folder: Path, total: int) -> DiskFull:
    return DiskFull(
        f"the backup needs {total / 1e6:,.0f} MB, and {platform.free_disk(folder) / 1e6:,.0f} MB are free in {folder}; make room and"
        " run it again: what has arrived is kept"
    )
