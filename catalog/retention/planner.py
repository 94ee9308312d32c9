"""The planner: `(clips as of a position, policy, now) -> Plan`. It changes nothing and asks nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import polars as pl

from voxledger.catalog.retention.decisions import (
    DECISIONS,
    FINISH,
    KEEP,
    MARK,
    PURGE,
    UNMARK,
    WAIT,
    aware,
    decide,
    explained,
)
from voxledger.catalog.retention.policy import Policy, condition, words
from voxledger.catalog.retention.snapshot import Snapshot, warnings
from voxledger.catalog.settings import format_span, variable

_CONDEMNED = (MARK, WAIT, PURGE)


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """How much: clips, their bytes, their length in microseconds."""

    clips: int = 0
    bytes: int = 0
    duration_us: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            clips=self.clips + other.clips,
            bytes=self.bytes + other.bytes,
            duration_us=self.duration_us + other.duration_us,
        )


class RuleSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule decides: the amount of clips by decision, for which this rule is the winning one."""

    name: str
    condition: str
    keep_for: float
    amounts: Mapping[str, Amount]

    @property
    def condemned(self) -> Amount:
        """What goes because of it, sooner or later."""
        return sum((self.amounts[name] for name in _CONDEMNED), Amount())


class Fuse(msgspec.Struct, frozen=True, kw_only=True):
    """A limit of one run. `step` is `mark` or `purge`, `setting` the dotted name of the limit."""

    setting: str
    step: str
    limit: float
    value: float

    @property
    def blown(self) -> bool:
        """Whether the plan may not be applied."""
        return self.value > self.limit

    def sentence(self) -> str:
        """What is too much, and how to allow it for one run."""
        percent = self.setting.endswith("percent")
        value, limit = (
            (f"{self.value:.4g} %", f"{self.limit:g} %") if percent else (f"{self.value:g}", f"{self.limit:g}")
        )
        return (
            f"this run would {self.step} {value} of all clips"
            if percent
            else f"this run would {self.step} {value} clips"
        ) + f", more than {self.setting} = {limit} allows; if that is right, set {variable(self.setting)} for one run"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What retention would do at `now`, and why. `frame` has one row a clip; `rows` reads it in words.

    `id` names the condemned clips and their rules under this policy: an unchanged situation gives the same id, also
    after the marks were set and while their grace runs.
    """

    id: str
    policy: Policy
    position: int
    now: datetime
    frame: pl.DataFrame = field(repr=False)
    amounts: Mapping[str, Amount]
    rules: tuple[RuleSummary, ...]
    fuses: tuple[Fuse, ...]
    warnings: tuple[str, ...]

    @property
    def live(self) -> int:
        """Clips whose audio is there and not being deleted."""
        return sum(amount.clips for name, amount in self.amounts.items() if name != FINISH)

    @property
    def condemned(self) -> Amount:
        """What goes sooner or later: newly marked, waiting, purged now."""
        return sum((self.amounts[name] for name in _CONDEMNED), Amount())

    @property
    def idle(self) -> bool:
        """Whether applying it now would change nothing."""
        return not any(self.amounts[name].clips for name in (FINISH, PURGE, MARK, UNMARK))

    def ids(self, decision: str) -> list[str]:
        """The clips with this decision, in order of their ids."""
        return self.frame.filter(pl.col("decision") == decision)["id"].sort().to_list()

    def rows(self, *decisions: str, limit: int | None = None) -> pl.DataFrame:
        """Clips with `id, decision, rule, reason, goes, bytes, duration_us`; all but the kept ones when none is named.

        Ordered by urgency of the decision, then by id; only the first `limit` of them are put into words.
        """
        wanted = decisions or tuple(name for name in DECISIONS if name != KEEP)
        chosen = self.frame.filter(pl.col("decision").is_in(wanted)).sort("decision", "id")
        return explained(chosen if limit is None else chosen.head(limit), self.policy, self.now)

    def as_dict(self, *, kept: bool = False, limit: int | None = None) -> dict[str, Any]:
        """What `--json` prints: facts first, then the clips that something happens to; with `kept` all of them."""
        rows = self.rows(*(DECISIONS if kept else ()), limit=limit)
        return {
            "plan": self.id,
            "policy": self.policy.hash,
            "position": self.position,
            "now": self.now.isoformat(),
            "live": self.live,
            "grace": words(self.policy.grace),
            "amounts": msgspec.to_builtins(self.amounts),
            "rules": [{**msgspec.to_builtins(rule), "keep_for": format_span(rule.keep_for)} for rule in self.rules],
            "fuses": [{**msgspec.to_builtins(fuse), "blown": fuse.blown} for fuse in self.fuses],
            "warnings": list(self.warnings),
            "clips": rows.with_columns(pl.col("goes").dt.strftime("%Y-%m-%dT%H:%M:%S+00:00")).to_dicts(),
        }

    def to_json(self, *, kept: bool = False, limit: int | None = None) -> str:
        """`as_dict` as JSON text."""
        return msgspec.json.encode(self.as_dict(kept=kept, limit=limit)).decode()


def make(snapshot: Snapshot, policy: Policy, now: datetime) -> Plan:
    """The plan for a snapshot. Raises PolicyError for a time without time zone."""
    present = aware(now)
    decided = decide(snapshot.clips, policy, present)
    shares = decided.group_by("rule", "decision").agg(
        clips=pl.len(), bytes=pl.col("bytes").sum(), duration_us=pl.col("duration_us").sum()
    )
    amounts = _amounts(shares)
    return Plan(
        id=_identity(policy, decided),
        policy=policy,
        position=snapshot.position,
        now=present,
        frame=decided,
        amounts=amounts,
        rules=tuple(
            RuleSummary(
                name=rule.name,
                condition=condition(rule),
                keep_for=rule.keep_for,
                amounts=_amounts(shares.filter(pl.col("rule") == place)),
            )
            for place, rule in enumerate(policy.by_urgency)
        ),
        fuses=_fuses(policy, amounts),
        warnings=warnings(snapshot, policy),
    )


def _amounts(shares: pl.DataFrame) -> dict[str, Amount]:
    found = dict.fromkeys(DECISIONS, Amount())
    for row in shares.drop("rule").to_dicts():
        found[row.pop("decision")] += Amount(**row)
    return found


def _fuses(policy: Policy, amounts: Mapping[str, Amount]) -> tuple[Fuse, ...]:
    """Marks and purges are limited one by one: what waits was counted in the run that marked it."""
    live = sum(amount.clips for name, amount in amounts.items() if name != FINISH)
    fuses = []
    for step in (MARK, PURGE):
        clips = amounts[step].clips
        fuses.append(Fuse(setting="retention.max_clips", step=step, limit=policy.max_clips, value=clips))
        percent = 100 * clips / live if live else 0.0
        fuses.append(Fuse(setting="retention.max_percent", step=step, limit=policy.max_percent, value=percent))
    return tuple(fuses)


def _identity(policy: Policy, decided: pl.DataFrame) -> str:
    lines = (
        decided.lazy()
        .filter(pl.col("decision").is_in(_CONDEMNED))
        .select("id", "rule")
        .sort("id")
        .select(pl.format("{} {}", "id", "rule").str.join("\n"))
        .collect()
        .item()
    )
    return hashlib.sha256(f"{policy.hash}\n{lines or ''}".encode()).hexdigest()[:16]
