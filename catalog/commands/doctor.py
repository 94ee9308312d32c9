"""The command `doctor`: looks at HOME, its node and its store, and prints policies for the store's keys."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from cyclopts import App
from rich.markup import escape
from rich.padding import Padding

from voxledger.catalog import terminal
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.doctor import Examination, Finding, State
    from voxledger.catalog.home import Home
    from voxledger.catalog.journal import Journal
    from voxledger.catalog.objects import Store
    from voxledger.catalog.retention import Retention
    from voxledger.catalog.settings import Loaded

_AREAS = {"home": "HOME", "node": "Node", "store": "Store", "buckets": "Buckets", "features": "What the store can do"}
_MARKS = {
    "ok": "[green]✓[/]",
    "note": "[blue]·[/]",
    "warning": "[yellow]![/]",
    "bad": "[red bold]✗[/]",
    "unknown": "[dim]?[/]",
}


class Door(AbstractContextManager["Door"], Protocol):
    """What this command needs of a ledger."""

    home: Home
    loaded: Loaded
    journal: Journal

    @property
    def store(self) -> Store:
        """The S3 store."""

    @property
    def retention(self) -> Retention:
        """Knows its nightly run, and its holds."""


class Commands:
    """The command, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register it."""
        app.command(self.doctor)

    def doctor(self, *, policy: list[str] | None = None, json: bool = False) -> int:
        """Look at HOME, the node that serves it, and the store: what works, what does not, and what follows from it.

        The store is really tried, in buckets named `voxledger-probe-…` that are made for it and removed, or, with keys that may
        not make any, under `voxledger-probe/` in the bucket of clips. What it can do is kept in HOME, and decides how uploads
        and downloads are made. The engines are left to `voxledger engines`. Exit status 1: something does not work.

        **Examples**

            voxledger doctor
            voxledger doctor --json
            voxledger doctor --policy uploader > policy.json
            voxledger doctor --policy uploader --policy reader

        Parameters
        ----------
        policy
            Look at nothing, and print the least that a key with this role must be allowed, as an IAM document for the buckets of
            the settings: uploader, reader, retention, erasure, models, backup, administrator. Several are joined.
        json
            Print one JSON document.
        """
        from voxledger.catalog.doctor import examine

        with self._opened() as door:
            if policy:
                from voxledger.catalog.objects.policies import policy as document

                print(_indented(document(policy, door.loaded.settings)))
                return 0
            with terminal.errors.status("looking …") as status:
                found = examine(
                    door.home,
                    door.loaded,
                    door.journal,
                    door.store,
                    retention=lambda: door.retention.status(),
                    told=lambda what: status.update(f"looking at {what} …"),
                )
        if json:
            import msgspec

            terminal.print_json({"healthy": found.healthy, **msgspec.to_builtins(found)})
        else:
            _print(found)
        return 0 if found.healthy else 1


def _indented(value: object) -> str:
    import json

    return json.dumps(value, indent=2)


def _print(found: Examination) -> None:
    for area, title in _AREAS.items():
        rows = [finding for finding in found.findings if finding.area == area]
        if area == "features":
            _print_features(rows)
        elif rows:
            told = any(finding.follows for finding in rows)
            made = terminal.table(title, "", "what", "found", *(["what follows"] if told else []))
            for finding in rows:
                cells = [finding.name, finding.found, *([finding.follows] if told else [])]
                made.add_row(_MARKS[finding.state], *map(terminal.text, cells))
            terminal.console.print(made)
    counts = Counter(finding.state for finding in found.findings)
    said: dict[State, str] = {
        "ok": "in order",
        "note": "to know",
        "unknown": "unknown",
        "warning": "to look at",
        "bad": "not working",
    }
    terminal.console.print(
        "  ".join(f"{_MARKS[state]} {counts[state]} {words}" for state, words in said.items() if counts[state])
    )


def _print_features(rows: Sequence[Finding]) -> None:
    """What works is one paragraph, what nobody tried and is used all the same another; what something follows from has a row."""
    from voxledger.catalog.doctor.features import USED

    if not rows:
        return
    terminal.console.print(f"[bold]{_AREAS['features']}[/]\n")
    used = [finding for finding in rows if finding.state == "unknown" and finding.follows == USED]
    told = {f"{_MARKS['ok']} ": [finding.name for finding in rows if finding.state == "ok"]}
    for reason in dict.fromkeys(finding.found for finding in used):
        names = [finding.name for finding in used if finding.found == reason]
        told[f"{_MARKS['unknown']} {USED} ({escape(reason)}): "] = names
    for begin, names in told.items():
        if names:
            terminal.console.print(Padding(f"{begin}{', '.join(names)}", (0, 0, 0, 1)))
    made = terminal.table("", "", "what it cannot do, or nobody tried", "what follows")
    for finding in rows:
        if finding.state != "ok" and finding not in used:
            made.add_row(_MARKS[finding.state], terminal.text(finding.name), terminal.text(finding.follows))
    if made.row_count:
        terminal.console.print(made)
