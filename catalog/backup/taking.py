"""Taking: the state of a HOME at one moment, as files that can be put away."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from voxledger.catalog.backup.chain import covered, unchanged
from voxledger.catalog.backup.contents import Manifest, SavedFile
from voxledger.catalog.backup.pieces import LARGEST, PAGES
from voxledger.catalog.backup.settings_file import without_secrets
from voxledger.catalog.errors import BackupError
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import QUERY_NAME, Home
from voxledger.catalog.journal.copying import copy
from voxledger.catalog.progress import Progress
from voxledger.catalog.settings import FILE_NAME

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper

JOURNAL = "journal.sqlite"
HEADS = "segments/heads.json"
"""All published heads of a HOME in one file: each has a file of a few bytes there."""
_HEAD = "[0-9]" * 12 + "-*.json"


class Source(NamedTuple):
    """A file that goes into a backup as `path`. `same` is what an earlier backup has of it, when it did not change since."""

    path: str
    file: Path
    piece: int
    head: str | None = None
    same: SavedFile | None = None


class Taken(NamedTuple):
    """A HOME at one moment; `head` is the chain's digest (hex) after the event `through`."""

    node: str
    through: int
    head: str | None
    sources: tuple[Source, ...]
    without: tuple[str, ...]


def take(
    home: Home,
    keeper: Keeper,
    folder: Path,
    before: Manifest | None,
    *,
    encrypted: bool,
    progress: Progress,
) -> Taken:
    """Copy what changes into `folder`, and name what does not. `before` is this node's last backup.

    First the journal, then the segments: what leaves the journal meanwhile is in the copy. Raises LogCorrupt, CatalogBusy,
    JournalError; BackupError when the settings cannot be read.
    """
    head = keeper.head()
    copied = copy(
        home.journal, folder / JOURNAL, progress=lambda done, total: progress("copying the journal", done, total)
    )
    failpoint("backup.after_copy")
    rescued = folder / "segments"
    rescued.mkdir()
    saved = _by_name(before)
    found = covered(
        keeper, head, copied, folder / JOURNAL, rescued, saved,
        progress=lambda done, total: progress("checking segments", done, total),
    )  # fmt: skip
    sources = [Source(JOURNAL, folder / JOURNAL, PAGES)]
    for segment, after in found.segments:
        earlier = saved.get(segment.path.name)
        same = (
            earlier if earlier and segment.path.parent == home.segments and unchanged(segment.path, earlier) else None
        )
        sources.append(Source(f"segments/{segment.path.name}", segment.path, LARGEST, after, same))
    sources += _heads(home, folder)
    sources += [Source(f"queries/{path.name}", path, LARGEST) for path in _copied_queries(home, folder)]
    settings, without = _settings(home, folder, encrypted=encrypted)
    return Taken(copied.node, found.through, found.head, (*sources, *settings), without)


def _by_name(before: Manifest | None) -> Mapping[str, SavedFile]:
    files: Iterable[SavedFile] = before.files if before else ()
    return {file.path.rpartition("/")[2]: file for file in files if file.head}


def _heads(home: Home, folder: Path) -> list[Source]:
    found = {path.name: path.read_text(encoding="utf-8") for path in sorted(home.segments.glob(_HEAD))}
    if not found:
        return []
    (folder / "heads.json").write_bytes(msgspec.json.encode(found))
    return [Source(HEADS, folder / "heads.json", PAGES)]


def _copied_queries(home: Home, folder: Path) -> list[Path]:
    """The saved queries, as they are now."""
    copies = []
    for path in sorted(home.queries.glob("*.sql")):
        if not QUERY_NAME.fullmatch(path.stem):
            continue
        (folder / "queries").mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # it was deleted just now
            copies.append(Path(shutil.copyfile(path, folder / "queries" / path.name)))
    return copies


def _settings(home: Home, folder: Path, *, encrypted: bool) -> tuple[list[Source], tuple[str, ...]]:
    """The settings, with the rules of retention among them."""
    try:
        text = (home.path / FILE_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return [], ()
    except (OSError, UnicodeDecodeError) as error:
        raise BackupError(f"{home.path / FILE_NAME} cannot be read: {error}. Nothing was backed up") from error
    without: tuple[str, ...] = ()
    if not encrypted:
        cleaned, without = without_secrets(text)
        if cleaned is None:
            return [], without
        text = cleaned
    (folder / FILE_NAME).write_text(text, encoding="utf-8")
    (folder / FILE_NAME).chmod(0o600)
    return [Source(FILE_NAME, folder / FILE_NAME, PAGES)], without
