from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from voxledger.catalog.commands.retention.planning import print_plan
from voxledger.catalog.settings import Budget, ExpireRule, KeepRule, Newest, Prices

if TYPE_CHECKING:
    from conftest import World


def test_a_plan_is_a_page_that_names_rules_budgets_and_the_largest_clips_first(world: World) -> None:
    for number in range(5):
        world.clip(bytes=100 * (number + 1), name=f"<b>take {number}</b>")
    rule = ExpireRule(name="old", keep_for=86400.0, match="bytes < 250")
    retention = world.retention(
        rule,
        keep=(KeepRule(name="newest", newest=Newest(n=1)),),
        budgets=(Budget(name="all of it", match="all", max_bytes=650),),
        max_percent=10.0,
    )
    plan = retention.plan(now=world.now)
    html = retention.page(plan)
    assert plan.id in html
    assert "4 of 5 clips would go" in html
    assert "&lt;b&gt;take 2&lt;/b&gt;" in html
    assert "<b>take" not in html
    assert "this run would mark 80 % of all clips" in html
    shown = re.findall(r"<code>([0-9a-f]{8})</code>", html)
    sizes = {row["id"][-8:]: row["bytes"] for row in plan.rows().to_dicts()}
    assert sorted(sizes) == sorted(shown)
    assert "<script" not in html
    assert "src=" not in html


def test_a_row_names_all_that_asks_for_the_clip_and_not_only_the_winner(world: World) -> None:
    both = world.clip(tags=("scratch",))
    one = world.clip()
    retention = world.retention(
        ExpireRule(name="scratch", keep_for=86400.0, tag="scratch"),
        ExpireRule(name="unplayed", keep_for=86400.0, match="plays = 0"),
        ExpireRule(name="loud", keep_for=86400.0, match="plays > 3"),
    )
    plan = retention.plan(now=world.now)
    told = {row["id"]: (row["rule"], row["matches"]) for row in plan.as_dict()["clips"]}
    assert told == {both: ("scratch", ["scratch", "unplayed"]), one: ("unplayed", ["unplayed"])}
    assert re.findall(r"<small>also matches: ([^<]+)</small>", retention.page(plan)) == ["unplayed"]


def test_a_budget_in_money_is_shown_in_money(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(4):
        world.clip(bytes=10**9)
    money = Budget(name="money", match="all", max_cost=5.0)
    room = Budget(name="room", match="all", max_bytes=3_000_000_000, max_cost=50.0)
    retention = world.retention(budgets=(money, room), prices=Prices(gb_month=2.0, currency="EUR"))
    plan = retention.plan(now=world.now)
    print_plan(plan, every=False, limit=5)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["money", "5.00", "EUR", "8.00", "EUR", "4.00", "EUR", "–"] in rows
    # The tighter one of two limits is the one that is told.
    assert ["room", "3.0", "GB", "2.0", "GB", "0", "B", "–"] in rows
    cells = re.findall(r">([^<>]+)</td>", retention.page(plan))
    assert [cells[cells.index("5.00 EUR") + step] for step in range(4)] == ["5.00 EUR", "8.00 EUR", "4.00 EUR", "–"]


def test_small_money_is_shown_with_figures_that_tell_it_apart(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(4):
        world.clip(bytes=10**6)
    budget = Budget(name="little", match="all", max_cost=0.00007)
    retention = world.retention(budgets=(budget,), prices=Prices(gb_month=0.023, currency="EUR"))
    plan = retention.plan(now=world.now)
    print_plan(plan, every=False, limit=5)
    out = capsys.readouterr().out
    assert "1.0 MB, 0.000023 EUR a month" in out
    rows = [line.split() for line in out.splitlines()]
    assert ["little", "0.000070", "EUR", "0.000092", "EUR", "0.000023", "EUR", "–"] in rows
    assert "<b>0.000023 EUR</b>" in retention.page(plan)


def test_an_empty_home_has_a_page_that_says_what_is_missing(world: World) -> None:
    retention = world.retention()
    assert "there are no rules: nothing can expire" in retention.page(retention.plan(now=world.now))
