"""`metrics`: what is counted, what it came to, by what, and with which query."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol
from zoneinfo import ZoneInfo

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.analytics.metrics import Every, Prices, Value
    from voxledger.analytics.span import Span
    from voxledger.catalog.log import Keeper, Reading
    from voxledger.catalog.settings import Settings

_LIMIT = 30
_OPTIONS = ("--week", "--since", "--until")


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    settings: Settings

    @property
    def keeper(self) -> Keeper:
        """The log keeper."""


class Commands:
    """The commands of this group, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        app.command(self.metrics)

    def metrics(
        self,
        *names: str,
        week: str | None = None,
        since: str | None = None,
        until: str | None = None,
        by: tuple[str, ...] = (),
        every: Literal["day", "week"] | None = None,
        limit: int = _LIMIT,
        sql: bool = False,
        json: bool = False,
    ) -> None:
        """Count how the studio is used: metrics of a week or any other period, beside the one before, or by emotion, day and so on.

        Without a name it lists the metrics. docs/metrics.md tells what each of them means and by what it can be told apart.

        **Examples**

            voxledger metrics
            voxledger metrics clips reuse_rate active_users
            voxledger metrics clips clip_share --week 2026-W47 --by emotion
            voxledger metrics generations failure_rate --since 90d --every week
            voxledger metrics cost_micro --since 2026-10-01 --until 2026-10-31 --by part --by item --json
            voxledger metrics rtf_p95 --by engine --sql | voxledger sql -

        Parameters
        ----------
        names
            The metrics, such as clips.
        week
            An ISO week in `general.time_zone`; by default the running one.
        since
            From then on, in place of a week: 2026-03-01T12:00:00Z, 2026-03-01 (the start of that day), or 7d (seven days ago).
        until
            Up to then, by default up to now: as `--since`, a day to its end.
        by
            Tell groups apart, such as emotion; may be repeated.
        every
            Tell days or weeks apart.
        limit
            Most groups that are shown, the largest of the first metric.
        sql
            Print the query instead of its answer.
        json
            Print one JSON document.
        """
        if not names:
            _list(json=json)
            return
        from voxledger.analytics import metrics as counting
        from voxledger.analytics.span import Span

        for name in names:
            counting.metric(name)
        if limit < 1:
            raise counting.MetricError(f"--limit {limit} shows nothing; give 1 or more")
        with self._opened() as door:
            span = Span.asked(door.settings.general.time_zone, week, since, until, options=_OPTIONS)
            prices = counting.Prices.of(door.settings)
            if sql:
                _print_sql(names, span, by, every, prices)
                return
            with door.keeper.reading() as reading:
                if every is not None:
                    found = _in_time(reading, names, span, by, every, prices)
                elif by:
                    found = _in_groups(reading, names, span, by, limit, prices)
                else:
                    found = _beside_before(reading, names, span, prices)
        if json:
            units = {name: counting.METRICS[name].unit for name in names}
            terminal.print_json(
                {"start": span.start, "stop": span.stop, "currency": prices.currency, "units": units, "rows": found}
            )
        elif every is None and not by:
            _print_values(found, span, prices)
        else:
            _print_groups(found, names, every, by, span, prices, limit)


def _in_time(
    reading: Reading, names: Sequence[str], span: Span, by: Sequence[str], every: Every, prices: Prices
) -> list[dict[str, Any]]:
    """A row a day or week, or a group in one."""
    from voxledger.analytics.metrics import series

    found = series(reading, names, span.start, span.stop, every=every, zone=span.zone, by=by, prices=prices)
    return found.rename({"stretch": every}).to_dicts()


def _in_groups(
    reading: Reading, names: Sequence[str], span: Span, by: Sequence[str], limit: int, prices: Prices
) -> list[dict[str, Any]]:
    """A row a group."""
    from voxledger.analytics.metrics import breakdown

    found = breakdown(
        reading, names, span.start, span.stop, by=by, limit=limit, before=span.before, prices=prices
    )  # fmt: skip
    return found.to_dicts()


def _beside_before(reading: Reading, names: Sequence[str], span: Span, prices: Prices) -> list[dict[str, Any]]:
    """A row a metric, with what it was in the period before; None for what is only known for now."""
    from voxledger.analytics.metrics import METRICS, measure

    now = measure(reading, names, span.start, span.stop, before=span.before, prices=prices)
    earlier = measure(reading, names, span.before, span.before_stop, prices=prices)
    return [
        {"metric": name, "value": now[name], "before": None if METRICS[name].source == "present" else earlier[name]}
        for name in names
    ]


def _print_sql(names: Sequence[str], span: Span, by: Sequence[str], every: Every | None, prices: Prices) -> None:
    """The query of each metric."""
    from voxledger.analytics.metrics import explain

    for name in names:
        query = explain(
            name, span.start, span.stop, by=by, before=span.before, every=every, zone=span.zone, prices=prices
        )
        print(f"-- {name}\n{query};\n" if len(names) > 1 else query)


def _list(*, json: bool) -> None:
    """All metrics."""
    from voxledger.analytics import metrics as counting

    if json:
        terminal.print_json(
            [
                {
                    "name": one.name, "title": one.title, "unit": one.unit, "better": one.better, "definition": one.definition,
                    "by": list(counting.dimensions_of(one.source)),
                }
                for one in counting.METRICS.values()
            ]
        )  # fmt: skip
        return
    rows = terminal.table("", "metric", "unit", "what it is")
    for one in counting.METRICS.values():
        rows.add_row(one.name, _UNITS.get(one.unit, one.unit), one.definition)
    terminal.console.print(rows)


_EMPTY = {None: "–", "": "(none)"}
_UNITS = {"us": "time", "micro": "money", "share": "%"}


def _print_values(found: Sequence[dict[str, Any]], span: Span, prices: Prices) -> None:
    from voxledger.analytics.metrics import METRICS

    terminal.console.print(f"[bold]{span}[/]")
    rows = terminal.table("", "metric", "value", "before", "what it is", right=("value", "before"))
    for row in found:
        one = METRICS[row["metric"]]
        value, before = (_shown(row[key], one.name, prices) for key in ("value", "before"))
        rows.add_row(one.name, f"[bold]{value}[/]", before, one.definition)
    terminal.console.print(rows)


def _print_groups(
    found: Sequence[dict[str, Any]],
    names: Sequence[str],
    every: Every | None,
    by: Sequence[str],
    span: Span,
    prices: Prices,
    limit: int,
) -> None:
    if not found:
        terminal.console.print(f"Nothing from {span}.")
        return
    terminal.console.print(f"[bold]{span}[/]")
    keys = (every, *by) if every else by
    rows = terminal.table("", *keys, *names, right=names)
    for row in found:
        shown = [terminal.text(_EMPTY.get(row[key], row[key])) for key in keys]
        if every is not None:
            shown[0].append(_cut(row[every], every, span), style="dim")
        rows.add_row(*shown, *(_shown(row[name], name, prices) for name in names))
    terminal.console.print(rows)
    if every is None and len(found) == limit:
        terminal.console.print(f"[dim]The first {limit}; `--limit` shows more.[/]")


def _cut(first: date, every: Every, span: Span) -> str:
    """What a day or week lacks because the period begins or ends within it: fewer clips there need not mean a quieter week."""
    from voxledger.analytics.metrics.measure import midnight

    zone, now = ZoneInfo(span.zone), datetime.now(UTC)
    begins, ends = midnight(first, span.zone), midnight(first + timedelta(days=7 if every == "week" else 1), span.zone)
    said = [f"from {span.start.astimezone(zone):%m-%d %H:%M}"] if begins < span.start else []
    stop = min(span.stop, now)
    if begins < stop < ends - timedelta(seconds=1):  # an end that was given as a day is its last microsecond
        # The period was asked for a moment ago, so "now" is what it ended with then.
        until_now = span.stop > now - timedelta(minutes=1)
        said.append("until now" if until_now else f"until {stop.astimezone(zone):%m-%d %H:%M}")
    return f" ({', '.join(said)})" if said else ""


def _shown(value: Value, name: str, prices: Prices) -> str:
    """A value as people read it."""
    from voxledger.analytics.metrics import METRICS
    from voxledger.analytics.report.wording import number

    if METRICS[name].unit == "micro" and value is not None:
        return f"< 0.01 {prices.currency}" if 0 < value < 10_000 else f"{value / 1e6:,.2f} {prices.currency}"
    return number(value, METRICS[name].unit)
