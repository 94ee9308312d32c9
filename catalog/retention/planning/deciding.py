"""Deciding: a policy as SQL over the catalog's tables. It builds text and asks nobody.

All that depends on a clip happens in DuckDB: of ten million clips only those come back that something happens to. Conditions
are expressions that `policy/expressions.py` has checked; everything else that varies is a parameter or a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from voxledger.catalog.queries import load
from voxledger.catalog.retention.policy import Expression, KeepRule, Newest, Policy
from voxledger.catalog.retention.policy.columns import QUALITY

SQL = load("planning.sql", "voxledger.catalog.retention.planning")
CAUSES = (
    "purging", "legal hold", "withdrawn", "held", "pinned", "used", "protected", "no rule", "kept", "linked", "minimum age",
    "expired", "over budget", "unknown",
)  # fmt: skip
"""Why a decision is what it is, by the numbers that the SQL gives them."""
CONDEMNED = ("withdrawn", "expired", "over budget")
"""The causes that let a clip go."""
_PRESENT = {"clips": "clips", "changes": "changes", "marks": "marks", "events": "events", "voices": "voices"}


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """How far a budget has to go: everything in scope goes that is worth less than `worth`, and of its equals those up to `id`."""

    worth: float
    id: str


class Deciding:
    """The queries of one policy at one time. `cuts` are those of the budgets before, by their number."""

    def __init__(self, policy: Policy, now: datetime, *, blind: bool = False, matched: bool = False) -> None:
        """`blind` means that usage is unknown: nothing is condemned then. With `matched`, rows say all rules that match."""
        self._policy = policy
        self._blind = blind
        self._matched = matched
        self.cuts: dict[int, Cut] = {}
        self.parameters: dict[str, Any] = {
            "now": now,
            "minimum_age": policy.minimum_age // timedelta(microseconds=1),
            "blind": blind,
        }

    def query(self, name: str, **filled: str) -> str:
        """A named query on the decided clips."""
        asked = SQL[name]
        for key, text in (filled | {"matched_column": ", matched, protecting" if self._matched else ""}).items():
            asked = asked.replace("{" + key + "}", text)
        return f"{self._with()}\n{asked}"

    def values(self, **more: Any) -> dict[str, Any]:
        """The parameters of such a query."""
        return self.parameters | more

    def scope(self, budget: int) -> dict[str, str]:
        """What a query about one budget is filled with."""
        return {"scope": f"scope_{budget}", "value": f"value_{budget}"}

    def _with(self) -> str:
        policy = self._policy
        pieces = self._pieces()
        used = frozenset().union(*(piece.columns for piece in pieces)) if pieces else frozenset()
        consented = bool(used & {"consent_scope", "consent_withdrawn"}) or policy.withdrawn == "delete"
        ranks, joins = self._ranks()
        budgets = "".join(
            f", ({budget.condition.sql}) IS TRUE AS scope_{number}, ({budget.value.sql})::DOUBLE AS value_{number}"
            for number, budget in enumerate(policy.budgets)
        )
        filled: Mapping[str, str] = _PRESENT | {
            "quality": QUALITY if "quality" in used else "NULL::DOUBLE",
            "consent": (
                "voices.scope AS consent_scope, coalesce(voices.withdrawn IS NOT NULL, false) AS consent_withdrawn"
                if consented
                else "NULL::VARCHAR AS consent_scope, false AS consent_withdrawn"
            ),
            "voices": "LEFT JOIN voices ON voices.sha256 = clips.voice_sha256" if consented else "",
            "ranks": ranks,
            "rank_joins": joins,
            "withdrawn": "consent_withdrawn" if policy.withdrawn == "delete" else "false",
            "rule": _first([rule.condition.sql for rule in policy.rules]),
            "keeper": _first([_protects(number, rule) for number, rule in enumerate(policy.keep)]),
            "budget_columns": budgets,
            "budget": self._evicting(),
            "spans": _spans([rule.keep_for for rule in policy.rules]),
            "matched": (
                f", {_bits([rule.condition.sql for rule in policy.rules])} AS matched,"
                f" {_bits([_protects(number, rule) for number, rule in enumerate(policy.keep)])} AS protecting"
                if self._matched
                else ""
            ),
        }
        asked = SQL["decided"]
        for key, text in filled.items():
            asked = asked.replace("{" + key + "}", text)
        return asked

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
                made.append(f"{name} AS (\n{_ranking(rule, rank)}\n), ")
                joins.append(f"LEFT JOIN {name} ON {name}.first = facts.id")
        return "".join(made), " ".join(joins)

    def _evicting(self) -> str:
        """The number of the budget that a clip has to go for."""
        cases = [
            f"WHEN evictable AND scope_{number} AND (value_{number} < {cut.worth!r}::DOUBLE OR value_{number} = {cut.worth!r}::DOUBLE"
            f" AND id <= '{cut.id}'::UUID) THEN {number}"
            for number, cut in sorted(self.cuts.items())
        ]
        return f"CASE {' '.join(cases)} END" if cases else "NULL"


def _ranking(rule: KeepRule, rank: Newest) -> str:
    groups = f"PARTITION BY {', '.join(rank.per)}" if rank.per else ""
    order = f"{rank.by.sql}, " if rank.by else ""
    return (
        f"SELECT id AS first FROM facts WHERE purge_started IS NULL AND {rule.condition.sql}"  # noqa: S608  # checked expressions
        f" QUALIFY row_number() OVER ({groups} ORDER BY {order}created DESC, id DESC) <= {rank.n}"
    )


def _protects(number: int, rule: KeepRule) -> str:
    firsts = [f"rank_{number}_{place}.first IS NOT NULL" for place in range(len(rule.ranks))]
    return " AND ".join(firsts) if firsts else rule.condition.sql


def _first(conditions: list[str]) -> str:
    """The number of the first condition that holds."""
    if not conditions:
        return "NULL"
    return f"CASE {' '.join(f'WHEN {condition} THEN {number}' for number, condition in enumerate(conditions))} END"


def _bits(conditions: list[str]) -> str:
    """A number in which bit n says whether condition n holds."""
    if not conditions:
        return "0::UBIGINT"
    return (
        "("
        + " + ".join(
            f"CASE WHEN {condition} THEN {1 << number} ELSE 0 END::UBIGINT"
            for number, condition in enumerate(conditions)
        )
        + ")"
    )


def _spans(spans: list[timedelta]) -> str:
    """How long the rule of a clip keeps it, in microseconds."""
    if not spans:
        return "NULL::BIGINT"
    cases = " ".join(f"WHEN {number} THEN {span // timedelta(microseconds=1)}" for number, span in enumerate(spans))
    return f"CASE rule {cases} END::BIGINT"
