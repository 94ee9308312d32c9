"""A folder of Parquet files that is written beside itself, and changes from one whole state to the next.

FOLDER/_voxledger.json          what is here, and of which position of the log
FOLDER/RELATION/week=2026-W47/part-0.parquet
FOLDER/.voxledger/              what the next state needs and this one does not have, until all of it is there
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.errors import CatalogBusy, VoxledgerError

MANIFEST = "_voxledger.json"
FORMAT = 1
"""Of the manifest, and of how the files are written: another number, and all of them are written anew."""
NO_WEEK = "__HIVE_DEFAULT_PARTITION__"
"""What readers of Hive's layout know as NULL."""
_NEXT = ".voxledger"
_LOCK = "lock"
_NOTE = 1.0
"""Seconds between two notes of what is there already."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_WEEK = re.compile(r"(\d{4}-W\d\d|" + NO_WEEK + r")?")


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """One file: its rows and size, a hash of what is in it, and the position of the log at which it was written."""

    rows: int
    bytes: int
    content: str
    position: int


class Manifest(msgspec.Struct, kw_only=True):
    """What a folder holds: of each relation its files, by week, or under "" when it has no weeks."""

    format: int = FORMAT
    node: str
    position: int
    as_of: str | None
    time_zone: str
    whole: bool
    """Whether nothing is missing: only the folder's next state may be unfinished."""
    relations: dict[str, dict[str, Partition]]


class Folder:
    """The folder, and its next state. Use it inside `opened`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = _read(path / MANIFEST)
        """None before the first state."""
        self._next = path / _NEXT
        self._there = _read(self._next / MANIFEST)
        self._used: set[str] = set()
        """What the next state takes from its own folder."""
        self._noted = time.monotonic()

    def has(self, relation: str, week: str, content: str) -> Partition | None:
        """The file with this content, if it is in the folder already, or was written for its next state."""
        for manifest, root in ((self._there, self._next), (self.now, self.path)):
            found = manifest.relations.get(relation, {}).get(week) if manifest else None
            if found is not None and found.content == content:
                with contextlib.suppress(OSError):
                    if (root / place(relation, week)).stat().st_size == found.bytes:
                        if root == self._next:
                            self._used.add(place(relation, week))
                        return found
        return None

    @contextlib.contextmanager
    def writing(self, relation: str, week: str) -> Iterator[BinaryIO]:
        """A file for the next state; it is there when the block ends well, and counts once it is noted."""
        target = self._next / place(relation, week)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        try:
            with part.open("wb") as file:
                yield file
                platform.fsync_file(file)
            part.replace(target)
            self._used.add(place(relation, week))
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def size(self, relation: str, week: str) -> int:
        """Bytes of a file that was written for the next state."""
        return (self._next / place(relation, week)).stat().st_size

    def note(self, manifest: Manifest, *, now: bool = False) -> None:
        """Remember what is there of the next state, so that whoever begins again need not write it again."""
        if now or time.monotonic() - self._noted > _NOTE:
            self._noted = time.monotonic()
            platform.write_atomic(self._next / MANIFEST, msgspec.json.encode(manifest))

    def become(self, manifest: Manifest) -> None:
        """The next state is whole: make it the present one. Cut off here, that is finished by the next opening."""
        for file in self._next.glob("*/**/*.parquet"):
            if file.relative_to(self._next).as_posix() not in self._used:
                file.unlink()  # left by an export that was cut off, and of another content by now
        self.note(msgspec.structs.replace(manifest, whole=True), now=True)
        self.take_over()

    def take_over(self) -> None:
        """Go from one state to the next, if that is whole: a matter of milliseconds, and idempotent."""
        following = _read(self._next / MANIFEST)
        if following is None or not following.whole:
            return
        kept = {place(relation, week) for relation, weeks in following.relations.items() for week in weeks}
        for file in sorted(kept):
            if (self._next / file).exists():
                (self.path / file).parent.mkdir(parents=True, exist_ok=True)
                (self._next / file).replace(self.path / file)
        for relation, weeks in (self.now.relations if self.now else {}).items():
            for week in weeks:
                if place(relation, week) not in kept:
                    self._remove(self.path / place(relation, week))
        encoded = msgspec.json.format(msgspec.json.encode(following), indent=1)
        platform.write_atomic(self.path / MANIFEST, encoded)
        self.now = following
        self.forget()

    def forget(self) -> None:
        """Throw away what there is of a next state."""
        self._there = None
        for entry in self._next.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != _LOCK:
                entry.unlink()

    def _remove(self, file: Path) -> None:
        file.unlink(missing_ok=True)
        for folder in file.parents:
            if folder == self.path:
                break
            with contextlib.suppress(OSError):  # somebody else has something in it
                folder.rmdir()


@contextlib.contextmanager
def opened(path: Path, node: str, *, force: bool) -> Iterator[Folder]:
    """The folder, made if need be, for one process at a time. `force` takes over that of another node.

    Raises VoxledgerError for what is no folder of ours, CatalogBusy while another export writes there.
    """
    check(path)
    (path / _NEXT).mkdir(parents=True, exist_ok=True)
    with platform.locked(path / _NEXT / _LOCK, blocking=False) as held:
        if not held:
            raise CatalogBusy(f"another export is writing to {path}; wait for it, and try again")
        folder = Folder(path)
        folder.take_over()
        if folder.now is not None and folder.now.node != node and not force:
            raise VoxledgerError(
                f"{path} holds the export of another node ({folder.now.node}); choose another folder, or --force"
                " replaces it"
            )
        if force:
            folder.forget()
        yield folder


def check(path: Path) -> None:
    """Raises VoxledgerError unless this is a folder of ours, or may become one."""
    if path.exists() and not path.is_dir():
        raise VoxledgerError(f"{path} is a file; name a folder")
    if not path.parent.is_dir():
        raise VoxledgerError(f"the folder {path.parent} does not exist; make it first")
    if path.is_dir() and not (path / MANIFEST).exists() and not (path / _NEXT).exists() and any(path.iterdir()):
        raise VoxledgerError(f"{path} is not empty, and was not made by `export parquet`; choose another folder")
    if (path / MANIFEST).exists() and _read(path / MANIFEST) is None:
        raise VoxledgerError(
            f"{path / MANIFEST} cannot be read, or was written by a newer Voxledger; choose another folder"
        )


def place(relation: str, week: str) -> str:
    """Where a file lies in the folder."""
    return f"{relation}/week={week}/part-0.parquet" if week else f"{relation}/part-0.parquet"


def _read(path: Path) -> Manifest | None:
    """A manifest; None when it is missing, or none of ours: what it names is written and deleted."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        return None
    known = all(
        _NAME.fullmatch(relation) and all(_WEEK.fullmatch(week) for week in weeks)
        for relation, weeks in found.relations.items()
    )
    return found if known and found.format <= FORMAT else None
