"""Commands about lifecycle rules of the store: `lifecycle show | apply`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.errors import StoreError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.home import Home
    from voxledger.catalog.objects import Store
    from voxledger.catalog.objects.features import Features
    from voxledger.catalog.objects.lifecycle import BucketRules
    from voxledger.catalog.settings import Settings

_COLORS = {"in place": "green", "to be written": "yellow", "to be removed": "yellow", "kept": "dim"}


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    home: Home
    settings: Settings

    @property
    def store(self) -> Store:
        """The S3 store."""


class Commands:
    """The commands about lifecycle rules, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        lifecycle = App(name="lifecycle", help="Rules that the store itself keeps, as a backstop behind retention.")
        for command in (self.show, self.apply):
            lifecycle.command(command)
        app.command(lifecycle)

    def show(self, *, json: bool = False) -> None:
        """Show the lifecycle rules of our buckets, and what `apply` would do. Changes nothing.

        **Examples**

            voxledger lifecycle show
            voxledger lifecycle show --json

        Parameters
        ----------
        json
            Print one JSON document.
        """
        with self._opened() as door:
            found, features = _survey(door)
            if json:
                terminal.print_json([_as_dict(rules) for rules in found])
                return
            _print(found)
            _hint(door.settings, features)

    def apply(self, *, yes: bool = False, json: bool = False) -> None:
        """Write our lifecycle rules into our buckets. Rules of others stay as they are.

        What a purge has begun to delete, and tagged, goes after `retention.backstop`, old versions too; multipart uploads that
        nobody finishes, whoever began them, are given up after a week. Nothing else is ever removed by a rule of ours.

        **Examples**

            voxledger lifecycle apply
            VOXLEDGER_RETENTION_BACKSTOP=30d voxledger lifecycle apply --yes

        Parameters
        ----------
        yes
            Do not ask.
        json
            Print one JSON document.
        """
        from voxledger.catalog.objects.lifecycle import apply

        with self._opened() as door:
            found, features = _survey(door)
            due = [rules for rules in found if not rules.in_order]
            if due and not yes:
                _print(found)
                _confirm(len(due))
            written = [rules.bucket for rules in due if apply(door.store, rules, features)]
            if json:
                terminal.print_json(
                    {"written": written, "in_order": [rules.bucket for rules in found if rules.in_order]}
                )
                return
            terminal.console.print(
                f"rules written into {', '.join(written)}" if written else "all rules are in place; nothing was changed"
            )
            _hint(door.settings, features)


def _survey(door: Door) -> tuple[list[BucketRules], Features]:
    from voxledger.catalog.objects.features import store_features
    from voxledger.catalog.objects.lifecycle import survey

    features = store_features(door.home, door.settings.store)
    return survey(door.store, door.settings, features), features


def _confirm(buckets: int) -> None:
    if not sys.stdin.isatty():
        raise StoreError("nobody is there to be asked; give --yes to write the rules", code="NotConfirmed")
    answer = terminal.console.input(f"Write the rules of {terminal.count(buckets, 'bucket')}? \\[y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise StoreError("nothing was changed", code="NotConfirmed")


def _as_dict(rules: BucketRules) -> dict[str, Any]:
    return {
        "bucket": rules.bucket,
        "in_order": rules.in_order,
        "rules": [{"what": what, "rule": rule} for rule, what in rules.rows],
        "reckless": [rule.get("ID", "") for rule in rules.reckless],
    }


def _print(found: Sequence[BucketRules]) -> None:
    from voxledger.catalog.objects.lifecycle import ABORT

    if not found:
        terminal.console.print("none of our buckets is there yet: they are made when they are first needed")
        return
    for rules in found:
        made = terminal.table(f"Lifecycle rules of {rules.bucket}", "rule", "for", "does", "")
        made.columns[0].no_wrap = made.columns[3].no_wrap = True
        for rule, what in rules.rows:
            made.add_row(
                terminal.text(rule.get("ID") or "·"), terminal.text(_selection(rule)), terminal.text(_effect(rule)),
                f"[{_COLORS[what]}]{what}[/]",
            )  # fmt: skip
        if not rules.rows:
            made.add_row("[dim]none[/]", "", "", "")
        terminal.console.print(made)
    if alone := [rules.bucket for rules in found if rules.is_for_us_alone]:
        terminal.console.print(
            terminal.text(
                f"{ABORT} gives up unfinished uploads of others too, in {', '.join(alone)}: use"
                f" {'these buckets' if len(alone) > 1 else 'this bucket'} for Voxledger alone"
            ),
            style="dim",
        )
    for rules in found:
        for rule in rules.reckless:
            terminal.console.print(
                terminal.text(
                    f"! {rules.bucket}: the rule {rule.get('ID') or 'without a name'!r} is not ours, and deletes objects that no"
                    " retention of ours has decided about; it was left as it is"
                ),
                style="yellow",
            )


def _selection(rule: dict[str, Any]) -> str:
    conditions = {**rule["Filter"], **rule["Filter"].get("And", {})}
    tags = [*conditions.get("Tags", []), *([conditions["Tag"]] if "Tag" in conditions else [])]
    said = [f"keys {conditions['Prefix']}…"] if conditions.get("Prefix") else []
    said += [f"tag {tag['Key']}={tag['Value']}" for tag in tags]
    said += [f"size {name[10:]}" for name in conditions if name.startswith("ObjectSize")]
    return ", ".join(said) or "everything"


def _effect(rule: dict[str, Any]) -> str:
    said = []
    if days := rule.get("Expiration", {}).get("Days"):
        said.append(f"deleted after {days} d")
    elif "Expiration" in rule:
        said.append("deleted on a day" if "Date" in rule["Expiration"] else "lone delete markers removed")
    if days := rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"):
        said.append(f"old versions after {days} d")
    if days := rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"):
        said.append(f"unfinished uploads given up after {days} d")
    if any(name.endswith(("Transition", "Transitions")) for name in rule):
        said.append("moved to another class")
    return ("" if rule.get("Status", "Enabled") == "Enabled" else "off: ") + (", ".join(said) or "nothing")


def _hint(settings: Settings, features: Features) -> None:
    if not settings.retention.backstop:
        terminal.console.print('no backstop for purges: set retention.backstop, such as "30d"', style="dim")
    elif not (features.tags and features.tag_filter):
        terminal.console.print("no backstop for purges: this store has no lifecycle rules by tag", style="yellow")
