from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from voxledger.catalog.errors import ClipNotFound
from voxledger.catalog.settings import ExpireRule

if TYPE_CHECKING:
    from conftest import World

DAY = timedelta(days=1)
ALL = ExpireRule(name="all", keep_for=30 * 86400, match="all")
SCRATCH = ExpireRule(name="scratch", keep_for=3 * 86400, tag="scratch", allow_unseen=True)


def told(world: World, clip: str, *rules: ExpireRule, after: timedelta = timedelta(0)) -> str:
    return " ".join(world.retention(*rules).explain(clip, now=world.now + after))


def test_all_matching_rules_are_named_and_the_one_that_decides(world: World) -> None:
    clip = world.clip(age=DAY, tags=("scratch",))
    text = told(world, clip[-8:], SCRATCH, ALL)
    assert "has not been used since. Its audio is stored." in text
    assert "Rule 'scratch' (tag scratch) keeps it for 3d after its last use." in text
    assert "Rule 'all' (every clip) keeps it for 30d after its last use." in text
    assert "The first decides: 'scratch'." in text
    due = (world.now + 2 * DAY).strftime("%Y-%m-%d %H:%M UTC")
    assert f"It is marked from {due} on and goes 7d after that, unless it is used" in text
    assert "A pin keeps it" in text


def test_a_clip_without_a_rule_stays(world: World) -> None:
    assert told(world, world.clip(), SCRATCH).endswith("No rule matches it. It stays.")


def test_the_whole_way_of_a_clip(world: World) -> None:
    clip = world.clip(age=40 * DAY)
    retention = world.retention(ALL)
    assert "Its time is over: the next run marks it, and it goes 7d after that." in told(world, clip, ALL)
    retention.apply(now=world.now)
    assert "It is marked because of rule 'all'" in told(world, clip, ALL)
    assert "It goes at the first run after" in told(world, clip, ALL)
    assert "Its grace is over: the next run deletes it." in told(world, clip, ALL, after=8 * DAY)
    assert "The next run takes the mark back (no rule matches)." in told(world, clip, SCRATCH)
    world.play(clip)
    assert "played, fetched or linked once and answered 0 times a later request" in told(world, clip, ALL)
    assert "The next run takes the mark back (used since it was marked)." in told(world, clip, ALL)
    world.pin(clip)
    assert "It was pinned: the next run takes the mark back." in told(world, clip, ALL)


def test_a_deleted_clip_says_when_and_why(world: World) -> None:
    clip = world.clip(age=40 * DAY)
    retention = world.retention(ALL)
    retention.apply(now=world.now)
    world.store.stubborn = set(world.store.names())
    retention.apply(now=world.now + 8 * DAY)
    assert "Its deletion began on" in told(world, clip, ALL)
    assert "it cannot be stopped any more" in told(world, clip, ALL)
    world.store.stubborn = set()
    retention.apply(now=world.now + 8 * DAY)
    text = told(world, clip, ALL)
    assert "Its audio was deleted on" in text
    assert "because of rule 'all'" in text


@pytest.mark.parametrize("reference", ["", "xyz", "12", "00000000", "0" * 40])
def test_no_such_clip_is_one_clear_error(world: World, reference: str) -> None:
    world.clip()
    with pytest.raises(ClipNotFound):
        world.retention(ALL).explain(reference)
