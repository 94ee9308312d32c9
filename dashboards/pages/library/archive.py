"""Archive: clips as a ZIP file that is made while it is sent, with a table of what is in it."""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
import time
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from voxledger.analytics.report import wording
from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import VoxledgerError
from voxledger.dashboards.api.audio import opened
from voxledger.dashboards.pages.cell import cell

if TYPE_CHECKING:
    from voxledger.dashboards.server.callers import Caller

MANIFEST = "manifest.csv"
_PIECE = 256 << 10
_IN_MEMORY = 1 << 20
"""Bytes of the table that are held in memory."""
_CUT = 2000
"""Characters of a cell."""
_LONGEST = 100
"""Bytes of a name, without its ending: some file systems take 255 bytes, some 143, and whole paths of 260 characters."""
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]+')
_COLUMNS = (
    "file", "id", "created", "actor", "session", "name", "text", "language", "voice", "emotion", "engine", "take", "format", "sample_rate",
    "duration_s", "bytes", "sha256", "loudness_lufs", "rating", "tags", "pinned", "state", "problem",
)  # fmt: skip


def archive(clips: Iterable[Clip], caller: Caller, stopped: Callable[[], str | None]) -> Iterator[bytes]:
    """The file piece by piece: each clip counts as fetched; the table at its end says of each why it is missing, if it is.

    Before each clip `stopped` says why nothing more may be sent, if so; then only the table follows, which says it, too.
    """
    sink = _Sink()
    folder = str(caller.site.spools.folder)
    with (
        tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=folder, prefix=".manifest-") as table,
        zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED, allowZip64=True) as packed,
    ):
        table.write(b"\xef\xbb\xbf" + _line(_COLUMNS))  # with its mark, spreadsheets read it as UTF-8
        for number, clip in enumerate(clips, 1):
            if why := stopped():
                table.write(_line(_ended(why)))
                break
            name, problem = file_name(clip, number), ""
            try:
                descriptor = opened(clip)
                try:
                    caller.ledger.catalog.audio.accessed(clip, "fetch")
                except BaseException:
                    os.close(descriptor)
                    raise
                yield from _add(packed, sink, clip, name, descriptor)
            except VoxledgerError as error:
                name, problem = "", str(error)
            table.write(_line(_row(clip, name, problem)))
        table.seek(0)
        info = zipfile.ZipInfo(MANIFEST, time.localtime()[:6])
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        with packed.open(info, "w", force_zip64=True) as target:
            while piece := table.read(_PIECE):
                target.write(piece)
                yield sink.taken()
    yield sink.taken()


def file_name(clip: Clip, number: int) -> str:
    """A name that every file system takes, that no other file of the archive has, and that says what it is."""
    title = wording.title(clip.name, clip.text, clip.language, clip.emotion) or clip.short
    plain = unicodedata.normalize("NFC", _UNSAFE.sub(" ", title))
    plain = "".join(each for each in plain if unicodedata.category(each)[0] != "C")
    plain = " ".join(plain.split()).encode()[:_LONGEST].decode(errors="ignore").strip(". ")
    return f"{number:05} {plain or clip.short} {clip.short}.{clip.format}"


class _Sink(io.RawIOBase):
    """Where the archive is written: what was written is taken away at once, so it never grows."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._place = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        self._place += len(data)
        return len(data)

    def tell(self) -> int:
        return self._place

    def taken(self) -> bytes:
        """What was written since."""
        given = bytes(self._held)
        self._held.clear()
        return given


def _add(packed: zipfile.ZipFile, sink: _Sink, clip: Clip, name: str, descriptor: int) -> Iterator[bytes]:
    with os.fdopen(descriptor, "rb") as source:
        info = zipfile.ZipInfo(name, max(clip.created.timetuple()[:6], (1980, 1, 1, 0, 0, 0)))
        info.external_attr = 0o644 << 16
        with packed.open(info, "w", force_zip64=clip.bytes >= 2**31) as target:
            while piece := source.read(_PIECE):
                target.write(piece)
                yield sink.taken()


def _row(clip: Clip, name: str, problem: str) -> list[Any]:
    known = {
        "file": name, "created": clip.created.isoformat(), "duration_s": clip.duration, "tags": "; ".join(clip.tags), "problem": problem,
        "pinned": "yes" if clip.pinned else "",
    }  # fmt: skip
    return [known.get(column, getattr(clip, column, "")) for column in _COLUMNS]


def _ended(why: str) -> list[Any]:
    problem = f"this and all further clips are missing: {why}"
    return [problem if column == "problem" else "" for column in _COLUMNS]


def _line(values: Sequence[Any]) -> bytes:
    line = io.StringIO(newline="")
    csv.writer(line).writerow([cell(each[:_CUT] if isinstance(each, str) else each) for each in values])
    return line.getvalue().encode()
