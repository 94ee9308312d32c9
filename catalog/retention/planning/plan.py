"""The plan: what retention would do, and why; facts that were decided, and how people read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import polars as pl

from voxledger.catalog.retention.planning.amounts import (
    CONDEMNED,
    DECISIONS,
    FINISH,
    KEEP,
    MARK,
    PURGE,
    UNMARK,
    Amount,
    BudgetSummary,
    Fuse,
    KeepSummary,
    RuleSummary,
)
from voxledger.catalog.retention.planning.decisions import Decisions
from voxledger.catalog.retention.planning.wording import explained
from voxledger.catalog.retention.policy import Policy
from voxledger.catalog.settings import format_span


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What retention would do at `now`, and why. `decisions` tell of the clips that something happens to; `rows` puts them into words.

    `id` names the condemned clips and their rules under this policy: an unchanged situation gives the same id, also
    after the marks were set and while their grace runs. `unknown` says why usage is not known; nothing is condemned then.
    `held` clips are kept by holds and pins. `problems` are in the way of applying it, `warnings` are not.
    """

    id: str
    policy: Policy
    position: int
    now: datetime
    decisions: Decisions = field(repr=False)
    amounts: Mapping[str, Amount]
    held: int
    rules: tuple[RuleSummary, ...]
    keep: tuple[KeepSummary, ...]
    budgets: tuple[BudgetSummary, ...]
    fuses: tuple[Fuse, ...]
    unknown: str | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def live(self) -> int:
        """Clips whose audio is there and not being deleted."""
        return sum(amount.clips for name, amount in self.amounts.items() if name != FINISH)

    @property
    def condemned(self) -> Amount:
        """What goes sooner or later: newly marked, waiting, purged now."""
        return sum((self.amounts[name] for name in CONDEMNED), Amount())

    @property
    def affected(self) -> int:
        """Clips that something happens to."""
        return sum(amount.clips for name, amount in self.amounts.items() if name != KEEP)

    @property
    def cost_micro(self) -> int:
        """What the condemned clips cost for 30 days, in millionths of the policy's currency."""
        return self.policy.cost_micro(self.condemned.bytes)

    @property
    def grace_ends(self) -> tuple[datetime, datetime] | None:
        """When the grace of the first and of the last clip ends that waits in it; None when none does."""
        return self.decisions.grace_ends()

    @property
    def idle(self) -> bool:
        """Whether applying it now would change nothing."""
        return not any(self.amounts[name].clips for name in (FINISH, PURGE, MARK, UNMARK))

    @property
    def deeds(self) -> Mapping[str, int]:
        """How many clips applying it now would `mark`, `unmark` and `purge`, those included whose deletion has begun."""
        clips = {name: self.amounts[name].clips for name in (MARK, UNMARK, PURGE, FINISH)}
        return {"mark": clips[MARK], "unmark": clips[UNMARK], "purge": clips[PURGE] + clips[FINISH]}

    def ids(self, decision: str) -> list[str]:
        """The clips with this decision, in order of their ids."""
        return self.decisions.frame(decision)["id"].to_list()

    def rows(
        self,
        *decisions: str,
        limit: int | None = None,
        ids: Sequence[str] | None = None,
        after: tuple[str, str] | None = None,
    ) -> pl.DataFrame:
        """Clips with `id, decision, rule, matches, reason, goes, bytes, duration_us`; all but the kept ones when none is named.

        `rule` is what decides, `matches` lists all that asks for the clip to go: expire rules, budget, withdrawn consent.
        Ordered by urgency of the decision, then by id; only the first `limit` of them, or those of `ids`, are put into
        words, and only those that follow a decision and an id (`after`). Kept clips are there only in a plan that was made with them.
        """
        wanted = decisions or tuple(name for name in DECISIONS if name != KEEP)
        return explained(self.decisions.frame(*wanted, limit=limit, ids=ids, after=after), self.policy, self.now)

    def notable(self, column: str, count: int = 3) -> list[dict[str, Any]]:
        """The condemned clips with the most of a column, `bytes` or `uses`, above 0: `id, by, bytes, uses`."""
        most = self.decisions.most(column, count, *CONDEMNED).filter(pl.col(column) > 0)
        return most.select("id", "by", "bytes", "uses").to_dicts()

    def as_dict(self, *, limit: int | None = None) -> dict[str, Any]:
        """What `--json` prints: facts first, then the clips that the plan was made with."""
        rows = self.rows(*DECISIONS, limit=limit)
        clips = rows.with_columns(pl.col("goes").dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")).to_dicts()
        return {**self.summary(), "clips": clips}

    def summary(self) -> dict[str, Any]:
        """The facts without the clips."""
        return {
            "plan": self.id,
            "policy": self.policy.hash,
            "position": self.position,
            "now": self.now.isoformat(),
            "live": self.live,
            "grace": format_span(self.policy.grace.total_seconds()),
            "cost_micro": self.cost_micro,
            "currency": self.policy.currency,
            "amounts": msgspec.to_builtins(self.amounts),
            "rules": [
                {**msgspec.to_builtins(rule), "keep_for": None if rule.keep_for is None else format_span(rule.keep_for)}
                for rule in self.rules
            ],
            "keep": msgspec.to_builtins(self.keep),
            "budgets": msgspec.to_builtins(self.budgets),
            "fuses": [{**msgspec.to_builtins(fuse), "blown": fuse.blown} for fuse in self.fuses],
            "largest": self.notable("bytes"),
            "most_used": self.notable("uses"),
            "unknown": self.unknown,
            "problems": list(self.problems),
            "warnings": list(self.warnings),
        }

    def to_json(self, *, limit: int | None = None) -> str:
        """`as_dict` as JSON text."""
        return msgspec.json.encode(self.as_dict(limit=limit)).decode()
