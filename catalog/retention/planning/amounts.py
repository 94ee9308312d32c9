"""Amounts: how much a plan is about, by decision, rule and budget, and the fuses that look at it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from voxledger.catalog import terminal
from voxledger.catalog.settings import variable

KEEP = "keep"
MARK = "mark"
WAIT = "wait"
UNMARK = "unmark"
PURGE = "purge"
FINISH = "finish"
DECISIONS = (FINISH, PURGE, MARK, WAIT, UNMARK, KEEP)
"""`finish` takes up a purge that was interrupted; `wait` is marked, with its grace still running."""
CONDEMNED = (MARK, WAIT, PURGE)
"""The decisions about clips that go sooner or later."""


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
    """What one expire rule or budget decides: the amount of clips by decision, for which it is the deciding one."""

    name: str
    condition: str
    keep_for: float | None
    amounts: Mapping[str, Amount]

    @property
    def condemned(self) -> Amount:
        """What goes because of it, sooner or later."""
        return sum((self.amounts[name] for name in CONDEMNED), Amount())


class KeepSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What one keep rule protects: all clips for which it is the first that matches, and those of them that a rule would let go."""

    name: str
    condition: str
    keeps: Amount
    saves: Amount


class BudgetSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How a budget stands, in bytes: its limit, what is left once all that was condemned before it has gone, what goes for it.

    `lacks` is what is still too much then: nothing else in its scope may go. `groups` is how many groups are above the limit,
    which is one for each; None for a budget of all together.
    """

    name: str
    limit: int
    stands: int
    goes: int
    lacks: int
    groups: int | None = None


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
        if self.setting.endswith("percent"):
            much, limit = f"{self.value:.4g} % of all clips", f"{self.limit:g} %"
        elif self.setting.endswith("bytes"):
            much, limit = terminal.size(self.value), terminal.size(self.limit)
        else:
            much, limit = f"{self.value:,.0f} clips", f"{self.limit:,.0f}"
        return (
            f"this run would {self.step} {much}, more than {self.setting} = {limit} allows;"
            f" if that is right, set {variable(self.setting)} for one run"
        )
