"""Holds keep clips; legal ones wait for somebody to look at them again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.building import completed
from tests.soak import examples
from voxledger.catalog.errors import ClipNotFound, HoldError, QueryError
from voxledger.catalog.events import ClipPinned, ClipPurged, ClipUnpinned, Fact, PurgeStarted, new_id
from voxledger.catalog.retention import Retention
from voxledger.catalog.settings import ExpireRule
from voxledger.cli import main

if TYPE_CHECKING:
    from conftest import World

DAY = timedelta(days=1)
ALL = ExpireRule(name="all", keep_for=5 * 86400, match="all")


def erased() -> list[Fact]:
    """What an erasure records of a clip."""
    return [
        PurgeStarted(plan="request", rule="erasure", bucket="b"),
        ClipPurged(plan="request", rule="erasure", bucket="b", bytes=5, key=None),
    ]


def test_a_held_clip_is_not_marked_until_the_hold_ends(world: World) -> None:
    held, other = world.clip(), world.clip()
    retention = world.retention(ALL)
    hold = retention.hold(held[-8:], reason="not heard yet", until=world.now + 30 * DAY, now=world.now)
    assert (hold.kind, hold.clips, hold.standing, hold.state) == ("ordinary", 1, 1, "open")
    assert (hold.owner, hold.reason) == ("voxledger", "not heard yet")
    assert retention.apply(now=world.now).marked == 1
    assert (world.types(held), world.types(other)) == ([], ["ClipMarked"])
    assert retention.holds(now=world.now + 31 * DAY) == []
    assert [found.state for found in retention.holds(every=True, now=world.now + 31 * DAY)] == ["ended"]
    assert "ClipMarked" in [name for _ in [retention.apply(now=world.now + 31 * DAY)] for name in world.types(held)]


def test_one_hold_stands_on_many_clips_and_is_released_from_all(world: World) -> None:
    clips = [world.clip(session="pilot") for _ in range(3)] + [world.clip()]
    retention = world.retention(ALL)
    hold = retention.hold(clips[3], where="session = 'pilot'", reason="season 2", now=world.now)
    assert (hold.clips, len({hold.id})) == (4, 1)
    assert retention.apply(now=world.now).marked == 0
    assert retention.release(hold.id[-5:], reason="done").clips == 4
    assert retention.holds() == []
    over = retention.holds(every=True)[0]
    assert (over.state, over.release_reason) == ("released", "done")
    assert retention.apply(now=world.now).marked == 4
    with pytest.raises(HoldError, match=r"was released on .* already"):
        retention.release(hold.id)


def test_clips_that_were_erased_in_spite_of_a_hold_are_not_counted_among_those_that_it_keeps(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, there = world.clip(), world.clip()
    retention = world.retention()
    hold = retention.hold(gone, there, reason="pilot")
    for fact in erased():
        world.record(fact, gone)
    [found] = retention.holds()
    assert (found.id, found.clips, found.standing, found.gone, found.state) == (hold.id, 2, 1, 1, "open")
    with pytest.raises(SystemExit):
        main(["--home", str(world.home.path), "retention", "holds"])
    assert "1 + 1 gone" in " ".join(capsys.readouterr().out.split())
    for fact in erased():
        world.record(fact, there)
    assert retention.holds() == []
    [found] = retention.holds(every=True)
    assert (found.standing, found.gone, found.state) == (0, 2, "ended")


def test_a_legal_hold_of_which_nothing_is_left_waits_for_no_review(world: World) -> None:
    clip = world.clip()
    retention = world.retention()
    retention.hold(clip, reason="case", legal=True, review=world.now + DAY, now=world.now)
    later = world.now + 2 * DAY
    assert retention.status(later).overdue_holds == 1
    for fact in erased():
        world.record(fact, clip)
    assert retention.status(later).overdue_holds == 0


def test_what_a_plan_marked_can_be_held_and_is_unmarked(world: World) -> None:
    clips = [world.clip(), world.clip()]
    retention = world.retention(ALL)
    plan = retention.apply(now=world.now).plan
    assert retention.hold(plan=plan, reason="too much", now=world.now).clips == 2
    done = retention.apply(now=world.now + 8 * DAY)
    assert (done.unmarked, done.purged) == (2, 0)
    assert [world.types(clip)[-1] for clip in clips] == ["ClipUnmarked"] * 2


def test_a_hold_comes_too_late_for_what_is_being_deleted(world: World) -> None:
    purging, purged, alive = world.clip(), world.clip(), world.clip(age=timedelta(0))
    retention = world.retention(ALL)
    retention.apply(now=world.now)
    world.store.stubborn = {name for name in world.store.names() if purging in name}
    retention.apply(now=world.now + 8 * DAY)
    head = world.recorder.journal.head()
    for late in (purging, purged):
        with pytest.raises(HoldError, match=f"has begun \\({late[-8:]}\\): a hold comes too late"):
            retention.hold(alive, late, reason="why")
    with pytest.raises(HoldError, match="no clip that is still here"):
        retention.hold(where=f"id = '{purged}'", reason="why")
    assert world.recorder.journal.head() == head
    assert retention.hold(where="true", reason="why").clips == 1


def test_a_deletion_that_begins_at_the_same_moment_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = [world.clip(), world.clip()]
    retention = world.retention(ALL)
    started = PurgeStarted(plan="p", rule="all", bucket="indextts-audio")
    draft, first = world.recorder.draft, iter([True])

    def and_then(fact: Any, *, subject: str, actor: Any) -> Any:
        made = draft(fact, subject=subject, actor=actor)
        if next(first, False):
            world.recorder.journal.emit(draft(started, subject=clips[0], actor=actor))
        return made

    monkeypatch.setattr(world.recorder, "draft", and_then)
    hold = retention.hold(*clips, reason="why")
    assert (hold.clips, hold.late) == (1, (clips[0],))


def test_a_legal_hold_needs_a_review_and_says_when_it_is_overdue(world: World) -> None:
    clip = world.clip()
    retention = world.retention(ALL)
    hold = retention.hold(clip, reason="case 4711", legal=True, review=world.now + 90 * DAY, now=world.now)
    assert (hold.kind, hold.until, hold.overdue) == ("legal", None, False)
    assert retention.holds(due=True, now=world.now) == []
    late = world.now + 91 * DAY
    assert [(found.id, found.overdue) for found in retention.holds(due=True, now=late)] == [(hold.id, True)]
    assert retention.apply(now=late).marked == 0, "it keeps all the same"
    again = retention.renew(hold.id, review=late + 90 * DAY, now=late)
    assert (again.id, again.reason, again.clips, again.overdue) == (hold.id, "case 4711", 1, False)
    assert retention.holds(due=True, now=late) == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"reason": " "}, "needs a reason"),
        ({"legal": True}, "needs a day on which somebody looks at it again"),
        ({"legal": True, "review": 1, "until": 1}, "does not end by itself"),
        ({"review": 1}, "only a legal hold has a day of review"),
        ({"until": -1}, "until .* is over already"),
    ],
)
def test_a_hold_that_says_too_little_or_too_much_is_refused(world: World, asked: dict[str, Any], said: str) -> None:
    clip = world.clip()
    given = {key: world.now + value * DAY if key in ("until", "review") else value for key, value in asked.items()}
    with pytest.raises(HoldError, match=said):
        world.retention(ALL).hold(clip, **{"reason": "why", **given}, now=world.now)
    assert world.retention(ALL).holds(every=True) == []


def test_what_is_not_there_cannot_be_held(world: World) -> None:
    world.clip()
    retention = world.retention(ALL)
    with pytest.raises(HoldError, match="nothing was named"):
        retention.hold(reason="why")
    with pytest.raises(HoldError, match="plan 'p' has marked no clip"):
        retention.hold(plan="p", reason="why")
    with pytest.raises(QueryError, match="clips have no column sesion; did you mean session"):
        retention.hold(where="sesion = 'a'", reason="why")
    with pytest.raises(ClipNotFound):
        retention.hold("00000000", reason="why")
    with pytest.raises(HoldError, match="there is no hold"):
        retention.release("5c1e09ab77d2")


def test_the_reason_goes_with_whoever_gave_it_and_the_hold_stays(world: World) -> None:
    clip = world.clip()
    retention = world.retention(ALL)
    hold = retention.hold(clip, reason="secret", now=world.now)
    world.recorder.vault.destroy(world.recorder.vault.actor("voxledger").id)
    world.keeper.rebuild()
    found = retention.holds()[0]
    assert (found.id, found.owner, found.reason, found.standing) == (hold.id, None, None, 1)


def test_ten_thousand_clips_are_held_at_once(world: World) -> None:
    ann = world.recorder.vault.actor("ann")
    drafts = [world.recorder.draft(completed(key=f"k{n}"), subject=new_id(), actor=ann) for n in range(10_000)]
    world.recorder.journal.emit(*drafts)
    retention = world.retention(ALL)
    heard: list[tuple[int, int]] = []
    assert retention.hold(where="true", reason="all of it", progress=lambda *at: heard.append(at)).clips == 10_000
    assert heard == [(n * 1000, 10_000) for n in range(1, 11)]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["apply", "time", "pin", "pin until", "unpin", "hold", "hold until", "legal", "release", "play"]
        ),
        st.integers(0, 2),
    ),
    min_size=6,
    max_size=16,
)


@settings(max_examples=examples(8), deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=STEPS)
def test_a_held_or_pinned_clip_is_never_marked_or_purged(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], request: Any
) -> None:
    world: World = type(request.getfixturevalue("world"))(tmp_path_factory.mktemp("world"))
    retention: Retention = world.retention(ALL, grace=3 * 86400.0)
    clips, now = [world.clip() for _ in range(3)], world.now
    pinned: dict[str, Any] = {}
    holds: dict[str, list[tuple[str, Any]]] = {clip: [] for clip in clips}

    def kept(clip: str) -> bool:
        ends = [*([pinned[clip]] if clip in pinned else []), *(end for _, end in holds[clip])]
        return any(end is None or end > now for end in ends)

    for step, number in [*steps, ("time", 0), ("apply", 0)]:
        clip, soon = clips[number], now + 4 * DAY
        if step == "apply":
            before = {each: world.types(each) for each in clips}
            safe = [each for each in clips if kept(each)]
            retention.apply(now=now)
            for each in safe:
                assert set(world.types(each)[len(before[each]) :]) <= {"ClipUnmarked"}
        elif step == "time":
            now += 3 * DAY
        elif "PurgeStarted" in world.types(clip):
            continue
        elif step.startswith("pin"):
            pinned[clip] = soon if "until" in step else None
            world.record(ClipPinned(reason=None, until=pinned[clip]), clip)
        elif step == "unpin":
            world.record(ClipUnpinned(), clip)
            pinned.pop(clip, None)
        elif step == "play":
            world.play(clip)
        elif step == "release":
            for hold, _ in holds[clip]:
                retention.release(hold, now=now)
            holds[clip] = []
        else:
            until = soon if "until" in step else None
            more = {"legal": True, "review": soon} if step == "legal" else {}
            made = retention.hold(clip, reason="why", until=until, now=now, **more)
            holds[clip].append((made.id, until))
    assert {name for clip in clips if kept(clip) for name in world.types(clip)} <= {"ClipMarked", "ClipUnmarked"}
    world.close()
