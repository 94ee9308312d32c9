"""Exporting: everything that is held about a person, in files that a person can read."""

from __future__ import annotations

import contextlib
import csv
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from voxledger.catalog.erasure.subject import SQL, Subject
from voxledger.catalog.errors import DiskFull, ErasureError, StoreError, StoreUnavailable, SubjectNotFound
from voxledger.catalog.event_view import told
from voxledger.catalog.events import Event, now
from voxledger.catalog.hashing import sha256_of
from voxledger.catalog.home import Home
from voxledger.catalog.platform import lacks_room
from voxledger.catalog.progress import Progress, silent
from voxledger.catalog.recorder import Recorder

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.objects import Store

_MARK = ".unfinished.json"
_PAGE = 2000
_SAID = frozenset(
    {"ClipTagged", "ClipUntagged", "ClipRated", "ClipPinned", "ClipUnpinned", "HoldPlaced", "HoldReleased"}
)
_README = """What Voxledger holds about {called}
{line}

Written on {now} UTC, from the folder {home}.

events.jsonl    {events:,} records, one a line: everything that {called} did, opened, and what others did with their clips (what
                others said in doing so is theirs, and left out). `type` says what happened; docs/events.md explains every type.
clips.csv       {clips:,} clips with everything that is known of each; clips.json holds the same.
audio/          {audio:,} recordings of those clips, as they are stored.{missing}
said.csv        {said:,} tags, ratings, pins and holds by {called}, on anybody's clips.
voices.json     {voices:,} voices that {called} registered; the recordings, and the documents that consent to them, lie in voices/.
mixpanel.json   What was sent to Mixpanel: how many events of each kind, and which properties. No words, no names: the person is
                known there as {target}.

Backups hold the same once more, sealed with the same key. Nothing else is held.
"""


class SubjectExport(msgspec.Struct, frozen=True, kw_only=True):
    """What was written. `missing` are clips whose audio the store does not have any more."""

    path: Path
    events: int
    clips: int
    audio: int
    audio_bytes: int
    missing: int
    voices: int
    said: int


class Exporter:
    """Writes everything about one actor into a folder, or one zip file. Memory holds a page of it.

    `sent` tells what Mixpanel heard, from an opaque id.
    """

    def __init__(
        self,
        home: Home,
        recorder: Recorder,
        keeper: Keeper,
        store: Callable[[], Store],
        sent: Callable[[str], Mapping[str, Any]] = lambda target: {},  # noqa: ARG005  # nobody was told anything
    ) -> None:
        self._home = home
        self._recorder = recorder
        self._keeper = keeper
        self._store = store
        self._sent = sent

    def export(self, subject: Subject, out: Path, *, progress: Progress = silent) -> SubjectExport:
        """Write it to `out`: a folder that is not there yet, or a name that ends in `.zip`.

        Interrupted, the same call goes on. Raises ErasureError when something else is there, or the disk says no; SubjectNotFound
        when nothing is held; StoreUnavailable.
        """
        target = out.expanduser().absolute()
        zipped = target.suffix.lower() == ".zip"
        if zipped and target.exists():
            raise ErasureError(f"{target} is there already; name another file. Nothing was written")
        folder = target.with_name(f"{target.name}.part") if zipped else target
        with self._keeper.reading() as reading:
            total = int(reading.tuples(SQL["counted"], {"target": subject.target})[0][0])
        if not total:
            raise SubjectNotFound(f"nothing is held about {subject.called!r}; nothing was written")
        try:
            self._begin(folder, subject)
            done = self._write(folder, subject, total, progress)
            (folder / _MARK).unlink()
            if zipped:
                _zip(folder, target, progress)
        except OSError as error:
            if lacks_room(error, target.parent):
                raise DiskFull.at(
                    f"{folder} could not be written", "the same command goes on where it stopped"
                ) from error
            raise ErasureError(f"{folder} cannot be written: {error.strerror or error}; name another place") from error
        return msgspec.structs.replace(done, path=target)

    def _begin(self, folder: Path, subject: Subject) -> None:
        mark = folder / _MARK
        about = json.dumps({"target": subject.target}).encode()
        if folder.exists():
            unfinished = mark.is_file() and mark.read_bytes() == about
            if not unfinished and (not folder.is_dir() or any(folder.iterdir())):
                raise ErasureError(
                    f"{folder} is there already, and no unfinished export of the same person; name another one"
                )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mark.write_bytes(about)

    def _write(self, folder: Path, subject: Subject, total: int, progress: Progress) -> SubjectExport:
        events, said = self._events(folder, subject, total, progress)
        clips = self._clips(folder, subject, progress)
        audio, size, missing = self._audio(folder, subject, clips, progress)
        voices = self._voices(folder, subject)
        _put(folder / "mixpanel.json", json.dumps(self._sent(subject.target), indent=2, ensure_ascii=False))
        called = subject.called or subject.target
        lost = f" The store does not have {missing:,} of them any more." if missing else ""
        title = f"What Voxledger holds about {called}"
        _put(
            folder / "README.txt",
            _README.format(
                called=called, line="=" * len(title), now=f"{now():%Y-%m-%d %H:%M}", home=self._home.path, events=events,
                clips=clips, audio=audio, missing=lost, said=said, voices=voices, target=subject.target,
            ),
        )  # fmt: skip
        return SubjectExport(
            path=folder,
            events=events,
            clips=clips,
            audio=audio,
            audio_bytes=size,
            missing=missing,
            voices=voices,
            said=said,
        )

    def _events(self, folder: Path, subject: Subject, total: int, progress: Progress) -> tuple[int, int]:
        count = said = 0
        with _whole(folder / "events.jsonl") as lines, _whole(folder / "said.csv") as table:
            writer = csv.writer(table)
            writer.writerow(["time", "clip", "what", "said"])
            for event in self._logged(subject):
                mine = event.actor == subject.target
                shown = told(event, self._recorder.unsealed(event) if mine else {})
                if not mine:
                    shown["sealed"] = {}
                lines.write(json.dumps(shown, ensure_ascii=False, default=str) + "\n")
                count += 1
                if mine and event.type in _SAID:
                    said += 1
                    words = {**shown.get("data", {}), **shown.get("sealed", {})}
                    writer.writerow(
                        [event.time.isoformat(), event.subject, event.type, json.dumps(words, ensure_ascii=False)]
                    )
                progress("writing events", count, max(count, total))
        return count, said

    def _logged(self, subject: Subject) -> Iterator[Event]:
        after = 0
        while True:
            with self._keeper.reading(fresh=False) as reading:
                rows = reading.rows(SQL["events"], {"after": after, "target": subject.target, "limit": _PAGE})
            if not rows:
                return
            for row in rows:
                yield _event(row)
            after = rows[-1]["position"]

    def _pages(self, subject: Subject) -> Iterator[dict[str, Any]]:
        after = str(UUID(int=0))
        while True:
            with self._keeper.reading(fresh=False) as reading:
                rows = reading.rows(SQL["clips_of"], {"after": after, "target": subject.target, "limit": _PAGE})
            if not rows:
                return
            yield from rows
            after = str(rows[-1]["id"])

    def _clips(self, folder: Path, subject: Subject, progress: Progress) -> int:
        count = 0
        with _whole(folder / "clips.csv") as table, _whole(folder / "clips.json") as document:
            writer: Any = None
            document.write("[")
            for row in self._pages(subject):
                plain = {name: _plain(value) for name, value in row.items()}
                if writer is None:
                    writer = csv.DictWriter(table, list(plain))
                    writer.writeheader()
                writer.writerow({name: _cell(value) for name, value in plain.items()})
                document.write((",\n" if count else "\n") + json.dumps(plain, ensure_ascii=False))
                count += 1
                progress("writing clips", count, None)
            document.write("\n]\n")
        return count

    def _audio(self, folder: Path, subject: Subject, total: int, progress: Progress) -> tuple[int, int, int]:
        count = size = missing = seen = 0
        place = folder / "audio"
        for row in self._pages(subject):
            seen += 1
            progress("fetching audio", seen, total)
            if row["purged"] is not None or not row["key"]:
                continue
            path = place / row["key"]
            if not path.resolve().is_relative_to(place.resolve()):
                path = place / f"{row['id']}.{row['format']}"
            if self._fetched(row, path):
                count, size = count + 1, size + int(row["bytes"])
            else:
                missing += 1
        return count, size, missing

    def _fetched(self, row: Mapping[str, Any], path: Path) -> bool:
        """Whether the audio is there now, as it was recorded: from an earlier call, from the cache, or from the store."""
        sha256 = row["sha256"]
        if path.is_file() and sha256_of(path) == sha256:
            return True
        path.parent.mkdir(parents=True, exist_ok=True)
        local = self._home.cache / row["key"]
        with contextlib.suppress(OSError):
            if local.is_file() and sha256_of(local, unnoticed=True) == sha256:
                shutil.copyfile(local, path)
                return True
        if row["stored"] is None:
            return False
        try:
            self._store().download(row["bucket"], row["key"], path, sha256=sha256)
        except StoreUnavailable:
            raise
        except StoreError:
            return False
        return True

    def _voices(self, folder: Path, subject: Subject) -> int:
        with self._keeper.reading(fresh=False) as reading:
            rows = reading.rows(SQL["voices_of"], {"target": subject.target})
        place = folder / "voices"
        for row in rows:
            for key, sha256 in ((row["key"], row["sha256"]), (row["consent_path"], row["consent_sha256"])):
                if not key:
                    continue
                path = place / key
                path.parent.mkdir(parents=True, exist_ok=True)
                local = self._home.voices / key
                if local.is_file():
                    shutil.copyfile(local, path)
                else:
                    with contextlib.suppress(StoreError):
                        self._store().download(row["bucket"], key, path, sha256=sha256)
        plain = [{name: _plain(value) for name, value in row.items()} for row in rows]
        _put(folder / "voices.json", json.dumps(plain, indent=2, ensure_ascii=False))
        return len(rows)


def _event(row: Mapping[str, Any]) -> Event:
    return Event(
        **{name: row[name] for name in ("position", "id", "source", "type", "subject", "actor", "version", "sealed")},
        time=row["time"].astimezone(UTC),
        recorded=row["recorded"].astimezone(UTC),
        data=msgspec.Raw(row["data"].encode()),
    )


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value.isoformat() if hasattr(value, "isoformat") else value.hex() if isinstance(value, bytes) else str(value)


def _cell(value: Any) -> Any:
    """A cell of a table that no program takes for a formula."""
    if isinstance(value, list):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t")) else value


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[IO[str]]:
    """A text file that appears whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8", newline="") as file:
        yield file
    part.replace(path)


def _put(path: Path, content: str) -> None:
    with _whole(path) as file:
        file.write(content)


def _zip(folder: Path, target: Path, progress: Progress) -> None:
    """The folder as one file; sound does not pack, and is stored as it is."""
    part = target.with_name(f".{target.name}.part")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    with zipfile.ZipFile(part, "w") as archive:
        for number, path in enumerate(files, 1):
            inside = f"{target.stem}/{path.relative_to(folder)}"
            packed = zipfile.ZIP_DEFLATED if path.parent == folder else zipfile.ZIP_STORED
            archive.write(path, inside, compress_type=packed)
            progress("packing", number, len(files))
    part.chmod(0o600)
    part.replace(target)
    shutil.rmtree(folder)
