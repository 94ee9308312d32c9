"""Commands that give audio back: `fetch` and `url`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.errors import HomeError, StoreError, VoxledgerError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from rich.progress import Progress

    from voxledger.catalog.catalog import Catalog
    from voxledger.catalog.clip import Clip


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    @property
    def catalog(self) -> Catalog:
        """Finds clips."""


class Commands:
    """The commands that give audio back, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        app.command(self.fetch)
        app.command(self.url)

    def fetch(self, clip: str, /, *clips: str, out: Path | None = None, json: bool = False) -> int:
        """Bring the audio of clips onto this machine, and print where it lies.

        What the cache has is there at once. What it lacks is downloaded in ranges, checked against the SHA-256 on record,
        and kept in the cache; interrupted, it goes on where it stopped. Without `--out` the paths are those of the cache,
        whose files come and go by themselves. A clip that cannot be had does not keep the others.

        **Examples**

            voxledger fetch 8f3a91c2
            voxledger fetch 8f3a91c2 17e0 --out ~/Music
            ffplay "$(voxledger fetch 8f3a91c2)"
            voxledger clips --tag on-air --json | jq -r .id | xargs voxledger fetch --out on-air

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        clips
            More of them.
        out
            A folder to copy them into; it is made if it is not there.
        json
            Print one JSON document a line.
        """
        failed = 0
        if out is not None:
            _make(out)
        with self._opened() as door, _transfer() as bar:
            for reference in (clip, *clips):
                try:
                    found = door.catalog.clip(reference)
                    path, fetched = _fetch(door.catalog, found, bar)
                    if out is not None:
                        path = _copy(path, out / _name(found))
                except VoxledgerError as error:
                    failed += 1
                    terminal.errors.print("[red bold]error:[/] ", terminal.text(error), sep="", soft_wrap=True)
                    continue
                if json:
                    facts = {"id": found.id, "short": found.short, "path": str(path), "bytes": found.bytes}
                    terminal.print_json({**facts, "sha256": found.sha256, "downloaded": fetched})
                else:
                    terminal.console.print(_line(path, found, fetched), soft_wrap=True)
        return 1 if failed else 0

    def url(self, clip: str, /, *clips: str, expires: str = "5min", json: bool = False) -> None:
        """Print a link to the audio of a clip: whoever has it can listen, without keys, until it expires.

        The link leads to the store itself, and the clip counts as used from the moment it is given.

        **Examples**

            voxledger url 8f3a91c2
            voxledger url 8f3a91c2 --expires 7d
            curl -o tide.wav "$(voxledger url 8f3a91c2)"

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        clips
            More of them, one link a line.
        expires
            How long it works: 90s, 5min, 12h, at most 7d.
        json
            Print one JSON document a line.
        """
        from datetime import timedelta

        from voxledger.catalog.events import now

        seconds = _seconds(expires)
        with self._opened() as door:
            for reference in (clip, *clips):
                found = door.catalog.clip(reference)
                link = door.catalog.url(found, seconds)
                if json:
                    until = now() + timedelta(seconds=seconds)
                    terminal.print_json({"id": found.id, "short": found.short, "url": link, "expires": until})
                else:
                    # A link is for copying: not a letter more or less, and no line break.
                    terminal.console.print(terminal.text(link), soft_wrap=True)


def _fetch(catalog: Catalog, clip: Clip, bar: Progress) -> tuple[Path, bool]:
    """The file, and whether it had to be downloaded."""
    came: list[int] = []
    task = bar.add_task(f"{clip.short} {clip.name or ''}", total=clip.bytes, visible=False)

    def arrived(more: int) -> None:
        came.append(more)
        bar.update(task, advance=more, visible=True)

    try:
        return catalog.fetch(clip, progress=arrived), bool(came)
    finally:
        bar.remove_task(task)


def _line(path: Path, clip: Clip, fetched: bool) -> Any:
    """A path alone for a program, with what it is for a person."""
    line = terminal.text(path)
    if terminal.console.is_terminal:
        source = "downloaded" if fetched else "from the cache"
        line.stylize("bold")
        line.append(
            f"  {terminal.length(clip.duration)} · {terminal.size(clip.bytes)} · {source}",
            style="not bold dim",
        )
    return line


def _name(clip: Clip) -> str:
    """The name of the file in the cache; one that was chosen by others gets the clip's id, so that none meets another."""
    known = Path(clip.key or f"{clip.id}.{clip.format}")
    return known.name if clip.id in known.name else f"{known.stem}-{clip.short}{known.suffix}"


def _copy(source: Path, target: Path) -> Path:
    part = target.with_name(f".{target.name[:40]}.part")
    try:
        shutil.copyfile(source, part)
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise HomeError(f"{target} could not be written: {error.strerror}; choose another folder with --out") from error
    return target


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HomeError(f"the folder {folder} cannot be made: {error.strerror}; choose another with --out") from error


def _seconds(expires: str) -> int:
    from voxledger.catalog.settings import parse_span

    try:
        return int(parse_span(expires))
    except ValueError as error:
        raise StoreError(f"--expires {expires}: {error}") from error


@contextmanager
def _transfer() -> Iterator[Progress]:
    """Bars of bytes on standard error, as long as something is downloaded."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns: Sequence[Any] = (
        TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=terminal.errors, transient=True, disable=not terminal.errors.is_terminal) as made:
        yield made
