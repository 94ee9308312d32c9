"""`mixpanel status | flush | backfill | quarantine | compare | lexicon`: delivery of events to Mixpanel."""

from __future__ import annotations

import json as json_
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
from cyclopts import App

from voxledger.analytics.commands import mixpanel_shown as shown
from voxledger.catalog import terminal
from voxledger.catalog.errors import QueryError, SettingsError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.analytics.mixpanel import Mixpanel
    from voxledger.catalog.settings import Settings


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    settings: Settings

    @property
    def mixpanel(self) -> Mixpanel:
        """Delivery to Mixpanel."""


class Commands:
    """The commands of this group, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        mixpanel = App(name="mixpanel", help="Delivery of events to Mixpanel.")
        for command in (self.status, self.flush, self.backfill, self.compare, self.lexicon):
            mixpanel.command(command)
        quarantine = App(name="quarantine", help="Events that Mixpanel refused for good.")
        quarantine.command(self.list_, name="list")
        quarantine.command(self.retry)
        mixpanel.command(quarantine)
        app.command(mixpanel)

    def status(self, *, json: bool = False) -> None:
        """Say what waits for Mixpanel, and why.

        **Examples**

            voxledger mixpanel status
            voxledger mixpanel status --json

        Parameters
        ----------
        json
            Print one JSON document.
        """
        with self._opened() as door:
            found = door.mixpanel.status()
            waiting = door.mixpanel.waiting()
            quarantined = door.mixpanel.quarantine.count()
        if json:
            document = asdict(found) | {"backfill": msgspec.to_builtins(found.backfill)}
            document |= {"quarantined": quarantined, "events": [asdict(each) for each in waiting]}
            terminal.print_json(document)
            return
        shown.show_status(found, waiting, quarantined)

    def flush(self, *, json: bool = False) -> None:
        """Send what waits for Mixpanel now, and the profiles of those who did something since.

        **Examples**

            VOXLEDGER_MIXPANEL_TOKEN=… voxledger mixpanel flush

        Parameters
        ----------
        json
            Print one JSON document.
        """
        with self._opened() as door:
            _require_token(door)
            done = door.mixpanel.deliver()
            profiles = door.mixpanel.update_profiles(force=True)
        if json:
            terminal.print_json(
                {
                    "state": done.state, "sent": done.sent, "quarantined": done.quarantined, "skipped": done.skipped,
                    "waiting": done.waiting, "profiles": profiles.users,
                }
            )  # fmt: skip
            return
        if done.state == "busy":
            terminal.console.print(
                "another process delivers right now, `voxledger serve` say; nothing was sent by this one"
            )
            return
        left = f"; {done.skipped:,} {'is' if done.skipped == 1 else 'are'} not for Mixpanel" if done.skipped else ""
        terminal.console.print(
            f"{terminal.count(done.sent, 'event')} sent, {done.quarantined:,} quarantined, {done.waiting:,} waiting{left}",
            soft_wrap=True,
        )
        if profiles.users:
            terminal.console.print(f"{terminal.count(profiles.users, 'user profile')} brought up to date")
        if profiles.refused:
            terminal.console.print(
                f"{terminal.count(profiles.refused, 'profile')} refused; they are sent again when they change"
            )
        if done.quarantined:
            terminal.console.print("[bold]voxledger mixpanel quarantine list[/] says why")

    def backfill(self, *, since: str | None = None, again: bool = False, json: bool = False) -> None:
        """Send again what was delivered since a moment: to a new project, or when more is told than before.

        Mixpanel drops what it has already, because ids and times are the same; what waits is left to the ordinary delivery. One
        that was broken off goes on where it stopped, with the same moment or without any.

        **Examples**

            voxledger mixpanel backfill --since 2026-11-01
            voxledger mixpanel backfill --since 7d
            voxledger mixpanel backfill

        Parameters
        ----------
        since
            A moment: 2026-03-01T12:00:00Z, 2026-03-01 (the beginning of that day), or 7d (seven days ago).
        again
            Send also what was told under other `mixpanel.actor_ids`, although it counts twice then.
        json
            Print one JSON document.
        """
        from voxledger.catalog.query.moment import moment_of

        with self._opened() as door:
            _require_token(door)
            moment = moment_of("--since", since, door.settings.general.time_zone, day="start")
            if moment is not None and moment > datetime.now(UTC):
                raise QueryError(f"--since {since!r} lies in the future; give a moment that is over")
            with (
                terminal.steps(quiet=json) as progress,
                terminal.interruptible("what was sent is in; `voxledger mixpanel backfill` goes on"),
            ):
                done = door.mixpanel.backfill(moment, again=again, progress=progress)
        if json:
            terminal.print_json(asdict(done))
            return
        if done.state == "nothing":
            raise QueryError(
                "no backfill was broken off; say since when: `voxledger mixpanel backfill --since 2026-11-01`"
            )
        if done.state == "busy":
            terminal.console.print("another process sends again right now; nothing was sent by this one")
            return
        if done.gave_up:
            terminal.console.print(f"the one since {terminal.moment(done.gave_up)}, which was broken off, is given up")
        if done.anew:
            terminal.console.print("the one that was broken off went to another project; this one began anew")
        since_when = f" since {terminal.moment(done.since)}" if done.since else ""
        resumed = " more" if done.resumed else ""
        silent = f", {done.silent:,} not told about" if done.silent else ""
        terminal.console.print(
            f"{terminal.count(done.sent, 'event')}{resumed} sent again{since_when}, {done.quarantined:,} quarantined{silent}"
            + ("" if again else "; what Mixpanel had already counts once"),
            soft_wrap=True,
        )

    def list_(self, *, limit: int = 10, json: bool = False) -> None:
        """Say which events Mixpanel refused for good, and why.

        **Examples**

            voxledger mixpanel quarantine list
            voxledger mixpanel quarantine list --limit 100 --json

        Parameters
        ----------
        limit
            Most single events that are shown, the newest first.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            quarantine = door.mixpanel.quarantine
            reasons, newest = quarantine.reasons(), quarantine.newest(max(0, limit))
        if json:
            terminal.print_json(
                {"reasons": [asdict(each) for each in reasons], "newest": [asdict(each) for each in newest]}
            )
            return
        if not reasons:
            terminal.console.print("nothing is in quarantine")
            return
        shown.show_reasons(reasons)
        table = terminal.table("The newest" if newest else "", "id", "event", "happened", "refused")
        for each in newest:
            table.add_row(each.event, each.name, terminal.moment(each.time), terminal.moment(each.since))
        if newest:
            terminal.console.print(table)
        terminal.console.print("After a fix, [bold]voxledger mixpanel quarantine retry[/] sends them again.")

    def retry(self, *, limit: int | None = None, again: bool = False, json: bool = False) -> None:
        """Send the events that Mixpanel refused again, after a fix.

        Those that a wrong clock dated ahead are sent once their time has come.

        **Examples**

            voxledger mixpanel quarantine retry
            voxledger mixpanel quarantine retry --limit 100

        Parameters
        ----------
        limit
            Most events that are tried, from where the last retry stopped, and then from the oldest on.
        again
            Send also what was told under other `mixpanel.actor_ids`, although it may count twice then.
        json
            Print one JSON document.
        """
        if limit is not None and limit < 1:
            raise QueryError(f"--limit {limit} is no number of events: use 1 or more")
        with self._opened() as door:
            _require_token(door)
            with terminal.steps(quiet=json) as progress:
                done = door.mixpanel.retry(limit=limit, again=again, progress=progress)
        if json:
            terminal.print_json(asdict(done))
            return
        if done.busy:
            terminal.console.print("another process delivers right now; try again in a moment")
            return
        if not any((done.taken, done.refused, done.ahead, done.silent, done.otherwise)):
            terminal.console.print("nothing is in quarantine")
            return
        parts = [f"{terminal.count(done.taken, 'event')} taken"]
        parts += [f"{done.refused:,} refused again"] if done.refused else []
        parts += [f"{done.ahead:,} dated ahead still"] if done.ahead else []
        parts += [f"{done.silent:,} not told any more"] if done.silent else []
        parts += [f"{done.otherwise:,} told under other ids (--again sends them, too)"] if done.otherwise else []
        terminal.console.print(f"{', '.join(parts)}; {done.remaining:,} in quarantine")

    def compare(
        self,
        file: Path,
        /,
        *,
        first: str | None = None,
        last: str | None = None,
        all_: bool = False,
        json: bool = False,
    ) -> None:
        """Compare this HOME with what Mixpanel has, by day and event, and say why they differ.

        The file is a raw export of whole days in UTC (docs/mixpanel.md says how to get it), gzipped or not, or a table as CSV.
        The exit status is 1 when events are missing that nothing explains.

        **Examples**

            voxledger mixpanel compare export.ndjson
            voxledger mixpanel compare export.ndjson --first 2026-11-01 --last 2026-11-07 --all

        Parameters
        ----------
        file
            The file from Mixpanel.
        first
            First day to compare, such as 2026-11-01; by default the first one in the file.
        last
            Last day to compare; by default the last one in the file.
        all_
            Show also what does not differ.
        json
            Print one JSON document.
        """
        days = _day("--first", first), _day("--last", last)
        with self._opened() as door:
            found = door.mixpanel.compare(file, first=days[0], last=days[1])
        if json:
            terminal.print_json(asdict(found))
        else:
            shown.show_comparison(found, found.rows if all_ else found.differing)
        if found.missing:
            raise SystemExit(1)

    def lexicon(self, *, out: Path | None = None) -> None:
        """Write names, types and meanings of everything that Mixpanel sees, for its Lexicon.

        docs/mixpanel.md says how to upload it.

        **Examples**

            voxledger mixpanel lexicon --out lexicon.json

        Parameters
        ----------
        out
            A file; without it the document is printed.
        """
        from voxledger.analytics.mixpanel.lexicon import lexicon

        content = lexicon()
        if out is None:
            terminal.print_json(content)
            return
        try:
            out.write_text(json_.dumps(content, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise QueryError(f"{out} cannot be written: {error.strerror}") from None
        entries = content["entries"]
        properties = {name for entry in entries for name in entry["schemaJson"]["properties"]}
        terminal.console.print(
            f"written: [bold]{out}[/]: {len(entries) - 1} events, the user profile, {len(properties)} properties",
            soft_wrap=True,
        )


def _day(option: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise QueryError(f"{option} {text[:40]!r} is no day: write 2026-03-01") from None


def _require_token(door: Door) -> None:
    if not door.mixpanel.status().configured:
        raise SettingsError("nothing can be sent: set mixpanel.token (VOXLEDGER_MIXPANEL_TOKEN)", name="mixpanel.token")
