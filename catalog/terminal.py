"""What all commands share: where they print, how they name sizes and times, how they open a ledger."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, TypeAlias, TypeVar

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from voxledger.catalog.errors import VoxledgerError

Door = TypeVar("Door")
Opener: TypeAlias = Callable[..., Door]
"""Opens the HOME that the command line names; keyword arguments are settings. Used in a `with` block."""

WAITS = 3
"""The exit status of a command that did nothing of what was asked: all of it has to wait, or came too late."""
console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


def piped() -> str:
    """All of standard input, for an argument that is `-`. Raises VoxledgerError where it is closed."""
    if sys.stdin is None:
        raise VoxledgerError("`-` reads standard input, and this process was given none")
    return sys.stdin.read()


def print_json(value: Any) -> None:
    """One JSON document on standard output, for machines."""
    shown = json.dumps(value, ensure_ascii=False, default=_plain)
    try:
        sys.stdout.write(shown + "\n")
    except UnicodeEncodeError:  # a terminal that knows ASCII only, or half a surrogate pair
        sys.stdout.write(json.dumps(value, default=_plain) + "\n")


def _plain(value: Any) -> str:
    """What JSON has no type for: bytes as hex, moments in ISO 8601, anything else as it prints."""
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, date) else str(value)


def print_json_lines(values: Iterable[Any]) -> None:
    """One JSON document a line on standard output."""
    for value in values:
        print_json(value)


def progress(*, quiet: bool = False) -> Progress:
    """A progress bar on standard error, so that standard output stays clean. Invisible when nobody watches."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=quiet or not errors.is_terminal,
    )


def transfer_progress(*, quiet: bool = False) -> Progress:
    """The same for bytes that travel: how many of how many, and how fast."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=quiet or not errors.is_terminal,
    )


@contextmanager
def steps(*, quiet: bool = False) -> Iterator[Callable[[str, int, int | None], None]]:
    """Progress of work in several steps, a line each: called with the step, how far it is, and how far it goes if known."""
    with progress(quiet=quiet) as bar:
        tasks: dict[str, TaskID] = {}

        def show(step: str, done: int, total: int | None) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total)
            bar.update(tasks[step], completed=done, total=total)

        yield show


@contextmanager
def interruptible(said: str) -> Iterator[None]:
    """Whoever interrupts this block hears at the end what has become of it: a sentence."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(said) from error


def table(title: str, *columns: str, right: Sequence[str] = ()) -> Table:
    """An empty table in the house style; columns named in `right` are aligned to the right."""
    made = Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        header_style="dim",
        pad_edge=False,
    )
    for column in columns:
        made.add_column(text(column), justify="right" if column in right else "left", overflow="fold")
    return made


def text(value: object) -> Text:
    """Somebody's words: printed as they are, never read as markup; control characters are shown, not obeyed."""
    return Text(
        "".join(
            character if character.isprintable() or character == "\n" else "\ufffd"
            for character in str(value).replace("\t", " ")
        )
    )


def size(amount: float) -> str:
    """Bytes for people: `4.5 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(amount) < 1000:
            return f"{amount:,.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def length(seconds: float) -> str:
    """A length of sound for people: `2.4 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def moment(when: datetime) -> str:
    """A moment in this machine's time zone, to the second."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`1 clip`, `2,300 clips`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
