"""The policy: which clips may expire, and how slowly."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from datetime import timedelta

import msgspec

from voxledger.catalog import settings
from voxledger.catalog.errors import PolicyError
from voxledger.catalog.lazy import lazy
from voxledger.catalog.settings import ExpireRule, format_span

CONDITIONS = ("tag", "actor", "session", "emotion", "bucket")
"""The fields of a rule that a clip is held against; an empty one fits every clip."""
LONGEST = 100 * 365 * 86400.0
"""Longest span of a policy, in seconds: a hundred years, so that no date leaves the calendar."""


class Policy(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Expire rules with the times and fuses that slow them down. `Policy.of` makes and checks it."""

    rules: tuple[ExpireRule, ...]
    grace: timedelta
    minimum_age: timedelta
    max_clips: int
    max_percent: float

    @classmethod
    def of(cls, section: settings.Retention) -> Policy:
        """The policy that settings ask for. Raises PolicyError for a name used twice or a span out of bounds."""
        spans = {"retention.grace": section.grace, "retention.minimum_age": section.minimum_age}
        for number, rule in enumerate(section.rules, 1):
            if not rule.name.strip():
                raise PolicyError(f"retention rule number {number} has no name; give it one, reports and events use it")
            spans[f"keep_for of retention rule {rule.name!r}"] = rule.keep_for
        for name, times in Counter(rule.name for rule in section.rules).items():
            if times > 1:
                raise PolicyError(f"{times} retention rules are called {name!r}; give each a name of its own")
        for what, seconds in spans.items():
            if not math.isfinite(seconds) or not 0 <= seconds <= LONGEST:
                raise PolicyError(f"{what} = {seconds:g} s is not between 0 s and 100 years")
        return cls(
            rules=section.rules,
            grace=timedelta(seconds=section.grace),
            minimum_age=timedelta(seconds=section.minimum_age),
            max_clips=section.max_clips,
            max_percent=section.max_percent,
        )

    @lazy
    def hash(self) -> str:
        """16 hex digits that change when another clip could be condemned, or at another time.

        Fuses are not in it: raising one for a single run leaves a reviewed plan as it was.
        """
        content = msgspec.json.encode([self.rules, self.grace.total_seconds(), self.minimum_age.total_seconds()])
        return hashlib.sha256(content).hexdigest()[:16]

    @lazy
    def by_urgency(self) -> tuple[ExpireRule, ...]:
        """The rules, shortest `keep_for` first; among equals the one that was written first."""
        return tuple(sorted(self.rules, key=lambda rule: rule.keep_for))


def condition(rule: ExpireRule) -> str:
    """What a rule asks for, in words: `tag scratch, actor ann`, or `every clip`."""
    asked = [f"{name} {getattr(rule, name)}" for name in CONDITIONS if getattr(rule, name)]
    return ", ".join(asked) or "every clip"


def title(rule: ExpireRule) -> str:
    """How sentences call a rule: `rule 'scratch' (tag scratch)`."""
    return f"rule {rule.name!r} ({condition(rule)})"


def words(span: timedelta) -> str:
    """A span as the settings write it: `7d`, `1d12h`."""
    return format_span(span.total_seconds())
