from __future__ import annotations

import math

import pytest

from voxledger.catalog.errors import PolicyError
from voxledger.catalog.retention import Policy
from voxledger.catalog.retention.policy import condition, title
from voxledger.catalog.settings import ExpireRule, Retention

DAY = 86400.0


def test_two_rules_of_one_name_are_refused() -> None:
    rules = (ExpireRule(name="a", keep_for=1), ExpireRule(name="a", keep_for=2))
    with pytest.raises(PolicyError, match="2 retention rules are called 'a'"):
        Policy.of(Retention(rules=rules))


def test_a_rule_without_a_name_is_refused() -> None:
    with pytest.raises(PolicyError, match="rule number 1 has no name"):
        Policy.of(Retention(rules=(ExpireRule(name=" ", keep_for=1),)))


@pytest.mark.parametrize("span", [math.inf, math.nan, 101 * 365 * DAY, -1.0])
def test_a_span_outside_a_century_is_refused(span: float) -> None:
    with pytest.raises(PolicyError, match=r"keep_for of retention rule 'a' = .* is not between"):
        Policy.of(Retention(rules=(ExpireRule(name="a", keep_for=span),)))
    with pytest.raises(PolicyError, match=r"retention\.grace"):
        Policy.of(Retention(grace=span))


def test_the_hash_changes_with_what_expires_but_not_with_the_fuses() -> None:
    rule = ExpireRule(name="a", keep_for=DAY)
    policy = Policy.of(Retention(rules=(rule,)))
    assert policy.hash == Policy.of(Retention(rules=(rule,), max_clips=1, max_percent=1)).hash
    others = [
        Retention(rules=(ExpireRule(name="a", keep_for=2 * DAY),)),
        Retention(rules=(ExpireRule(name="a", keep_for=DAY, tag="x"),)),
        Retention(rules=(rule,), grace=1),
        Retention(rules=(rule,), minimum_age=1),
        Retention(),
    ]
    assert len({policy.hash, *(Policy.of(other).hash for other in others)}) == 6


def test_the_shortest_keep_for_comes_first_and_equals_keep_their_order() -> None:
    rules = tuple(ExpireRule(name=name, keep_for=keep) for name, keep in (("a", 3), ("b", 1), ("c", 3), ("d", 1)))
    assert [rule.name for rule in Policy.of(Retention(rules=rules)).by_urgency] == ["b", "d", "a", "c"]


def test_rules_are_put_into_words() -> None:
    assert condition(ExpireRule(name="a", keep_for=1)) == "every clip"
    assert title(ExpireRule(name="a", keep_for=1, tag="t", actor="ann")) == "rule 'a' (tag t, actor ann)"
