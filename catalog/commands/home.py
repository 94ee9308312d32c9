"""Commands about the whole of a HOME: `status`, `config` and `export`."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from cyclopts import App
from rich.panel import Panel

from voxledger.catalog import terminal
from voxledger.catalog.commands.export import Commands as ExportCommands
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.settings import format_span, is_secret, names, parse_span
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from rich.text import Text

    from voxledger.catalog.catalog import Catalog
    from voxledger.catalog.home import Home
    from voxledger.catalog.journal import Journal
    from voxledger.catalog.retention import Standing
    from voxledger.catalog.settings import Loaded
    from voxledger.catalog.status import Status

_BRIEFEST = 0.1
"""Seconds between two looks of `--watch`."""


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    home: Home
    loaded: Loaded
    journal: Journal

    @property
    def catalog(self) -> Catalog:
        """Finds clips."""

    def status(self) -> Status:
        """What the HOME is doing."""


class Commands:
    """The commands of this floor, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door], *, watch: Callable[[Any, float, bool], None]) -> None:
        """`watch` shows an open HOME every so many seconds until somebody ends it, as lines of JSON if asked for."""
        self._opened = opened
        self._watch = watch

    def add_to(self, app: App) -> None:
        """Register them."""
        app.command(self.status)
        app.command(self.config)
        ExportCommands(self._opened).add_to(app)

    def status(self, *, watch: bool = False, every: str | None = None, json: bool = False) -> None:
        """Say what is there, what waits, and why.

        **Examples**

            voxledger status
            voxledger status --json
            voxledger status --watch
            voxledger status --watch --every 5s --json

        Parameters
        ----------
        watch
            Go on showing it, with rates and what the serving node does, until `q` or Ctrl-C.
        every
            How often with `--watch`: a time such as 500ms or 5s, at least 100ms; 1s if it is left out.
        json
            Print one JSON document; with `--watch` one a line, each time.
        """
        import msgspec

        if every is not None and not watch:
            raise VoxledgerError("--every says how often --watch looks; give both")
        pause = _pause(every or "1s")
        with self._opened() as door:
            if watch:
                self._watch(door, pause, json)
                return
            found = door.status()
        if json:
            terminal.print_json(msgspec.to_builtins(found, enc_hook=str))
        else:
            _print_status(found)

    def config(self, *, changed: bool = False, json: bool = False) -> None:
        """Show every setting and where its value comes from. Secrets are never shown.

        **Examples**

            voxledger config
            voxledger config --changed
            VOXLEDGER_STORE_ENDPOINT=http://127.0.0.1:9000 voxledger config --json

        Parameters
        ----------
        changed
            Only those that are not at their default.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            rows = _settings(door.loaded, changed)
            home = door.home.path
        if json:
            terminal.print_json({"home": str(home), "settings": rows})
            return
        if not rows:
            terminal.console.print(f"All settings of {home} are at their defaults.", soft_wrap=True)
            return
        made = terminal.table(f"Settings of {home}", "setting", "value", "from")
        for row in rows:
            origin = row["from"]
            made.add_row(
                row["name"], terminal.text(row["shown"]), f"[dim]{origin}[/]" if origin == "default" else origin
            )
        terminal.console.print(made)


def _pause(every: str) -> float:
    try:
        found = parse_span(every)
    except ValueError as error:
        raise VoxledgerError(f"--every: {error}") from None
    if found < _BRIEFEST:
        raise VoxledgerError(f"--every {every} is too often; give at least {format_span(_BRIEFEST)}")
    return found


def _settings(loaded: Loaded, changed: bool) -> list[dict[str, Any]]:
    import msgspec

    rows = []
    for name, field in names().items():
        section, _, key = name.partition(".")
        value = getattr(getattr(loaded.settings, section), key)
        if changed and loaded.origin[name] == "default":
            continue
        if is_secret(name):
            value = "(set)" if value else ""
        unit = next((meta.extra.get("unit") for meta in getattr(field.type, "__metadata__", ()) if meta.extra), None)
        shown = format_span(value) if unit == "seconds" else terminal.size(value) if unit == "bytes" else value
        if name == "retention.rules":
            shown = ", ".join(rule.name for rule in value)
        elif isinstance(value, tuple):
            shown = ", ".join(value)
        rows.append({"name": name, "value": msgspec.to_builtins(value), "shown": shown, "from": loaded.origin[name]})
    return rows


def _print_uploads(found: Status) -> None:
    """What is on its way into the store, by any process; nothing when nobody uploads."""
    for each in found.uploading:
        done = each.progress
        limit = f" of {terminal.size(done.limit)}/s (store.upload_limit)" if done.limit else ""
        does = f"uploads {terminal.count(done.running, 'file')} at {terminal.size(done.rate)}/s{limit}"
        if done.trouble and not done.running:
            does = "waits for the store"
        line = terminal.text(
            f"process {each.pid} {does}; {terminal.count(done.done, 'file')} and {terminal.size(done.sent)} sent"
        )
        if done.trouble:
            line.append(f"\n  {done.trouble}", style="yellow")
        terminal.console.print(line, soft_wrap=True)
    if found.missing:
        terminal.console.print(
            f"[red]{found.missing:,} missing[/] in the store: `voxledger clips --state missing` lists them, `voxledger reconcile"
            " --repair` mends what it can",
            soft_wrap=True,
        )
    if found.unstored_bytes:
        terminal.console.print(f"{terminal.size(found.unstored_bytes)} of audio are not in the store yet", style="dim")


def _add_retention(body: Text, standing: Standing) -> None:
    """The nightly run, what stops it, and legal holds that wait for somebody; nothing where there is neither."""
    if standing.schedule:
        last = f"last {standing.last_run}" if standing.last_run else "none yet"
        due = standing.next_run
        following = f", next {terminal.moment(due)}" if due and due > datetime.now(UTC) else ", one is due"
        body.append(f"\nretention runs at {standing.schedule}: {last}{following}", style="dim")
    if standing.stopped:
        body.append(f"\nthe retention run {standing.stopped.run} waits: ", style="red")
        body.append(terminal.text(standing.stopped.said))
    elif ended := standing.last_stop:
        body.append(
            f"\nthe last retention run that something stopped: {ended.run}, on {terminal.moment(ended.since)} ({ended.cause})",
            style="dim",
        )
    if standing.waiting:
        purges = terminal.count(standing.waiting.clips, "purge")
        opens = terminal.moment(standing.waiting.opens)
        body.append(
            f"\n{purges} of the retention run {standing.waiting.run} wait: the purge window opens at {opens}",
            style="yellow",
        )
    if standing.overdue_holds:
        holds = terminal.count(standing.overdue_holds, "legal hold")
        body.append(
            f"\n{holds} should have been looked at again by now: voxledger retention holds --due", style="yellow"
        )


def _print_status(found: Status) -> None:
    body = terminal.text(
        f"{terminal.count(found.clips, 'clip')}, {terminal.length(found.duration_us / 1e6)}, {terminal.size(found.bytes)}\n"
        f"{found.stored:,} stored · {found.pinned:,} pinned · {found.marked:,} marked · {found.purged:,} purged\n"
        f"{terminal.count(found.head, 'event')} · {terminal.size(found.free_disk)} free on the disk"
    )
    if found.serving is not None:
        body.append(
            f"\nserved by process {found.serving.pid}" + (f" at {found.serving.url}" if found.serving.url else "")
        )
    if found.cache is not None and found.cache_limit:
        over = found.cache.bytes > found.cache_limit
        body.append(
            f"\nlocal copies {terminal.size(found.cache.bytes)} of {terminal.size(found.cache_limit)}",
            style="yellow" if over else "",
        )
    if found.free_disk < found.min_free_disk:
        body.append(
            f"\nless than general.min_free_disk ({terminal.size(found.min_free_disk)}): nothing is generated",
            style="red",
        )
    if found.elsewhere is not None and found.elsewhere.is_recent:
        body.append(f"\n{found.elsewhere}", style="red")
    if found.retention is not None:
        _add_retention(body, found.retention)
    terminal.console.print(
        Panel(body, title=f"[bold]{found.home}[/]", title_align="left", border_style="dim", expand=False)
    )
    _print_uploads(found)
    now = time.time()
    waits = terminal.table("What waits", "what", "how many", "since", "next try", "why", right=("how many",))
    for task in found.tasks:
        due = "now" if task.next_due <= now else f"in {format_span(round(task.next_due - now))}"
        if task.state == "leased":
            due = "·"
        state = {"leased": "in hand", "parked": "parked"}.get(task.state, "waiting")
        waits.add_row(
            f"{task.kind}, {state}", f"{task.count:,}", format_span(max(0, round(now - task.oldest))),
            _remedy(task.kind) if task.state == "parked" else due, terminal.text(task.error or "·"),
        )  # fmt: skip
    if found.erasures:
        waits.add_row("erasures", f"{found.erasures:,}", "·", "·", "`voxledger erasures` says for what")
    for behind in found.subscriptions:
        if behind.waiting:
            waits.add_row(
                f"events for {behind.name}", f"{behind.waiting:,}", "·", "·", terminal.text(behind.note or "·")
            )
    if found.quarantined:
        why = "Mixpanel refused them: `voxledger mixpanel quarantine list`"
        waits.add_row("events in quarantine", f"{found.quarantined:,}", "·", "·", why)
    if found.reports:
        since = format_span(max(0, round(now - found.reports[0].since)))
        weeks = ", ".join(report.week for report in found.reports)
        waits.add_row(
            "reports, due", f"{len(found.reports):,}", since, "·", f"{weeks}: `voxledger serve` makes what is due"
        )
    terminal.console.print(waits if waits.row_count else "Nothing waits.")
    for task_parked in found.parked:
        terminal.console.print(
            f"[red]parked[/] {_called(task_parked.subject)}: ", terminal.text(task_parked.error or ""), sep=""
        )


def _called(subject: str) -> str:
    """What a task is about: a clip by the end of its id, a report as `2026-W47 r1 mail`."""
    return f"the report {subject}" if " " in subject else f"clip {subject[-8:]}"


def _remedy(kind: str) -> str:
    from voxledger.catalog.journal import UPLOAD

    return "after `voxledger store retry`" if kind == UPLOAD else "after `voxledger report send`"
