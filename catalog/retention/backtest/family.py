"""Families: policies that differ in how long they keep, such as `keep_for=7d:180d`."""

from __future__ import annotations

import re
from datetime import timedelta

import msgspec

from voxledger.catalog.errors import PolicyError
from voxledger.catalog.retention.policy import Policy
from voxledger.catalog.settings import format_span, parse_span

STEPS = 12
"""Policies of a family that does not say how many."""
MOST = 200
"""Most policies of a family."""
_DAY = timedelta(days=1)


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """Spans for `keep_for`, of all rules or of the one that is named."""

    spans: tuple[timedelta, ...]
    rule: str | None = None

    @classmethod
    def parse(cls, text: str, rule: str | None = None) -> Family:
        """From `keep_for=7d:180d` or `keep_for=7d:180d:20`. Raises PolicyError."""
        found = re.fullmatch(r"\s*keep_for\s*=\s*([^:]+):([^:]+?)(?::\s*(\d+))?\s*", text)
        if not found:
            raise PolicyError(
                f"{text!r} is no family: write keep_for=SHORTEST:LONGEST or keep_for=SHORTEST:LONGEST:STEPS"
            )
        try:
            low, high = (timedelta(seconds=parse_span(part)) for part in found.groups()[:2])
        except (ValueError, OverflowError) as error:
            raise PolicyError(f"family {text!r}: {error}") from None
        steps = int(found[3] or STEPS)
        if not timedelta(0) < low < high <= timedelta(days=36500) or not 2 <= steps <= MOST:
            raise PolicyError(
                f"family {text!r}: write the shorter span first, neither 0 nor more than 100 years, and 2 to {MOST} steps"
            )
        return cls(spans=_between(low, high, steps), rule=rule)

    def of(self, policy: Policy) -> list[tuple[Policy, str, float]]:
        """The policies with their names and spans in seconds. Raises PolicyError when there is no such rule."""
        names = [rule.name for rule in policy.rules]
        if self.rule is not None and self.rule not in names:
            known = f"there are {', '.join(map(repr, names))}" if names else "there is none"
            raise PolicyError(f"the policy has no rule {self.rule!r} whose keep_for could vary; {known}")
        found = []
        for span in self.spans:
            rules = tuple(
                msgspec.structs.replace(rule, keep_for=span) if self.rule in (None, rule.name) else rule
                for rule in policy.rules
            )
            whose = "" if self.rule is None else f"{self.rule}: "
            name = f"{whose}keep_for {format_span(span.total_seconds())}"
            found.append((msgspec.structs.replace(policy, rules=rules), name, span.total_seconds()))
        return found


def _between(low: timedelta, high: timedelta, steps: int) -> tuple[timedelta, ...]:
    """Spans that grow by the same factor, rounded to whole days, or hours or seconds where they are short."""
    unit = _DAY if low >= _DAY else timedelta(hours=1) if low >= timedelta(hours=1) else timedelta(seconds=1)
    factor = (high / low) ** (1 / (steps - 1))
    found = {low, high, *(unit * max(1, round(low * factor**step / unit)) for step in range(1, steps - 1))}
    return tuple(sorted(found))
