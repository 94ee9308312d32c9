from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from voxledger.catalog.settings import ExpireRule

if TYPE_CHECKING:
    from conftest import World

DAY = timedelta(days=1)


def test_names_that_no_clip_ever_had_are_pointed_out(world: World) -> None:
    clip = world.clip(tags=("scratch",), session="night")
    rules = [
        ExpireRule(name="a", keep_for=1, tag="scrach"),
        ExpireRule(name="b", keep_for=1, actor="zoe"),
        ExpireRule(name="c", keep_for=1, session="nigth", emotion="neutral", bucket="indextts-audio"),
    ]
    assert world.retention(*rules).plan(now=world.now).warnings == (
        "rule 'a' names tag 'scrach', which no clip has; did you mean 'scratch'?",
        "rule 'b' names actor 'zoe', which no clip has",
        "rule 'c' names session 'nigth', which no clip has; did you mean 'night'?",
    )
    right = world.retention(ExpireRule(name="a", keep_for=1, tag="scratch"), grace=0.0)
    assert right.plan(now=world.now).warnings == ()
    for _ in range(2):
        right.apply(now=world.now)
    assert world.types(clip)[-1] == "ClipPurged"
    assert right.plan(now=world.now).warnings == ()


def test_a_rule_for_every_clip_is_pointed_out(world: World) -> None:
    [warning] = world.retention(ExpireRule(name="all", keep_for=1)).plan(now=world.now).warnings
    assert warning == "rule 'all' (every clip) has no condition: it matches every clip"


def test_an_empty_home_has_a_plan(world: World) -> None:
    plan = world.retention(ExpireRule(name="all", keep_for=1)).plan(now=world.now)
    assert (plan.position, plan.live, plan.idle) == (0, 0, True)
