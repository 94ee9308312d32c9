"""Deciding: a policy as SQL over the catalog's tables. It builds text and asks nobody.

All that depends on a clip happens in DuckDB: of ten million clips only those come back that something happens to. Conditions
are expressions that `policy/expressions.py` has checked; everything else that varies is a parameter or a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from voxledger.catalog.queries import load
from voxledger.catalog.retention.policy import Budget, Expression, KeepRule, Newest, Policy
from voxledger.catalog.retention.policy.columns import QUALITY

SQL = load("planning.sql", "voxledger.catalog.retention.planning")
CAUSES = (
    "purging", "legal hold", "withdrawn", "held", "pinned", "used", "protected", "no rule", "kept", "linked", "minimum age",
    "expired", "over budget", "unknown",
)  # fmt: skip
"""Why a decision is what it is, by the numbers that the SQL gives them."""
CONDEMNED = ("withdrawn", "expired", "over budget")
"""The causes that let a clip go."""
_CONSENT = """LEFT JOIN voices ON voices.sha256 = clips.voice_sha256
    LEFT JOIN voices AS lent ON lent.sha256 = clips.emotion_sha256"""
_BRACED = re.compile(r"\{(\w+)\}")
_AFTER_FACTS = "), /* facts */"
_WIDTHS = ((8, "UTINYINT"), (16, "USMALLINT"), (32, "UINTEGER"), (64, "UBIGINT"))
"""Numbers of so many bits at most."""


class Cuts(msgspec.Struct, frozen=True, kw_only=True):
    """How far a budget has to go in each of its groups: all that is worth less than `worths`, and of its equals those up to a position."""

    groups: list[int]
    worths: list[float]
    positions: list[int]


class Deciding:
    """The queries of one policy at one time. `cuts` are those of the budgets before, by their number."""

    def __init__(self, policy: Policy, now: datetime, *, blind: bool = False, protecting: bool = False) -> None:
        """`blind` means that usage is unknown: nothing is condemned then. With `protecting`, rows say all keep rules that match."""
        self._policy = policy
        self._blind = blind
        self._protecting = protecting
        self.cuts: dict[int, Cuts] = {}
        self.parameters: dict[str, Any] = {
            "now": now,
            "minimum_age": policy.minimum_age // timedelta(microseconds=1),
            "blind": blind,
        }

    def query(self, name: str, **filled: str) -> str:
        """A named query on the decided clips."""
        return f"{self._with()}\n{_filled(SQL[name], filled)}"

    def values(self, **more: Any) -> dict[str, Any]:
        """The parameters of such a query."""
        cuts = {
            f"{name}_{number}": values
            for number, cut in self.cuts.items()
            for name, values in (("groups", cut.groups), ("worths", cut.worths), ("positions", cut.positions))
        }
        return self.parameters | cuts | more

    def sums(self) -> str:
        """The query for all that a plan says."""
        scoped = "".join(
            f", coalesce(sum(bytes) FILTER (scope_{number}), 0)::BIGINT AS scoped_{number}"
            for number in range(len(self._policy.budgets))
        )
        return self.query("sums", scoped=scoped)

    def bounds(self) -> str:
        """The query for the most that a group of each budget may have in its scope."""
        largest = [
            f"(SELECT coalesce(max(held), 0)::BIGINT FROM (SELECT sum(bytes) AS held FROM facts WHERE {budget.condition.sql}"  # noqa: S608
            f" GROUP BY {_member(budget)}))"  # checked expressions
            for budget in self._policy.budgets
        ]
        facts = self._with().partition(_AFTER_FACTS)[0]
        return f"{facts})\n{_filled(SQL['bounds'], {'bounds': ', '.join(largest)})}"

    def exceeded(self, budget: int) -> str:
        """The query for the groups of a budget that are above its limit."""
        return self.query("exceeded", number=str(budget))

    def _with(self) -> str:
        policy = self._policy
        pieces = self._pieces()
        grouped = [rank.per for rule in policy.keep for rank in rule.ranks] + [budget.per for budget in policy.budgets]
        used = frozenset().union(*(piece.columns for piece in pieces), *grouped)
        consented = bool(used & {"consent_scope", "consent_withdrawn"}) or policy.withdrawn == "delete"
        ranks, joins = self._ranks()
        budgets = "".join(
            f", ({budget.condition.sql}) IS TRUE AS scope_{number}, ({budget.value.sql})::DOUBLE AS value_{number},"
            f" {_member(budget)} AS group_{number}"
            for number, budget in enumerate(policy.budgets)
        )
        filled = {
            "quality": QUALITY if "quality" in used else "NULL::DOUBLE",
            "consent": (
                "voices.scope AS consent_scope, voices.withdrawn IS NOT NULL OR lent.withdrawn IS NOT NULL AS consent_withdrawn"
                if consented
                else "NULL::VARCHAR AS consent_scope, false AS consent_withdrawn"
            ),
            "voices": _CONSENT if consented else "",
            "ranks": ranks,
            "rank_joins": joins,
            "withdrawn": "consent_withdrawn" if policy.withdrawn == "delete" else "false",
            "rule": _first([rule.condition.sql for rule in policy.rules]),
            "keeper": _first([_protects(number, rule) for number, rule in enumerate(policy.keep)]),
            "budget_columns": budgets,
            "budget": self._evicting(),
            "cuts": self._cuts(),
            "cut_joins": " ".join(
                f"LEFT JOIN cut_{number} ON cut_{number}.member = freed.group_{number}" for number in sorted(self.cuts)
            ),
            "spans": _spans([rule.keep_for for rule in policy.rules]),
            "matched": _bits([rule.condition.sql for rule in policy.rules]),
            "protecting": (
                f", {_bits([_protects(number, rule) for number, rule in enumerate(policy.keep)])} AS protecting"
                if self._protecting
                else ""
            ),
        }
        return _filled(SQL["decided"], filled)

    def _pieces(self) -> list[Expression]:
        policy = self._policy
        found = [rule.condition for rule in policy.rules] + [rule.condition for rule in policy.keep]
        found += [budget.condition for budget in policy.budgets]
        found += [budget.value for budget in policy.budgets]
        found += [rank.by for rule in policy.keep for rank in rule.ranks if rank.by]
        return found

    def _ranks(self) -> tuple[str, str]:
        """The clips that stand first in their groups, one relation a rank, and how they are joined."""
        made, joins = [], []
        for number, rule in enumerate(self._policy.keep):
            for place, rank in enumerate(rule.ranks):
                name = f"rank_{number}_{place}"
                made.append(f"{name} AS (\n{_ranking(rule, rank, withdrawn=self._policy.withdrawn == 'delete')}\n), ")
                joins.append(f"LEFT JOIN {name} ON {name}.first = facts.id")
        return "".join(made), " ".join(joins)

    def _cuts(self) -> str:
        return "".join(
            f"cut_{number} AS (SELECT unnest($groups_{number}::UBIGINT[]) AS member, unnest($worths_{number}::DOUBLE[]) AS worth,"
            f" unnest($positions_{number}::BIGINT[]) AS upto), "
            for number in sorted(self.cuts)
        )

    def _evicting(self) -> str:
        """The number of the budget that a clip has to go for."""
        cases = [
            f"WHEN evictable AND scope_{number} AND (value_{number} < cut_{number}.worth"
            f" OR value_{number} = cut_{number}.worth AND position <= cut_{number}.upto) THEN {number}"
            for number in sorted(self.cuts)
        ]
        return f"CASE {' '.join(cases)} END" if cases else "NULL"


def _member(budget: Budget) -> str:
    """The group of a budget that a clip belongs to, as a number."""
    return f"hash({', '.join(budget.per)})" if budget.per else "0::UBIGINT"


def _filled(query: str, filled: Mapping[str, str]) -> str:
    """All in one pass: what stands between braces in a text of the policy stays what it is."""
    return _BRACED.sub(lambda found: filled.get(found[1], found[0]), query)


def _ranking(rule: KeepRule, rank: Newest, *, withdrawn: bool) -> str:
    """The first of each group, of those that can be kept at all.

    An aggregate that keeps so many of each takes a tenth of the time that a window takes to sort all.
    """
    groups = f" GROUP BY {', '.join(rank.per)}" if rank.per else ""
    parts = [*(rank.by.order if rank.by else ()), ("created", "DESC NULLS LAST"), ("id", "DESC NULLS LAST")]
    arguments = ", ".join(f"{what}, '{how}'" for what, how in parts)
    key = f"create_sort_key({arguments})"
    able = (
        f"purge_started IS NULL AND missing IS NULL{' AND NOT consent_withdrawn' if withdrawn else ''}"
        f" AND {rule.condition.sql}{groups}"
    )
    among = "facts"
    if rank.by is None:
        # Times are compared a good deal quicker than keys: they tell which clips are new enough to be looked at.
        least = (
            f"SELECT {', '.join((*rank.per, f'max(epoch_us(created), {rank.n})[-1] AS least'))} FROM facts WHERE {able}"  # noqa: S608
        )
        same = [f"facts.{name} IS NOT DISTINCT FROM late.{name}" for name in rank.per]
        new = " AND ".join((*same, "(epoch_us(facts.created) >= late.least) IS NOT FALSE"))
        among = f"(SELECT facts.* FROM facts JOIN ({least}) AS late ON {new})"  # noqa: S608
    return f"SELECT unnest(min_by(id, {key}, {rank.n})) AS first FROM {among} WHERE {able}"  # noqa: S608  # checked expressions


def _protects(number: int, rule: KeepRule) -> str:
    firsts = [f"rank_{number}_{place}.first IS NOT NULL" for place in range(len(rule.ranks))]
    return " AND ".join(firsts) if firsts else rule.condition.sql


def _first(conditions: list[str]) -> str:
    """The number of the first condition that holds."""
    if not conditions:
        return "NULL"
    return f"CASE {' '.join(f'WHEN {condition} THEN {number}' for number, condition in enumerate(conditions))} END"


def _bits(conditions: list[str]) -> str:
    """A number in which bit n says whether condition n holds, in as few bytes as that takes: there may be millions of them."""
    kind = next(kind for most, kind in _WIDTHS if len(conditions) <= most)
    bits = [
        f"CASE WHEN {condition} THEN {1 << number} ELSE 0 END::{kind}" for number, condition in enumerate(conditions)
    ]
    return f"({' | '.join(bits)})" if bits else f"0::{kind}"


def _spans(spans: list[timedelta]) -> str:
    """How long the rule of a clip keeps it, in microseconds."""
    if not spans:
        return "NULL::BIGINT"
    cases = " ".join(f"WHEN {number} THEN {span // timedelta(microseconds=1)}" for number, span in enumerate(spans))
    return f"CASE rule {cases} END::BIGINT"
