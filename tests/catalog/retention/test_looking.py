"""Looking at a plan: its clips page by page in any order, of a rule, among some; and what another plan condemned otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from tests.catalog.retention.conftest import World
from voxledger.catalog.retention.planning import looking
from voxledger.catalog.retention.planning.looking import ORDERS, After, Look, Order
from voxledger.catalog.settings import ExpireRule

if TYPE_CHECKING:
    from voxledger.catalog.retention import Plan

DAY = 86400.0


def _pages(plan: Plan, look: Look, size: int, among: Sequence[pl.Series] | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: After | None = None
    while True:
        rows, after = looking.page(plan, look, limit=size, after=after, among=among)
        found += rows.to_dicts()
        if after is None:
            return found
        assert rows.height == size


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One for all: who looks changes nothing."""
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def plan(world: World) -> Plan:
    for number in range(9):
        world.clip(
            bytes=100 * (number % 4), age=timedelta(days=9 + number), tags=("scratch",) if number % 3 == 0 else ()
        )
    retention = world.retention(
        ExpireRule(name="scratch", keep_for=DAY, tag="scratch"), ExpireRule(name="old", keep_for=DAY, match="all"), max_percent=100.0
    )  # fmt: skip
    retention.apply(retention.plan(now=world.now).id, now=world.now)  # these wait in grace
    for number in range(8):
        world.clip(bytes=50 * number, age=timedelta(days=5))
    return retention.plan(now=world.now)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("size", [1, 4, 100])
def test_pages_hold_every_clip_once_and_in_order(plan: Plan, order: Order, size: int) -> None:
    rows = _pages(plan, Look(order=order), size)
    assert sorted(row["id"] for row in rows) == sorted(plan.rows()["id"])
    assert [row["id"] for row in rows] == [row["id"] for row in _pages(plan, Look(order=order), 1000)]
    if order == "urgency":
        assert [row["id"] for row in rows] == plan.rows()["id"].to_list()
    elif order in ("oldest", "newest"):
        assert [row["id"] for row in rows] == sorted(plan.rows()["id"], reverse=order == "newest")
    else:
        column = {"bytes": "bytes", "duration": "duration_us", "uses": "uses"}[order]
        assert rows == sorted(rows, key=lambda row: (-row[column], row["id"]))


def test_a_rule_a_decision_and_some_clips_narrow_it(plan: Plan) -> None:
    assert len(_pages(plan, Look(rule="scratch"), 2)) == 3
    waiting = _pages(plan, Look(decisions=("wait",)), 2)
    assert {row["decision"] for row in waiting} == {"wait"}
    assert len(waiting) == 9
    few = plan.decisions.parts[0].select("high", "low").head(2)
    among = looking.places(plan, few)
    assert len(_pages(plan, Look(), 5, among)) == 2
    assert [row["id"] for row in _pages(plan, Look(), 1, among)] == [
        row["id"] for row in _pages(plan, Look(), 5, among)
    ]
    assert looking.amount(plan, Look(rule="scratch")).clips == 3
    assert looking.amount(plan, Look(), among).clips == 2


def test_what_a_rule_condemns_is_summed_up_with_its_oldest_clip(plan: Plan) -> None:
    told = {each.rule: each for each in looking.condemned(plan)}
    assert {name: each.amount for name, each in told.items()} == {rule.name: rule.condemned for rule in plan.rules}
    assert all(each.oldest is not None for each in told.values())


def test_two_plans_are_compared_clip_by_clip(world: World, plan: Plan) -> None:
    again = world.retention(ExpireRule(name="all", keep_for=DAY, match="bytes >= 100")).plan(now=world.now)
    told = looking.change(again, plan)
    assert told.more.clips == 0
    assert told.less.clips == plan.condemned.clips - again.condemned.clips
    back = looking.change(plan, again)
    assert (back.more, back.less.clips) == (told.less, 0)
    assert looking.newcomers(plan, again).height == told.less.clips


def test_an_id_that_tells_no_time_has_none() -> None:
    assert looking.made(None) is None
    assert looking.made(0x0123_4567_89AB_4CDE) is None
