"""`retention backtest`: what policies would have done in the past."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from voxledger.catalog import terminal
from voxledger.catalog.commands.retention.door import Door
from voxledger.catalog.errors import PolicyError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from rich.table import Table

    from voxledger.catalog.retention.backtest import Backtest, Outcome


class BacktestCommands:
    """The command that tries policies on the past."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, retention: App) -> None:
        """Register it."""
        retention.command(self.backtest)

    def backtest(
        self,
        *,
        policy: Annotated[list[Path] | None, Parameter(negative=())] = None,
        family: str | None = None,
        rule: str | None = None,
        since: str | None = None,
        until: str | None = None,
        trace: Path | None = None,
        max_regret: str = "1%",
        worst: int = 10,
        without_baselines: bool = False,
        out: Path | None = None,
        json: bool = False,
    ) -> None:
        """Replay the past under one or more policies: what they would have saved, and what would have been missed.

        Changes nothing. docs/backtest.md says what each number means.

        **Examples**

            voxledger retention backtest
            voxledger retention backtest --family keep_for=7d:180d --out chart.html
            voxledger retention backtest --policy strict.toml --policy mild.toml --since 2026-01-01 --max-regret 0.5%
            voxledger retention backtest --family keep_for=1h:30d:20 --trace accesses.csv.gz

        Parameters
        ----------
        policy
            A file with a section `[retention]`; may be given several times. Without it: the policy of this HOME.
        family
            Policies that differ in keep_for: `keep_for=SHORTEST:LONGEST`, or with `:STEPS` how many.
        rule
            The one rule whose keep_for the family varies; without it that of all rules.
        since
            From when on; without it from the first clip.
        until
            Up to when; without it up to now, or to the end of a trace.
        trace
            Another access history in place of the log: CSV with id, time and size, also packed with gzip or zstd.
        max_regret
            Which share of all uses a suggested policy may cost, such as 1% or 0.01.
        worst
            How many of the clips that would have been missed are listed.
        without_baselines
            Do not compare with age only, least recently used (LRU) and least frequently used (LFU).
        out
            Draw a chart into this file: .html, .svg or .png.
        json
            Print one JSON document.
        """
        from voxledger.catalog.query.moment import moment_of
        from voxledger.catalog.retention.backtest import Family, chart

        if rule is not None and family is None:
            raise PolicyError("--rule says which rule a family varies; give --family too, such as keep_for=7d:180d")
        if out is not None:
            chart.check(out)
        varied = Family.parse(family, rule) if family is not None else None
        with self._opened() as door:
            zone = door.loaded.settings.general.time_zone
            with terminal.progress(quiet=json) as bar:
                task = bar.add_task("replaying", total=None)
                found = door.retention.backtest(
                    *(policy or ()),
                    family=varied,
                    since=moment_of("--since", since, zone, day="start"),
                    until=moment_of("--until", until, zone, day="start"),
                    trace=trace,
                    max_regret=_share(max_regret),
                    worst=worst,
                    baselines=not without_baselines,
                    progress=lambda at, end: bar.update(task, completed=at, total=end),
                )
        if out is not None:
            chart.write(found, out)
        if json:
            terminal.print_json(found.as_dict())
        else:
            _print(found, out)


def _share(text: str) -> float:
    """`1%` and `0.01` are the same."""
    try:
        return float(text.strip().removesuffix("%")) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        raise PolicyError(f"--max-regret {text!r} is no share: write 1% or 0.01") from None


def _print(found: Backtest, out: Path | None) -> None:
    say = terminal.console.print
    say(
        f"[bold]{found.since:%Y-%m-%d} to {found.until:%Y-%m-%d}[/], {terminal.count(found.nights, 'night')}:"
        f" {terminal.count(found.clips, 'clip')}, {terminal.count(found.uses, 'use')}, {found.cost:,.2f} {found.currency} of storage ",
        terminal.text(f"({found.source})"),
        sep="",
    )
    shown = terminal.table(
        "", "policy", "clips", "bytes", "saved", found.currency, "regrets", "of uses",
        right=("clips", "bytes", "saved", found.currency, "regrets", "of uses"),
    )  # fmt: skip
    for outcome in found.policies:
        _add(shown, outcome, "bold" if outcome is found.suggested else None)
    for outcome in found.best_baselines():
        _add(shown, outcome, "dim")
    say(shown)
    suggested = found.suggested
    if suggested:
        say("[bold]suggested[/] ", terminal.text(suggested.name), f": saves {suggested.saved_share:.1%} of the storage with a regret of"
            f" {suggested.regret_share:.3%} of all uses, at most {found.max_regret:.2%} being allowed", sep="")  # fmt: skip
    told = suggested or found.policies[0]
    if told.worst:
        say("[bold]missed most[/] with ", terminal.text(told.title), sep="")
        missed = terminal.table(
            "", "clip", "bytes", "deleted", "wanted", "uses from then on", right=("bytes", "uses from then on")
        )
        for regret in told.worst:
            missed.add_row(
                terminal.text(regret.clip[-12:]), terminal.size(regret.bytes), f"{regret.purged:%Y-%m-%d}", f"{regret.wanted:%Y-%m-%d}",
                f"{regret.uses:,}",
            )  # fmt: skip
        say(missed)
    for note in found.notes:
        say("[dim]note[/] ", terminal.text(note), sep="")
    if out is not None:
        say("[dim]chart[/] ", terminal.text(out), sep="")


def _add(shown: Table, outcome: Outcome, style: str | None) -> None:
    cells = (
        f"{outcome.clips:,}", terminal.size(outcome.bytes), f"{outcome.saved_share:.1%}", f"{outcome.saved_cost:,.2f}",
        f"{outcome.regrets:,}", f"{outcome.regret_share:.2%}",
    )  # fmt: skip
    shown.add_row(terminal.text(outcome.title), *cells, style=style)
