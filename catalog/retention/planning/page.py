"""The page of a plan: what would go and why, in one file that can be passed on and looked at."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import jinja2

from voxledger.catalog import terminal
from voxledger.catalog.log import Reading
from voxledger.catalog.retention.planning.amounts import DECISIONS, KEEP, RuleSummary
from voxledger.catalog.retention.planning.deciding import SQL
from voxledger.catalog.retention.planning.plan import Plan
from voxledger.catalog.settings import format_span

SHOWN = 500
"""Most clips that the page names."""
WORDS = {
    "finish": "purge again",
    "purge": "purge now",
    "mark": "mark",
    "wait": "marked, in grace",
    "unmark": "take mark back",
    "keep": "keep",
}
"""How people read a decision."""


def page(plan: Plan, reading: Reading) -> str:
    """The plan as HTML. It names actors, sessions and clips: it is for those who may see them."""
    first = plan.decisions.most("bytes", SHOWN, *(name for name in DECISIONS if name != KEEP))["id"].to_list()
    named = {row["id"]: row for row in reading.rows(SQL["named"], {"ids": first})}
    rows = plan.rows(ids=first).to_dicts()
    told = {row["id"]: row for row in rows}
    clips = [named.get(clip, {}) | told[clip] for clip in first]
    return _template().render(
        plan=plan, clips=clips, total=plan.affected, blown=[fuse for fuse in plan.fuses if fuse.blown], words=WORDS, day=_day,
        count=_count, size=terminal.size, money=money, moment=_moment, span=format_span, matches=_matches,
    )  # fmt: skip


def money(micro: int, currency: str) -> str:
    """An amount of money: `12.40 USD`; below a tenth with two significant figures, `0.0031 USD`, so that small ones can be told apart."""
    if not 0 < micro < 100_000:
        return f"{micro / 1e6:,.2f} {currency}"
    places = 8 - len(str(micro))  # of a whole number of millionths the first two figures; there are six places at most
    return f"{micro / 1e6:.{min(places, 6)}f} {currency}"


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("voxledger.catalog.retention.planning", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("plan.html.j2")


def _matches(rule: RuleSummary) -> int:
    return sum(amount.clips for amount in rule.amounts.values())


def _count(number: Any) -> str:
    return f"{number:,}"


def _moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _day(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d}"
