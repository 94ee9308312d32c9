"""Commands about events: `events export | import | show | types`, and `events stream` of its own module."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Literal, Protocol

from cyclopts import App, Parameter, validators

from voxledger.catalog import terminal
from voxledger.catalog.commands.streaming import Streaming
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.recorder import Recorder
    from voxledger.catalog.settings import Loaded

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    loaded: Loaded
    recorder: Recorder

    @property
    def keeper(self) -> Keeper:
        """Reads the log."""


class Commands:
    """The commands about events, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        events = App(name="events", help="The log itself: read an event, or carry events to other systems and back.")
        for command in (self.export, self.show, self.types):
            events.command(command)
        events.command(Streaming(self._opened).stream)
        events.command(self.import_, name="import")
        app.command(events)

    def export(
        self,
        *,
        format: Literal["cloudevents", "cloudevents-batch"] = "cloudevents",
        type: tuple[str, ...] = (),
        since: str | None = None,
        until: str | None = None,
        after: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 0,
        out: Path | None = None,
    ) -> None:
        """Write events as CloudEvents 1.0, in the order of the log.

        What is personal stays sealed: without the vault's keys nobody can read it.

        **Examples**

            voxledger events export > events.jsonl
            voxledger events export --since 7d --type GenerationCompleted --type GenerationFailed
            voxledger events export --format cloudevents-batch --until 2026-11-01 --out october.json
            voxledger events export --after 120000 --out rest.jsonl

        Parameters
        ----------
        format
            cloudevents is one JSON document a line, cloudevents-batch one JSON array.
        type
            Only events of this type; may be repeated.
        since
            Only what happened from then on: 2026-03-01T12:00:00Z, 2026-03-01 (the start of that day) or 7d (seven days ago).
        until
            Only what happened before then, written likewise.
        after
            Only events after this position of the log.
        out
            The file to write, there whole or not at all; standard output by default.
        """
        from voxledger.catalog import exchange
        from voxledger.catalog.events.cloudevent_files import written
        from voxledger.catalog.query.moment import moment_of

        with self._opened() as door, terminal.progress() as bar, _target(out) as file:
            zone = door.loaded.settings.general.time_zone
            exchange.check_types(type, door.keeper)
            task = bar.add_task("exporting", total=None)
            events = _Counted(
                exchange.exported(
                    door.keeper,
                    types=type,
                    since=moment_of("--since", since, zone, day="start"),
                    until=moment_of("--until", until, zone, day="start"),
                    after=after,
                    progress=lambda at, end: bar.update(task, completed=at - after, total=end - after),
                )
            )
            file.writelines(written(events, format))
        if out:
            terminal.console.print(terminal.text(f"{terminal.count(events.count, 'event')} written to {out}"))

    def import_(self, file: Annotated[str, Parameter(allow_leading_hyphen=True)], /, *, json: bool = False) -> None:
        """Record the events of a file of CloudEvents.

        All of it is checked first: one line that breaks a rule, and nothing is recorded. Events that this log knows
        already are left out, so an import may be repeated. Events of types that Voxledger does not know are kept and
        shown as unknown; their data are taken to be free of anything personal.

        **Examples**

            voxledger events import events.jsonl
            voxledger --home other events export | voxledger events import -

        Parameters
        ----------
        file
            One JSON document a line, or one JSON array; `-` reads standard input.
        json
            Print one JSON document.
        """
        from voxledger.catalog import exchange
        from voxledger.catalog.recorder import SYSTEM

        with self._opened() as door, _source(file) as source, terminal.progress(quiet=json) as bar:
            task = bar.add_task("importing", total=None)
            taken = exchange.take_in(
                source,
                door.recorder,
                door.keeper,
                actor=door.recorder.vault.actor(SYSTEM).id,
                progress=lambda at, end: bar.update(task, completed=at, total=end),
            )
        if json:
            terminal.print_json({"recorded": taken.recorded, "known": taken.known})
        else:
            known = f", {taken.known:,} known already" if taken.known else ""
            terminal.console.print(f"{terminal.count(taken.recorded, 'event')} recorded{known}")

    def show(self, event: str, /, *, json: bool = False) -> None:
        """Show everything about one event, with what is sealed opened.

        **Examples**

            voxledger events show 1204
            voxledger events show 01936f2e-7c1a-7d53-9b0e-5b1f8f3a91c2 --json

        Parameters
        ----------
        event
            Its position in the log, or its whole id.
        json
            Print one JSON document.
        """
        from voxledger.catalog import event_view, exchange

        wanted = event.strip().lower()
        if not wanted.isdecimal() and not _UUID.fullmatch(wanted):
            raise VoxledgerError(f"{event!r} is neither a position in the log nor a whole event id")
        with self._opened() as door:
            found = exchange.find(door.keeper, wanted)
            if found is None:
                raise VoxledgerError(f'the log holds no event {event}; `voxledger sql "FROM events"` lists them')
            personal = door.recorder.unsealed(found)
        told = event_view.told(found, personal)
        if json:
            terminal.print_json(told)
        else:
            _print_event(told)

    def types(self, *, json: bool = False) -> None:
        """List the types of event: what each says, and how many of them the log holds.

        **Examples**

            voxledger events types
            voxledger events types --json

        Parameters
        ----------
        json
            Print one JSON document a line.
        """
        from voxledger.catalog import event_view, exchange

        with self._opened() as door:
            rows = event_view.types(exchange.counts(door.keeper))
        if json:
            terminal.print_json_lines(rows)
            return
        made = terminal.table("", "type", "version", "events", "what it says", right=("version", "events"))
        for row in rows:
            about = row["about"] or "[dim]unknown to this version of Voxledger; kept[/]"
            made.add_row(terminal.text(row["type"]), str(row["version"]), f"{row['events']:,}", about)
        terminal.console.print(made)


class _Counted:
    """Counts what passes through."""

    def __init__(self, events: Iterable[bytes]) -> None:
        self._events = events
        self.count = 0

    def __iter__(self) -> Iterator[bytes]:
        for event in self._events:
            self.count += 1
            yield event


def _print_event(told: dict[str, Any]) -> None:
    facts = terminal.table("", "what", "value", "")
    for name in ("position", "id", "type", "subject", "time", "recorded", "actor", "source"):
        value = told[name]
        if name in ("time", "recorded"):
            value = terminal.moment(datetime.fromisoformat(value))
        facts.add_row(name, terminal.text(value if name != "type" else f"{value}, version {told['version']}"), "")
    data = told["data"] if isinstance(told["data"], dict) else {"data": told["data"]}
    for part, note in ((data, ""), (told["sealed"], "[dim]sealed[/]")):
        for name, value in part.items():
            facts.add_row(terminal.text(name.replace("_", " ")), terminal.text(_cell(value)), note)
    terminal.console.print(facts)
    if not told["known"]:
        terminal.console.print("[yellow]unknown:[/] ", terminal.text(told["why"]), sep="")
    if told["erased"]:
        terminal.console.print(
            "[dim]What was personal cannot be read: its key was destroyed or is not in this vault.[/]"
        )


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    if isinstance(value, dict):
        value = ", ".join(f"{name}: {inner}" for name, inner in value.items())
    return "·" if value in (None, "") else str(value)


@contextmanager
def _target(out: Path | None) -> Iterator[BinaryIO]:
    """Standard output, or a file that is there whole or not at all."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    from voxledger.catalog import platform

    part = out.with_name(f".{out.name[:100]}.part")
    try:
        with part.open("wb") as file:
            yield file
            platform.fsync_file(file)
        part.replace(out)
    except OSError as error:
        raise VoxledgerError(f"{out} cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _source(file: str) -> Iterator[BinaryIO]:
    """A file that can be read twice; standard input is kept in a temporary one."""
    if file != "-":
        try:
            source = Path(file).open("rb")  # noqa: SIM115  # closed below; only opening is guarded
        except OSError as error:
            raise VoxledgerError(f"{file} cannot be read: {error.strerror or error}") from error
        with source:
            yield source
        return
    with tempfile.TemporaryFile() as kept:
        while chunk := sys.stdin.buffer.read(1 << 20):
            kept.write(chunk)
        yield kept
