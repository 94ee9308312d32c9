"""The policy: which clips may expire and how slowly, what keeps them, what they may weigh together."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Final, Literal

import msgspec

from voxledger.catalog import settings
from voxledger.catalog.errors import PolicyError
from voxledger.catalog.lazy import lazy
from voxledger.catalog.retention.policy.expressions import Expression
from voxledger.catalog.retention.policy.window import Window

EVERY_CLIP: Final = "every clip"
"""How sentences say it."""
WITHDRAWN: Final = "consent withdrawn"
"""What stands as the rule where the consent of a clip's voice was withdrawn."""
_SHORT = 40


def _title(kind: str, name: str, words: str) -> str:
    """What a rule asks for helps to know it again, unless it is long."""
    return f"{kind} {name!r} ({words})" if len(words) <= _SHORT else f"{kind} {name!r}"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """An expire rule: clips that match go `keep_for` after their last use."""

    name: str
    words: str
    condition: Expression
    keep_for: timedelta
    allow_unseen: bool = False

    @property
    def title(self) -> str:
        """How sentences call it: `rule 'scratch' (tag scratch)`."""
        return _title("rule", self.name, self.words)


class Newest(msgspec.Struct, frozen=True, kw_only=True):
    """The first `n` of each group, newest first, or in the order `by`."""

    n: int
    per: tuple[str, ...]
    by: Expression | None = None

    @property
    def title(self) -> str:
        """How sentences call it: `newest 10 of each session`."""
        first = f"best {self.n} by {self.by.text}" if self.by else f"newest {self.n}"
        return f"{first} of each {' and '.join(self.per)}" if self.per else first


class KeepRule(msgspec.Struct, frozen=True, kw_only=True):
    """A keep rule: what matches stays. With `ranks` only the first ones of those that match. One that is `bare` asks for nothing."""

    name: str
    words: str
    condition: Expression
    ranks: tuple[Newest, ...] = ()
    allow_unseen: bool = False
    bare: bool = False

    @property
    def title(self) -> str:
        """How sentences call it."""
        return _title("keep rule", self.name, self.words)


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What the clips that match may weigh together, in bytes, in each group if `per` names columns; the lowest `value` goes first.

    `max_cost_micro` is the same limit in millionths of the currency for 30 days, where it was given in money.
    """

    name: str
    words: str
    condition: Expression
    max_bytes: int
    max_cost_micro: int | None = None
    value: Expression
    per: tuple[str, ...] = ()
    allow_unseen: bool = False

    @property
    def title(self) -> str:
        """How sentences call it."""
        return _title("budget", self.name, self.words)


class Policy(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Rules, budgets, and the times and fuses that slow them down. `Policy.of` makes and checks it."""

    rules: tuple[Rule, ...]
    keep: tuple[KeepRule, ...]
    budgets: tuple[Budget, ...]
    grace: timedelta
    minimum_age: timedelta
    withdrawn: Literal["keep", "delete"]
    window: Window | None
    max_clips: int
    max_bytes: int
    max_percent: float
    max_lag: timedelta
    price_micro: int
    currency: str
    text: str

    @classmethod
    def of(cls, section: settings.Retention, zone: str = "UTC", prices: settings.Prices | None = None) -> Policy:
        """The policy that settings ask for; `zone` is that of its purge window, and without prices it counts with the defaults.

        Raises PolicyError for the first problem.
        """
        from voxledger.catalog.retention.policy.compiling import compiled  # which makes this record

        policy, problems = compiled(section, zone, prices)
        if policy is None:
            raise PolicyError(problems[0].message)
        return policy

    @property
    def empty(self) -> bool:
        """Whether nothing can expire."""
        return not self.rules and not self.budgets and self.withdrawn == "keep"

    @lazy
    def hash(self) -> str:
        """16 hex digits that change when another clip could be condemned, or at another time.

        Fuses and the purge window are not in it: raising one for a single run leaves a reviewed plan as it was.
        """
        content = msgspec.json.encode(
            [
                [[rule.name, rule.condition.text, rule.keep_for.total_seconds()] for rule in self.rules],
                [[rule.name, rule.condition.text, [rank.title for rank in rule.ranks]] for rule in self.keep],
                [
                    [budget.name, budget.condition.text, budget.max_bytes, budget.value.text, budget.per]
                    for budget in self.budgets
                ],
                self.grace.total_seconds(),
                self.minimum_age.total_seconds(),
                self.withdrawn,
            ]
        )
        return hashlib.sha256(content).hexdigest()[:16]

    def cost_micro(self, size: int) -> int:
        """What so many bytes cost for 30 days, in millionths of the currency."""
        return size * self.price_micro // 10**9
