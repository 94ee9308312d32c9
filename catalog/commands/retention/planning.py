"""`retention plan`: what the rules would do, and why."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import App, Parameter, validators

from voxledger.catalog import platform, terminal
from voxledger.catalog.commands.retention.door import Door
from voxledger.catalog.errors import PolicyError, SettingsError
from voxledger.catalog.settings import format_span
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.retention import Plan

SHOWN = 50
"""Most clips that a table names."""


class PlanCommands:
    """The commands that look and change nothing."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, retention: App) -> None:
        """Register them."""
        for command in (self.check, self.plan):
            retention.command(command)

    def check(self, file: Path | None = None, /, *, json: bool = False) -> int:
        """Look over the policy: everything that is wrong or doubtful, with line and column. Changes nothing.

        The exit code is 1 when the policy cannot be applied, or the settings cannot be read.

        **Examples**

            voxledger retention check
            voxledger retention check retention.toml

        Parameters
        ----------
        file
            A file with a section [retention]; that of this HOME when it is not given.
        json
            Print one JSON document.
        """
        try:
            with self._opened() as door:
                policy, findings = door.retention.check(file)
        except SettingsError as error:  # what is not read yet is a problem like those of what is
            from voxledger.catalog.retention.policy.checking import misread

            policy, findings = None, [misread(error)]
        wrong = any(finding.level == "error" for finding in findings)
        if json:
            terminal.print_json(
                {
                    "valid": not wrong,
                    "policy": policy.hash if policy else None,
                    "findings": msgspec.to_builtins(findings),
                }
            )
            return int(wrong)
        for finding in findings:
            colour = "red" if finding.level == "error" else "yellow"
            place = ""
            if finding.line:
                place = f"{finding.file}:{finding.line}:{finding.column}: "
            elif finding.file and finding.file not in finding.message:
                place = f"{finding.file}: "
            terminal.console.print(f"[{colour}]{finding.level}[/] ", terminal.text(place + finding.message), sep="")
        if policy is not None and not wrong:
            terminal.console.print(
                f"[bold]policy {policy.hash}[/]: {terminal.count(len(policy.rules), 'expire rule')},"
                f" {terminal.count(len(policy.keep), 'keep rule')}, {terminal.count(len(policy.budgets), 'budget')}"
            )
        return int(wrong)

    def plan(
        self,
        *,
        every: bool = False,
        limit: Annotated[int, Parameter(validator=validators.Number(gte=0))] = SHOWN,
        out: Path | None = None,
        json: bool = False,
    ) -> None:
        """Show what the rules would do, and why. Changes nothing.

        **Examples**

            voxledger retention plan
            voxledger retention plan --every
            voxledger retention plan --out plan.html
            voxledger retention plan --json > plan.json

        Parameters
        ----------
        every
            Name every clip, also those that stay.
        limit
            How many clips are named at most; --json names all.
        out
            Write the plan as a page to this file, too.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            plan = door.retention.plan(every=every)
            if out is not None:
                _write(out, door.retention.page(plan))
        if json:
            sys.stdout.write(plan.to_json() + "\n")
        else:
            print_plan(plan, every=every, limit=limit)


def _write(out: Path, page: str) -> None:
    try:
        platform.write_atomic(out, page.encode())
    except OSError as error:
        raise PolicyError(f"{out} cannot be written: {error.strerror}; choose another place") from None


def print_plan(plan: Plan, *, every: bool, limit: int) -> None:
    """Print a plan's rules, its clips, its warnings and its blown fuses."""
    from voxledger.catalog.retention.planning.page import (  # brings Polars, for which other commands need not wait
        WORDS,
        money,
    )

    terminal.console.print(
        f"[bold]plan {plan.id}[/] of {terminal.count(plan.live, 'clip')}: {plan.condemned.clips:,} condemned,"
        f" {terminal.size(plan.condemned.bytes)}, {money(plan.cost_micro, plan.policy.currency)} a month"
    )
    _print_rules(plan)
    _print_keep(plan)
    _print_budgets(plan)
    _print_notable(plan)
    rows = plan.rows(*(WORDS if every else ()), limit=limit)
    total = plan.decisions.height if every else plan.affected
    if rows.height:
        clips = terminal.table("", "clip", "decision", "why")
        for row in rows.iter_rows(named=True):
            clips.add_row(f"[bold]{row['id'][-8:]}[/]", WORDS[row["decision"]], terminal.text(row["reason"]))
        terminal.console.print(clips)
    if total > rows.height:
        terminal.console.print(f"[dim]{total - rows.height:,} more; --limit or --json shows them[/]")
    window = plan.policy.window
    purges = plan.amounts["purge"].clips + plan.amounts["finish"].clips
    if window and purges and not window.is_open(plan.now):
        terminal.console.print(f"{terminal.count(purges, 'purge')} wait until the window {window} opens")
    if plan.unknown:
        terminal.console.print(
            "[red]nothing is condemned[/] ", terminal.text(f"nobody knows what was used: {plan.unknown}"), sep=""
        )
    for problem in plan.problems:
        terminal.console.print("[red]problem[/] ", terminal.text(problem), sep="")
    for warning in plan.warnings:
        terminal.console.print("[yellow]warning[/] ", terminal.text(warning), sep="")
    for fuse in plan.fuses:
        if fuse.blown:
            terminal.console.print("[red]fuse[/] ", terminal.text(fuse.sentence()), sep="")


def _print_rules(plan: Plan) -> None:
    if not plan.rules:
        return
    made = terminal.table(
        "", "rule", "for", "keeps", "decides", "condemned", "bytes", right=("decides", "condemned", "bytes")
    )
    for rule in plan.rules:
        total = sum(amount.clips for amount in rule.amounts.values())
        made.add_row(
            terminal.text(rule.name), terminal.text(rule.condition),
            "" if rule.keep_for is None else format_span(rule.keep_for), f"{total:,}",
            f"{rule.condemned.clips:,}", terminal.size(rule.condemned.bytes),
        )  # fmt: skip
    terminal.console.print(made)


def _print_keep(plan: Plan) -> None:
    if not plan.keep:
        return
    made = terminal.table("", "keep rule", "for", "clips", "saves", "bytes", right=("clips", "saves", "bytes"))
    for rule in plan.keep:
        made.add_row(
            terminal.text(rule.name), terminal.text(rule.condition), f"{rule.keeps.clips:,}", f"{rule.saves.clips:,}",
            terminal.size(rule.saves.bytes),
        )  # fmt: skip
    terminal.console.print(made)


def _print_budgets(plan: Plan) -> None:
    from voxledger.catalog.retention.planning.page import money  # brings Polars, like the plan itself

    if not plan.budgets:
        return
    made = terminal.table("", "budget", "limit", "holds", "goes", "lacks", right=("limit", "holds", "goes", "lacks"))
    for budget, given in zip(plan.budgets, plan.policy.budgets, strict=True):
        limit, stands, goes, lacks = (
            terminal.size(amount)
            if given.max_cost_micro is None
            else money(plan.policy.cost_micro(amount), plan.policy.currency)
            for amount in (budget.limit, budget.stands, budget.goes, budget.lacks)
        )
        if given.max_cost_micro is not None:
            limit = money(given.max_cost_micro, plan.policy.currency)
        each = " each" if budget.groups is not None else ""
        told = terminal.text(lacks if budget.lacks else "–")
        told.stylize("red" if budget.lacks else "")
        made.add_row(*map(terminal.text, (budget.name, limit + each, stands, goes)), told)
    terminal.console.print(made)


def _print_notable(plan: Plan) -> None:
    """The largest and the most played of what is condemned: the ones to look at before it is applied."""
    rows = [("largest", row) for row in plan.notable("bytes")] + [("most used", row) for row in plan.notable("uses")]
    if not rows:
        return
    made = terminal.table("", "condemned", "clip", "bytes", "used", "by", right=("bytes", "used"))
    for what, row in rows:
        made.add_row(
            what,
            f"[bold]{row['id'][-8:]}[/]",
            terminal.size(row["bytes"]),
            f"{row['uses']:,}",
            terminal.text(row["by"]),
        )
    terminal.console.print(made)
