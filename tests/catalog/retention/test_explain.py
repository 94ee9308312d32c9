from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from voxledger.catalog.errors import ClipNotFound
from voxledger.catalog.events import (
    AudioAccessed,
    ClipMarked,
    ClipPinned,
    ClipPurged,
    ClipRated,
    ClipRestored,
    ClipUnmarked,
    HoldPlaced,
    HoldReleased,
    PurgeStarted,
)
from voxledger.catalog.objects.elsewhere import Elsewhere, note
from voxledger.catalog.settings import Budget, ExpireRule, KeepRule

if TYPE_CHECKING:
    from conftest import World

DAY = timedelta(days=1)
ALL = ExpireRule(name="all", keep_for=30 * 86400, match="all")
SCRATCH = ExpireRule(name="scratch", keep_for=3 * 86400, tag="scratch", allow_unseen=True)


def told(world: World, clip: str, *rules: ExpireRule, after: timedelta = timedelta(0)) -> str:
    return " ".join(world.retention(*rules).explain(clip, now=world.now + after))


def test_while_usage_is_unknown_it_says_so_and_that_nothing_goes(world: World) -> None:
    marked = world.clip(age=60 * DAY)
    world.retention(ALL).apply(now=world.now)
    late = world.clip(age=60 * DAY)
    note(world.home, Elsewhere(position=9, epoch=None, seen=world.now))
    for clip, decision in ((late, "keep"), (marked, "wait")):
        found = world.retention(ALL).explain(clip, now=world.now + 20 * DAY)
        assert (found.decision, found.cause) == (decision, "unknown")
        assert found.unknown is not None
        said = " ".join(found)
        assert "Nobody knows at present what was used lately: another HOME goes on as this node" in said
        assert found.sentences[-1] == "It stays as it is until then."


def test_all_matching_rules_are_named_and_the_one_that_decides(world: World) -> None:
    clip = world.clip(age=DAY, tags=("scratch",))
    text = told(world, clip[-8:], SCRATCH, ALL)
    assert "has not been played, fetched or asked for since. Its audio is stored." in text
    assert "Rule 'scratch' (tag scratch) keeps it for 3d after its last use." in text
    assert "Rule 'all' (every clip) keeps it for 30d after its last use." in text
    assert "The first decides: 'scratch'." in text
    due = (world.now + 2 * DAY).strftime("%Y-%m-%d %H:%M UTC")
    assert f"It is marked from {due} on and goes 7d after that, unless it is used" in text
    assert "What would keep it: a pin, a hold, or any use, for 3d from then on." in text


def test_a_clip_without_a_rule_stays(world: World) -> None:
    assert told(world, world.clip(), SCRATCH).endswith(
        "No rule matches it. It stays as long as no rule matches it and no budget asks for it."
    )


def test_what_a_keep_rule_keeps_stays_as_long_as_that_matches(world: World) -> None:
    clip = world.clip(age=60 * DAY, tags=("master",))
    found = world.retention(ALL, keep=[KeepRule(name="masters", tag="master")]).explain(clip, now=world.now)
    assert [(rule.name, rule.decides) for rule in found.keep] == [("masters", True)]
    assert found.sentences[-3:] == (
        "Keep rule 'masters' (tag master) keeps it.",
        "Rule 'all' (every clip) keeps it for 30d after its last use.",
        "Keep rules win over rules and budgets: it stays as long as one matches it.",
    )


def test_a_hold_with_an_end_says_until_when_it_keeps_a_clip(world: World) -> None:
    clip, retention = world.clip(age=60 * DAY), world.retention(ALL)
    retention.hold(clip, reason="not heard", until=world.now + DAY, now=world.now)
    until = f"{world.now + DAY:%Y-%m-%d %H:%M} UTC"
    assert told(world, clip, ALL).endswith(
        f"A hold keeps it, whatever the rules say until {until}; after that they decide."
    )
    world.pin(clip)
    assert told(world, clip, ALL).endswith("A hold keeps it, whatever the rules say.")
    retention.hold(clip, reason="no end", now=world.now)
    assert told(world, clip, ALL).endswith("A hold keeps it, whatever the rules say.")


def test_the_whole_way_of_a_clip(world: World) -> None:
    clip = world.clip(age=40 * DAY)
    retention = world.retention(ALL)
    assert "Its time is over: the next run marks it, and it goes 7d after that." in told(world, clip, ALL)
    retention.apply(now=world.now)
    assert f"It is marked since {world.now:%Y-%m-%d %H:%M} UTC because of rule 'all'" in told(world, clip, ALL)
    assert "It goes at the first run after" in told(world, clip, ALL)
    assert "Its grace is over: the next run deletes it." in told(world, clip, ALL, after=8 * DAY)
    assert "The next run takes the mark back (no rule matches)." in told(world, clip, SCRATCH)
    world.play(clip)
    assert "It was played, fetched or linked once, last on" in told(world, clip, ALL)
    assert "The next run takes the mark back (used since it was marked)." in told(world, clip, ALL)
    world.pin(clip)
    assert "The next run takes the mark back (pinned)." in told(world, clip, ALL)


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
    assert "The store answered Deleted of ann/default/" in text
    assert "its absence was seen; 5 bytes" in text
    assert f"`voxledger retention restore {clip[-8:]}` brings it back" in text
    found = retention.explain(clip)
    assert (found.state, found.decision, found.goes, found.rules) == ("purged", None, None, ())


def test_what_people_said_of_it_is_told_with_their_reasons(world: World) -> None:
    clip = world.clip(name="tide", voice_name="bob", emotion="sad")
    retention = world.retention(ALL)
    world.record(ClipRated(rating=4), clip)
    world.record(ClipPinned(reason="on air", until=world.now + DAY), clip)
    hold = retention.hold(clip, reason="not heard", until=world.now + 2 * DAY, now=world.now)
    legal = retention.hold(clip, reason="case 7", legal=True, review=world.now + 5 * DAY, now=world.now)
    text = told(world, clip, ALL)
    assert f"Clip {clip[-8:]} (tide) was made on" in text
    assert "for ann with espeak in the voice bob, sad" in text
    assert "It was rated 4 of 5 on" in text
    assert f"ann pinned it on {world.now:%Y-%m-%d}" in text
    assert f" until {world.now + DAY:%Y-%m-%d %H:%M} UTC (on air)." in text
    assert f"voxledger put it under the hold {hold.id} on" in text
    assert f"(not heard) until {world.now + 2 * DAY:%Y-%m-%d %H:%M} UTC." in text
    assert f"(case 7); somebody has to look at it again by {world.now + 5 * DAY:%Y-%m-%d %H:%M} UTC." in text
    assert "A legal hold keeps it, from erasure too, until it is released." in text
    found = retention.explain(clip, now=world.now)
    assert [(held.kind, held.owner, held.reason) for held in found.held] == [
        ("pin", "ann", "on air"), ("ordinary", "voxledger", "not heard"), ("legal", "voxledger", "case 7"),
    ]  # fmt: skip
    retention.release(legal.id, reason="closed")
    text = told(world, clip, ALL, after=6 * DAY)
    assert "The pin of ann ended on" in text
    assert f"The hold {hold.id} of voxledger ended on" in text
    assert f"The legal hold {legal.id} of voxledger was released on" in text
    assert "by voxledger (closed)." in text
    assert retention.explain(clip, now=world.now + 6 * DAY).held == ()


def test_a_hold_that_was_renewed_is_told_with_both_its_ends(world: World) -> None:
    clip, retention = world.clip(), world.retention(ALL)
    hold = retention.hold(clip, reason="not heard", until=world.now + DAY, now=world.now)
    retention.renew(hold.id, reason="on holiday", until=world.now + 9 * DAY, now=world.now)
    text = told(world, clip, ALL)
    first, second = (f"until {world.now + days * DAY:%Y-%m-%d %H:%M} UTC" for days in (1, 9))
    assert text.index(f"(not heard) {first}.") < text.index(f"voxledger renewed the hold {hold.id} on")
    assert f"(on holiday) {second}." in text
    assert retention.explain(clip, now=world.now).held[0].reason == "on holiday"
    [found] = retention.holds()
    assert (found.clips, found.standing, found.state) == (1, 1, "open")
    assert retention.release(hold.id).clips == 1


def test_an_overdue_review_is_told(world: World) -> None:
    clip = world.clip()
    world.retention(ALL).hold(clip, reason="case 7", legal=True, review=world.now + DAY, now=world.now)
    assert "which is overdue" in told(world, clip, ALL, after=2 * DAY)


def test_marks_that_were_taken_back_are_told_with_their_reasons(world: World) -> None:
    clip = world.clip(age=40 * DAY)
    retention = world.retention(ALL)
    plan = retention.apply(now=world.now).plan
    retention.undo(plan)
    text = told(world, clip, ALL)
    assert f"because of rule 'all' (plan {plan}). That mark ended on" in text
    assert ": the plan was undone." in text


def test_a_life_is_told_in_the_order_in_which_it_happened(world: World) -> None:
    def at(days: int) -> str:
        return f"{world.now - days * DAY:%Y-%m-%d %H:%M} UTC"

    clip = world.clip(age=100 * DAY)
    ann, retention = world.recorder.vault.actor("ann"), world.retention(ALL)
    for days, fact in (
        (90, ClipRated(rating=4)),
        (80, ClipMarked(plan="p1", rule="all", delete_after=world.now - 73 * DAY)),
        (75, ClipPinned(reason="on air")),
        (74, ClipUnmarked(plan="p1", reason="pinned")),
        (60, HoldPlaced(hold="aaaa", kind="ordinary", until=None, review=None, reason="wait")),
        (50, HoldReleased(hold="aaaa", kind="ordinary", reason="heard")),
        (40, PurgeStarted(plan="p2", rule="all", bucket="b")),
        (39, ClipPurged(plan="p2", rule="all", bucket="b", bytes=5, answer="Deleted")),
        (30, ClipRestored(bucket="b", source="backup", plan="p2", bytes=5, key="k")),
        (20, AudioAccessed(channel="python", purpose="play")),
        (10, ClipMarked(plan="p3", rule="all", delete_after=world.now - 3 * DAY)),
    ):
        world.recorder.journal.emit(world.recorder.draft(fact, subject=clip, actor=ann, time=world.now - days * DAY))
    sentences = retention.explain(clip, now=world.now).sentences
    begins = (
        "Clip", f"It was rated 4 of 5 on {at(90)}", f"It was marked on {at(80)}", f"ann pinned it on {at(75)} (on air)",
        f"That mark ended on {at(74)}: it was pinned", f"The hold aaaa of ann was released on {at(50)}",
        f"Its audio was deleted on {at(39)}", f"It came back on {at(30)} from a backup", "It was played, fetched or linked once, last",
        f"It is marked since {at(10)}", "Rule 'all'",
    )  # fmt: skip
    assert [sentence.startswith(begin) for sentence, begin in zip(sentences, begins, strict=False)] == [True] * len(
        begins
    )


def test_keep_rules_that_protect_and_that_would_are_told(world: World) -> None:
    clip = world.clip(age=40 * DAY, tags=("scratch",))
    masters = KeepRule(name="masters", tag="master", allow_unseen=True)
    rated = KeepRule(name="good ones", rated=4)
    retention = world.retention(SCRATCH, ALL, keep=(masters, rated))
    text = " ".join(retention.explain(clip, now=world.now))
    assert "So would a keep rule, if it matched: 'masters' (tag master), 'good ones' (rated 4 or better)." in text
    world.tag(clip, "master")
    found = retention.explain(clip, now=world.now)
    assert "Keep rule 'masters' (tag master) keeps it." in found.sentences
    assert [(rule.name, rule.decides) for rule in (*found.keep, *found.rules)] == [
        ("masters", True), ("scratch", False), ("all", False),
    ]  # fmt: skip
    assert (found.decision, found.cause, found.decides, found.goes) == ("keep", "protected", "masters", None)


def test_a_budget_that_is_exceeded_is_told(world: World) -> None:
    clip = world.clip(age=40 * DAY)
    retention = world.retention(budgets=(Budget(name="small", max_bytes=1, match="all"),))
    found = retention.explain(clip, now=world.now)
    assert (found.decision, found.cause, found.decides) == ("mark", "over budget", "small")
    assert "room in the budget" in found.sentences[-1]
    retention.apply(now=world.now)
    assert "because of budget 'small'" in " ".join(retention.explain(clip, now=world.now))


@pytest.mark.parametrize("reference", ["", "xyz", "12", "00000000", "0" * 40])
def test_no_such_clip_is_one_clear_error(world: World, reference: str) -> None:
    world.clip()
    with pytest.raises(ClipNotFound):
        world.retention(ALL).explain(reference)
